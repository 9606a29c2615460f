//! `helpmate self-instruct parse`.

use super::input;
use crate::error::CommandError;
use crate::output::Output;
use clap::Args;
use instruct::instance;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use stdx::Seed;

/// Divide what a model wrote for each instruction into inputs and outputs
///
/// Rows have `instruction`, `raw_instances`, `is_classification` (output first) and `finish_reason` (with `length` the last
/// instance is dropped; also read where the published files have it). A row each comes out: `instruction`,
/// `is_classification`, `instances` (`input`, `output`), and how many were `invalid` or `duplicate`; all go where one
/// input has two outputs (`contradicts`).
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate self-instruct parse --data raw_instances.jsonl --out tasks.jsonl")]
pub struct Parse {
    /// What a model wrote
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Keep at most N instances a task, at random (the paper: 5); all when absent
    #[arg(long, value_name = "N")]
    max_instances: Option<usize>,
    /// Leave out tasks without instances
    #[arg(long)]
    only_complete: bool,
    /// Seed of the choice
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// File to write; stdout when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Parse {
    pub fn run(self) -> Result<(), CommandError> {
        let mut out = Output::open(self.out.as_deref())?;
        let (mut n_tasks, mut n_complete, mut n_instances) = (0_usize, 0_usize, 0_usize);
        for path in &self.data {
            for row in input::rows(path)? {
                let instruction = input::text(path, &row, &["instruction"])?;
                let answer = input::text(path, &row, &["raw_instances"])?;
                let is_classification = is_classification(path, &row)?;
                let mut parsed = instance::parse(answer, is_classification, is_cut(&row.1));
                if let Some(n) = self.max_instances {
                    instance::sample(
                        &mut parsed.instances,
                        n,
                        &mut Seed(self.seed).stream("instances", n_tasks as u64),
                    );
                }
                n_tasks += 1;
                n_complete += usize::from(!parsed.instances.is_empty());
                n_instances += parsed.instances.len();
                if !(self.only_complete && parsed.instances.is_empty()) {
                    out.row(&json!({"instruction": instruction.trim(), "is_classification": is_classification,
                        "instances": parsed.instances, "invalid": parsed.n_invalid, "duplicate": parsed.n_duplicate,
                        "contradicts": parsed.contradicts}))?;
                }
            }
        }
        out.finish()?;
        eprintln!("{n_complete} of {n_tasks} tasks have instances, {n_instances} together");
        Ok(())
    }
}

/// A truth value, or the published files' answer to the question.
fn is_classification(path: &Path, (line, row): &(usize, Value)) -> Result<bool, CommandError> {
    match row.get("is_classification") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(is)) => Ok(*is),
        Some(Value::String(answer)) => Ok(instruct::recipe::says_yes(answer)),
        Some(other) => Err(CommandError::input(format!(
            "{}:{line}: is_classification: found {other}, expected true, false or an answer",
            path.display()
        ))),
    }
}

fn is_cut(row: &Value) -> bool {
    let published = &row["instance_metadata"]["response"]["choices"][0]["finish_reason"];
    let reason = row.get("finish_reason").unwrap_or(published);
    reason == "length"
}
