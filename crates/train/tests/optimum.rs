//! The exact optimum: on a task small enough to enumerate every answer, the KL-regularised reward E[r] − β·KL(π‖π_ref) has
//! its maximum at π* = π_ref·exp(r/β)/Z (arXiv 1909.08593, eq. 2; arXiv 2305.18290, eq. 4). A loop that samples, scores,
//! assigns credit and steps without a mistake in any of them comes there; one with a mistake comes elsewhere.
#![allow(clippy::unwrap_used)]
mod common;
use kernels::Device;
use kernels::linear::Precision;
use model::{Dtype, LoadOptions, Model, Request, Trainable, TreeBatch, Workspace};
use record::Prompt;
use render::Renderer;
use run::{DpoConfig, Layers, PpoConfig, StageConfig};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use stdx::Seed;
use tempfile::TempDir;
use train::ppo::Rewards;
use train::scorer::{Asked, ScoreError, Scorer};
use train::{Event, Options, Outcome, Program, TrainError};

/// Words of the language; then `<eos>`, which ends, and `<pad>`, which doesn't.
const WORDS: [&str; 6] = ["red", "green", "blue", "one", "two", "three"];
const EOS: u32 = 6;
const VOCABULARY: u32 = 8;
const PROMPTS: [&str; 2] = ["one red", "two"];
/// Tokens of an answer at most: 1 + 7 + 7·7 = 57 answers.
const LENGTH: usize = 2;
const BETA: f64 = 0.5;

/// A place with a random model over eight tokens.
struct Task {
    dir: TempDir,
    model: PathBuf,
    renderer: Renderer,
}

