//! `helpmate trace`.

mod judged;
mod runs;

use crate::error::CommandError;
use crate::output;
use clap::Args;
use judged::{Judged, is_row_name};
use runs::{Runs, Step};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Walk from a judgement to the runs that used it, and back
///
/// ID is the `id` of an exported row (a judgement), a run folder, or a data file. Of a judgement it tells what the database
/// knows, which of the runs' data files hold it, the runs that were trained on those, and the runs made of those. Of a
/// run it tells what it was made of, back to the base model and the judgements, and what was made of it.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate trace 3f0c9a81b2d4e567-17 --runs runs --db labels.db\n  helpmate trace runs/ppo"
)]
pub struct Trace {
    /// `id` of an exported row, a run folder or a data file
    id: String,
    /// Folder below which runs are looked for
    #[arg(long, value_name = "DIR", default_value = ".")]
    runs: PathBuf,
    /// Labeling database, to tell what it knows of the judgement
    #[arg(long, value_name = "DB")]
    db: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found, from the judgement on or from the run back.
#[derive(Serialize)]
struct Report {
    id: String,
    /// "judgement", "run" or "data".
    kind: &'static str,
    /// What the database knows of the judgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    judgement: Option<Judged>,
    /// Data files that hold it.
    files: Vec<PathBuf>,
    /// What a run was made of, back to the base.
    made_of: Vec<Step>,
    /// Runs that used it, and the runs made of those.
    used_by: Vec<Step>,
}

impl Trace {
    pub fn run(self) -> Result<(), CommandError> {
        let runs = Runs::below(&self.runs)?;
        let path = Path::new(&self.id);
        let report = if path.exists() { self.of_path(&runs, path)? } else { self.of_judgement(&runs)? };
        output::report(&report, self.json, describe)
    }

    fn of_judgement(&self, runs: &Runs) -> Result<Report, CommandError> {
        if !is_row_name(&self.id) {
            let message = format!("{}: no file, no run, and not the `id` of an exported row", self.id);
            return Err(CommandError::input(message).hint("such an `id` is 16 hexadecimal digits, `-`, and a number"));
        }
        let judgement = self.db.as_deref().map(|db| Judged::find(db, &self.id)).transpose()?;
        let files = runs.files_with(&self.id)?;
        if files.is_empty() && judgement.is_none() {
            let message =
                format!("{}: in no data file of the {} runs below {}", self.id, runs.len(), self.runs.display());
            return Err(CommandError::input(message).hint("--db asks the labeling database; --runs looks elsewhere"));
        }
        let used_by = runs.used_by_files(&files);
        Ok(Report { id: self.id.clone(), kind: "judgement", judgement, files, made_of: Vec::new(), used_by })
    }

    fn of_path(&self, runs: &Runs, path: &Path) -> Result<Report, CommandError> {
        let id = self.id.clone();
        if path.is_dir() {
            let made_of = runs.made_of(path)?;
            let used_by = runs.used_by_run(path);
            return Ok(Report { id, kind: "run", judgement: None, files: Vec::new(), made_of, used_by });
        }
        let used_by = runs.used_by_files(&[path.to_path_buf()]);
        Ok(Report { id, kind: "data", judgement: None, files: Vec::new(), made_of: Vec::new(), used_by })
    }
}

fn describe(report: &Report) -> String {
    let mut text = format!("{} {}\n", report.kind, report.id);
    if let Some(judgement) = &report.judgement {
        text += &judgement.describe();
    }
    for file in &report.files {
        text += &format!("  in {}\n", file.display());
    }
    for (title, steps, none) in
        [("made of", &report.made_of, ""), ("used by", &report.used_by, "used by no run that was found\n")]
    {
        if steps.is_empty() {
            text += none;
            continue;
        }
        text += &format!("{title}\n");
        for step in steps {
            text += &format!("{}{}\n", "  ".repeat(step.depth + 1), step.text());
        }
    }
    text
}
