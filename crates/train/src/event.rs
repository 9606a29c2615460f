//! What a loop says while it runs. The command line draws it; the run directory has its own record.
use crate::data::DataReport;
use crate::evaluation::Evaluation;
use model::memory::MemoryPlan;
use std::path::PathBuf;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Something that is no error but that a person should know.
    Notice(String),
    /// The rows were read and rendered.
    Data(DataReport),
    /// What will be needed in memory, and what is there.
    Memory {
        /// The model's plan.
        plan: MemoryPlan,
        /// The moving average, when there is one.
        average: u64,
        /// Bytes that can still be had; the weights are loaded already.
        available: Option<u64>,
    },
    /// What a stage holds beside the model in training.
    MemoryBeside {
        /// Bytes by what they are for.
        parts: Vec<(String, u64)>,
        /// With the model's plan and average.
        total: u64,
        /// Bytes that can still be had; the model's and the reward models' weights are loaded already.
        available: Option<u64>,
    },
    /// Training begins, or goes on.
    Started {
        /// Steps done before.
        step: u64,
        /// Steps planned.
        steps: u64,
        /// All parameters.
        parameters: usize,
        /// Those that train.
        trainable: usize,
        /// "bf16" or "f32".
        precision: &'static str,
    },
    /// An optimizer step was done.
    Step(Progress),
    /// The held-out rows are about to be judged, which may take longer than a step.
    Evaluating {
        /// Steps done before.
        step: u64,
    },
    /// The held-out loss was computed.
    Evaluated(Evaluation),
    /// A checkpoint stands.
    Saved {
        /// Its step.
        step: u64,
        /// Its folder.
        path: PathBuf,
    },
}

/// The numbers of an optimizer step; the same as a line of `metrics.jsonl`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Steps done, this one included.
    pub step: u64,
    /// Steps planned.
    pub steps: u64,
    /// Passes over the data so far.
    pub epoch: f64,
    /// Mean −log p over the targets of the optimizer batch, nats.
    pub loss: f64,
    /// Norm of its gradient before clipping.
    pub grad_norm: f64,
    /// Learning rate of the step.
    pub lr: f64,
    /// Tokens run through the model since the run began.
    pub tokens: u64,
    /// Targets of this batch.
    pub target_tokens: u64,
    /// Tokens of this batch ÷ seconds of this step.
    pub tokens_per_second: f64,
    /// Seconds in optimizer steps since the run began.
    pub seconds: f64,
    /// Seconds left, from the mean of this process's steps.
    pub eta_seconds: f64,
    /// Held-out loss after this step, when it was computed.
    pub held_out_loss: Option<f64>,
    /// Numbers of the stage itself, by their names in `metrics.jsonl`.
    pub own: Vec<(&'static str, f64)>,
}

/// Takes events. Any closure over `&Event` is one.
pub trait Sink {
    /// Takes one.
    fn event(&mut self, event: &Event);
}

impl<F: FnMut(&Event)> Sink for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}
