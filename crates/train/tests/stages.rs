//! Runs from beginning to end on tiny models: resuming, interrupting, choosing, refusing.
#![allow(clippy::unwrap_used, clippy::result_large_err)]
mod common;
use common::{Bench, Call, Ran};
use std::collections::BTreeSet;
use std::fs;
use train::{Event, Outcome, TrainError};

/// Everything random switched on, in small.
const NOISY: [&str; 8] = [
    "train.max_steps=10",
    "train.batch_size=2",
    "train.save_every=3",
    "train.ema=0.9",
    "optimizer.lr=1e-2",
    "optimizer.warmup_steps=2",
    "model.dropout=0.1",
    "data.neftune_alpha=5",
];

fn noisy(extra: &[&'static str]) -> Vec<&'static str> {
    [&NOISY, extra].concat()
}

/// Runs to step `stop_after`, then resumes to the end.
fn interrupted(bench: &Bench, name: &str, sets: &[&str], stop_after: u64) -> (Ran, Ran) {
    let first = bench.sft(name, Call { sets, stop_after: Some(stop_after), ..Call::default() }).unwrap();
    let rest = bench.sft(name, Call { resume: true, ..Call::default() }).unwrap();
    (first, rest)
}

#[test]
fn an_interrupted_run_resumes_bit_for_bit() {
    let bench = Bench::bytes();
    for (name, precision) in [("f32", "model.dtype=f32"), ("bf16", "model.dtype=bf16")] {
        let sets = noisy(&[precision, "train.seed=7"]);
        let straight = bench.sft(&format!("{name}-straight"), Call { sets: &sets, ..Call::default() }).unwrap();
        let (first, rest) = interrupted(&bench, &format!("{name}-parts"), &sets, 5);
        let Outcome::Interrupted { step: 5, steps: 10, checkpoint: Some(checkpoint) } = &first.outcome else {
            panic!("{:?}", first.outcome);
        };
        assert!(checkpoint.ends_with("checkpoints/step-000005"));
        assert_eq!(rest.weights(), straight.weights(), "{name}: the weights differ");
        assert_eq!(rest.metric("loss"), straight.metric("loss"), "{name}: the losses differ");
        assert_eq!(rest.metric("step"), (1..=10).map(f64::from).collect::<Vec<_>>());
        assert_eq!(rest.metric("tokens"), straight.metric("tokens"));
        assert_eq!(rest.summary().before, straight.summary().before);
        assert_eq!(rest.lines("samples.jsonl"), straight.lines("samples.jsonl"), "{name}: the answers differ");
    }
    let other = noisy(&["model.dtype=f32", "train.seed=8"]);
    let other = bench.sft("other-seed", Call { sets: &other, ..Call::default() }).unwrap();
    assert_ne!(other.metric("loss")[0], 0.0);
    assert_ne!(other.weights(), fs::read(bench.out("f32-straight/final/model.safetensors")).unwrap());
}

#[test]
fn a_run_stopped_while_held_out_rows_are_judged_judges_them_when_resumed() {
    let bench = Bench::bytes();
    let sets = noisy(&["train.eval_every=2", "train.choose=held_out_loss", "train.csv=true"]);
    let straight = bench.sft("straight", Call { sets: &sets, ..Call::default() }).unwrap();
    let read = |run: &Ran, file: &str| fs::read_to_string(run.out.join(file)).unwrap();
    // in the middle; where a checkpoint is due; at the end
    for stop in [4, 9, 10] {
        let name = format!("stopped-{stop}");
        let first = bench.sft(&name, Call { sets: &sets, stop_judging: Some(stop), ..Call::default() }).unwrap();
        let Outcome::Interrupted { step, checkpoint: Some(_), .. } = &first.outcome else {
            panic!("{:?}", first.outcome);
        };
        assert_eq!(*step, stop);
        assert!(!first.metric("step").contains(&(stop as f64)), "a step is written when it is whole");
        // stopped there once more, and at last left alone
        let again =
            bench.sft(&name, Call { resume: true, stop_judging: Some(stop), ..Call::default() }).unwrap().outcome;
        assert!(matches!(again, Outcome::Interrupted { step, .. } if step == stop), "{again:?}");
        let rest = bench.sft(&name, Call { resume: true, ..Call::default() }).unwrap();
        assert_eq!(rest.weights(), straight.weights(), "after {stop}: the weights differ");
        assert_eq!(rest.summary().chosen_step, straight.summary().chosen_step);
        for file in ["evaluations.jsonl", "samples.jsonl"] {
            assert_eq!(read(&rest, file), read(&straight, file), "after {stop}: {file} differs");
        }
        let table = |run: &Ran| {
            let names = ["step", "loss", "held_out_loss", "grad_norm", "lr", "tokens", "epoch"];
            let column = |line: &serde_json::Map<String, serde_json::Value>| names.map(|name| line.get(name).cloned());
            run.lines("metrics.jsonl").iter().map(column).collect::<Vec<_>>()
        };
        assert_eq!(table(&rest), table(&straight), "after {stop}");
        let keys = |run: &Ran| run.lines("metrics.jsonl").iter().map(|l| l.keys().cloned().collect()).collect();
        let (found, expected): (Vec<Vec<String>>, Vec<Vec<String>>) = (keys(&rest), keys(&straight));
        assert_eq!(found, expected, "after {stop}: the columns of a line differ");
    }
}

#[test]
fn a_finished_run_may_train_longer() {
    let bench = Bench::bytes();
    let steps = ["train.max_steps=6", "optimizer.schedule=constant", "optimizer.lr=1e-2", "train.batch_size=2"];
    let straight = bench.sft("straight", Call { sets: &steps, ..Call::default() }).unwrap();
    let shorter = [&["train.max_steps=4"], &steps[1..]].concat();
    bench.sft("longer", Call { sets: &shorter, ..Call::default() }).unwrap();
    let longer = bench.sft("longer", Call { sets: &["train.max_steps=6"], resume: true, ..Call::default() }).unwrap();
    assert_eq!(longer.weights(), straight.weights());
    let config = fs::read_to_string(longer.out.join("config.toml")).unwrap();
    assert!(config.contains("max_steps = 6  # --set"), "{config}");
}

#[test]
fn a_damaged_checkpoint_costs_its_steps_and_nothing_else() {
    let bench = Bench::bytes();
    let sets = noisy(&["train.keep_checkpoints=0"]);
    let straight = bench.sft("straight", Call { sets: &sets, ..Call::default() }).unwrap();
    bench.sft("damaged", Call { sets: &sets, stop_after: Some(7), ..Call::default() }).unwrap();
    let state = bench.out("damaged/checkpoints/step-000007/trainer.safetensors");
    let mut bytes = fs::read(&state).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&state, bytes).unwrap();
    let rest = bench.sft("damaged", Call { resume: true, ..Call::default() }).unwrap();
    assert!(rest.notices().iter().any(|notice| notice.contains("step-000007")), "{:?}", rest.notices());
    assert!(rest.events.iter().any(|event| matches!(event, Event::Started { step: 6, .. })));
    assert_eq!(rest.weights(), straight.weights());
    assert_eq!(rest.metric("step").len(), 10);
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint() {
    let bench = Bench::bytes();
    let sets = ["train.max_steps=9", "train.save_every=1", "optimizer.lr=1e30", "model.dtype=f32"];
    let error = bench.sft("run", Call { sets: &sets, ..Call::default() }).err().unwrap();
    let TrainError::Diverged { step, checkpoint, .. } = &error else {
        panic!("{error}");
    };
    assert!(*step > 1, "{error}");
    eprintln!("{error}; {checkpoint:?}");
    assert!(error.hint().unwrap().contains("optimizer.lr"));
    assert!(!bench.out("run/final").exists());
    if let Some(checkpoint) = checkpoint {
        stdx::atomic::verify_folder(checkpoint).unwrap();
    }
}

#[test]
fn the_model_with_the_lowest_held_out_loss_is_chosen() {
    let bench = Bench::bytes();
    let sets = [
        "train.max_steps=8",
        "train.save_every=1",
        "train.keep_checkpoints=1",
        "train.choose=held_out_loss",
        "optimizer.lr=0.1",
        "optimizer.schedule=constant",
    ];
    let ran = bench.sft("run", Call { sets: &sets, ..Call::default() }).unwrap();
    let losses: Vec<(u64, f64)> = ran
        .lines("evaluations.jsonl")
        .iter()
        .map(|line| (line["step"].as_u64().unwrap(), line["held_out_loss"].as_f64().unwrap()))
        .collect();
    assert_eq!(losses.len(), 9);
    let best = losses[1..].iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert_eq!(ran.summary().chosen_step, best.0);
    assert_eq!(ran.summary().after.unwrap().held_out_loss, best.1);
    assert!(best.0 < 8, "the rate was meant to overshoot: {losses:?}");
    let kept = bench.out("run").join(format!("checkpoints/step-{:06}/model.safetensors", best.0));
    assert_eq!(ran.weights(), fs::read(kept).unwrap());
}

#[test]
fn a_scorer_chooses_too() {
    let bench = Bench::bytes();
    let sets = ["train.max_steps=3", "train.save_every=1", "train.choose=score", "train.score_command=x"];
    // likes the second checkpoint best
    let score = |path: &std::path::Path| -> Result<f64, String> {
        assert!(path.join("model.safetensors").exists());
        Ok(if path.ends_with("step-000002") { 2.0 } else { 1.0 })
    };
    let ran = bench.sft("run", Call { sets: &sets, score: Some(&score), ..Call::default() }).unwrap();
    assert_eq!(ran.summary().chosen_step, 2);
    let broken = |_: &std::path::Path| -> Result<f64, String> { Err("exit code 3".into()) };
    let error = bench.sft("broken", Call { sets: &sets, score: Some(&broken), ..Call::default() }).err().unwrap();
    assert!(error.to_string().contains("step-000001: exit code 3"), "{error}");
}

#[test]
fn a_run_records_what_it_did() {
    let bench = Bench::bytes();
    let sets =
        ["train.max_steps=4", "train.batch_size=2", "train.csv=true", "train.tensorboard=true", "train.eval_every=2"];
    let ran = bench.sft("run", Call { sets: &sets, ..Call::default() }).unwrap();
    let lines = ran.lines("metrics.jsonl");
    for key in ["step", "loss", "grad_norm", "lr", "tokens", "tokens_per_second", "target_tokens", "epoch", "seconds"] {
        assert!(lines.iter().all(|line| line[key].is_number()), "{key}");
    }
    assert!(lines[1].contains_key("held_out_loss") && !lines[0].contains_key("held_out_loss"));
    let evaluated: Vec<u64> =
        ran.lines("evaluations.jsonl").iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(evaluated, [0, 2, 4]);
    let answers = ran.lines("samples.jsonl");
    let answered: BTreeSet<u64> = answers.iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(answered, BTreeSet::from([0, 2, 4]), "held-out prompts are answered at each evaluation");
    for line in &answers {
        assert!(line["prompt"] != "" && line["demonstrated"] != "" && line["source"] == "model", "{line:?}");
    }
    for file in [
        "config.toml",
        "lineage.json",
        "data.json",
        "metrics.csv",
        "events.out.tfevents.helpmate",
        "report.html",
        "final/config.json",
        "final/tokenizer.json",
        "final/tokenizer_config.json",
        "final/generation_config.json",
        "checkpoints/step-000004/trainer.json",
    ] {
        assert!(ran.out.join(file).is_file(), "{file}");
    }
    assert!(!ran.out.join("final/trainer.safetensors").exists());
    let data: serde_json::Value = serde_json::from_slice(&fs::read(ran.out.join("data.json")).unwrap()).unwrap();
    assert_eq!(data["train"]["sources"], serde_json::json!({"human": 3, "model": 1, "unknown": 1}));
    let report = fs::read_to_string(ran.out.join("report.html")).unwrap();
    assert!(report.contains("<svg") && report.contains("held-out loss"));
    // 5 rows in batches of 2: the fourth step begins the second epoch
    assert_eq!(ran.metric("epoch")[2..], [1.0, 4.0 / 3.0]);
}

#[test]
fn training_learns_the_rows() {
    let bench = Bench::bytes();
    let sets = ["train.max_steps=60", "optimizer.lr=1e-2", "train.save_every=0"];
    let ran = bench.sft("run", Call { sets: &sets, ..Call::default() }).unwrap();
    let losses = ran.metric("loss");
    eprintln!("losses {} → {}", losses[0], losses[59]);
    assert!(losses[0] > 5.0, "a random model over 260 bytes is near ln 260 = 5.56: {}", losses[0]);
    assert!(losses[59] < 0.5, "{}", losses[59]);
}

#[test]
fn adapters_begin_as_the_base_and_are_saved_beside_it() {
    let bench = Bench::bytes();
    let sets =
        ["train.max_steps=6", "model.lora={rank=4}", "optimizer.lr=1e-2", "model.dtype=f32", "train.shuffle=false"];
    let ran = bench.sft("lora", Call { sets: &sets, ..Call::default() }).unwrap();
    let full = ["train.max_steps=1", "optimizer.lr=1e-2", "model.dtype=f32", "train.shuffle=false"];
    let full = bench.sft("full", Call { sets: &full, ..Call::default() }).unwrap();
    let losses = ran.metric("loss");
    // the frozen base may be held in bf16, so only nearly the same
    assert!((losses[0] / full.metric("loss")[0] - 1.0).abs() < 1e-2, "{losses:?}");
    assert!(losses[5] < losses[0], "{losses:?}");
    assert!(ran.out.join("final/adapter/adapter_config.json").is_file());
    let trained = ran.events.iter().find_map(|event| match event {
        Event::Started { parameters, trainable, .. } => Some((*parameters, *trainable)),
        _ => None,
    });
    let (parameters, trainable) = trained.unwrap();
    assert!(trainable > 0 && trainable * 2 < parameters, "{trainable} of {parameters}");
    let sets = [&sets[..], &["train.save_every=2"]].concat();
    let (_, rest) = interrupted(&bench, "lora-parts", &sets, 3);
    assert_eq!(rest.weights(), ran.weights());
}

#[test]
fn the_average_is_what_is_kept_and_not_what_trains() {
    let bench = Bench::bytes();
    let sets = ["train.max_steps=5", "optimizer.lr=1e-2", "train.save_every=0"];
    let plain = bench.sft("plain", Call { sets: &sets, ..Call::default() }).unwrap();
    let sets = [&sets[..], &["train.ema=0.9"]].concat();
    let averaged = bench.sft("averaged", Call { sets: &sets, ..Call::default() }).unwrap();
    assert_eq!(plain.metric("loss"), averaged.metric("loss"));
    assert_ne!(plain.weights(), averaged.weights());
    // the average lags behind, so it is nearer to where the run began
    let held_out =
        |ran: &Ran| (ran.summary().before.unwrap().held_out_loss, ran.summary().after.unwrap().held_out_loss);
    let ((start, plain), (same_start, average)) = (held_out(&plain), held_out(&averaged));
    assert_eq!(start, same_start);
    assert!((average - start).abs() < (plain - start).abs(), "{start} {average} {plain}");
}

#[test]
fn rows_held_out_of_the_training_rows_are_whole_prompts() {
    let bench = Bench::bytes();
    let rows: Vec<String> = (0..40)
        .flat_map(|prompt| (0..2).map(move |n| format!("{{\"prompt\": \"p{prompt}\", \"completion\": \" c{n}\"}}")))
        .collect();
    fs::write(&bench.data, rows.join("\n")).unwrap();
    let sets = ["train.max_steps=1", "data.eval=[]", "data.eval_fraction=0.25", "train.seed=3"];
    let ran = bench.sft("run", Call { sets: &sets, ..Call::default() }).unwrap();
    let report = &ran.summary().data;
    let held_out = report.held_out.as_ref().unwrap();
    assert_eq!(report.train.rows + held_out.rows, 80);
    assert!((8..=32).contains(&held_out.rows) && held_out.rows.is_multiple_of(2), "{}", held_out.rows);
    assert_eq!(report.held_out_prompts_in_train, 0);
}

#[test]
fn a_plan_that_cannot_fit_is_refused_before_the_first_step() {
    let bench = Bench::bytes();
    let huge = ["train.micro_tokens=1000000000000", "train.batch_size=1000000000"];
    let message = refusal(&bench, &huge);
    assert!(message.contains("can be had") && message.contains("try a smaller train.micro_tokens"), "{message}");
    // the budget alone costs nothing: no batch is that large
    let sets = ["train.micro_tokens=1000000000000", "train.max_steps=1"];
    bench.sft("run", Call { sets: &sets, ..Call::default() }).unwrap();
}

#[test]
fn a_start_stopped_before_its_first_step_begins_anew() {
    let bench = Bench::bytes();
    let sets = ["train.max_steps=3", "train.save_every=0"];
    let (first, rest) = interrupted(&bench, "run", &sets, 0);
    assert!(matches!(first.outcome, Outcome::Interrupted { step: 0, checkpoint: None, .. }), "{:?}", first.outcome);
    assert_eq!(rest.metric("step"), [1.0, 2.0, 3.0]);
    assert_eq!(rest.lines("evaluations.jsonl").len(), 2);
    let sets = ["train.max_steps=3"];
    let first = bench.sft("judged", Call { sets: &sets, stop_judging: Some(0), ..Call::default() }).unwrap();
    assert!(matches!(first.outcome, Outcome::Interrupted { step: 0, checkpoint: None, .. }), "{:?}", first.outcome);
    let rest = bench.sft("judged", Call { resume: true, ..Call::default() }).unwrap();
    assert_eq!(rest.lines("evaluations.jsonl").len(), 2);
}

#[test]
fn activation_checkpointing_changes_nothing() {
    let bench = Bench::bytes();
    let sets = ["train.max_steps=4", "model.dropout=0.1", "optimizer.lr=1e-2"];
    let plain = bench.sft("plain", Call { sets: &sets, ..Call::default() }).unwrap();
    let sets = [&sets[..], &["model.checkpoint_activations=true"]].concat();
    let recomputed = bench.sft("recomputed", Call { sets: &sets, ..Call::default() }).unwrap();
    assert_eq!(plain.weights(), recomputed.weights());
}

#[test]
fn pretraining_reads_text() {
    let mut bench = Bench::bytes();
    bench.data = bench.out("text.jsonl");
    let text = "{\"text\": \"the cat sat on the mat and the dog sat on the log\"}\n{\"text\": \"a b c\"}\n";
    fs::write(&bench.data, text).unwrap();
    bench.held_out = bench.data.clone();
    let sets = [
        "train.max_steps=30",
        "train.batch_size=9",
        "data.max_length=20",
        "optimizer.lr=1e-2",
        "model.dtype=f32",
        "train.save_every=0",
    ];
    let ran = bench.pretrain("run", Call { sets: &sets, ..Call::default() }).unwrap();
    let report = &ran.summary().data.train;
    // every byte and the EOS after each document, each once
    assert_eq!(report.target_tokens, 49 + 1 + 5 + 1);
    assert_eq!((report.rows, report.kept, report.longest), (2, 2, 1 + 49 + 1));
    let losses = ran.metric("loss");
    let before = ran.summary().before.unwrap().held_out_loss;
    assert!((before / losses[0] - 1.0).abs() < 1e-6, "{before} {losses:?}");
    assert!(losses[29] < 0.5 * losses[0], "{losses:?}");
}

/// The error of a run, with its hint.
fn refusal(bench: &Bench, sets: &[&str]) -> String {
    let error = bench.sft("refused", Call { sets, ..Call::default() }).err().unwrap();
    format!("{error} | {}", error.hint().unwrap_or_default())
}

#[test]
fn bad_input_is_refused_by_name() {
    let mut bench = Bench::bytes();
    assert!(refusal(&bench, &["data.max_length=9999"]).contains("`data.max_length` = 9999 (--set)"));
    assert!(refusal(&bench, &["data.max_length=4", "data.over_length=error"]).contains("train.jsonl:1: "));
    assert!(refusal(&bench, &["data.max_length=4"]).contains("held-out.jsonl): 1 rows, none usable"));
    fs::write(&bench.held_out, "{\"prompt\": \"a\", \"completion\": \"b\"}\n").unwrap();
    let dropped = refusal(&bench, &["data.max_length=4"]);
    assert!(dropped.contains("train.jsonl: no row whose end"), "{dropped}");
    // cut rows have no end, and none is forged
    let cut = refusal(&bench, &["data.max_length=6", "data.over_length=truncate"]);
    assert!(cut.contains("no row whose end"), "{cut}");

    let good = bench.data.clone();
    bench.data = bench.out("bad.jsonl");
    fs::write(&bench.data, "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\"}\n").unwrap();
    let bad = refusal(&bench, &[]);
    assert!(bad.contains("bad.jsonl:2") && bad.contains("--skip-bad"), "{bad}");
    let ran = bench.sft("skipping", Call { sets: &["data.skip_bad=true"], ..Call::default() }).unwrap();
    assert_eq!((ran.summary().data.train.bad, ran.summary().data.train.kept), (1, 1));

    fs::write(&bench.data, "").unwrap();
    assert!(refusal(&bench, &[]).contains("bad.jsonl"));
    fs::write(&bench.data, "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}\n").unwrap();
    let masked = refusal(&bench, &[]);
    assert!(masked.contains("bad.jsonl:1"), "{masked}");
    assert!(!bench.out("refused").exists(), "a refused run left a folder");

    bench.data = good;
    bench.model = bench.out("absent");
    fs::create_dir(&bench.model).unwrap();
    fs::copy(bench.out("model/tokenizer.json"), bench.model.join("tokenizer.json")).unwrap();
    fs::copy(bench.out("model/tokenizer_config.json"), bench.model.join("tokenizer_config.json")).unwrap();
    assert!(refusal(&bench, &[]).contains("absent"));
}

#[test]
fn a_tokenizer_larger_than_the_embedding_is_refused() {
    let mut bench = Bench::conformance();
    let other = Bench::bytes();
    bench.model = bench.out("mixed");
    fs::create_dir(&bench.model).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(common::conformance("tiny-policy").join(file), bench.model.join(file)).unwrap();
    }
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(other.model.join(file), bench.model.join(file)).unwrap();
    }
    let message = refusal(&bench, &[]);
    assert!(message.contains("260 tokens, expected at most the 64 rows"), "{message}");
}

