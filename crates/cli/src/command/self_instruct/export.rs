//! `helpmate self-instruct export`.

use super::report::read_tasks;
use crate::error::CommandError;
use crate::output::Output;
use clap::{Args, ValueEnum};
use instruct::export::wordings;
use serde_json::json;
use std::path::PathBuf;
use stdx::Seed;

/// Write tasks as rows to train on
///
/// `prompts` words each instance by one of the published templates at random (seven with an input, six without), half of
/// the time without the name of its only field; `alpaca` and `messages` leave the words as they are.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate self-instruct export --tasks data/seed_tasks.jsonl --to prompts --out demonstrations.jsonl"
)]
pub struct Export {
    /// Tasks in Self-Instruct's format
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    tasks: Vec<PathBuf>,
    /// Form of the rows
    #[arg(long, value_enum, default_value_t = Form::Prompts)]
    to: Form,
    /// Seed of templates and order
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Who wrote the tasks
    #[arg(long, value_name = "SOURCE", default_value = "model", value_parser = ["human", "model", "rule", "simulated"])]
    source: String,
    /// File to write; stdout when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// prompt and completion, in published wordings
    Prompts,
    /// instruction, input, output
    Alpaca,
    /// A user's message and the assistant's
    Messages,
}

impl Export {
    pub fn run(self) -> Result<(), CommandError> {
        let tasks = read_tasks(&self.tasks)?;
        let mut out = Output::open(self.out.as_deref())?;
        let mut n_rows = 0_usize;
        let source = &self.source;
        if let Form::Prompts = self.to {
            for wording in wordings(&tasks, Seed(self.seed)) {
                let use_case = if tasks[wording.task].is_classification { Some("classification") } else { None };
                let mut row = json!({"prompt": wording.prompt, "completion": wording.completion, "source": source});
                if let Some(use_case) = use_case {
                    row["use_case"] = json!(use_case);
                }
                out.row(&row)?;
                n_rows += 1;
            }
        } else {
            for (task, instance) in tasks.iter().flat_map(|task| task.instances.iter().map(move |i| (task, i))) {
                out.row(&match self.to {
                    Form::Alpaca => json!({"instruction": task.instruction, "input": instance.input,
                        "output": instance.output, "source": source}),
                    _ => {
                        let question = match instance.input.is_empty() {
                            true => task.instruction.clone(),
                            false => format!("{}\n\n{}", task.instruction, instance.input),
                        };
                        json!({"messages": [{"role": "user", "content": question},
                            {"role": "assistant", "content": instance.output}], "source": source})
                    }
                })?;
                n_rows += 1;
            }
        }
        out.finish()?;
        eprintln!("{n_rows} rows of {} tasks", tasks.len());
        Ok(())
    }
}
