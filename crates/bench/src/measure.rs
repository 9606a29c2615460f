//! The measurements. Times are of the work named, after one warm-up unless start-up is what is measured.
use crate::shapes;
use clap::ValueEnum;
use generate::{Generator, Sampling, Settings};
use kernels::Device;
use kernels::linear::Precision;
use model::{
    AdamWConfig, Derivatives, LoadOptions, LoraConfig, Model, Noise, Optimizer, Request, Trainable, TreeBatch,
    Workspace,
};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;
use stdx::seed::Seed;

pub(crate) const ADAM: AdamWConfig = AdamWConfig { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.0 };

pub(crate) fn options(precision: Precision, trainable: Trainable, scalar_head: bool) -> LoadOptions {
    LoadOptions { precision, trainable, scalar_head }
}

pub(crate) fn ids(n: usize, seed: u64, vocabulary: usize) -> Vec<u32> {
    let mut stream = Seed(seed).stream("tokens", 0);
    (0..n).map(|_| stream.below(vocabulary as u64) as u32).collect()
}

/// Peak resident memory of this process, bytes.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1024
}

pub(crate) fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn packed_sequences(sequences: usize, tokens: usize, vocabulary: usize) -> (TreeBatch, Request, Derivatives) {
    let mut batch = TreeBatch::default();
    let mut targets = Vec::new();
    for s in 0..sequences {
        let root = batch.push_root(&ids(tokens, s as u64, vocabulary));
        targets.extend((1..tokens).filter_map(|i| batch.target(root, i)));
    }
    let n = targets.len();
    let derivatives = Derivatives { log_probs: vec![-1.0 / n as f32; n], ..Derivatives::default() };
    (batch, Request::log_probs(targets), derivatives)
}

/// Seconds of each optimizer step.
fn steps(model: &mut Model, batch: &TreeBatch, request: &Request, derivatives: &Derivatives, n: usize) -> Vec<f64> {
    let device = model.device().clone();
    let (mut optimizer, mut gradients, mut workspace) =
        (Optimizer::new(model, ADAM), model.new_gradients(), Workspace::default());
    let mut one = |model: &mut Model| {
        let started = Instant::now();
        gradients.zero(&device);
        model.forward_backward(batch, request, derivatives, Noise::default(), &mut workspace, &mut gradients);
        let norm = gradients.sum_of_squares(&device).sqrt();
        optimizer.step(model, &gradients, 1e-4, (1.0 / norm.max(1.0)) as f32);
        started.elapsed().as_secs_f64()
    };
    (0..n).map(|_| one(model)).collect()
}

/// Training steps of packed sequences.
pub fn train(device: &Device, precision: Precision, sequences: usize, tokens: usize, n_steps: usize) -> Value {
    let mut model = shapes::random(device, shapes::smollm2_135m(), &options(precision, Trainable::Everything, false));
    let (batch, request, derivatives) = packed_sequences(sequences, tokens, model.config().vocab_size);
    let seconds = steps(&mut model, &batch, &request, &derivatives, n_steps + 1);
    let step = median(seconds[1..].to_vec());
    json!({"tokens_per_second": batch.len() as f64 / step, "step_s": step, "peak_bytes": peak_memory()})
}

/// Decoding after a prompt; the time includes the prefill.
pub fn generate(device: &Device, precision: Precision, sequences: usize, prompt: usize, new: usize) -> Value {
    let model = shapes::random(device, shapes::smollm2_135m(), &options(precision, Trainable::Nothing, false));
    let prompts: Vec<Vec<u32>> = (0..sequences).map(|s| ids(prompt, s as u64, model.config().vocab_size)).collect();
    let settings = |max_new_tokens| Settings {
        sampling: Sampling::greedy(),
        n: 1,
        max_new_tokens,
        end_token_ids: vec![],
        stop: vec![],
        seed: Seed(0),
        batch: sequences,
    };
    let mut generator = Generator::new(&model, None);
    let mut run = |new| {
        let started = Instant::now();
        let completions = generator.generate(&prompts, &settings(new), &mut |_| ControlFlow::Continue(()));
        let made: usize = completions.unwrap_or_else(|e| panic!("{e}")).iter().map(|c| c.token_ids.len()).sum();
        (made, started.elapsed().as_secs_f64())
    };
    run(2);
    let runs: Vec<(usize, f64)> = (0..3).map(|_| run(new)).collect();
    let seconds = median(runs.iter().map(|r| r.1).collect());
    json!({"tokens_per_second": runs[0].0 as f64 / seconds, "seconds": seconds, "peak_bytes": peak_memory()})
}

