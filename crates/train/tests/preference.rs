//! The DPO family: the reference numbers, the cached reference, and what is refused.
#![allow(clippy::unwrap_used)]
mod common;
use common::{Bench, Call, Ran, conformance};
use std::f64::consts::LN_2;
use train::{Outcome, TrainError};

const TWO_STEPS: [&str; 6] = [
    "train.max_steps=2",
    "train.shuffle=false",
    "optimizer.lr=1e-3",
    "optimizer.schedule=constant",
    "model.dtype=f32",
    "train.save_every=0",
];

fn conformance_run(bench: &Bench, name: &str, extra: &[&str]) -> Ran {
    let reference = format!("dpo.reference={}", conformance("tiny-reference").display());
    let sets = [&TWO_STEPS[..], &[reference.as_str()], extra].concat();
    bench.dpo(name, Call { sets: &sets, ..Call::default() }).unwrap()
}

/// Name, settings, losses and gradient norms of two steps.
type Case<'a> = (&'a str, &'a [&'a str], &'a [f64], &'a [f64]);

/// `refs.json`, made by TRL 1.16 and PyTorch 2.15: losses and gradient norms of two steps. cDPO has its first loss only.
#[test]
fn losses_and_gradients_agree_with_pytorch_and_trl() {
    let bench = Bench::of("tiny-policy", "preferences-dpo.jsonl");
    let cases: [Case; 5] = [
        ("sigmoid", &[], &[0.7110903859138489, 0.6823368072509766], &[0.718334436416626, 0.6813712120056152]),
        (
            "robust",
            &["dpo.loss=robust", "dpo.label_smoothing=0.1"],
            &[0.7155102491378784, 0.6796053647994995],
            &[0.8943600058555603, 0.8534619212150574],
        ),
        (
            "hinge",
            &["dpo.loss=hinge"],
            &[1.0353589057922363, 0.9781484603881836],
            &[1.4083201885223389, 1.3773949146270752],
        ),
        (
            "ipo",
            &["dpo.loss=ipo", "dpo.length_normalised=true"],
            &[26.163516998291016, 24.29588508605957],
            &[48.38724136352539, 45.54973602294922],
        ),
        ("cdpo", &["dpo.label_smoothing=0.3"], &[0.7004826664924622], &[]),
    ];
    for (name, extra, losses, norms) in cases {
        let ran = conformance_run(&bench, name, extra);
        let found = (ran.metric("loss"), ran.metric("grad_norm"));
        eprintln!("{name}: losses {:?}, gradient norms {:?}", found.0, found.1);
        for (step, expected) in losses.iter().enumerate() {
            let tolerance = if step == 0 { 2e-6 } else { 5e-6 };
            assert!((found.0[step] / expected - 1.0).abs() < tolerance, "{name}: loss {:?}", found.0);
        }
        for (step, expected) in norms.iter().enumerate() {
            assert!((found.1[step] / expected - 1.0).abs() < 1e-5, "{name}: gradient norm {:?}", found.1);
        }
    }
    // summed log-probabilities (refs.json dpo_plain_torch): Δ = −.0603466 and −.6468325, β = .1
    let ran = conformance_run(&bench, "again", &[]);
    assert!((ran.metric("margin")[0] + 0.1 * (0.0603466 + 0.6468325) / 2.0).abs() < 1e-6);
    assert_eq!(ran.metric("accuracy")[0], 0.0);
    assert!((ran.metric("logprob_chosen")[0] + (12.274076461791992 + 12.539117813110352) / 2.0).abs() < 1e-5);
    assert!(ran.metric("reward_chosen")[1] > ran.metric("reward_chosen")[0]);
    assert!(ran.notices().iter().any(|notice| notice.contains("from the cache")), "{:?}", ran.notices());
}

