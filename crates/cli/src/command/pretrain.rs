//! `helpmate pretrain`.

use crate::context::Context;
use crate::error::CommandError;
use crate::output;
use crate::training::{self, TrainingArguments};
use clap::Args;
use run::PretrainConfig;

/// Train a model on running text
///
/// Rows are {"text"}, or plain text files; every token is learnt, EOS stands between documents. Writes a run folder
/// whose final/ is the new model, and prints its path. The memory plan is printed before the start. Ctrl-C writes a
/// checkpoint and exits with 130; --resume goes on from there.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate pretrain --model default --data data/plain.txt --out runs/plain --max-steps 20"
)]
pub struct Pretrain {
    #[command(flatten)]
    training: TrainingArguments,
}

impl Pretrain {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let arguments = &self.training;
        let config = arguments.resolve::<PretrainConfig>(context)?;
        let summary = training::run(config, arguments, train::pretrain::run)?;
        output::path(&summary.model)
    }
}
