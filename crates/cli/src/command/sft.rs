//! `helpmate sft`.

use crate::context::Context;
use crate::error::CommandError;
use crate::output;
use crate::training::{self, TrainingArguments};
use clap::Args;
use run::SftConfig;
use std::path::PathBuf;

/// Fine-tune a model on demonstrations
///
/// Rows are {"prompt", "completion"} or {"messages"}; loss is on the completion's (the assistant's) tokens. Writes a
/// run folder whose final/ is the new model, and prints its path. The memory plan is printed before the start. Ctrl-C
/// writes a checkpoint and exits with 130; --resume goes on from there.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate sft --model default --data data/demonstrations.jsonl --out runs/sft --epochs 2 --set data.eval_fraction=0.1"
)]
pub struct Sft {
    #[command(flatten)]
    training: TrainingArguments,
    /// Text to go on learning from beside them (sft.ptx), rows {"text"}
    #[arg(long, value_name = "FILE", num_args = 1..)]
    ptx: Vec<PathBuf>,
}

impl Sft {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let arguments = &self.training;
        let mut layers = arguments.layers::<SftConfig>(context)?;
        if !self.ptx.is_empty() {
            let files: Vec<String> = self.ptx.iter().map(|path| path.to_string_lossy().into_owned()).collect();
            layers = layers.option::<SftConfig>("--ptx", "sft.ptx", files)?;
        }
        let config = layers.resolve()?;
        let summary = training::run(config, arguments, train::sft::run)?;
        output::path(&summary.model)
    }
}
