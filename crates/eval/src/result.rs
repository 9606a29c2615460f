//! What an evaluation leaves: a table of estimates, and every item with its answer and scores.

use crate::EvalError;
use crate::estimate::Estimate;
use crate::item::Answer;
use crate::metric::Score;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use stdx::{FileError, jsonl};

/// The file that describes an evaluation.
pub const FILE: &str = "evaluation.json";

/// Models evaluated on tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The version of Helpmate that made it.
    pub helpmate: String,
    /// In the order given.
    pub models: Vec<ModelResult>,
}

/// One model on all tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelResult {
    /// Who was asked.
    pub model: SubjectFacts,
    /// In the order given.
    pub tasks: Vec<TaskResult>,
}

/// Who was asked, as one needs to know to ask again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectFacts {
    /// What it is called in tables.
    pub name: String,
    /// Where it was found.
    pub path: String,
    /// The hash of everything answers hang on.
    pub identity: String,
    /// The hash of its tokenizer.
    pub tokenizer: String,
    /// Arithmetic and instruction set.
    pub arithmetic: String,
    /// Whether prompts went through its chat template.
    pub chat: bool,
    /// What stood before every prompt.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub primer: String,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// The coefficient of the pretraining mix, when it was reinforced with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<f64>,
    /// Whether it was fine-tuned on nothing but rows that templates worded (`helpmate data render`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub templates: bool,
    /// What it was made from, as its run tells it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub lineage: Value,
}

/// One model on one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// The task.
    pub task: String,
    /// Its version: numbers of different versions don't compare.
    pub version: u32,
    /// How it was set up.
    pub settings: Value,
    /// A hash of the items asked.
    pub items_hash: String,
    /// Items asked.
    pub n_items: usize,
    /// Items that didn't fit the model's context, and count nowhere else.
    pub n_too_long: usize,
    /// Items by who wrote them.
    pub sources: BTreeMap<String, usize>,
    /// Anything a reader must know to read the numbers right.
    pub notes: Vec<String>,
    /// Items whose answers were in the cache.
    pub n_cached: usize,
    /// Seconds it took.
    pub seconds: f64,
    /// The numbers.
    pub estimates: Vec<Estimate>,
    /// The same by part, where the task tells parts apart.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slices: BTreeMap<String, Vec<Estimate>>,
    /// Every item; kept in a file of its own.
    #[serde(skip)]
    pub items: Vec<ItemResult>,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemResult {
    /// Its id.
    pub id: String,
    /// Its part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// What its row says of itself, of the fields that tell parts apart ([`crate::facet::FIELDS`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub about: BTreeMap<String, String>,
    /// What it has in common with other items of the task (a hash of the prompt, context or row), when it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// What was to be completed, when something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<record::Prompt>,
    /// What it says of each metric; empty when it was too long.
    pub scores: Vec<Score>,
    /// What the model answered.
    pub answer: Answer,
}

impl ItemResult {
    /// What intervals draw: all items that are of one prompt, context or row, or the item alone.
    pub(crate) fn drawn_as(&self) -> String {
        match (&self.cluster, &self.prompt) {
            (Some(cluster), _) => format!("cluster {cluster}"),
            // Evaluations that don't tell clusters have at least prompts.
            (None, Some(prompt)) => format!("prompt {}", serde_json::json!(prompt)),
            (None, None) => format!("item {}", self.id),
        }
    }
}

impl TaskResult {
    /// Prompts, contexts or rows that its items are of.
    pub fn n_clusters(&self) -> usize {
        self.items.iter().map(ItemResult::drawn_as).collect::<std::collections::BTreeSet<_>>().len()
    }
}

impl Evaluation {
    /// Writes `evaluation.json` and, per model and task, `items/MODEL/TASK.jsonl` into a folder that may exist; each file
    /// is whole or as it was.
    pub fn write(&self, folder: &Path) -> Result<(), EvalError> {
        for ModelResult { model, tasks } in &self.models {
            for result in tasks {
                let path = items_path(folder, &model.name, &result.task);
                let parent = path.parent().unwrap_or(folder);
                std::fs::create_dir_all(parent).map_err(FileError::at(parent, "create"))?;
                let text = jsonl::to_string(&result.items).map_err(|error| not_one(&path, error))?;
                stdx::write_file(&path, text.as_bytes())?;
            }
        }
        let path = folder.join(FILE);
        let text = serde_json::to_string_pretty(self).map_err(|error| not_one(&path, error))?;
        stdx::write_file(&path, format!("{text}\n").as_bytes())?;
        Ok(())
    }

    /// Reads what [`Evaluation::write`] wrote, items included.
    pub fn read(folder: &Path) -> Result<Evaluation, EvalError> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(FileError::at(&path, "read"))?;
        let mut evaluation: Evaluation = serde_json::from_str(&text).map_err(|error| not_one(&path, error))?;
        for ModelResult { model, tasks } in &mut evaluation.models {
            for result in tasks {
                let path = items_path(folder, &model.name, &result.task);
                let file = File::open(&path).map_err(FileError::at(&path, "open"))?;
                for line in jsonl::Reader::new(BufReader::new(file)) {
                    let (_, item) = line.map_err(|error| not_one(&path, error))?;
                    result.items.push(item);
                }
            }
        }
        Ok(evaluation)
    }
}

fn items_path(folder: &Path, model: &str, task: &str) -> PathBuf {
    folder.join("items").join(file_name(model)).join(format!("{}.jsonl", file_name(task)))
}

/// A name as a file's: letters, digits, `-`, `_` and inner dots; anything else becomes `_`.
fn file_name(name: &str) -> String {
    let keep = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = name.chars().map(keep).collect();
    name.trim_start_matches('.').to_owned()
}

fn not_one(path: &Path, problem: impl std::fmt::Display) -> EvalError {
    EvalError::NotAnEvaluation { path: path.to_path_buf(), problem: problem.to_string() }
}
