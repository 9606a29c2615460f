//! PPO: the reference numbers, the loop's invariants, resuming, and what is refused.
#![allow(clippy::unwrap_used)]
mod common;
use common::{Ran, conformance};
use kernels::Device;
use render::Renderer;
use run::{Layers, PpoConfig, RunFolder};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use train::ppo::{Normalised, Rewards};
use train::scorer::RuleScorer;
use train::{Event, Options, Outcome, Program, TrainError};

/// Where runs are made: a policy and its prompts.
struct Bench {
    dir: TempDir,
    policy: PathBuf,
    /// The rule that rewards.
    rule: &'static str,
}

impl Bench {
    /// A tiny byte-level model and five prompts.
    fn bytes() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy");
        std::fs::create_dir(&policy).unwrap();
        testkit::write_tiny_model(&policy, 1);
        let prompts = ["one and one", "red", "name a river", "up and", "hello there"];
        let rows = prompts.map(|prompt| json!({"prompt": prompt, "use_case": &prompt[..1]}).to_string());
        std::fs::write(dir.path().join("prompts.jsonl"), rows.join("\n")).unwrap();
        let text = [json!({"text": "the river runs"}), json!({"text": "a red bird"})].map(|row| row.to_string());
        std::fs::write(dir.path().join("text.jsonl"), text.join("\n")).unwrap();
        Bench { dir, policy, rule: "distinct" }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, name: &str, sets: &[&str], resume: bool, stop_after: Option<u64>) -> Result<Ran, TrainError> {
        let out = self.dir.path().join(name);
        let mut layers = Layers::new();
        if resume {
            let (path, text) = RunFolder::saved_config(&out)?;
            layers = layers.saved::<PpoConfig>(&path, &text)?;
        }
        layers = layers.option::<PpoConfig>("--model", "model.path", self.policy.to_str().unwrap())?;
        for set in sets {
            layers = layers.set::<PpoConfig>(set)?;
        }
        let renderer = Renderer::open(&self.policy, None).unwrap();
        let stop = AtomicBool::new(false);
        let options = Options {
            config: layers.resolve()?,
            out: out.clone(),
            resume,
            device: Device::detect(Some(2)),
            renderer: &renderer,
            source: None,
            stop: &stop,
            score: None,
            program: Program::default(),
        };
        let rule = |spec: &str| Some(Box::new(Normalised(Box::new(RuleScorer::new(spec).unwrap()))) as Box<_>);
        let rewards = Rewards { reward: rule(self.rule), gold: rule("length:20"), folders: vec![] };
        let mut events = Vec::new();
        let outcome = train::ppo::run(options, rewards, &mut |event: &Event| {
            if let Event::Step(progress) = event
                && Some(progress.step) == stop_after
            {
                stop.store(true, Ordering::Relaxed);
            }
            events.push(event.clone());
        })?;
        Ok(Ran { outcome, events, out })
    }

    /// Samples from the prompts; a small f32 setting.
    fn sample(&self, name: &str, extra: &[&str]) -> Result<Ran, TrainError> {
        self.run(name, &self.sets(extra).iter().map(String::as_str).collect::<Vec<_>>(), false, None)
    }

    fn sets(&self, extra: &[&str]) -> Vec<String> {
        let base = [
            &format!("data.train={}", self.path("prompts.jsonl")),
            "ppo.reward=[\"rule:distinct\"]",
            "model.dtype=f32",
            "ppo.max_new_tokens=8",
            "ppo.rollout_batch=3",
            "ppo.samples_per_prompt=2",
            "train.max_steps=3",
            "optimizer.lr=1e-3",
            "data.max_length=64",
        ];
        base.iter().copied().chain(extra.iter().copied()).map(str::to_owned).collect()
    }
}

