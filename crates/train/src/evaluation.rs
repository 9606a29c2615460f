//! The held-out loss.
use crate::packing::{Example, micro_batches, sum_log_probs};
use model::{Model, Workspace};
use serde::{Deserialize, Serialize};

/// A held-out loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Optimizer steps done before it.
    pub step: u64,
    /// Mean −log p over all held-out targets, nats: a token counts once, however its row is long.
    pub held_out_loss: f64,
    /// How many targets.
    pub held_out_tokens: u64,
}

/// Σ −log p over all targets ÷ their number, nothing dropped out.
pub fn held_out_loss(
    model: &Model,
    rows: &[Example],
    budget: Option<usize>,
    step: u64,
    workspace: &mut Workspace,
) -> Evaluation {
    let mut sum = 0.0;
    let mut n_targets = 0;
    for micro in micro_batches(rows, budget) {
        sum -= sum_log_probs(&model.forward(&micro.batch, &micro.request, workspace));
        n_targets += micro.request.targets.len() as u64;
    }
    Evaluation { step, held_out_loss: sum / n_targets as f64, held_out_tokens: n_targets }
}
