//! `helpmate self-instruct report`.

use super::input;
use crate::error::CommandError;
use crate::output;
use clap::Args;
use instruct::report::{Report as Contents, Spread, TaskRow};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Describe tasks: how varied, how long, how near to the seeds, and how people rated them
///
/// Verbs and objects are found by a rule, not by a parser. `--audit` counts the ratings (A to D, as in the paper) that
/// people filled into the sample of a run.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate self-instruct report --tasks data/seed_tasks.jsonl")]
pub struct Report {
    /// Tasks in Self-Instruct's format
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    tasks: Vec<PathBuf>,
    /// Instructions the tasks may be too near to
    #[arg(long, value_name = "FILE", num_args = 1..)]
    seeds: Vec<PathBuf>,
    /// A sample that people rated
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Let letters of every script be words
    #[arg(long)]
    unicode: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Report {
    pub fn run(self) -> Result<(), CommandError> {
        let tasks = read_tasks(&self.tasks)?;
        let mut seeds = Vec::new();
        for path in &self.seeds {
            for row in input::rows(path)? {
                seeds.push(input::text(path, &row, &["instruction"])?.to_owned());
            }
        }
        let contents = Contents::of(&tasks, &seeds, input::words(self.unicode));
        let audit = self.audit.as_deref().map(ratings).transpose()?;
        let mut value = json!(contents);
        if let Some(audit) = &audit {
            value["audit"] = json!(audit);
        }
        output::report(&value, self.json, |_| text(&contents, audit.as_ref()))
    }
}

/// Tasks of files; every row must be one.
pub fn read_tasks(paths: &[PathBuf]) -> Result<Vec<TaskRow>, CommandError> {
    let mut tasks = Vec::new();
    for path in paths {
        for (line, row) in input::rows(path)? {
            tasks.push(serde_json::from_value(row).map_err(|error| {
                CommandError::input(format!(
                    "{}:{line}: {error}; expected a task: instruction and instances [{{input, output}}, …]",
                    path.display()
                ))
            })?);
        }
    }
    Ok(tasks)
}

/// How often each rating was given, and how often each question was answered with yes.
fn ratings(path: &Path) -> Result<BTreeMap<String, usize>, CommandError> {
    let mut counts = BTreeMap::new();
    for (line, row) in input::rows(path)? {
        for question in ["valid_instruction", "valid_input", "valid_output"] {
            if let Some(Value::Bool(answer)) = row.get(question) {
                *counts.entry(format!("{question} {}", if *answer { "yes" } else { "no" })).or_default() += 1;
            }
        }
        match row.get("rating") {
            None | Some(Value::Null) => *counts.entry("not rated".to_owned()).or_default() += 1,
            Some(Value::String(rating)) if matches!(&rating[..], "A" | "B" | "C" | "D") => {
                *counts.entry(format!("rating {rating}")).or_default() += 1;
            }
            Some(other) => {
                let path = path.display();
                return Err(CommandError::input(format!(
                    "{path}:{line}: rating: found {other}, expected A, B, C or D"
                )));
            }
        }
    }
    Ok(counts)
}

fn text(contents: &Contents, audit: Option<&BTreeMap<String, usize>>) -> String {
    let spread = |name: &str, Spread { mean, min, q1, median, q3, max }: &Spread| {
        format!("{name:<20} mean {mean:.2}, quartiles {min:.2} {q1:.2} {median:.2} {q3:.2} {max:.2}\n")
    };
    let mut text = format!(
        "{} tasks ({} classification), {} instances ({} without input)\n",
        contents.tasks, contents.classification, contents.instances, contents.without_input
    );
    text.push_str(&spread("words, instruction", &contents.instruction_words));
    text.push_str(&spread("words, input", &contents.input_words));
    text.push_str(&spread("words, output", &contents.output_words));
    if let Some(nearest) = &contents.nearest_seed {
        text.push_str(&spread("ROUGE-L, nearest", nearest));
    }
    text.push_str(&format!("{} verbs, {} pairs of verb and object\n", contents.verbs, contents.verb_objects));
    for verb in &contents.top {
        let objects: Vec<String> = verb.objects.iter().map(|(object, n)| format!("{object} {n}")).collect();
        text.push_str(&format!("  {:<14} {:>4}   {}\n", verb.verb, verb.count, objects.join(", ")));
    }
    for (name, n) in audit.into_iter().flatten() {
        text.push_str(&format!("{name}: {n}\n"));
    }
    text
}
