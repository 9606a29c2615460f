//! Reward modelling: the reference numbers, calibration, and what is refused.
#![allow(clippy::unwrap_used, clippy::result_large_err)]
mod common;
use common::{Bench, Call, Ran, conformance};
use kernels::Device;
use kernels::linear::Precision;
use record::Prompt;
use train::TrainError;
use train::scorer::{Asked, RewardModel, Scorer};

const TWO_STEPS: [&str; 7] = [
    "train.max_steps=2",
    "train.batch_size=64",
    "train.shuffle=false",
    "optimizer.lr=1e-3",
    "optimizer.schedule=constant",
    "model.dtype=f32",
    "train.save_every=0",
];

fn run(bench: &Bench, name: &str, extra: &[&str]) -> Ran {
    bench.rm(name, Call { sets: &[&TWO_STEPS[..], extra].concat(), ..Call::default() }).unwrap()
}

/// The README's tolerances: losses 2e-6 relative at the first step and 5e-6 after, norms 1e-5.
fn check(ran: &Ran, losses: &[f64], norms: &[f64]) {
    let near = |key: &str, expected: &[f64], tolerances: &[f64]| {
        let found = ran.metric(key);
        for (step, expected) in expected.iter().enumerate() {
            let error = (found[step] / expected - 1.0).abs();
            assert!(error < tolerances[step.min(1)], "{key} of step {step}: {}, expected {expected}", found[step]);
        }
    };
    near("loss", losses, &[2e-6, 5e-6]);
    near("grad_norm", norms, &[1e-5, 1e-5]);
}

/// `refs.json` `rm_bt`, `rm_margin`, `rm_center`, made by TRL 1.16 and PyTorch 2.15.
#[test]
fn pairs_agree_with_pytorch_plain_with_margin_and_centered() {
    let bench = Bench::of("tiny-reward", "preferences-rm.jsonl");
    let plain = run(&bench, "plain", &[]);
    check(&plain, &[0.6845226287841797, 0.6368598341941833], &[1.2815574407577515, 1.544423222541809]);
    // scores before: .1227723 > .1207924 (right) and .1448643 > .1120763 (right), so all pairs
    assert_eq!(plain.metric("accuracy")[0], 1.0);
    // the chosen answers are shorter than the rejected ones
    assert_eq!(plain.metric("length_baseline")[0], 0.0);
    let margin = run(&bench, "margin", &["rm.margin=true"]);
    check(&margin, &[0.8248662948608398, 0.772200345993042], &[1.3757152557373047, 1.7048335075378418]);
    let centered = run(&bench, "centered", &["rm.center_coefficient=0.01"]);
    check(&centered, &[0.6851493120193481, 0.6378320455551147], &[1.2816005945205688, 1.541947841644287]);
}

/// `kwise.json`, made by PyTorch in f64.
#[test]
fn rankings_agree_with_pytorch_in_both_reductions() {
    let bench = Bench::of("tiny-reward", "rankings.jsonl");
    check(&run(&bench, "kwise", &[]), &[0.7083061207100687], &[0.9619840827705182]);
    check(&run(&bench, "pooled", &["rm.reduction=pooled"]), &[0.7005823857328936], &[0.644464203569209]);
}

#[test]
fn prompts_shared_or_repeated_and_batches_split_give_the_same_numbers() {
    let bench = Bench::of("tiny-reward", "rankings.jsonl");
    let whole = run(&bench, "whole", &[]);
    for (name, set) in [("apart", "data.shared_prefix=false"), ("one by one", "data.packing=false")] {
        let other = run(&bench, name, &[set]);
        for key in ["loss", "grad_norm", "accuracy", "margin"] {
            for (a, b) in whole.metric(key).iter().zip(other.metric(key)) {
                assert!((a - b).abs() < 1e-6, "{name}: {key} {a} and {b}");
            }
        }
        let before = (whole.summary().before.unwrap(), other.summary().before.unwrap());
        assert!((before.0.held_out_loss - before.1.held_out_loss).abs() < 1e-6, "{before:?}");
    }
    let fewer =
        whole.metric("tokens")[0] < 0.8 * run(&bench, "count", &["data.shared_prefix=false"]).metric("tokens")[0];
    assert!(fewer, "the prompts were run again for every completion");
}

/// `scores_before` of `rm_bt`: chosen, chosen, rejected, rejected.
#[test]
fn a_reward_model_scores_as_pytorch_does() {
    let device = Device::detect(Some(2));
    let mut scorer = RewardModel::open(&device, &conformance("tiny-reward"), Precision::F32, 2048).unwrap();
    let prompts = [Prompt::Text("t1 t2 t3".into()), Prompt::Text("t7".into())];
    let asked = [
        Asked { prompt: &prompts[0], completions: vec![" t4", " t5 t6"] },
        Asked { prompt: &prompts[1], completions: vec![" t8", " t9 t10"] },
    ];
    let found = scorer.score(&asked).unwrap().concat();
    let expected = [0.12277230620384216, 0.12079241871833801, 0.1448642611503601, 0.11207631230354309];
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    let nothing = [Asked { prompt: &prompts[0], completions: vec![] }];
    assert_eq!(scorer.score(&nothing).unwrap(), [Vec::<f64>::new()]);
    assert!(RewardModel::open(&device, &conformance("tiny-policy"), Precision::F32, 2048).is_err());
}

