//! The runs below a folder and how they hang together: by the files and folders that each was made of.

use super::judged::names;
use crate::error::{CommandError, of_file};
use run::Lineage;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Levels below the folder that are looked at.
const LEVELS: usize = 5;

/// Runs with what each was made of.
pub struct Runs {
    all: Vec<Run>,
}

struct Run {
    folder: PathBuf,
    lineage: Lineage,
    /// Files and folders that its config names: reward models, references.
    named: Vec<PathBuf>,
}

/// A step of the walk.
#[derive(Clone, Serialize)]
pub struct Step {
    /// How far from where the walk began.
    pub depth: usize,
    /// "run", "model" or "data".
    kind: &'static str,
    path: PathBuf,
    /// The stage of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    /// Rows of a data file that carry the `id` of a judgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    judgements: Option<usize>,
    /// Where it came from, or what has become of it.
    note: String,
}

impl Step {
    /// A line for people.
    pub fn text(&self) -> String {
        let mut text = format!("{} {}", self.kind, self.path.display());
        if let Some(stage) = &self.stage {
            text += &format!(" ({stage})");
        }
        if let Some(n) = self.judgements.filter(|n| *n > 0) {
            text += &format!(", {n} rows with a judgement's id");
        }
        if !self.note.is_empty() {
            text += &format!(": {}", self.note);
        }
        text
    }
}

impl Runs {
    /// Every run below a folder.
    pub fn below(folder: &Path) -> Result<Runs, CommandError> {
        let mut all = Vec::new();
        collect(folder, LEVELS, &mut all)?;
        all.sort_by(|a, b| a.folder.cmp(&b.folder));
        Ok(Runs { all })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// The runs' data files that hold a judgement, and still are what they were.
    pub fn files_with(&self, judgement: &str) -> Result<Vec<PathBuf>, CommandError> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        for data in self.all.iter().flat_map(|run| run.lineage.data.iter().chain(&run.lineage.held_out)) {
            if seen.insert(data.path.clone()) && data.path.is_file() {
                let holds = row_names(&data.path)?.iter().any(|row| names(row, judgement));
                found.extend(holds.then(|| data.path.clone()));
            }
        }
        Ok(found)
    }

    /// The runs that were made of any of the files, and the runs made of those.
    pub fn used_by_files(&self, files: &[PathBuf]) -> Vec<Step> {
        let hashes: Vec<String> = files.iter().filter_map(|file| stdx::hash::file(file).ok()).collect();
        let uses = |run: &Run| {
            let data = run.lineage.data.iter().chain(&run.lineage.held_out);
            let by_hash = data.clone().any(|data| hashes.contains(&data.hash));
            by_hash || data.clone().any(|data| files.iter().any(|file| is_within(&data.path, file)))
        };
        self.descend(&uses)
    }

    /// The runs that were made of a run, and the runs made of those.
    pub fn used_by_run(&self, folder: &Path) -> Vec<Step> {
        let mut steps = self.descend(&|run: &Run| uses_folder(run, folder));
        steps.retain(|step| !is_same(&step.path, folder));
        steps
    }

    fn descend(&self, first: &dyn Fn(&Run) -> bool) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut seen = BTreeSet::new();
        self.descend_from(first, 0, &mut seen, &mut steps);
        steps
    }

    fn descend_from(
        &self,
        uses: &dyn Fn(&Run) -> bool,
        depth: usize,
        seen: &mut BTreeSet<PathBuf>,
        steps: &mut Vec<Step>,
    ) {
        for run in self.all.iter().filter(|run| uses(run)) {
            if !seen.insert(run.folder.clone()) {
                continue;
            }
            steps.push(run.step(depth));
            self.descend_from(&|other: &Run| uses_folder(other, &run.folder), depth + 1, seen, steps);
        }
    }

    /// What a run was made of: its model, its data, and what those were made of.
    pub fn made_of(&self, folder: &Path) -> Result<Vec<Step>, CommandError> {
        let Some(run) = read(folder) else {
            return Err(CommandError::input(format!("{}: no run folder (no lineage.json)", folder.display())));
        };
        let mut steps = Vec::new();
        let mut seen = BTreeSet::new();
        self.ascend(&run, 0, &mut seen, &mut steps)?;
        Ok(steps)
    }

    fn ascend(
        &self,
        run: &Run,
        depth: usize,
        seen: &mut BTreeSet<PathBuf>,
        steps: &mut Vec<Step>,
    ) -> Result<(), CommandError> {
        steps.push(run.step(depth));
        seen.insert(run.folder.clone());
        for data in &run.lineage.data {
            let (judgements, note) = match data.path.is_file() {
                false => (None, "gone".to_owned()),
                true if stdx::hash::file(&data.path)? != data.hash => (None, "changed since".to_owned()),
                true => (Some(row_names(&data.path)?.len()), String::new()),
            };
            steps.push(Step { depth: depth + 1, kind: "data", path: data.path.clone(), stage: None, judgements, note });
        }
        for other in self.all.iter().filter(|other| uses_folder(run, &other.folder)) {
            if !seen.contains(&other.folder) {
                self.ascend(other, depth + 1, seen, steps)?;
            }
        }
        let parent = &run.lineage.parent.path;
        if !self.all.iter().any(|other| is_within(parent, &other.folder)) {
            let note = run.lineage.source.source.clone();
            steps.push(Step {
                depth: depth + 1,
                kind: "model",
                path: parent.clone(),
                stage: None,
                judgements: None,
                note,
            });
        }
        Ok(())
    }
}

