//! The networks beside a policy: reward models that nothing may write to, and the value model that a run leaves behind.
#![allow(clippy::unwrap_used, clippy::result_large_err)]
mod common;
use common::{Bench, Call, Ran};
use kernels::Device;
use kernels::linear::Precision;
use model::{LoadOptions, Model, Trainable};
use render::Renderer;
use run::{Layers, PpoConfig};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use train::ppo::{Normalised, Rewards};
use train::scorer::{Asked, RewardModel, RuleScorer, ScoreError, Scorer};
use train::{Event, Options, Program, TrainError};

const PAIRS: [&str; 3] = [
    r#"{"prompt": "up", "chosen": " down", "rejected": " sideways"}"#,
    r#"{"prompt": "red", "chosen": " blue", "rejected": " yellow"}"#,
    r#"{"prompt": "left", "chosen": " right", "rejected": " wrong"}"#,
];

fn open(folder: &Path) -> RewardModel {
    RewardModel::open(&Device::detect(Some(2)), folder, Precision::F32, 256).unwrap()
}

/// A reward model made of a tiny language model.
fn reward_model(bench: &Bench, name: &str, extra: &[&str]) -> PathBuf {
    let sets = [&["train.max_steps=2", "optimizer.lr=1e-2", "model.dtype=f32"], extra].concat();
    bench.rm(name, Call { sets: &sets, ..Call::default() }).unwrap().out.join("final")
}

/// `helpmate ppo` of a policy, three short iterations unless `extra` says otherwise.
fn ppo(bench: &Bench, policy: &Path, name: &str, rewards: Rewards, extra: &[&str]) -> Result<Ran, TrainError> {
    let prompts = bench.out("prompts.jsonl");
    let rows = ["one and one", "red", "name a river"].map(|prompt| json!({"prompt": prompt}).to_string());
    std::fs::write(&prompts, rows.join("\n")).unwrap();
    let out = bench.out(name);
    let mut layers = Layers::new().option::<PpoConfig>("--model", "model.path", policy.to_str().unwrap())?;
    let data = format!("data.train={}", prompts.display());
    let base = [
        &data,
        "ppo.reward=[\"stands elsewhere\"]",
        "model.dtype=f32",
        "ppo.max_new_tokens=8",
        "ppo.rollout_batch=3",
        "ppo.samples_per_prompt=2",
        "ppo.missing_eos=keep",
        "train.max_steps=3",
        "optimizer.lr=1e-3",
        "data.max_length=64",
    ];
    for set in base.iter().chain(extra) {
        layers = layers.set::<PpoConfig>(set)?;
    }
    let renderer = Renderer::open(policy, None).unwrap();
    let stop = AtomicBool::new(false);
    let options = Options {
        config: layers.resolve()?,
        out: out.clone(),
        resume: false,
        device: Device::detect(Some(2)),
        renderer: &renderer,
        source: None,
        stop: &stop,
        score: None,
        program: Program::default(),
    };
    let mut events = Vec::new();
    let outcome = train::ppo::run(options, rewards, &mut |event: &Event| events.push(event.clone()))?;
    Ok(Ran { outcome, events, out })
}

fn by_rule() -> Rewards {
    let rule = Normalised(Box::new(RuleScorer::new("distinct").unwrap()));
    Rewards { reward: Some(Box::new(rule)), ..Rewards::default() }
}

/// A reward model whose weights become another's when it is asked: what a stray write in memory would look like.
struct Overwritten(RewardModel, Option<RewardModel>);

