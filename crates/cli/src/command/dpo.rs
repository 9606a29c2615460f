//! `helpmate dpo`.

use crate::context::Context;
use crate::error::CommandError;
use crate::loading;
use crate::output::{self, Output};
use crate::training::{self, Drawing, TrainingArguments, text};
use clap::Args;
use run::DpoConfig;

/// Train a model on preferences directly, against a reference
///
/// Rows are {"prompt", "chosen", "rejected"} or rankings. The loss is dpo.loss: sigmoid (DPO), robust, hinge, ipo, simpo,
/// orpo, cpo, kto, or plackett_luce over whole rankings; docs/objectives.md has their formulas. The reference's
/// log-probabilities are computed once and kept by content. Writes a run folder whose final/ is the new model, and
/// prints its path. Ctrl-C writes a checkpoint and exits with 130; --resume goes on from there.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate dpo --model runs/sft --data data/rankings.jsonl --out runs/dpo --set dpo.beta=0.1 --set data.eval_fraction=0.2"
)]
pub struct Dpo {
    #[command(flatten)]
    training: TrainingArguments,
    /// Reference model; the model itself, as it is before training, when absent (dpo.reference)
    #[arg(long, value_name = "M")]
    reference: Option<String>,
    /// Train nothing: print the loss's formula, and for each pair what it says, as JSON rows
    #[arg(long)]
    explain: bool,
}

impl Dpo {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let arguments = &self.training;
        let mut layers = arguments.layers::<DpoConfig>(context)?;
        if let Some(reference) = &self.reference {
            let path = loading::resolve(context, reference)?;
            layers = layers.option::<DpoConfig>("--reference", "dpo.reference", text(&path))?;
        }
        let config = layers.resolve::<DpoConfig>()?;
        let cache = context.cache.root().join("reference-logprobs");
        if self.explain {
            let DpoConfig { model, data, .. } = &config.config;
            let renderer = training::renderer(model.path.as_deref(), data.chat_template.as_deref())?;
            let options =
                training::options(config, &arguments.out, arguments.resume, arguments.device(), &renderer, None);
            let mut drawing = Drawing::new();
            let explained =
                train::preference::explain(options, Some(&cache), &mut |event: &train::Event| drawing.event(event));
            drawing.finish();
            return print(&explained?);
        }
        let stage = |options: train::Options<'_, DpoConfig>, sink: &mut dyn train::Sink| {
            train::preference::run(options, Some(&cache), sink)
        };
        let summary = training::run(config, arguments, stage)?;
        output::path(&summary.model)
    }
}

/// Formula and options on stderr, a row a pair on stdout.
fn print(explanation: &train::preference::Explanation) -> Result<(), CommandError> {
    eprintln!("{}: {}\n  {}", explanation.loss, explanation.formula, explanation.source);
    for (name, value) in &explanation.options {
        eprintln!("  {name} = {value}");
    }
    let mut out = Output::open(None)?;
    for pair in &explanation.pairs {
        out.row(pair)?;
    }
    out.finish()
}
