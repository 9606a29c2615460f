//! Reward models that read at a token of their own: what trains, what is written, what it is used for.
#![allow(clippy::unwrap_used, clippy::result_large_err)]
mod common;
use common::{Bench, Call, Ran};
use kernels::Device;
use kernels::linear::Precision;
use record::Prompt;
use render::Renderer;
use std::path::Path;
use train::readout::REWARD_TOKEN;
use train::scorer::{Asked, RewardModel, Scorer};

const ROWS: [&str; 4] = [
    r#"{"prompt": "name a sum", "completions": [{"text": " four", "rank": 0}, {"text": " five and more", "rank": 7}, {"text": " six", "rank": 7}]}"#,
    r#"{"prompt": [{"role": "user", "content": "hi"}], "chosen": [{"role": "assistant", "content": "ho"}], "rejected": [{"role": "assistant", "content": "go away"}]}"#,
    r#"{"prompt": "up", "chosen": " down", "rejected": " sideways"}"#,
    r#"{"prompt": "red", "chosen": " blue", "rejected": " yellow"}"#,
];
const TOKEN: &str = "rm.readout=token";
const ALONE: &str = "rm.train_only_readout=true";

fn run(bench: &Bench, name: &str, extra: &[&str]) -> Ran {
    let sets =
        ["train.max_steps=6", "train.batch_size=2", "optimizer.lr=1e-2", "model.dtype=f32", "train.save_every=2"];
    bench.rm(name, Call { sets: &[&sets[..], extra].concat(), ..Call::default() }).unwrap()
}

/// Every tensor of a model folder.
fn tensors(folder: &Path) -> Vec<(String, Vec<f32>)> {
    let source = model::weights::open(folder).unwrap().tensors;
    let read = |name: String| {
        let mut values = vec![0.0; source.shape(&name).unwrap().iter().product()];
        source.read(&name, &mut values).unwrap();
        (name, values)
    };
    let mut names = source.names();
    names.sort();
    names.into_iter().map(read).collect()
}

fn rewards(folder: &Path) -> Vec<f64> {
    let mut scorer = RewardModel::open(&Device::detect(Some(2)), folder, Precision::F32, 64).unwrap();
    let prompt = Prompt::Text("name a sum".into());
    scorer.score(&[Asked { prompt: &prompt, completions: vec![" four", " six"] }]).unwrap().concat()
}

#[test]
fn only_the_tokens_row_and_the_head_change() {
    let bench = Bench::with_rows(&ROWS);
    let ran = run(&bench, "run", &[TOKEN, ALONE]);
    let loss = ran.metric("loss");
    assert!((loss[0] - std::f64::consts::LN_2).abs() < 0.3, "a new head knows little: {loss:?}");
    assert!(loss[5] < loss[0], "something was learnt: {loss:?}");
    let (before, after) = (tensors(&bench.model), tensors(&ran.out.join("final")));
    assert_eq!(after.len(), before.len() + 1, "the scalar head is new");
    for (name, values) in &after {
        match before.iter().find(|(other, _)| other == name) {
            None => assert!(name == "score.weight" && values.iter().any(|w| *w != 0.0)),
            Some((_, old)) if name.ends_with("embed_tokens.weight") => {
                let d = old.len() / testkit::VOCABULARY;
                let (kept, grown) = values.split_at(old.len());
                assert_eq!(kept, old, "the rows of the text's tokens");
                assert_eq!(grown.len(), (320 - testkit::VOCABULARY) * d, "rows to the next multiple of 64");
                assert_ne!(grown[..d], old[testkit::END_OF_TEXT as usize * d..][..d], "it began as the EOS and moved");
                assert!(grown[d..].iter().all(|w| *w == 0.0), "spare rows");
            }
            Some((_, old)) => assert_eq!(values, old, "{name}"),
        }
    }
}