const ROWS: [&str; 5] = [
    r#"{"prompt": "name a sum", "completions": [{"text": " four", "rank": 1}, {"text": " five and more", "rank": 3}, {"text": " six", "rank": 2}]}"#,
    r#"{"prompt": [{"role": "user", "content": "hi"}], "chosen": [{"role": "assistant", "content": "ho"}], "rejected": [{"role": "assistant", "content": "go away"}]}"#,
    r#"{"prompt": "up", "chosen": " down", "rejected": " sideways"}"#,
    r#"{"prompt": "one", "chosen": " two", "rejected": ""}"#,
    r#"{"prompt": "red", "chosen": " blue", "rejected": " yellow"}"#,
];

/// Against itself every margin is 0: the loss is ln 2, and a step raises chosen and lowers rejected.
#[test]
fn training_starts_at_the_reference_and_moves_the_right_way() {
    let bench = Bench::with_rows(&ROWS);
    for (name, lora) in [("everything", "train.ema=0.5"), ("adapters", "model.lora={ rank = 4 }")] {
        for (precision, tolerance) in [("f32", 1e-6), ("bf16", 1e-3)] {
            let dtype = format!("model.dtype={precision}");
            let sets =
                ["train.max_steps=4", "train.batch_size=4", "optimizer.lr=1e-3", "data.max_length=64", &dtype, lora];
            let ran = bench.dpo(&format!("{name} {precision}"), Call { sets: &sets, ..Call::default() }).unwrap();
            let losses = ran.metric("loss");
            assert!((losses[0] - LN_2).abs() < tolerance, "{name} {precision}: {losses:?}");
            assert!(losses[3] < losses[0], "{name} {precision}: {losses:?}");
            assert!((ran.metric("pair_weight")[0] - 0.5).abs() < tolerance);
            let margins = ran.metric("margin");
            eprintln!("{name} {precision}: losses {losses:?}, margins {margins:?}");
            assert!(margins[0].abs() < tolerance && margins[1] > 0.0, "{name}: {margins:?}");
            assert!(ran.metric("logprob_rejected")[1] < ran.metric("logprob_rejected")[0], "{name}");
            assert!((ran.summary().before.unwrap().held_out_loss - LN_2).abs() < tolerance);
        }
    }
}

#[test]
fn prompts_shared_or_repeated_and_batches_split_give_the_same_numbers() {
    let bench = Bench::with_rows(&ROWS);
    for loss in ["sigmoid", "plackett_luce", "orpo", "simpo", "cpo", "ipo"] {
        let run = |name: &str, set: &str| {
            let which = format!("dpo.loss={loss}");
            let sets = ["train.max_steps=2", "train.batch_size=4", "optimizer.lr=1e-3", "model.dtype=f32", set, &which];
            bench.dpo(&format!("{loss} {name}"), Call { sets: &sets, ..Call::default() }).unwrap()
        };
        let whole = run("whole", "data.shared_prefix=true");
        for (name, set) in [("apart", "data.shared_prefix=false"), ("one by one", "data.packing=false")] {
            let other = run(name, set);
            for key in ["loss", "margin", "pair_weight"] {
                for (a, b) in whole.metric(key).iter().zip(other.metric(key)) {
                    assert!((a - b).abs() < 2e-6 * a.abs().max(1.0), "{loss} {name}: {key} {a} and {b}");
                }
            }
        }
    }
}

#[test]
fn kto_learns_from_pairs_and_from_single_judgements() {
    let rows = [
        ROWS[1],
        r#"{"prompt": "up", "completion": " down", "label": true}"#,
        r#"{"prompt": "up", "completion": " sideways", "label": false}"#,
        ROWS[3],
        ROWS[4],
    ];
    let bench = Bench::with_rows(&rows);
    // rows held out would need a second one: KTO compares prompts with one another
    let sets = ["dpo.loss=kto", "train.max_steps=5", "train.batch_size=4", "optimizer.lr=1e-2", "model.dtype=f32"];
    let ran = bench.dpo("run", Call { sets: &sets, ..Call::default() }).unwrap();
    let losses = ran.metric("loss");
    // at the reference ρ = z₀ = 0: 1 − σ(0)
    assert!((losses[0] - 0.5).abs() < 1e-6, "{losses:?}");
    assert!(losses[4] < 0.5, "{losses:?}");
}