impl Scorer for Overwritten {
    fn name(&self) -> String {
        self.0.name()
    }
    fn score(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<f64>>, ScoreError> {
        if let Some(other) = self.1.take() {
            self.0 = other;
        }
        self.0.score(asked)
    }
    fn models(&self) -> Vec<&RewardModel> {
        vec![&self.0]
    }
}

#[test]
fn a_write_to_a_reward_model_in_memory_or_on_disk_is_caught() {
    let bench = Bench::with_rows(&PAIRS);
    let folder = reward_model(&bench, "rm", &[]);
    let other = reward_model(&bench, "other", &["optimizer.lr=2e-2"]);
    let rewards = |scorer: Box<dyn Scorer>| Rewards {
        reward: Some(Box::new(Normalised(scorer))),
        gold: None,
        folders: vec![folder.clone()],
    };
    let ran = ppo(&bench, &bench.model, "fair", rewards(Box::new(open(&folder))), &[]).unwrap();
    assert!(ran.notices().iter().any(|notice| notice.contains("unchanged")));
    let same = Overwritten(open(&folder), Some(open(&folder)));
    ppo(&bench, &bench.model, "same", rewards(Box::new(same)), &[]).unwrap();
    let written = Overwritten(open(&folder), Some(open(&other)));
    let error = ppo(&bench, &bench.model, "written", rewards(Box::new(written)), &[]).err().unwrap();
    assert!(matches!(error, TrainError::RewardChanged { place: "in memory", .. }), "{error}");
    assert!(error.to_string().contains("in memory during the run"), "{error}");
    assert!(!bench.out("written/final").exists(), "nothing is published that was learnt from a changed reward");
    // gold is only measured, and only read
    let gold = Overwritten(open(&folder), Some(open(&other)));
    let rewards = Rewards { gold: Some(Box::new(gold)), ..by_rule() };
    let error = ppo(&bench, &bench.model, "gold", rewards, &[]).err().unwrap();
    assert!(matches!(error, TrainError::RewardChanged { place: "in memory", .. }), "{error}");
}

/// The weights of the network beside the model, from the last checkpoint.
fn companion(out: &Path, n: usize) -> Vec<f32> {
    let path = out.join("checkpoints/step-000003/beside.safetensors");
    let names = ["companion_weights", "companion_first_moment", "companion_second_moment"];
    train::state::read_arrays(&path, &names.map(|name| (name, n))).unwrap().swap_remove(0)
}

fn values(ran: &Ran) -> Vec<f64> {
    let number = |value: &Value| value.as_f64().unwrap();
    ran.lines("samples.jsonl")[0]["values"].as_array().unwrap().iter().map(number).collect()
}

/// What a folder's scalar head says before every token of the first sampled answer.
fn scalars(model: &Model, ran: &Ran) -> Vec<f64> {
    let line = &ran.lines("samples.jsonl")[0];
    let ids = |key: &str| -> Vec<u32> {
        line[key].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
    };
    let (prompt, response) = (ids("prompt_ids"), ids("response_ids"));
    let mut batch = model::TreeBatch::default();
    batch.push_root(&[&prompt[..], &response].concat());
    let sources = (0..response.len()).map(|t| prompt.len() - 1 + t).collect();
    let said = model.forward(&batch, &model::Request::scalars(sources), &mut model::Workspace::default());
    said.scalars.into_iter().map(f64::from).collect()
}

/// A reward model's scores count as (s − mean) ÷ deviation, and so must the values that begin as it.
#[test]
fn a_reward_model_becomes_a_value_model_on_the_scale_of_its_rewards() {
    let bench = Bench::with_rows(&PAIRS);
    let folder = reward_model(&bench, "rm", &[]);
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (key, value) in [("reward_bias", 0.25), ("reward_mean", 0.5), ("reward_std", 4.0)] {
        config[key] = value.into();
    }
    std::fs::write(&path, config.to_string()).unwrap();
    let value = format!("ppo.value={}", folder.display());
    let ran = ppo(&bench, &bench.model, "run", by_rule(), &[&value]).unwrap();
    let load = LoadOptions { precision: Precision::F32, trainable: Trainable::Everything, scalar_head: true };
    let raw = scalars(&Model::load(&Device::detect(Some(2)), &folder, &load).unwrap(), &ran);
    assert!(raw.iter().any(|value| (value - raw[0]).abs() > 1e-4), "scores that differ: {raw:?}");
    for (found, raw) in values(&ran).iter().zip(&raw) {
        assert!((found - (raw - 0.5) / 4.0).abs() < 1e-5, "{found} of {raw}");
    }
}

#[test]
fn the_value_model_is_published_and_a_later_run_goes_on_with_it() {
    let bench = Bench::with_rows(&PAIRS);
    for (kind, extra) in [("whole", &[][..]), ("lora", &["model.lora={rank=2}"])] {
        let first = ppo(&bench, &bench.model, &format!("{kind} first"), by_rule(), extra).unwrap();
        let folder = first.out.join("value");
        let config = first.json("value/config.json");
        assert_eq!(
            (&config["readout"], &config["architectures"][0]),
            (&"value".into(), &"LlamaForSequenceClassification".into())
        );
        let refused = RewardModel::open(&Device::detect(Some(2)), &folder, Precision::F32, 64).err().unwrap();
        assert!(refused.to_string().contains("readout \"value\""), "{kind}: {refused}");
        let load = LoadOptions { precision: Precision::F32, trainable: Trainable::Everything, scalar_head: true };
        let published = Model::load(&Device::detect(Some(2)), &folder, &load).unwrap();
        if kind == "whole" {
            assert_eq!(published.trainable(), companion(&first.out, published.trainable().len()));
        }
        assert!(values(&first).iter().all(|value| *value == 0.0), "{kind}: a new value model says 0");
        let value = format!("ppo.value={}", folder.display());
        let sets = [extra, &[&value]].concat();
        let second = ppo(&bench, &first.out.join("final"), &format!("{kind} second"), by_rule(), &sets).unwrap();
        // what it says at the first iteration is what the published folder says of the same tokens
        let said = scalars(&published, &second);
        for (found, expected) in values(&second).iter().zip(&said) {
            assert!((found - expected).abs() < 1e-5, "{kind}: {found}, expected {expected}");
        }
        assert!(said.iter().any(|value| value.abs() > 1e-6), "{kind}: it had learnt something");
    }
}

#[test]
fn a_critic_of_every_token_is_published_and_goes_on() {
    let bench = Bench::with_rows(&PAIRS);
    let q = ["ppo.algorithm=actor_critic", "ppo.actor_critic=q", "ppo.critic_warmup=0"];
    let first = ppo(&bench, &bench.model, "first", by_rule(), &q).unwrap();
    assert_eq!(first.json("value/config.json")["readout"], "q");
    let value = format!("ppo.value={}", first.out.join("value").display());
    let sets = [&q[..], &[&value]].concat();
    let second = ppo(&bench, &first.out.join("final"), "second", by_rule(), &sets).unwrap();
    assert!(values(&first).iter().all(|value| *value == 0.0), "a new critic says 0");
    assert!(values(&second).iter().all(|value| *value != 0.0), "a trained one goes on: {:?}", values(&second));
    assert!(second.metric("grad_norm_ppo")[0] > 0.0);
}

#[test]
fn a_reward_model_that_reads_at_its_own_token_rewards_but_is_no_value_model() {
    let bench = Bench::with_rows(&PAIRS);
    let folder = reward_model(&bench, "rm", &["rm.readout=token"]);
    let rewards = || Rewards {
        reward: Some(Box::new(Normalised(Box::new(open(&folder))))),
        gold: None,
        folders: vec![folder.clone()],
    };
    let ran = ppo(&bench, &bench.model, "run", rewards(), &[]).unwrap();
    assert!(ran.metric("reward").iter().all(|reward| reward.is_finite()));
    let value = format!("ppo.value={}", folder.display());
    let error = ppo(&bench, &bench.model, "refused", rewards(), &[&value]).err().unwrap().to_string();
    assert!(error.contains("ppo.value"), "{error}");
}
