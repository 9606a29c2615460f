//! `helpmate rm`.

use crate::context::Context;
use crate::error::CommandError;
use crate::output;
use crate::training::{self, TrainingArguments, text};
use clap::Args;
use run::RmConfig;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Train a reward model on rankings and preferences
///
/// Rows are {"prompt", "completions": [{"text", "rank"}, …]} or {"prompt", "chosen", "rejected"}. A prompt is run once
/// for all its completions; --batch-size counts prompts. With --demonstrations a bias makes their mean reward 0.
/// Writes a run folder whose final/ is the reward model, prints its path, and its accuracy beside "the longer answer
/// wins"; accuracy.json has it by margin, length and labeler group. Ctrl-C writes a checkpoint and exits with 130;
/// --resume goes on from there.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate rm --model runs/sft --data data/rankings.jsonl --demonstrations data/demonstrations.jsonl --out runs/rm --set data.eval_fraction=0.2"
)]
pub struct Rm {
    #[command(flatten)]
    training: TrainingArguments,
    /// Demonstrations whose mean reward becomes 0 (rm.demonstrations)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    demonstrations: Vec<PathBuf>,
}

impl Rm {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let arguments = &self.training;
        let mut layers = arguments.layers::<RmConfig>(context)?;
        if !self.demonstrations.is_empty() {
            let paths: Vec<String> = self.demonstrations.iter().map(|path| text(path)).collect();
            layers = layers.option::<RmConfig>("--demonstrations", "rm.demonstrations", paths)?;
        }
        let config = layers.resolve::<RmConfig>()?;
        let summary = training::run(config, arguments, train::reward::run)?;
        tell_accuracy(&arguments.out.join("accuracy.json"));
        output::path(&summary.model)
    }
}

/// The accuracy beside the baselines that need no model.
fn tell_accuracy(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let report: Value = serde_json::from_str(&text).unwrap_or_default();
    let rows = if report["held_out"] == true { "held-out" } else { "training" };
    eprintln!("on {} untied pairs of {} {rows} prompts:", report["pairs"], report["prompts"]);
    for (name, key) in [
        ("accuracy", "accuracy"),
        ("more characters wins", "length_baseline"),
        ("more tokens wins", "length_baseline_tokens"),
    ] {
        eprintln!("  {name:<22}{}", share(&report[key]));
    }
}

/// A share with its interval over prompts.
fn share(estimate: &Value) -> String {
    let percent = |key: &str| estimate[key].as_f64().map(|share| format!("{:.1}", 100.0 * share));
    match (percent("estimate"), percent("low"), percent("high")) {
        (Some(value), Some(low), Some(high)) => {
            format!("{value} % [{low}, {high}] (95 %, n = {})", estimate["prompts"])
        }
        (Some(value), ..) => format!("{value} % (one prompt: no interval)"),
        _ => "no pairs".to_owned(),
    }
}