fn near(found: &Value, expected: &Value, tolerance: f64, what: &str) {
    let expected = expected.as_array().unwrap();
    for (t, found) in found.as_array().unwrap().iter().enumerate() {
        let (found, expected) = (found.as_f64().unwrap(), expected[t].as_f64().unwrap());
        assert!((found - expected).abs() < tolerance, "{what} of token {t}: {found}, expected {expected}");
    }
}

/// `ppo.json`, made by PyTorch 2.15: one iteration of three passes, and three iterations of one, are the same.
#[test]
fn three_steps_from_fixed_rollouts_agree_with_pytorch() {
    let expected: Value = serde_json::from_slice(&std::fs::read(conformance("ppo.json")).unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench { dir, policy: conformance("tiny-policy"), rule: "distinct" };
    let list = |key: &str, row: usize| expected[key][row].clone();
    let row = |row| {
        let (prompt, response, score) = (list("prompts", row), list("responses", row), list("scores", row));
        json!({"prompt_ids": prompt, "response_ids": response, "score": score}).to_string()
    };
    let rows: Vec<String> = (0..4).map(row).collect();
    std::fs::write(bench.path("rollouts.jsonl"), rows.join("\n")).unwrap();
    let word = |id: &Value| format!("t{id}");
    let text = |row: &Value| json!({"text": row.as_array().unwrap().iter().map(word).collect::<Vec<_>>().join(" ")});
    let texts: Vec<String> = expected["ptx_ids"].as_array().unwrap().iter().map(|row| text(row).to_string()).collect();
    std::fs::write(bench.path("text.jsonl"), texts.join("\n")).unwrap();
    let place = |name: &str| conformance(name).to_str().unwrap().to_owned();
    let sets = [
        format!("ppo.rollouts={}", bench.path("rollouts.jsonl")),
        format!("ppo.ptx={}", bench.path("text.jsonl")),
        format!("ppo.reference={}", place("tiny-reference")),
        format!("ppo.value={}", place("tiny-reward")),
        "model.dtype=f32".into(),
        "ppo.temperature=0.7".into(),
        "ppo.beta=0.05".into(),
        "optimizer.lr=1e-3".into(),
        "optimizer.max_grad_norm=0".into(),
        "ppo.ptx_ratio=0.5".into(),
    ];
    for (name, epochs, steps, split) in
        [("passes", 3, 1, "train.micro_tokens=99"), ("iterations", 1, 3, "data.shared_prefix=false")]
    {
        let more = [format!("ppo.epochs={epochs}"), format!("train.max_steps={steps}"), split.to_owned()];
        let sets: Vec<&str> = sets.iter().chain(&more).map(String::as_str).collect();
        let ran = bench.run(name, &sets, false, None).unwrap();
        for (row, sample) in ran.lines("samples.jsonl").iter().take(4).enumerate() {
            for (ours, theirs) in [
                ("old_logprobs", "old_logprobs"),
                ("reference_logprobs", "ref_logprobs"),
                ("values", "values"),
                ("rewards", "rewards"),
                ("advantages", "adv"),
                ("returns", "returns"),
            ] {
                near(&sample[ours], &expected[theirs][row], 1e-5, ours);
            }
        }
        let updates = ran.lines("updates.jsonl");
        assert_eq!(updates.len(), 3);
        for (step, (found, expected)) in updates.iter().zip(expected["steps"].as_array().unwrap()).enumerate() {
            eprintln!("{name} {step}: {found:?}");
            for (ours, theirs, tolerance) in [
                ("policy_loss", "pg", 5e-6),
                ("value_loss", "vf", 5e-6),
                ("ptx_loss", "ptx", 5e-6),
                ("grad_norm_ppo", "policy_gradnorm_ppo", 1e-5),
                ("grad_norm_total", "policy_gradnorm_ppo_plus_ptx", 1e-5),
            ] {
                let (found, expected) = (found[ours].as_f64().unwrap(), expected[theirs].as_f64().unwrap());
                let allowed = tolerance * expected.abs().max(0.2); // the policy loss lies around 0
                assert!((found - expected).abs() < allowed, "{name} step {step} {ours}: {found}, expected {expected}");
            }
        }
    }
}

#[test]
fn every_algorithm_samples_learns_and_says_how_it_goes() {
    let bench = Bench::bytes();
    for algorithm in ["ppo", "reinforce", "rloo", "grpo", "actor_critic"] {
        let ran = bench.sample(algorithm, &[&format!("ppo.algorithm={algorithm}")]).unwrap();
        assert!(matches!(ran.outcome, Outcome::Finished(_)), "{algorithm}");
        // the sampler's numbers are the trainer's; at the first step the policy is the reference
        assert!(ran.metric("sampler_trainer_gap").iter().all(|gap| *gap <= 1e-5), "{algorithm}");
        assert!(ran.metric("kl_k1")[0].abs() < 1e-4 && ran.metric("kl_k3")[0].abs() < 1e-4, "{algorithm}");
        assert!(ran.metric("kl_k3")[2] > 0.0, "{algorithm}: nothing moved");
        for key in ["reward", "gold", "entropy", "grad_norm_ppo", "length", "share_eos", "distinct_2"] {
            assert!(ran.metric(key).iter().all(|value| value.is_finite()), "{algorithm}: {key}");
        }
        assert!(ran.metric("length").iter().all(|length| (1.0..=8.0).contains(length)));
        if ["ppo", "actor_critic"].contains(&algorithm) {
            assert!(ran.metric("value_loss")[0] > 0.0 && ran.metric("grad_norm_value")[0] > 0.0);
            // whitened advantages have mean 0; at ratio 1 so has the surrogate
            assert!(algorithm != "ppo" || ran.metric("policy_loss")[0].abs() < 1e-5);
        }
        assert!(!ran.lines("samples.jsonl").is_empty() && !ran.lines("use_cases.jsonl").is_empty());
    }
}

/// stories260K never ended a story within the limit: every score was replaced, the reward could not rise, nobody said so.
#[test]
fn rewards_that_are_all_replaced_are_noticed() {
    let bench = Bench::bytes();
    let notices = |name: &str, extra: &[&str]| -> usize {
        let sets = [&["ppo.max_new_tokens=1", "train.max_steps=1"], extra].concat();
        let ran = bench.sample(name, &sets).unwrap();
        assert_eq!(ran.metric("share_eos")[0], 0.0, "{name}: choose another seed, a rollout ended");
        ran.notices().iter().filter(|notice| notice.contains("replaced every score")).count()
    };
    assert_eq!(notices("replaced", &[]), 1);
    assert_eq!(notices("kept", &["ppo.missing_eos=keep"]), 0);
    assert_eq!(notices("less", &["ppo.missing_eos={subtract=0.5}"]), 0);
}

/// A value model with a new random head said ±1.5 of everything: rewards of .05 drowned for six iterations.
#[test]
fn a_value_model_that_has_learnt_nothing_says_0() {
    let bench = Bench::bytes();
    let ran = bench.sample("run", &["ppo.missing_eos=keep"]).unwrap();
    let lines = ran.lines("samples.jsonl");
    for line in &lines {
        let values = line["values"].as_array().unwrap();
        assert!(!values.is_empty() && values.iter().all(|value| value.as_f64() == Some(0.0)), "{values:?}");
    }
    // λ = .95 and V = 0: the score's share in token t's advantage is score·.95^(T−1−t); at the first step there is no KL
    let line = lines.iter().find(|line| line["advantages"].as_array().unwrap().len() > 1).unwrap();
    let advantages: Vec<f64> = line["advantages"].as_array().unwrap().iter().map(|a| a.as_f64().unwrap()).collect();
    let (first, score) = (advantages[0], line["score"].as_f64().unwrap());
    assert!((first - score * 0.95_f64.powi(advantages.len() as i32 - 1)).abs() < 1e-4, "{first} of {score}");
    assert!(ran.metric("value_loss")[2] < ran.metric("value_loss")[0]);
}

const Q: [&str; 2] = ["ppo.algorithm=actor_critic", "ppo.actor_critic=q"];

#[test]
fn a_critic_of_every_token_learns_and_its_delayed_copy_follows() {
    let bench = Bench::bytes();
    let more = [Q[0], Q[1], "ppo.critic_warmup=2", "ppo.missing_eos=keep", "ppo.samples_every=1"];
    let ran = bench.sample("q", &[&more[..], &["train.max_steps=4", "train.save_every=1"]].concat()).unwrap();
    // the critic begins at 0 everywhere and learns alone, while the actor is the reference
    assert_eq!(ran.metric("policy_loss")[0], 0.0);
    assert!(ran.metric("value_loss")[0] > 0.0 && ran.metric("grad_norm_value")[0] > 0.0);
    assert_eq!(ran.metric("grad_norm_ppo")[..2], [0.0, 0.0]);
    assert!(ran.metric("kl_k3")[2].abs() < 1e-4 && ran.metric("kl_k3")[3] > 1e-4, "the actor moves after it");
    assert!(ran.metric("grad_norm_ppo")[2] > 0.0);
    assert!(ran.metric("sampler_trainer_gap").iter().all(|gap| *gap <= 1e-5));
    assert!(ran.metric("entropy").iter().all(|entropy| *entropy > 0.0));
    let list = |line: &serde_json::Map<String, Value>, key: &str| -> Vec<f64> {
        line[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let lines = ran.lines("samples.jsonl");
    assert!(lines.iter().any(|line| list(line, "values").iter().any(|worth| *worth != 0.0)), "the copy stayed at 0");
    for line in &lines {
        let (rewards, worth, targets) = (list(line, "rewards"), list(line, "values"), list(line, "returns"));
        for t in 0..rewards.len() {
            // q_t = r_t + Σ_a π(a|s_{t+1}) Q'(a; s_{t+1}), nothing after the last token
            let expected = rewards[t] + worth.get(t + 1).copied().unwrap_or(0.0);
            assert!((targets[t] - expected).abs() < 1e-12, "token {t}: {} and {expected}", targets[t]);
        }
    }
    // θ' after step k = .9·θ' + .1·θ, element by element, from the checkpoints themselves
    let arrays = |step: usize| -> Vec<Vec<f32>> {
        let folder = ran.out.join(format!("checkpoints/step-{step:06}"));
        let bytes = std::fs::read(folder.join("beside.safetensors")).unwrap();
        let header: Value = serde_json::from_slice(&bytes[8..8 + bytes[0] as usize + 256 * bytes[1] as usize]).unwrap();
        let length = |name: &str| header[name]["shape"][0].as_u64().unwrap() as usize;
        let n = length("companion_weights");
        let names = ["companion_weights", "companion_first_moment", "companion_second_moment", "delayed_critic"];
        train::state::read_arrays(&folder.join("beside.safetensors"), &names.map(|name| (name, n))).unwrap()
    };
    let (before, after) = (arrays(3), arrays(4));
    for i in 0..after[3].len() {
        let expected = 0.9 * f64::from(before[3][i]) + 0.1 * f64::from(after[0][i]);
        assert!((f64::from(after[3][i]) - expected).abs() < 1e-6, "{i}");
    }
    assert_ne!(after[3], after[0], "the copy is not the critic");
}

#[test]
fn a_critic_of_every_token_shares_prompts_splits_batches_and_resumes() {
    let bench = Bench::bytes();
    let more = ["ppo.missing_eos=keep", "train.max_steps=4", "ppo.entropy=0.01", "ppo.critic_warmup=1"];
    let sets = |extra: &[&str]| bench.sets(&[&Q[..], &more, extra].concat());
    let run = |name: &str, extra: &[&str]| {
        let sets = sets(extra);
        bench.run(name, &sets.iter().map(String::as_str).collect::<Vec<_>>(), false, None).unwrap()
    };
    let straight = run("straight", &[]);
    for (name, set) in [("apart", "data.shared_prefix=false"), ("split", "train.micro_tokens=40")] {
        let other = run(name, &[set]);
        for key in ["value_loss", "grad_norm_value", "policy_loss", "grad_norm_ppo", "entropy"] {
            let (a, b) = (straight.metric(key)[1], other.metric(key)[1]);
            assert!((a - b).abs() < 1e-4 * (1.0 + a.abs()), "{name}: {key}: {a} and {b}");
        }
    }
    let parts = sets(&[]);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    bench.run("parts", &parts, false, Some(2)).unwrap();
    let resumed = bench.run("parts", &[], true, None).unwrap();
    assert!(straight.weights() == resumed.weights(), "other weights");
    for key in ["value_loss", "policy_loss", "kl_k1"] {
        assert_eq!(straight.metric(key), resumed.metric(key), "{key}");
    }
}

#[test]
fn a_stopped_run_goes_on_bit_for_bit() {
    let bench = Bench::bytes();
    let extra = [
        "ppo.epochs=2",
        "ppo.minibatches=2",
        "ppo.adaptive_kl={target=0.01, horizon=50}",
        "train.ema=0.9",
        &format!("ppo.ptx={}", bench.path("text.jsonl")),
    ];
    let sets = bench.sets(&extra);
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let straight = bench.run("straight", &sets, false, None).unwrap();
    let stopped = bench.run("stopped", &sets, false, Some(2)).unwrap();
    assert!(matches!(stopped.outcome, Outcome::Interrupted { step: 2, .. }), "{:?}", stopped.outcome);
    let resumed = bench.run("stopped", &[], true, None).unwrap();
    assert!(straight.weights() == resumed.weights(), "other weights");
    for key in ["loss", "kl_k1", "beta", "value_loss", "ptx_loss", "reward"] {
        assert_eq!(straight.metric(key), resumed.metric(key), "{key}");
    }
    assert_ne!(straight.metric("beta")[0], straight.metric("beta")[2], "β did not move");
}

#[test]
fn a_shared_prompt_is_separate_sequences() {
    let bench = Bench::bytes();
    let (shared, apart) =
        (bench.sample("shared", &[]).unwrap(), bench.sample("apart", &["data.shared_prefix=false"]).unwrap());
    for key in ["loss", "value_loss", "grad_norm_ppo", "entropy"] {
        let (a, b) = (shared.metric(key)[0], apart.metric(key)[0]);
        assert!((a - b).abs() < 1e-5, "{key}: {a} and {b}");
    }
    assert!(shared.metric("tokens")[0] < apart.metric("tokens")[0]);
}

#[test]
fn beyond_the_kl_budget_there_is_a_checkpoint_to_go_on_from() {
    let bench = Bench::bytes();
    let refused = bench.sample("run", &["ppo.kl_budget=1e-3", "train.max_steps=4", "optimizer.lr=1e-2"]);
    let Err(TrainError::KlBudget { step, kl, checkpoint, .. }) = refused else {
        panic!("expected the budget to be spent");
    };
    assert!(kl > 1e-3 && checkpoint.is_dir());
    let ran = bench.run("run", &["ppo.kl_budget=1e9"], true, None).unwrap();
    assert!(step < 4 && ran.metric("loss").len() == 4);
}

#[test]
fn adapters_share_one_base_with_the_reference() {
    let bench = Bench::bytes();
    let ran = bench.sample("lora", &["model.lora={rank=2, alpha=4}", "optimizer.lr=1e-2"]).unwrap();
    assert!(ran.metric("kl_k3")[0].abs() < 1e-4 && ran.metric("kl_k3")[2] > 0.0);
}

#[test]
fn a_rule_is_learnt() {
    let bench = Bench { rule: "lowercase", ..Bench::bytes() };
    let sets = [
        "ppo.algorithm=rloo",
        "ppo.samples_per_prompt=8",
        "train.max_steps=25",
        "ppo.beta=0.0",
        "ppo.missing_eos=keep",
        "optimizer.lr=5e-3",
    ];
    let reward = bench.sample("run", &sets).unwrap().metric("reward");
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (before, after) = (mean(&reward[..3]), mean(&reward[22..]));
    eprintln!("reward {before} -> {after}");
    assert!(after > before + 0.2, "reward {before} -> {after}");
}

#[test]
fn what_would_do_nothing_or_makes_no_sense_is_refused() {
    let bench = Bench::bytes();
    for (set, part) in [
        ("ppo.algorithm=trpo", "trpo"),
        ("ppo.clip_scope=sum", "would do nothing"),
        ("ppo.actor_critic=v", "would do nothing"),
        ("model.dropout=0.1", "would do nothing"),
        ("ppo.minibatches=9", "at most ppo.rollout_batch"),
        ("ppo.temperature=0", "above 0"),
        ("ppo.max_new_tokens=64", "room for a prompt"),
        ("ppo.reward=[]", "--reward"),
    ] {
        let error = bench.sample("refused", &[set]).map(|_| ()).unwrap_err().to_string();
        let hint = |error: &str| error.contains(part) || (part == "--reward" && error.contains("ppo.reward"));
        assert!(hint(&error), "{set}: {error}");
    }
    for (sets, part) in [
        (["ppo.algorithm=reinforce", "ppo.lambda=0.5"], "lambda"),
        (["ppo.algorithm=rloo", "ppo.samples_per_prompt=1"], "at least 2"),
        (["ppo.algorithm=actor_critic", "ppo.actor_critic=w"], "expected one of v, q"),
        (["ppo.algorithm=actor_critic", "ppo.variance_penalty=0.1"], "variance_penalty"),
    ] {
        let error = bench.sample("refused", &sets).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(part), "{sets:?}: {error}");
    }
    let q = ["ppo.algorithm=actor_critic", "ppo.actor_critic=q"];
    for (set, part) in [("ppo.lambda=0.5", "lambda"), ("model.lora={rank=2}", "adapters"), ("ppo.gamma=0.9", "gamma")] {
        let error = bench.sample("refused", &[q[0], q[1], set]).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(part), "{set}: {error}");
    }
    let value = format!("ppo.value={}", conformance("tiny-reward").display());
    let error = bench.sample("refused", &[&value]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("with tokenizer"), "{error}");
}

#[test]
fn broken_rollouts_are_refused_by_line() {
    let bench = Bench::bytes();
    let file = bench.path("rollouts.jsonl");
    let good = r#"{"prompt_ids": [1, 2], "response_ids": [3], "score": 1.0}"#;
    for (row, part) in [
        (r#"{"prompt_ids": [1], "response_ids": [3]}"#, "score"),
        (r#"{"prompt_ids": [], "response_ids": [3], "score": 1.0}"#, "empty prompt_ids"),
        (r#"{"prompt_ids": [1], "response_ids": [99999], "score": 1.0}"#, "99999"),
        (r#"{"prompt_ids": [1], "response_ids": [3], "score": 1.0, "old_logprobs": [-1.0, -2.0]}"#, "expected 1"),
        (r#"{"prompt_ids": [1], "response_ids": [3], "score": 1.0, "old_logprobs": [0.5]}"#, "0 or less"),
        ("{", "line 1"),
    ] {
        std::fs::write(Path::new(&file), format!("{good}\n{row}\n")).unwrap();
        let rollouts = format!("ppo.rollouts={file}");
        let error = bench.run("refused", &[&rollouts, "data.max_length=64"], false, None).map(|_| ()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("rollouts.jsonl:2") && error.contains(part), "{row}: {error}");
    }
}
