//! `helpmate runs`.

mod watch;

use crate::error::{CommandError, of_file};
use crate::{output, table};
use clap::Args;
use run::Lineage;
use serde::Serialize;
use std::fs::File;
use std::path::{Path, PathBuf};

/// List the runs in a folder, with how far each came
///
/// With --watch, the curves of one run while it trains, drawn anew every second: loss, held-out loss, reward, KL and what
/// else its stage measures, with the time left. It ends when the run does, or with Ctrl-C, which leaves the run alone.
/// Where stdout is no terminal it prints a line a step instead.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate runs runs/\n  helpmate runs --watch runs/ppo")]
pub struct Runs {
    /// A folder of run folders, or one run folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Show one run's curves while it trains
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct RunState {
    path: String,
    stage: String,
    /// `done`, `running`, `stopped`, or `damaged`.
    state: &'static str,
    step: Option<u64>,
    loss: Option<f64>,
    checkpoints: usize,
    started: String,
    parent: String,
    note: String,
}

impl Runs {
    pub fn run(self) -> Result<(), CommandError> {
        if self.watch {
            return watch::watch(&self.folder);
        }
        let runs: Vec<RunState> = self.find()?.iter().map(|path| look_at(path)).collect();
        if runs.is_empty() && !self.json {
            eprintln!(
                "no runs in {}; `helpmate sft --out {}/NAME …` makes one",
                self.folder.display(),
                self.folder.display()
            );
        }
        output::report(&runs, self.json, |runs| if runs.is_empty() { String::new() } else { describe(runs) })
    }

    fn find(&self) -> Result<Vec<PathBuf>, CommandError> {
        if is_run(&self.folder) {
            return Ok(vec![self.folder.clone()]);
        }
        let entries = std::fs::read_dir(&self.folder).map_err(of_file(&self.folder))?;
        let mut runs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| is_run(path)).collect();
        runs.sort();
        Ok(runs)
    }
}

fn is_run(path: &Path) -> bool {
    path.join("config.toml").is_file() && path.join("lineage.json").is_file()
}

fn look_at(path: &Path) -> RunState {
    let lineage = run::folder::read_json::<Lineage>(&path.join("lineage.json")).ok();
    let last = run::metrics::read_lines(&path.join("metrics.jsonl")).ok().and_then(|mut lines| lines.pop());
    let number = |name: &str| last.as_ref().and_then(|line| line.get(name)).and_then(serde_json::Value::as_f64);
    let checkpoints = std::fs::read_dir(path.join("checkpoints")).into_iter().flatten().flatten();
    let state = if lineage.is_none() { "damaged" } else { state(path) };
    let of_lineage = |get: fn(&Lineage) -> String| lineage.as_ref().map(get).unwrap_or_default();
    RunState {
        path: path.display().to_string(),
        stage: of_lineage(|lineage| lineage.stage.clone()),
        state,
        step: number("step").map(|step| step as u64),
        loss: number("loss"),
        checkpoints: checkpoints.filter(|entry| entry.file_name().to_string_lossy().starts_with("step-")).count(),
        started: of_lineage(|lineage| lineage.started.clone()),
        parent: of_lineage(|lineage| lineage.parent.path.display().to_string()),
        note: of_lineage(|lineage| lineage.source.note.clone()),
    }
}

/// How a run stands that is one.
fn state(path: &Path) -> &'static str {
    match () {
        () if is_locked(path) => "running",
        () if path.join("final/config.json").is_file() => "done",
        () => "stopped",
    }
}

/// Whether a process holds the run's lock.
fn is_locked(path: &Path) -> bool {
    File::open(path.join(".lock")).is_ok_and(|file| file.try_lock().is_err())
}

fn describe(runs: &[RunState]) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or("-".to_string());
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            vec![
                run.path.clone(),
                run.stage.clone(),
                run.state.to_string(),
                or_dash(run.step.map(|step| step.to_string())),
                or_dash(run.loss.map(|loss| format!("{loss:.4}"))),
                run.started.clone(),
                if run.note.is_empty() { run.parent.clone() } else { format!("{} ({})", run.parent, run.note) },
            ]
        })
        .collect();
    table::render(&["run", "stage", "state", "step", "loss", "started", "from"], &rows)
}
