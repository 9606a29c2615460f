//! What a stage is handed, and what it hands back.
use crate::data::DataReport;
use crate::evaluation::Evaluation;
use kernels::Device;
use render::Renderer;
use run::{Resolved, SourceNote};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Scores a model folder, more is better; an error is a sentence.
pub type Score<'a> = dyn Fn(&Path) -> Result<f64, String> + 'a;

/// Everything a stage needs from outside.
pub struct Options<'a, C> {
    /// The config, `model.path` a local model folder or GGUF file.
    pub config: Resolved<C>,
    /// The run directory.
    pub out: PathBuf,
    /// Continue the run that stands there. The config should then have been resolved over the run's own
    /// ([`run::Layers::saved`]), so that only what is given anew can differ.
    pub resume: bool,
    /// What computes.
    pub device: Device,
    /// The model's tokenizer and chat template (`data.chat_template` when one is given).
    pub renderer: &'a Renderer,
    /// What is known about the model's origin; `None`: what stands in its folder.
    pub source: Option<SourceNote>,
    /// Set from outside (a signal handler): stop after a checkpoint.
    pub stop: &'a AtomicBool,
    /// For `train.choose = "score"`: runs `train.score_command`.
    pub score: Option<&'a Score<'a>>,
    /// For the lineage.
    pub program: Program,
}

/// What is running, for the lineage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Version.
    pub version: String,
    /// Command line.
    pub command_line: Vec<String>,
    /// Git revision, see [`run::lineage::git_revision`].
    pub git_revision: Option<String>,
}

/// How a stage ended, when nothing was wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All steps were done and `final/` stands.
    Finished(Box<Summary>),
    /// Stopped from outside; `--resume` continues (exit code 130).
    Interrupted {
        /// Steps done.
        step: u64,
        /// Steps planned.
        steps: u64,
        /// The checkpoint, unless no step was done.
        checkpoint: Option<PathBuf>,
    },
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// `final/`.
    pub model: PathBuf,
    /// Steps done.
    pub steps: u64,
    /// The step whose weights became `final/`.
    pub chosen_step: u64,
    /// Held-out loss before the first step.
    pub before: Option<Evaluation>,
    /// Held-out loss of what became `final/`.
    pub after: Option<Evaluation>,
    /// Tokens run through the model in training, resumed parts included.
    pub tokens: u64,
    /// Seconds in optimizer steps, resumed parts included.
    pub seconds: f64,
    /// What the data was.
    pub data: DataReport,
}
