//! Multiple choice by log-likelihood: what questions have in common, and what their choices have, runs once.
use crate::{measure, shapes};
use clap::Args;
use eval::PrefixTree;
use kernels::Device;
use kernels::linear::Precision;
use model::{LoadOptions, Model, Request, Trainable, Workspace};
use serde_json::{Value, json};
use std::time::Instant;

/// Tokens run at once, as `helpmate eval run` does.
const BATCH_TOKENS: usize = 2048;

/// How large the questions are; the defaults are TruthfulQA's means in SmolLM2's tokens.
#[derive(Args)]
pub struct Shape {
    #[arg(long, default_value_t = 24)]
    questions: usize,
    /// Tokens that all questions begin with
    #[arg(long, default_value_t = 155)]
    primer: usize,
    /// Tokens of a question
    #[arg(long, default_value_t = 20)]
    context: usize,
    /// Choices of a question
    #[arg(long, default_value_t = 7)]
    choices: usize,
    /// Tokens of a choice
    #[arg(long, default_value_t = 9)]
    choice: usize,
}

/// A token id by where it stands; xtask/peer/bench.py has the same.
fn token(a: usize, b: usize, c: usize) -> u32 {
    ((7919 * a + 104_729 * b + 31 * c) % 40_000 + 5) as u32
}

/// Questions answered a second.
pub fn choices(device: &Device, precision: Precision, shape: &Shape) -> Value {
    let options = LoadOptions { precision, trainable: Trainable::Nothing, scalar_head: false };
    let model = shapes::random(device, shapes::smollm2_135m(), &options);
    let primer: Vec<u32> = (0..shape.primer).map(|i| token(0, 0, i)).collect();
    let questions: Vec<Vec<Vec<u32>>> = (1..=shape.questions)
        .map(|q| {
            let context: Vec<u32> = (0..shape.context).map(|i| token(q, 0, i)).collect();
            let choice = |k| (0..shape.choice).map(|i| token(q, k, i)).collect::<Vec<u32>>();
            (1..=shape.choices).map(|k| [primer.clone(), context.clone(), choice(k)].concat()).collect()
        })
        .collect();
    let first = shape.primer + shape.context;
    let mut workspace = Workspace::default();
    score(&model, &questions[..1], first, &mut workspace);
    let mut seconds: Vec<f64> = (0..3)
        .map(|_| {
            let started = Instant::now();
            score(&model, &questions, first, &mut workspace);
            started.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    json!({"questions_per_second": shape.questions as f64 / seconds[1], "seconds": seconds[1], "peak_bytes": measure::peak_memory()})
}

fn score(model: &Model, questions: &[Vec<Vec<u32>>], first: usize, workspace: &mut Workspace) {
    let mut start = 0;
    while start < questions.len() {
        let mut tree = PrefixTree::default();
        let mut end = start;
        while end < questions.len() && tree.n_tokens() < BATCH_TOKENS {
            questions[end].iter().for_each(|sequence| tree.insert(&sequence[..sequence.len() - 1]));
            end += 1;
        }
        let planted = tree.plant();
        let targets = questions[start..end].iter().flatten().flat_map(|s| planted.targets(s, first)).collect();
        let found = model.forward(&planted.batch, &Request::log_probs(targets), workspace).log_probs;
        assert!(found.iter().all(|p| p.is_finite()), "a log-probability that is no number");
        start = end;
    }
}