#[test]
fn a_resumed_run_must_be_the_same_run() {
    let bench = Bench::bytes();
    let sets = ["train.max_steps=4", "train.batch_size=2"];
    bench.sft("run", Call { sets: &sets, stop_after: Some(2), ..Call::default() }).unwrap();
    let resume = |sets| bench.sft("run", Call { sets, resume: true, ..Call::default() });
    let changed = resume(&["optimizer.lr=3e-4"]).err().unwrap().to_string();
    assert_eq!(changed, "`optimizer.lr` is 0.0003 (--set), but the run was started with 0.00001");
    let text = fs::read_to_string(&bench.data).unwrap();
    fs::write(&bench.data, text.replace("purple", "violet")).unwrap();
    let changed = resume(&[]).err().unwrap().to_string();
    assert!(changed.contains("training data") && changed.contains("train.jsonl changed"), "{changed}");
    fs::write(&bench.data, text).unwrap();
    let again = bench.sft("run", Call::default()).err().unwrap();
    assert!(again.hint().unwrap().contains("--resume"), "{again}");
    resume(&[]).unwrap();
}

/// Text beside demonstrations is learnt as `pretrain` learns it: the loss of a batch of everything is the mean over the
/// targets of both.
#[test]
fn text_beside_demonstrations_counts_as_in_pretraining() {
    let bench = Bench::bytes();
    let texts = bench.out("text.jsonl");
    fs::write(&texts, "{\"text\": \"the sky is blue\"}\n{\"text\": \"so is the sea\"}\n").unwrap();
    let whole = ["train.max_steps=1", "train.batch_size=64", "model.dtype=f32", "data.packing=false"];
    let ptx = format!("sft.ptx={:?}", [texts.to_str().unwrap()]);
    let both = [&whole[..], &[ptx.as_str()]].concat();
    let of_both = bench.sft("both", Call { sets: &both, ..Call::default() }).unwrap();
    let of_rows = bench.sft("rows", Call { sets: &whole, ..Call::default() }).unwrap();
    let pretraining = Bench { data: texts.clone(), held_out: texts, ..Bench::bytes() };
    let of_texts = pretraining.pretrain("texts", Call { sets: &whole, ..Call::default() }).unwrap();

    let data = |ran: &Ran| {
        ran.events.iter().find_map(|event| if let Event::Data(data) = event { Some(data.clone()) } else { None })
    };
    let (rows, texts) = (data(&of_rows).unwrap().train, data(&of_texts).unwrap().train);
    assert_eq!(*data(&of_both).unwrap().text.unwrap(), texts);
    assert_eq!(texts.target_tokens, "the sky is blue".len() + "so is the sea".len() + 2, "each letter, and the ends");
    let (n, m) = (rows.target_tokens as f64, texts.target_tokens as f64);
    let expected = (n * of_rows.metric("loss")[0] + m * of_texts.metric("loss")[0]) / (n + m);
    assert!((of_both.metric("loss")[0] - expected).abs() < 1e-6);
}
