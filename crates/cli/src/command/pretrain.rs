//! `helpmate pretrain`.

use crate::context::Context;
use crate::error::CommandError;
use crate::training::{self, Drawing, TrainingArguments};
use crate::{interrupt, output};
use clap::Args;
use run::PretrainConfig;
use std::path::Path;

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
        let PretrainConfig { model, data, train, .. } = &config.config;
        let renderer = training::renderer(model.path.as_deref(), data.chat_template.as_deref())?;
        let command = train.score_command.clone();
        let score = command.map(|command| move |model: &Path| training::score(&command, model));
        interrupt::listen()?;
        training::prepare(&arguments.out)?;
        let mut drawing = Drawing::new();
        let score = score.as_ref().map(|score| score as &train::Score);
        let options = training::options(config, &arguments.out, arguments.resume, arguments.device(), &renderer, score);
        let outcome = train::pretrain::run(options, &mut |event: &train::Event| drawing.event(event));
        drawing.finish();
        let summary = training::conclude(outcome?, &arguments.out)?;
        output::path(&summary.model)
    }
}
