//! Rows of labelled data sets, each with its task: reading them, and taking so many of each.

use crate::error::CommandError;
use corpus::template::{Mixture, capped};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stdx::Seed;

/// A row with its task and where it stands.
pub struct LabelledRow {
    /// The file.
    pub path: PathBuf,
    /// Its line there.
    pub line: usize,
    /// Its place in all files, from 0.
    pub place: usize,
    /// Its task.
    pub task: String,
    /// What the templates see.
    pub fields: Map<String, Value>,
}

impl LabelledRow {
    /// File and line.
    pub fn origin(&self) -> String {
        format!("{}:{}", self.path.display(), self.line)
    }

    /// A number for what it says, its identifier and source aside.
    pub fn content(&self) -> u64 {
        let mut fields = self.fields.clone();
        fields.retain(|key, _| key != "id" && key != "source");
        u64::from_str_radix(&stdx::hash::json(&Value::Object(fields))[..16], 16).unwrap_or_default()
    }
}

/// The rows of files. A row's task is `task`, else what its fields say, else the only one that has templates (`n_templates`
/// has the tasks' numbers of them).
pub fn read(
    files: &[PathBuf],
    task: Option<&str>,
    n_templates: &BTreeMap<String, usize>,
) -> Result<Vec<LabelledRow>, CommandError> {
    let only = (n_templates.len() == 1).then(|| n_templates.keys().next().cloned()).flatten();
    let mut rows = Vec::new();
    for path in files {
        let before = rows.len();
        for value in corpus::values(path)? {
            let (line, value) = value?;
            let Value::Object(fields) = value else {
                return Err(wrong(path, line, "found no object, expected one with the fields the templates name"));
            };
            let said = task.map(str::to_owned).or_else(|| task_of(&fields));
            let known = said.clone().filter(|task| n_templates.contains_key(task)).or_else(|| only.clone());
            let Some(task) = known else {
                let message = match said {
                    Some(task) => format!("no template for the task {task:?}"),
                    None => "no task: found neither `task` nor `dataset`, and several tasks have templates".into(),
                };
                return Err(wrong(path, line, &message).hint("--task NAME gives rows without one a task"));
            };
            rows.push(LabelledRow { path: path.clone(), line, place: rows.len(), task, fields });
        }
        if rows.len() == before {
            return Err(CommandError::input(format!("{}: no rows, expected at least one", path.display())));
        }
    }
    Ok(rows)
}

/// What a row's fields say: `task`, else `dataset` and `subset`.
fn task_of(fields: &Map<String, Value>) -> Option<String> {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let data_set = || {
        text("dataset").map(|dataset| match text("subset") {
            Some(subset) => format!("{dataset}/{subset}"),
            None => dataset,
        })
    };
    text("task").or_else(data_set)
}

/// The rows of a mixture, in their order.
pub fn mixed(
    rows: Vec<LabelledRow>,
    mixture: Mixture,
    n_templates: &BTreeMap<String, usize>,
    seed: Seed,
) -> Vec<LabelledRow> {
    if mixture == Mixture::default() {
        return rows;
    }
    let mut by_task: BTreeMap<String, Vec<LabelledRow>> = BTreeMap::new();
    for row in rows {
        by_task.entry(row.task.clone()).or_default().push(row);
    }
    let sizes: Vec<(usize, usize)> =
        by_task.iter().map(|(task, rows)| (rows.len(), n_templates.get(task).copied().unwrap_or(1))).collect();
    let mut mixed = Vec::new();
    for ((task, rows), n) in by_task.into_iter().zip(mixture.counts(&sizes)) {
        let kept = capped(rows.len(), n, seed, &task);
        let is_kept = |(i, _): &(usize, LabelledRow)| kept.binary_search(i).is_ok();
        mixed.extend(rows.into_iter().enumerate().filter(is_kept).map(|(_, row)| row));
    }
    mixed.sort_by_key(|row| row.place);
    mixed
}

/// An error about a row.
pub fn wrong(path: &Path, line: usize, message: &str) -> CommandError {
    CommandError::input(format!("{}:{line}: {message}", path.display()))
}