#[test]
fn the_folder_says_how_it_is_read_and_scores_so() {
    let bench = Bench::with_rows(&ROWS);
    for (name, extra) in
        [("alone", &[TOKEN, ALONE][..]), ("whole", &[TOKEN]), ("lora", &[TOKEN, "model.lora={ rank = 2 }"])]
    {
        let ran = run(&bench, name, extra);
        let folder = ran.out.join("final");
        let config = ran.json("final/config.json");
        assert_eq!((&config["readout"], &config["readout_token_id"]), (&"token".into(), &260.into()), "{name}");
        assert_eq!((&config["vocab_size"], &config["pad_token_id"]), (&320.into(), &testkit::PAD.into()), "{name}");
        let tokenizer = Renderer::open(&folder, None).unwrap();
        assert_eq!(tokenizer.tokenizer().token_id(REWARD_TOKEN), Some(260), "{name}");
        // what is stored about held-out rows, and what the scorer says about them, is the same number
        let mut scorer = RewardModel::open(&Device::detect(Some(2)), &folder, Precision::F32, 64).unwrap();
        let prompt = Prompt::Text("red".into());
        let found = scorer.score(&[Asked { prompt: &prompt, completions: vec![" blue", " yellow"] }]).unwrap().concat();
        let mean = (found[0] + found[1]) / 2.0;
        let stored = config["reward_mean"].as_f64().unwrap();
        assert!((mean - stored).abs() < 1e-6 && (found[0] - found[1]).abs() > 1e-6, "{name}: {found:?}, {stored}");
        // read at the EOS instead it would be another number
        let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
        std::fs::write(folder.join("config.json"), text.replace("\"token\"", "\"eos\"")).unwrap();
        assert!((rewards(&folder)[0] - found[0]).abs() > 1e-6, "{name}");
        std::fs::write(folder.join("config.json"), text.replace("260", "999")).unwrap();
        let refused = RewardModel::open(&Device::detect(Some(2)), &folder, Precision::F32, 64).err().unwrap();
        assert!(refused.to_string().contains("readout_token_id 999"), "{name}: {refused}");
    }
}

#[test]
fn the_prompt_shared_or_repeated_gives_the_same_numbers() {
    let bench = Bench::with_rows(&ROWS);
    for (kind, extra) in [("whole", &[TOKEN][..]), ("alone", &[TOKEN, ALONE])] {
        let shared = run(&bench, &format!("{kind} shared"), extra);
        for (name, set) in [("apart", "data.shared_prefix=false"), ("one by one", "data.packing=false")] {
            let other = run(&bench, &format!("{kind} {name}"), &[extra, &[set]].concat());
            for key in ["loss", "grad_norm", "margin"] {
                let (a, b) = (shared.metric(key)[0], other.metric(key)[0]);
                assert!((a - b).abs() < 1e-6, "{kind}, {name}: {key} {a} and {b}");
            }
        }
    }
}

#[test]
fn an_interrupted_run_resumes_bit_for_bit() {
    let bench = Bench::with_rows(&ROWS);
    let more = ["train.ema=0.9", "model.dropout=0.1"];
    for (kind, extra) in [("whole", &[TOKEN][..]), ("alone", &[TOKEN, ALONE])] {
        let sets =
            [&["train.max_steps=6", "train.batch_size=2", "train.save_every=2", "optimizer.lr=1e-2"], extra, &more]
                .concat();
        let straight = bench.rm(&format!("{kind} straight"), Call { sets: &sets, ..Call::default() }).unwrap();
        let parts = format!("{kind} parts");
        bench.rm(&parts, Call { sets: &sets, stop_after: Some(3), ..Call::default() }).unwrap();
        let rest = bench.rm(&parts, Call { resume: true, ..Call::default() }).unwrap();
        assert_eq!(rest.weights(), straight.weights(), "{kind}");
        assert_eq!(rest.metric("loss"), straight.metric("loss"), "{kind}");
        assert_eq!(rest.json("accuracy.json"), straight.json("accuracy.json"), "{kind}");
    }
}

/// A reward model trained further keeps the row that it has.
#[test]
fn a_learnt_token_is_learnt_on() {
    let bench = Bench::with_rows(&ROWS);
    let first = run(&bench, "first", &[TOKEN, ALONE]);
    let again = Bench { model: first.out.join("final"), ..Bench::with_rows(&ROWS) };
    let second = run(&again, "second", &[TOKEN, ALONE]);
    assert_eq!(second.json("final/config.json")["vocab_size"], 320);
    assert!((second.metric("loss")[0] - first.metric("loss")[0]).abs() > 1e-3, "it goes on, it doesn't begin anew");
    assert!(second.metric("loss")[0] < first.metric("loss")[0]);
}