#[test]
fn an_interrupted_run_resumes_bit_for_bit() {
    let bench = Bench::with_rows(&ROWS);
    let sets = [
        "train.max_steps=6",
        "train.batch_size=2",
        "train.save_every=2",
        "optimizer.lr=1e-2",
        "model.dropout=0.1",
        "dpo.loss=plackett_luce",
    ];
    let straight = bench.dpo("straight", Call { sets: &sets, ..Call::default() }).unwrap();
    let first = bench.dpo("parts", Call { sets: &sets, stop_after: Some(3), ..Call::default() }).unwrap();
    assert!(matches!(first.outcome, Outcome::Interrupted { step: 3, .. }));
    std::fs::remove_dir_all(bench.out("cache")).unwrap();
    let rest = bench.dpo("parts", Call { resume: true, ..Call::default() }).unwrap();
    assert!(rest.notices().iter().any(|notice| notice.contains("from the cache")), "the run keeps its own");
    assert_eq!(rest.weights(), straight.weights());
    assert_eq!(rest.metric("loss"), straight.metric("loss"));
}

/// The key covers weights and rows: other ones are computed anew; a damaged file too.
#[test]
fn the_cache_answers_only_for_the_same_reference_and_rows() {
    let bench = Bench::with_rows(&ROWS);
    let sets = ["train.max_steps=1", "train.batch_size=4", "model.dtype=f32"];
    let cached = |name: &str, extra: &str| {
        let sets = [&sets[..], &[extra]].concat();
        let ran = bench.dpo(name, Call { sets: &sets, ..Call::default() }).unwrap();
        ran.notices().iter().any(|notice| notice.contains("from the cache"))
    };
    assert!(!cached("first", "train.seed=1"));
    assert!(cached("second", "dpo.beta=0.5"));
    assert!(!cached("shorter rows", "data.max_length=24"));
    let entry = std::fs::read_dir(bench.out("cache")).unwrap().next().unwrap().unwrap().path();
    for entry in std::fs::read_dir(bench.out("cache")).unwrap() {
        std::fs::write(entry.unwrap().path(), "{\"key\": \"").unwrap();
    }
    assert!(!cached("damaged", "dpo.beta=0.5"));
    assert!(std::fs::metadata(entry).unwrap().len() > 9, "the damaged file was replaced or left to another key");
}

#[test]
fn what_would_do_nothing_or_cannot_be_done_is_refused() {
    let bench = Bench::with_rows(&ROWS);
    let refusal = |name: &str, sets: &[&str]| {
        let error = bench.dpo(name, Call { sets, ..Call::default() }).err().unwrap();
        assert!(!bench.out(name).join("final").exists());
        error
    };
    for (idx, (sets, part)) in [
        (&["dpo.loss=dpo"][..], "unknown preference loss `dpo`"),
        (&["dpo.loss=ipo", "dpo.label_smoothing=0.1"], "does not use the option `label_smoothing`"),
        (&["dpo.gamma=1"], "`gamma`"),
        (&["dpo.beta=0"], "`beta`"),
    ]
    .into_iter()
    .enumerate()
    {
        let error = refusal(&idx.to_string(), sets);
        assert!(matches!(error, TrainError::Objective(_)) && error.to_string().contains(part), "{error}");
    }
    let reference = format!("dpo.reference={}", bench.model.display());
    let error = refusal("none", &["dpo.loss=simpo", &reference]);
    assert!(error.to_string().contains("this loss has none"), "{error}");
    let stranger = format!("dpo.reference={}", conformance("tiny-reference").display());
    let error = refusal("stranger", &[&stranger]).to_string();
    assert!(error.contains("tokenizer"), "{error}");
}