impl Run {
    fn step(&self, depth: usize) -> Step {
        let note = format!("started {}", self.lineage.started);
        let (path, stage) = (self.folder.clone(), Some(self.lineage.stage.clone()));
        Step { depth, kind: "run", path, stage, judgements: None, note }
    }
}

fn collect(folder: &Path, levels: usize, all: &mut Vec<Run>) -> Result<(), CommandError> {
    if let Some(run) = read(folder) {
        all.push(run);
        return Ok(());
    }
    if levels == 0 {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(of_file(folder))?.flatten() {
        let name = entry.file_name();
        let is_hidden = name.to_string_lossy().starts_with('.') || name == "target" || name == "node_modules";
        // A folder that may not be read holds no runs of ours; links could lead in circles.
        if !is_hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = collect(&entry.path(), levels - 1, all);
        }
    }
    Ok(())
}

fn read(folder: &Path) -> Option<Run> {
    let lineage: Lineage = run::folder::read_json(&folder.join("lineage.json")).ok()?;
    let config = std::fs::read_to_string(folder.join("config.toml")).unwrap_or_default();
    let config: toml::Table = config.parse().unwrap_or_default();
    let mut named = Vec::new();
    config.values().for_each(|value| paths_in(value, &mut named));
    Some(Run { folder: folder.to_path_buf(), lineage, named })
}

/// The texts of a config that are paths of something; a weight may stand before one (`0.5*PATH`).
fn paths_in(value: &toml::Value, named: &mut Vec<PathBuf>) {
    match value {
        toml::Value::String(text) => {
            let path = PathBuf::from(text.rsplit('*').next().unwrap_or(text));
            named.extend(path.exists().then_some(path));
        }
        toml::Value::Array(values) => values.iter().for_each(|value| paths_in(value, named)),
        toml::Value::Table(table) => table.values().for_each(|value| paths_in(value, named)),
        _ => {}
    }
}

/// Whether a run was made of what lies in another's folder: its model, a reward, a reference.
fn uses_folder(run: &Run, folder: &Path) -> bool {
    let parent = std::iter::once(&run.lineage.parent.path);
    !is_same(&run.folder, folder) && parent.chain(&run.named).any(|path| is_within(path, folder))
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

fn is_same(a: &Path, b: &Path) -> bool {
    real(a) == real(b)
}

fn is_within(path: &Path, folder: &Path) -> bool {
    real(path).starts_with(real(folder))
}

/// The `id`s of a data file's rows that can be a judgement's.
fn row_names(path: &Path) -> Result<Vec<String>, CommandError> {
    let name = path.to_string_lossy().to_lowercase();
    if ![".jsonl", ".ndjson", ".json"].iter().any(|end| name.ends_with(end)) {
        // Compressed files and tables are read as `helpmate data` reads them.
        let values = corpus::values(path)?;
        return Ok(values.filter_map(|value| row_name(&value.ok()?.1)).collect());
    }
    let file = std::fs::File::open(path).map_err(of_file(path))?;
    let reader = stdx::jsonl::Reader::<_, Value>::new(BufReader::new(file));
    Ok(reader.filter_map(|row| row_name(&row.ok()?.1)).collect())
}

fn row_name(row: &Value) -> Option<String> {
    let name = row.get("id")?.as_str()?;
    super::is_row_name(name).then(|| name.to_owned())
}