/// Adapters on a frozen base of 1.5 billion parameters.
pub fn lora(device: &Device, tokens: usize, n_steps: usize, q8: bool) -> Value {
    let lora = LoraConfig { rank: 16, alpha: 32.0, targets: vec!["all-linear".into()] };
    let trainable = Trainable::Lora { lora, base_q8: q8 };
    let mut model = shapes::random(device, shapes::qwen2_1_5b(), &options(Precision::Bf16, trainable, false));
    let (batch, request, derivatives) = packed_sequences(1, tokens, model.config().vocab_size);
    let seconds = steps(&mut model, &batch, &request, &derivatives, n_steps + 1);
    let step = median(seconds[1..].to_vec());
    let (all, trained) = model.parameter_counts();
    json!({"tokens_per_second": tokens as f64 / step, "step_s": step, "peak_bytes": peak_memory(), "parameters": all, "trainable": trained})
}

/// Loading and one step of 4 × 256 tokens; the caller times the process.
pub fn first_step(device: &Device, precision: Precision, folder: &Path) -> Value {
    let options = options(precision, Trainable::Everything, false);
    let start = Instant::now();
    let mut model = Model::load(device, folder, &options).unwrap_or_else(|e| panic!("{e}"));
    let load = start.elapsed().as_secs_f64();
    let (batch, request, derivatives) = packed_sequences(4, 256, model.config().vocab_size);
    let seconds = steps(&mut model, &batch, &request, &derivatives, 1);
    json!({"load_s": load, "step_s": seconds[0], "peak_bytes": peak_memory()})
}

/// Texts of the shipped world, tables and sentences made beforehand.
pub fn world(documents: u64) -> Value {
    let world = world::World::new(world::SHIPPED_SEED);
    let texts = world.texts();
    let mut text = String::new();
    let mut bytes = 0;
    let start = Instant::now();
    for index in 0..documents {
        text.clear();
        texts.write(index, &mut text);
        bytes += text.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    json!({"documents_per_second": documents as f64 / seconds, "megabytes_per_second": bytes as f64 / seconds / 1e6, "peak_bytes": peak_memory()})
}

/// How K completions of a prompt are batched.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Sharing {
    /// The prompt once, K branches.
    Shared,
    /// Prompt and completion, K times.
    Passes,
    /// Both sides of each of the K(K−1)/2 pairs.
    Pairs,
}

/// One reward-model step over the rankings of one prompt.
pub fn kwise(device: &Device, precision: Precision, how: Sharing, k: usize, prompt: usize, completion: usize) -> Value {
    let mut model = shapes::random(device, shapes::smollm2_135m(), &options(precision, Trainable::Everything, true));
    let vocabulary = model.config().vocab_size;
    let (prompt_ids, answers) =
        (ids(prompt, 0, vocabulary), (1..=k as u64).map(|s| ids(completion, s, vocabulary)).collect::<Vec<_>>());
    let copies: Vec<usize> = match how {
        Sharing::Shared | Sharing::Passes => (0..k).collect(),
        Sharing::Pairs => (0..k).flat_map(|i| (i + 1..k).flat_map(move |j| [i, j])).collect(),
    };
    // As many sequences at a time as a trainer would take: those of one prompt when shared, else 9.
    let groups: Vec<&[usize]> = if how == Sharing::Shared { vec![&copies[..]] } else { copies.chunks(9).collect() };
    let device = model.device().clone();
    let (mut optimizer, mut gradients, mut workspace) =
        (Optimizer::new(&model, ADAM), model.new_gradients(), Workspace::default());
    let mut computed = 0;
    let mut one = |model: &mut Model| {
        let started = Instant::now();
        gradients.zero(&device);
        computed = 0;
        for group in &groups {
            let (batch, scalars) = ranked_batch(how, &prompt_ids, &answers, group);
            let derivatives = Derivatives {
                scalars: (0..scalars.len()).map(|i| 0.1 - 0.02 * i as f32).collect(),
                ..Derivatives::default()
            };
            computed += batch.len();
            let request = Request::scalars(scalars);
            model.forward_for_training(&batch, &request, Noise::default(), &mut workspace);
            model.backward(&batch, &request, &derivatives, &mut workspace, &mut gradients);
        }
        let norm = gradients.sum_of_squares(&device).sqrt();
        optimizer.step(model, &gradients, 1e-5, (1.0 / norm.max(1.0)) as f32);
        started.elapsed().as_secs_f64()
    };
    one(&mut model);
    let step = median((0..3).map(|_| one(&mut model)).collect());
    json!({"prompts_per_second": 1.0 / step, "step_s": step, "tokens_computed": computed, "peak_bytes": peak_memory()})
}

fn ranked_batch(how: Sharing, prompt: &[u32], answers: &[Vec<u32>], group: &[usize]) -> (TreeBatch, Vec<usize>) {
    let mut batch = TreeBatch::default();
    let root = (how == Sharing::Shared).then(|| batch.push_root(prompt));
    let mut ends = Vec::new();
    for &answer in group {
        let segment = match root {
            Some(root) => batch.push_branch(root, &answers[answer]),
            None => batch.push_root(&[prompt, &answers[answer]].concat()),
        };
        ends.push(batch.last_token(segment));
    }
    (batch, ends)
}
