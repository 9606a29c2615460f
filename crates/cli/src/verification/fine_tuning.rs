//! Log-probabilities and entropies of the tiny policy, and three steps of fine-tuning in each split of the batch.

use super::shipped::Shipped;
use super::{Check, Step, largest, steps};
use crate::command::score;
use crate::error::CommandError;
use model::{Model, Request, TreeBatch, Workspace};
use render::Rendered;
use run::SftConfig;
use serde::Deserialize;

#[derive(Deserialize)]
struct References {
    sft_b4: Vec<Step>,
    sft_b2_ga2: Vec<Step>,
    sft_b1_ga4: Vec<Step>,
    sft_batch: Batch,
    logprobs: Vec<Vec<f64>>,
    entropy: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Batch {
    input_ids: Vec<Vec<u32>>,
    attention_mask: Vec<Vec<u32>>,
}

/// The checks.
pub fn checks(shipped: &Shipped) -> Result<Vec<Check>, CommandError> {
    let references: References = shipped.json("refs.json")?;
    let mut checks = distributions(&shipped.model("tiny-policy")?, &references);
    // Rows have 6, 7, 4 and 8 tokens, so a budget of 16 makes micro-batches of two rows, one of 8 of one.
    let splits =
        [("4×1", 4096, &references.sft_b4), ("2×2", 16, &references.sft_b2_ga2), ("1×4", 8, &references.sft_b1_ga4)];
    for (split, micro_tokens, expected) in splits {
        let name = format!("SFT {split}");
        let settings = [&format!("train.micro_tokens={micro_tokens}"), "train.batch_size=4", "train.max_steps=3"];
        let places = [("model.path", "tiny-policy"), ("data.train", "sft.jsonl")];
        let ran = shipped.run::<SftConfig>(&name, &places, &settings, train::sft::run)?;
        let convention = "Σ −log p over the batch's targets ÷ their number; relative";
        checks.extend(steps(&name, convention, &ran.metrics, expected));
    }
    Ok(checks)
}

fn distributions(model: &Model, references: &References) -> Vec<Check> {
    let batch = &references.sft_batch;
    let rows = batch.input_ids.iter().zip(&batch.attention_mask);
    let sequences: Vec<Rendered> = rows
        .map(|(ids, mask)| {
            let n = mask.iter().filter(|&&real| real == 1).count();
            Rendered { token_ids: ids[..n].to_vec(), mask: vec![true; n] }
        })
        .collect();
    let mut workspace = Workspace::default();
    let log_probs = score(model, &sequences, &mut workspace);
    let log_probs: Vec<Vec<f32>> = log_probs.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
    let entropies = entropies(model, &sequences, &mut workspace);
    let check = |name: &str, convention, found: Vec<Vec<f32>>, expected: &[Vec<f64>]| {
        // a padded row of the reference has more numbers than we have
        let pairs = found.iter().zip(expected).flat_map(|(found, expected)| found.iter().zip(expected));
        let errors: Vec<f64> = pairs.map(|(found, expected)| (f64::from(*found) - expected).abs()).collect();
        Check::distance(name.to_string(), convention, errors.len(), largest(&errors), 1e-5)
    };
    let of_log_probs = "log p(token | before), nats, f32; largest distance";
    let of_entropies = "−Σ p log p of the next token, nats, f32; largest distance";
    vec![
        check("log-probabilities", of_log_probs, log_probs, &references.logprobs),
        check("entropies", of_entropies, entropies, &references.entropy),
    ]
}

fn entropies(model: &Model, sequences: &[Rendered], workspace: &mut Workspace) -> Vec<Vec<f32>> {
    let of_one = |sequence: &Rendered| {
        let mut batch = TreeBatch::default();
        let segment = batch.push_root(&sequence.token_ids);
        let targets = (1..sequence.token_ids.len()).filter_map(|offset| batch.target(segment, offset)).collect();
        let request = Request { entropy: true, ..Request::log_probs(targets) };
        model.forward(&batch, &request, workspace).entropies
    };
    sequences.iter().map(of_one).collect()
}