const ROWS: [&str; 5] = [
    r#"{"prompt": "name a sum", "completions": [{"text": " four", "rank": 0}, {"text": " five and more", "rank": 7}, {"text": " six", "rank": 7}], "labeler": "l-1", "group": "a"}"#,
    r#"{"prompt": [{"role": "user", "content": "hi"}], "chosen": [{"role": "assistant", "content": "ho"}], "rejected": [{"role": "assistant", "content": "go away"}], "labeler": "l-2", "group": "b"}"#,
    r#"{"prompt": "up", "chosen": " down", "rejected": " sideways", "group": "b"}"#,
    r#"{"prompt": "left", "completions": [{"text": " a", "rank": 1}, {"text": " b", "rank": 1}]}"#,
    r#"{"prompt": "red", "chosen": " blue", "rejected": " yellow", "source": "simulated"}"#,
];

/// A language model without a head becomes a reward model; demonstrations average 0 in what was written.
#[test]
fn a_finished_reward_model_is_calibrated_and_padded() {
    let bench = Bench::with_rows(&ROWS);
    let demonstrations = bench.out("demonstrations.jsonl");
    let rows =
        ["{\"prompt\": \"one\", \"completion\": \" two\"}", "{\"prompt\": \"three\", \"completion\": \" four five\"}"];
    std::fs::write(&demonstrations, rows.join("\n")).unwrap();
    let set = format!("rm.demonstrations={}", demonstrations.display());
    let sets = ["train.epochs=2", "train.batch_size=2", "optimizer.lr=1e-2", "model.dtype=f32", &set];
    let ran = bench.rm("run", Call { sets: &sets, ..Call::default() }).unwrap();
    let config = ran.json("final/config.json");
    assert_eq!(config["architectures"][0], "LlamaForSequenceClassification");
    assert_eq!((&config["readout"], config["id2label"].as_object().unwrap().len()), (&"eos".into(), 1));
    assert_ne!(config["reward_bias"].as_f64().unwrap(), 0.0);
    assert!(config["reward_std"].as_f64().unwrap() > 0.0);
    let padding = config["pad_token_id"].as_u64().unwrap() as u32;
    assert_eq!(padding, testkit::PAD);
    assert_eq!(ran.json("final/tokenizer_config.json")["pad_token"], "<|pad|>");
    let mut scorer = RewardModel::open(&Device::detect(Some(2)), &ran.out.join("final"), Precision::F32, 64).unwrap();
    let prompts = [Prompt::Text("one".into()), Prompt::Text("three".into())];
    let rewards = scorer.score(&[Asked::one(&prompts[0], " two"), Asked::one(&prompts[1], " four five")]).unwrap();
    assert!((rewards[0][0] + rewards[1][0]).abs() < 1e-5, "{rewards:?}");
    assert!((rewards[0][0] - rewards[1][0]).abs() > 1e-6, "{rewards:?}");
    assert_eq!(scorer.scale().unwrap().mean, config["reward_mean"].as_f64().unwrap());
    let report = ran.json("accuracy.json");
    assert_eq!((report["held_out"].as_bool(), report["pairs"].as_u64()), (Some(true), Some(1)));
    let data = ran.json("data.json");
    assert_eq!((data["train"]["kept"].as_u64(), data["train"]["tied"].as_u64()), (Some(3), Some(1)));
    assert!(ran.lines("evaluations.jsonl")[0]["accuracy"].is_number());
}

/// Sharing a padding token with EOS would move `transformers`' scores: another token is chosen.
#[test]
fn padding_that_ends_texts_is_replaced() {
    let bench = Bench::with_rows(&ROWS);
    for file in ["tokenizer_config.json", "config.json"] {
        let path = bench.model.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("\"pad_token\": \"<|pad|>\"", "\"pad_token\": \"<|im_end|>\"");
        std::fs::write(&path, text.replace("\"pad_token_id\": 259", "\"pad_token_id\": 258")).unwrap();
    }
    let ran = bench.rm("run", Call { sets: &["train.max_steps=1"], ..Call::default() }).unwrap();
    assert_eq!(ran.json("final/config.json")["pad_token_id"], testkit::PAD);
    assert_eq!(ran.json("final/tokenizer_config.json")["pad_token"], "<|pad|>");
    assert_eq!(ran.json("final/generation_config.json")["pad_token_id"], testkit::PAD);
}

