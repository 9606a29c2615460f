//! The held-out loss.
use crate::TrainError;
use crate::data::{Data, DataReport};
use crate::packing::{Example, micro_batches, sum_log_probs};
use crate::readout::ReadoutToken;
use model::{Model, Workspace};
use run::lineage::Hashed;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};

/// A held-out loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Optimizer steps done before it.
    pub step: u64,
    /// Mean −log p over all held-out targets, nats: a token counts once, however its row is long.
    pub held_out_loss: f64,
    /// How many targets.
    pub held_out_tokens: u64,
    /// Share of held-out pairs ordered right, where a stage learns from preferences; held_out_loss is then its own loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
}

/// What came of judging a model by the held-out rows.
pub enum HeldOut {
    /// Their loss.
    Loss(Evaluation),
    /// There is none to be had of these rows.
    None,
    /// Somebody outside asked to stop before the last of them.
    Stopped,
}

impl HeldOut {
    /// The loss, where there is one.
    pub fn loss(&self) -> Option<f64> {
        match self {
            HeldOut::Loss(evaluation) => Some(evaluation.held_out_loss),
            HeldOut::None | HeldOut::Stopped => None,
        }
    }
}

/// How a model is judged.
pub struct Judging<'a> {
    /// Optimizer steps done before.
    pub step: u64,
    /// Most tokens in a micro-batch; `None`: a row at a time.
    pub budget: Option<usize>,
    /// Whether somebody outside asked to stop, which is asked before each micro-batch.
    pub stop: &'a AtomicBool,
}

impl Judging<'_> {
    /// Whether to give up.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What a session must know about the rows that it learns from.
pub trait Material {
    /// Rows of the training part, which batches are made of.
    fn n_rows(&self) -> usize;
    /// Tokens of the largest row, held-out ones included.
    fn largest(&self) -> usize;
    /// Counts.
    fn report(&self) -> &DataReport;
    /// Everything that was read to train, by content.
    fn files(&self) -> Vec<Hashed>;
    /// Held-out files.
    fn held_out_files(&self) -> Vec<Hashed>;
    /// Whether the model must have a scalar head.
    fn scalar_head(&self) -> bool {
        false
    }
    /// The token that scalars are read at, where it is one of its own.
    fn readout(&self) -> Option<ReadoutToken> {
        None
    }
    /// Held-out rows whose prompts are answered at each evaluation (`samples.jsonl`).
    fn asked(&self) -> &[Example] {
        &[]
    }
    /// The held-out loss of a model.
    fn evaluate(&self, model: &Model, how: &Judging, workspace: &mut Workspace) -> Result<HeldOut, TrainError>;
}

impl Material for Data<Example> {
    fn n_rows(&self) -> usize {
        self.train.len()
    }
    fn largest(&self) -> usize {
        self.train.iter().chain(&self.held_out).map(Example::n_tokens).max().unwrap_or(0)
    }
    fn report(&self) -> &DataReport {
        &self.report
    }
    fn files(&self) -> Vec<Hashed> {
        self.files.clone()
    }
    fn held_out_files(&self) -> Vec<Hashed> {
        self.held_out_files.clone()
    }
    fn asked(&self) -> &[Example] {
        &self.held_out
    }
    /// Σ −log p over all targets ÷ their number, nothing dropped out.
    fn evaluate(&self, model: &Model, how: &Judging, workspace: &mut Workspace) -> Result<HeldOut, TrainError> {
        if self.held_out.is_empty() {
            return Ok(HeldOut::None);
        }
        let (mut sum, mut n_targets) = (0.0, 0);
        for micro in micro_batches(&self.held_out, how.budget) {
            if how.is_stopped() {
                return Ok(HeldOut::Stopped);
            }
            sum -= sum_log_probs(&model.forward(&micro.batch, &micro.request, workspace));
            n_targets += micro.request.targets.len() as u64;
        }
        let held_out_loss = sum / n_targets as f64;
        Ok(HeldOut::Loss(Evaluation { step: how.step, held_out_loss, held_out_tokens: n_targets, accuracy: None }))
    }
}
