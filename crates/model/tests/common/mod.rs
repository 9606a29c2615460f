//! What the model tests share: fixtures, a loss, finite differences.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]
use kernels::Device;
use kernels::linear::Precision;
use model::{Derivatives, LoadOptions, Model, Outputs, Request, Target, Trainable, TreeBatch, Workspace};
use std::path::PathBuf;

pub const FAMILIES: [&str; 7] = ["llama", "mistral", "qwen2", "qwen3", "gpt2", "gpt_neox", "gpt_neox_sequential"];

pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/families").join(name)
}

pub fn options(precision: Precision, trainable: Trainable) -> LoadOptions {
    LoadOptions { precision, trainable, scalar_head: false }
}

pub fn load(name: &str, options: &LoadOptions) -> Model {
    Model::load(&Device::detect(Some(2)), &fixture(name), options).unwrap()
}

/// A stream of pseudo-random numbers in [-1, 1), enough for test weights.
pub fn numbers(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// Every target of a batch of plain sequences or trees.
pub fn all_targets(batch: &TreeBatch) -> Vec<Target> {
    let segments = batch.segments().iter().enumerate();
    segments.flat_map(|(s, segment)| (0..segment.length).filter_map(move |i| batch.target(s, i))).collect()
}

/// Σ c·output over everything the model said, in f64.
pub fn weighted(outputs: &Outputs, weights: &Derivatives) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(&outputs.log_probs, &weights.log_probs)
        + dot(&outputs.entropies, &weights.entropies)
        + dot(&outputs.scalars, &weights.scalars)
}

pub fn random_weights(request: &Request, seed: u64) -> Derivatives {
    let mut next = numbers(seed);
    let mut some = |n: usize| (0..n).map(|_| next()).collect::<Vec<f32>>();
    Derivatives {
        log_probs: some(request.targets.len()),
        entropies: some(if request.entropy { request.targets.len() } else { 0 }),
        scalars: some(request.scalars.len()),
    }
}

/// The gradient by explicit backward.
pub fn gradient(
    model: &Model,
    batch: &TreeBatch,
    request: &Request,
    weights: &Derivatives,
    noise: model::Noise,
    checkpoint: bool,
) -> Vec<f32> {
    let mut workspace = Workspace::default();
    workspace.checkpoint_activations = checkpoint;
    let mut gradients = model.new_gradients();
    model.forward_for_training(batch, request, noise, &mut workspace);
    model.backward(batch, request, weights, &mut workspace, &mut gradients);
    gradients.as_slice().to_vec()
}

/// Compares the gradient with central differences along random directions (f32 forward, so a coarse step).
pub fn check_finite_differences(
    model: &mut Model,
    batch: &TreeBatch,
    request: &Request,
    noise: model::Noise,
    tolerance: f64,
) {
    let weights = random_weights(request, 5);
    let analytic = gradient(model, batch, request, &weights, noise, false);
    let start = model.trainable().to_vec();
    let mut workspace = Workspace::default();
    for direction_seed in 0..6 {
        let mut next = numbers(100 + direction_seed);
        let direction: Vec<f32> = (0..start.len()).map(|_| next()).collect();
        let length = direction.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
        let step = 1e-2 / length;
        let mut value = |sign: f64| {
            let moved: Vec<f32> = start
                .iter()
                .zip(&direction)
                .map(|(p, d)| (f64::from(*p) + sign * step * f64::from(*d)) as f32)
                .collect();
            model.set_trainable(&moved);
            weighted(&model.forward_for_training(batch, request, noise, &mut workspace), &weights)
        };
        let slope = (value(1.0) - value(-1.0)) / (2.0 * step * length);
        let predicted =
            analytic.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum::<f64>() / length;
        let scale = analytic.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt() / (start.len() as f64).sqrt();
        assert!(
            (slope - predicted).abs() < tolerance * (scale + predicted.abs()),
            "slope {slope}, gradient {predicted}, scale {scale}"
        );
    }
    model.set_trainable(&start);
}

pub fn assert_close(what: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{what}: lengths");
    let scale = expected.iter().fold(1e-3f32, |m, x| m.max(x.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance * scale, "{what}[{i}]: got {g}, expected {e} (scale {scale})");
    }
}