#[test]
fn an_interrupted_run_resumes_bit_for_bit() {
    let bench = Bench::with_rows(&ROWS);
    let sets =
        ["train.max_steps=6", "train.batch_size=2", "train.save_every=2", "optimizer.lr=1e-2", "model.dropout=0.1"];
    for (name, lora) in [("full", "train.ema=0.9"), ("lora", "model.lora={ rank = 2 }")] {
        let sets = [&sets[..], &[lora]].concat();
        let straight = bench.rm(&format!("{name} straight"), Call { sets: &sets, ..Call::default() }).unwrap();
        let parts = format!("{name} parts");
        bench.rm(&parts, Call { sets: &sets, stop_after: Some(3), ..Call::default() }).unwrap();
        let rest = bench.rm(&parts, Call { resume: true, ..Call::default() }).unwrap();
        assert_eq!(rest.weights(), straight.weights(), "{name}");
        assert_eq!(rest.metric("loss"), straight.metric("loss"), "{name}");
        assert_eq!(rest.json("accuracy.json"), straight.json("accuracy.json"), "{name}");
    }
}

#[test]
fn a_labeler_group_can_be_left_out_and_labelers_weighed() {
    let bench = Bench::with_rows(&ROWS);
    std::fs::write(&bench.held_out, "").unwrap();
    let run = |name: &str, extra: &[&str]| {
        let sets = [&["train.max_steps=1", "data.eval=[]", "model.dtype=f32"], extra].concat();
        bench.rm(name, Call { sets: &sets, ..Call::default() })
    };
    let ran = run("group", &["rm.leave_out_group=b"]).unwrap();
    let data = ran.json("data.json");
    assert_eq!((data["train"]["kept"].as_u64(), data["held_out"]["kept"].as_u64()), (Some(1), Some(2)));
    assert_eq!(ran.json("accuracy.json")["by_group"]["b"]["pairs"], 2);
    let plain = run("plain", &[]).unwrap().metric("loss")[0];
    let none = run("none", &["rm.labeler_weights={ l-1 = 0.0, l-2 = 0.0 }"]).unwrap().metric("loss")[0];
    // three prompts; the third has no labeler and keeps its share
    assert!(none > 0.1 * plain && none < 0.6 * plain, "{none} of {plain}");
    let unknown = run("unknown", &["rm.labeler_weights={ l-9 = 0.5 }"]).err().unwrap().to_string();
    assert!(unknown.contains("\"l-9\""), "{unknown}");
}

#[test]
fn what_cannot_be_learnt_from_is_refused() {
    let refusal = |row: &str, sets: &[&str]| {
        let bench = Bench::with_rows(&[row, ROWS[4]]);
        let error = bench.rm("run", Call { sets, ..Call::default() }).err().unwrap();
        assert!(!bench.out("run").join("final").exists());
        error.to_string()
    };
    let cases = [
        (r#"{"prompt": "p", "completions": [{"text": "a", "rank": 1}]}"#, "completions"),
        (r#"{"prompt": "p", "completions": [{"text": "a"}, {"text": "b", "rank": 1}]}"#, "completions[0].rank"),
        (r#"{"prompt": "p", "completions": [{"text": "a", "rank": 1}, {"text": "a", "rank": 2}]}"#, "the same text"),
        (
            r#"{"prompt": "p", "completions": [{"text": "a", "rank": 1}, {"text": "b", "rank": 1}]}"#,
            "1 of them all tied",
        ),
        (r#"{"prompt": "p", "chosen": "a", "rejected": "a"}"#, "rejected"),
    ];
    for (row, part) in cases {
        let message = refusal(row, &[]);
        assert!(message.contains("train.jsonl") && message.contains(part), "{message}");
    }
    for (set, part) in [
        ("rm.margin=true", "rankings, which have no margins"),
        ("rm.train_only_readout=true", "`rm.train_only_readout`"),
        ("rm.loss=bt", "unknown reward loss `bt`"),
        ("rm.pairs_divisor=most", "pairs_divisor"),
    ] {
        let message = refusal(ROWS[0], &[set]);
        assert!(message.contains(part), "{set}: {message}");
    }
    let bench = Bench::with_rows(&[ROWS[2], ROWS[4]]);
    let sets = ["rm.loss=plackett_luce", "rm.center_coefficient=0.1"];
    let error = bench.rm("run", Call { sets: &sets, ..Call::default() }).err().unwrap();
    assert!(matches!(error, TrainError::Objective(_)), "{error}");
}

#[test]
fn scores_that_are_no_numbers_stop_the_run() {
    let bench = Bench::with_rows(&ROWS);
    let sets = ["train.max_steps=9", "train.save_every=1", "optimizer.lr=1e30", "model.dtype=f32"];
    let error = bench.rm("run", Call { sets: &sets, ..Call::default() }).err().unwrap();
    assert!(matches!(error, TrainError::Diverged { .. }), "{error}");
    assert!(!bench.out("run/final").exists());
}
