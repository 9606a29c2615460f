//! Pairs of answers: what an optimizer step of `dpo` costs.
use crate::measure::{ADAM, Sharing, ids, median, options, peak_memory};
use crate::shapes;
use kernels::Device;
use kernels::linear::Precision;
use model::{Derivatives, Noise, Optimizer, Request, Target, Trainable, TreeBatch, Workspace};
use serde_json::{Value, json};
use std::time::Instant;

/// Pairs a second of DPO: forward, loss, backward and AdamW, the reference's log-probabilities being cached.
pub fn dpo(device: &Device, precision: Precision, how: Sharing, pairs: usize, prompt: usize, answer: usize) -> Value {
    let mut model = shapes::random(device, shapes::smollm2_135m(), &options(precision, Trainable::Everything, false));
    let vocabulary = model.config().vocab_size;
    let mut batch = TreeBatch::default();
    let mut targets: Vec<Target> = Vec::new();
    for pair in 0..pairs as u64 {
        let question = ids(prompt, 3 * pair, vocabulary);
        let root = (how == Sharing::Shared).then(|| batch.push_root(&question));
        for side in [1, 2] {
            let answer_ids = ids(answer, 3 * pair + side, vocabulary);
            match root {
                Some(root) => {
                    let segment = batch.push_branch(root, &answer_ids);
                    targets.extend((0..answer).filter_map(|i| batch.target(segment, i)));
                }
                None => {
                    let segment = batch.push_root(&[&question[..], &answer_ids].concat());
                    targets.extend((prompt..prompt + answer).filter_map(|i| batch.target(segment, i)));
                }
            }
        }
    }
    let n_targets = targets.len();
    let request = Request::log_probs(targets);
    let (mut optimizer, mut gradients, mut workspace) =
        (Optimizer::new(&model, ADAM), model.new_gradients(), Workspace::default());
    let mut step = || {
        let started = Instant::now();
        gradients.zero(device);
        let outputs = model.forward_for_training(&batch, &request, Noise::default(), &mut workspace);
        assert_eq!(outputs.log_probs.len(), n_targets);
        // As the sigmoid loss at the reference: β/2 down for each token of the chosen, up for the rejected.
        let slope = |i: usize| if (i / answer).is_multiple_of(2) { -0.05 } else { 0.05 } / pairs as f32;
        let derivatives = Derivatives { log_probs: (0..n_targets).map(slope).collect(), ..Derivatives::default() };
        model.backward(&batch, &request, &derivatives, &mut workspace, &mut gradients);
        let norm = gradients.sum_of_squares(device).sqrt();
        optimizer.step(&mut model, &gradients, 1e-5, (1.0 / norm.max(1.0)) as f32);
        started.elapsed().as_secs_f64()
    };
    step();
    let seconds = median((0..3).map(|_| step()).collect());
    json!({"pairs_per_second": pairs as f64 / seconds, "step_s": seconds, "tokens_computed": batch.len(), "peak_bytes": peak_memory()})
}