impl Task {
    fn new() -> Task {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("model");
        std::fs::create_dir(&model).unwrap();
        let config = json!({
            "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": VOCABULARY, "hidden_size": 32,
            "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
            "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": false,
            "initializer_range": 0.15, "dtype": "float32", "rope_theta": 10000.0, "eos_token_id": EOS
        });
        let mut stream = Seed(3).stream("tiny model", 0);
        let random = Model::random(&Device::detect(Some(1)), config, &FROZEN, &mut || stream.normal());
        random.unwrap().save(&model, Dtype::F32).unwrap();
        let special = |id: u32, content: &str| json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
        let vocabulary: serde_json::Map<_, _> =
            WORDS.iter().chain(&["<eos>", "<pad>"]).zip(0..).map(|(word, id)| ((*word).into(), json!(id))).collect();
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
            "decoder": null, "added_tokens": [special(EOS, "<eos>"), special(EOS + 1, "<pad>")],
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<pad>"}
        });
        std::fs::write(model.join("tokenizer.json"), tokenizer.to_string()).unwrap();
        let names = json!({"eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<pad>"});
        std::fs::write(model.join("tokenizer_config.json"), names.to_string()).unwrap();
        let renderer = Renderer::open(&model, None).unwrap();
        Task { dir, model, renderer }
    }

    fn write(&self, name: &str, rows: &[serde_json::Value]) -> String {
        let path = self.dir.path().join(name);
        let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs a stage with these settings; its `final/`.
    fn run<C: StageConfig>(
        &self,
        name: &str,
        sets: &[&str],
        stage: impl Fn(Options<'_, C>, &mut dyn FnMut(&Event)) -> Result<Outcome, TrainError>,
    ) -> PathBuf {
        let out = self.dir.path().join(name);
        let mut layers =
            Layers::new().option::<C>("--model", "model.path", self.model.to_str().unwrap().to_owned()).unwrap();
        for set in sets {
            layers = layers.set::<C>(set).unwrap();
        }
        let options = Options {
            config: layers.resolve().unwrap(),
            out,
            resume: false,
            device: Device::detect(Some(1)),
            renderer: &self.renderer,
            source: None,
            stop: &AtomicBool::new(false),
            score: None,
            program: Program::default(),
        };
        match stage(options, &mut |_| {}).unwrap() {
            Outcome::Finished(summary) => summary.model,
            other => panic!("expected a finished run, found {other:?}"),
        }
    }

    /// log-probabilities of answers (with the tokens that end them) to a prompt, under a model folder.
    fn log_probs(&self, folder: &Path, prompt: &str, answers: &[Vec<u32>]) -> Vec<f64> {
        let model = Model::load(&Device::detect(Some(1)), folder, &FROZEN).unwrap();
        let mut batch = TreeBatch::default();
        let root = batch.push_root(&self.renderer.prompt(&Prompt::Text(prompt.into())).unwrap());
        let mut targets = Vec::new();
        for answer in answers {
            let branch = batch.push_branch(root, answer);
            targets.extend((0..answer.len()).map(|offset| batch.target(branch, offset).unwrap()));
        }
        let found = model.forward(&batch, &Request::log_probs(targets), &mut Workspace::default()).log_probs;
        let mut found = found.into_iter().map(f64::from);
        answers.iter().map(|answer| found.by_ref().take(answer.len()).sum()).collect()
    }
}

const FROZEN: LoadOptions =
    LoadOptions { precision: Precision::F32, trainable: Trainable::Nothing, scalar_head: false };

/// Every answer of at most [`LENGTH`] tokens.
fn answers() -> Vec<Vec<u32>> {
    let mut answers = vec![vec![EOS]];
    for first in (0..VOCABULARY).filter(|&id| id != EOS) {
        answers.extend((0..VOCABULARY).map(|second| vec![first, second]));
    }
    answers
}

/// Any function of prompt and text will do; this one has no structure that a model could guess. In [−1, 1].
fn reward(prompt: &str, text: &str) -> f64 {
    let hash = stdx::hash::bytes(format!("{prompt}|{text}").as_bytes());
    let number = f64::from(u32::from_str_radix(&hash[..8], 16).unwrap()) / f64::from(u32::MAX);
    2.0 * number - 1.0
}

struct Table;

impl Scorer for Table {
    fn name(&self) -> String {
        "table".into()
    }
    fn score(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<f64>>, ScoreError> {
        let row = |asked: &Asked<'_>| {
            let Prompt::Text(prompt) = asked.prompt else { panic!("prompts are text") };
            asked.completions.iter().map(|text| reward(prompt, text)).collect()
        };
        Ok(asked.iter().map(row).collect())
    }
}

/// log of ref·exp(r/β)/Z.
fn optimum(reference: &[f64], rewards: &[f64], beta: f64) -> Vec<f64> {
    normalised(&reference.iter().zip(rewards).map(|(log_prob, reward)| log_prob + reward / beta).collect::<Vec<_>>())
}

fn normalised(logs: &[f64]) -> Vec<f64> {
    let total = logs.iter().map(|log| log.exp()).sum::<f64>().ln();
    logs.iter().map(|log| log - total).collect()
}

/// KL(p‖q) in nats, from logs.
fn kl(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum()
}

/// KL to the optimum in nats.
struct Reached {
    /// Of the reference.
    before: f64,
    /// Of the trained policy.
    after: f64,
    /// Of the trained policy to the optimum for another β.
    elsewhere: f64,
}

/// Trains with `algorithm`; what it reached for each prompt.
fn reach(algorithm: &str, sets: &[&str]) -> Vec<Reached> {
    let task = Task::new();
    let prompts = task.write("prompts.jsonl", &PROMPTS.map(|prompt| json!({"prompt": prompt})));
    let (prompts, algorithm_set) = (format!("data.train={prompts}"), format!("ppo.algorithm={algorithm}"));
    let (length, beta) = (format!("ppo.max_new_tokens={LENGTH}"), format!("ppo.beta={BETA}"));
    let base = [
        &prompts,
        &algorithm_set,
        &length,
        &beta,
        "ppo.reward=[\"rule:distinct\"]", // named for the config; the table takes its place
        "ppo.missing_eos=keep",
        "ppo.rollout_batch=2",
        "data.max_length=16",
        "model.dtype=f32",
        "optimizer.schedule=linear",
        "optimizer.min_lr_ratio=0",
        "train.save_every=0",
        "ppo.samples_every=0",
    ];
    let sets: Vec<&str> = base.iter().copied().chain(sets.iter().copied()).collect();
    let trained = task.run::<PpoConfig>(algorithm, &sets, |options, sink| {
        let rewards = Rewards { reward: Some(Box::new(Table)), ..Rewards::default() };
        train::ppo::run(options, rewards, &mut |event: &Event| sink(event))
    });
    let answers = answers();
    let of_prompt = |prompt: &&str| {
        let prompt_ids = task.renderer.prompt(&Prompt::Text((*prompt).into())).unwrap();
        let text = |answer: &Vec<u32>| task.renderer.completion_text(&prompt_ids, answer).unwrap();
        let rewards: Vec<f64> = answers.iter().map(|answer| reward(prompt, &text(answer))).collect();
        let reference = task.log_probs(&task.model, prompt, &answers);
        let found = task.log_probs(&trained, prompt, &answers);
        for logs in [&reference, &found] {
            let total: f64 = logs.iter().map(|log| log.exp()).sum();
            assert!((total - 1.0).abs() < 1e-5, "the answers have probability {total} together");
        }
        let best = optimum(&reference, &rewards, BETA);
        let other = optimum(&reference, &rewards, 0.7 * BETA);
        Reached { before: kl(&reference, &best), after: kl(&found, &best), elsewhere: kl(&found, &other) }
    };
    PROMPTS.iter().map(of_prompt).collect()
}

fn check(algorithm: &str, sets: &[&str]) {
    within(0.01, algorithm, sets);
}

fn within(bound: f64, algorithm: &str, sets: &[&str]) {
    for (prompt, Reached { before, after, elsewhere }) in PROMPTS.iter().zip(reach(algorithm, sets)) {
        eprintln!(
            "{algorithm} {prompt:?}: KL to the optimum {before:.4} -> {after:.5}; to that of 0.7 β {elsewhere:.4}"
        );
        assert!(before > 0.3, "{algorithm}: the task is too easy, the reference is {before} from the optimum");
        assert!(after <= bound, "{algorithm} on {prompt:?}: KL(π‖π*) = {after}, expected at most {bound}");
        assert!(elsewhere > 0.03, "{algorithm}: the tolerance could not tell β from 0.7 β ({elsewhere})");
    }
}

#[test]
fn ppo_reaches_the_optimum() {
    check(
        "ppo",
        &[
            "train.max_steps=300",
            "ppo.samples_per_prompt=128",
            "optimizer.lr=1e-2",
            "ppo.value_coefficient=1",
            "ppo.epochs=2",
        ],
    );
}

#[test]
fn actor_critic_reaches_the_optimum() {
    check(
        "actor_critic",
        &["train.max_steps=300", "ppo.samples_per_prompt=128", "optimizer.lr=1e-2", "ppo.value_coefficient=1"],
    );
}

/// The variance penalty would pull values of different tokens together and so the optimum away: it is off. What is left is
/// the critic's noise, which falls with the samples (256 a prompt: .006 and .012; 512 at a higher rate: .016) and needs a
/// critic faster than its actor, so the bound is wider here.
#[test]
fn actor_critic_with_values_of_every_token_reaches_the_optimum() {
    within(
        0.02,
        "actor_critic",
        &[
            "ppo.actor_critic=q",
            "ppo.variance_penalty=0",
            "ppo.delayed_rate=0.3",
            "ppo.critic_warmup=200",
            "ppo.value_lr=3e-3",
            "optimizer.lr=3e-4",
            "optimizer.betas=[0.9, 0.999]",
            "optimizer.eps=1e-8",
            "train.max_steps=1500",
            "ppo.samples_per_prompt=128",
        ],
    );
}

#[test]
fn reinforce_reaches_the_optimum() {
    check("reinforce", &["train.max_steps=300", "ppo.samples_per_prompt=128", "optimizer.lr=1e-2"]);
}

#[test]
fn rloo_reaches_the_optimum() {
    check("rloo", &["train.max_steps=300", "ppo.samples_per_prompt=128", "optimizer.lr=1e-2"]);
}

/// Preferences of a population: answer i (the i-th word) has weight w_i = i + 1 and is preferred to j with probability
/// w_i/(w_i + w_j) = σ(ln w_i − ln w_j), Bradley–Terry with r = ln w. In w_i of w_i + w_j rows i is chosen, so the rows are
/// the population itself; the optimum among these answers is π_ref·w^{1/β}, renormalised to them.
#[test]
fn dpo_on_population_preferences_reaches_the_optimum() {
    let task = Task::new();
    let mut rows = Vec::new();
    for prompt in PROMPTS {
        for (i, chosen) in WORDS.iter().enumerate() {
            for rejected in WORDS.iter().filter(|word| *word != chosen) {
                let row = json!({"prompt": prompt, "chosen": format!(" {chosen}"), "rejected": format!(" {rejected}")});
                rows.extend(std::iter::repeat_n(row, i + 1));
            }
        }
    }
    let data = format!("data.train={}", task.write("preferences.jsonl", &rows));
    let (batch, beta) = (format!("train.batch_size={}", rows.len()), format!("dpo.beta={BETA}"));
    let sets = [
        &data,
        &batch,
        &beta,
        "train.max_steps=150",
        "optimizer.lr=1e-2",
        "optimizer.schedule=linear",
        "optimizer.min_lr_ratio=0",
        "model.dtype=f32",
        "data.max_length=16",
        "train.save_every=0",
    ];
    let trained = task.run::<DpoConfig>("dpo", &sets, |options, sink| {
        train::preference::run(options, None, &mut |event: &Event| sink(event))
    });
    let answers: Vec<Vec<u32>> = (0..WORDS.len() as u32).map(|id| vec![id, EOS]).collect();
    let rewards: Vec<f64> = (1..=WORDS.len()).map(|weight| (weight as f64).ln()).collect();
    for prompt in PROMPTS {
        let reference = normalised(&task.log_probs(&task.model, prompt, &answers));
        let found = normalised(&task.log_probs(&trained, prompt, &answers));
        let best = optimum(&reference, &rewards, BETA);
        let (before, after) = (kl(&reference, &best), kl(&found, &best));
        eprintln!("dpo {prompt:?}: KL to the optimum {before:.4} -> {after:.6}");
        assert!(before > 0.3, "the task is too easy, the reference is {before} from the optimum");
        assert!(after <= 0.01, "on {prompt:?}: KL(π‖π*) = {after}, expected at most 0.01");
    }
}
