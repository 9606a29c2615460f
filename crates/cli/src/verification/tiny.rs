//! The two-layer model of `tests/conformance`, which ships inside the binary.

use super::Check;
use crate::command::score;
use crate::error::{CommandError, of_file};
use crate::training;
use kernels::Device;
use kernels::linear::Precision;
use model::{LoadOptions, Model, Request, Trainable, TreeBatch, Workspace};
use render::{Rendered, Renderer};
use run::{Layers, SftConfig};
use serde::Deserialize;
use std::path::Path;

const FILES: [(&str, &[u8]); 5] = [
    ("config.json", include_bytes!("../../../../tests/conformance/tiny-policy/config.json")),
    ("generation_config.json", include_bytes!("../../../../tests/conformance/tiny-policy/generation_config.json")),
    ("model.safetensors", include_bytes!("../../../../tests/conformance/tiny-policy/model.safetensors")),
    ("tokenizer.json", include_bytes!("../../../../tests/conformance/tiny-policy/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../../../../tests/conformance/tiny-policy/tokenizer_config.json")),
];
const ROWS: &[u8] = include_bytes!("../../../../tests/conformance/sft.jsonl");
const REFERENCES: &[u8] = include_bytes!("../../../../tests/conformance/refs.json");

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
struct Step {
    loss: f64,
    grad_norm: f64,
}

#[derive(Deserialize)]
struct Batch {
    input_ids: Vec<Vec<u32>>,
    attention_mask: Vec<Vec<u32>>,
}

/// Log-probabilities, entropies, and three steps of fine-tuning in each split of the batch.
pub fn checks(device: &Device) -> Result<Vec<Check>, CommandError> {
    let references: References = serde_json::from_slice(REFERENCES).map_err(CommandError::input)?;
    let scratch = tempfile::tempdir().map_err(|error| CommandError::input(format!("temporary folder: {error}")))?;
    let folder = scratch.path().join("tiny-policy");
    std::fs::create_dir(&folder).map_err(of_file(&folder))?;
    for (name, content) in FILES {
        let path = folder.join(name);
        std::fs::write(&path, content).map_err(of_file(&path))?;
    }
    let mut checks = distributions(device, &folder, &references)?;
    // Rows have 6, 7, 4 and 8 tokens, so a budget of 16 makes micro-batches of two rows, one of 8 of one.
    let splits =
        [("4×1", 4096, &references.sft_b4), ("2×2", 16, &references.sft_b2_ga2), ("1×4", 8, &references.sft_b1_ga4)];
    for (split, micro_tokens, expected) in splits {
        checks.extend(steps(device, scratch.path(), split, micro_tokens, expected)?);
    }
    Ok(checks)
}

fn distributions(device: &Device, folder: &Path, references: &References) -> Result<Vec<Check>, CommandError> {
    let options = LoadOptions { precision: Precision::F32, trainable: Trainable::Nothing, scalar_head: false };
    let model = Model::load(device, folder, &options)?;
    let batch = &references.sft_batch;
    let rows = batch.input_ids.iter().zip(&batch.attention_mask);
    let sequences: Vec<Rendered> = rows
        .map(|(ids, mask)| {
            let n = mask.iter().filter(|&&real| real == 1).count();
            Rendered { token_ids: ids[..n].to_vec(), mask: vec![true; n] }
        })
        .collect();
    let mut workspace = Workspace::default();
    let log_probs = score(&model, &sequences, &mut workspace);
    let log_probs = log_probs.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
    let entropies = entropies(&model, &sequences, &mut workspace);
    let check = |name: &str, convention, found: Vec<Vec<f32>>, expected: &[Vec<f64>]| {
        let pairs = found.iter().zip(expected).flat_map(|(found, expected)| found.iter().zip(expected));
        let errors: Vec<f64> = pairs.map(|(found, expected)| (f64::from(*found) - expected).abs()).collect();
        // `f64::max` would drop a NaN.
        let largest = errors.iter().fold(0.0, |largest: f64, error| if *error <= largest { largest } else { *error });
        Check::distance(name.to_string(), convention, errors.len(), largest, 1e-5)
    };
    Ok(vec![
        check(
            "log-probabilities",
            "log p(token | before), nats, f32; largest distance",
            log_probs,
            &references.logprobs,
        ),
        check("entropies", "−Σ p log p of the next token, nats, f32; largest distance", entropies, &references.entropy),
    ])
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

/// Three steps of the loop that `helpmate sft` runs.
fn steps(
    device: &Device,
    scratch: &Path,
    split: &str,
    micro_tokens: usize,
    expected: &[Step],
) -> Result<Vec<Check>, CommandError> {
    let rows = scratch.join("sft.jsonl");
    std::fs::write(&rows, ROWS).map_err(of_file(&rows))?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let model = scratch.join("tiny-policy");
    let mut layers = Layers::new().option::<SftConfig>("verify", "model.path", text(&model))?.option::<SftConfig>(
        "verify",
        "data.train",
        text(&rows),
    )?;
    let micro_tokens = format!("train.micro_tokens={micro_tokens}");
    let settings = [
        "model.dtype=f32",
        "optimizer.lr=1e-3",
        "optimizer.schedule=constant",
        "train.batch_size=4",
        "train.max_steps=3",
        "train.shuffle=false",
        &micro_tokens,
    ];
    for setting in settings {
        layers = layers.set::<SftConfig>(setting)?;
    }
    let config = layers.resolve()?;
    let renderer = Renderer::open(&model, None)?;
    let out = scratch.join(format!("run-{split}"));
    let options = training::options(config, &out, false, device.clone(), &renderer, None);
    train::sft::run(options, &mut |_: &train::Event| {})?;
    let lines = run::metrics::read_lines(&out.join("metrics.jsonl"))?;
    let mut checks = Vec::new();
    for (i, expected) in expected.iter().enumerate() {
        let number = |name: &str| {
            lines.get(i).and_then(|line| line.get(name)).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN)
        };
        let tolerance = if i == 0 { 2e-6 } else { 5e-6 };
        let name = |what: &str| format!("SFT {split} step {}: {what}", i + 1);
        let convention = "Σ −log p over the batch's targets ÷ their number; relative";
        checks.push(Check::relative(name("loss"), convention, number("loss"), expected.loss, tolerance));
        let convention = "global norm before clipping; relative";
        checks.push(Check::relative(name("grad norm"), convention, number("grad_norm"), expected.grad_norm, 1e-5));
    }
    Ok(checks)
}
