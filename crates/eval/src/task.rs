//! The tasks. A task is a file with its definition and worked examples, and a line in [`ALL`].

use crate::EvalError;
use crate::estimate::Estimate;
use crate::item::{Answer, Item};
use crate::metric::{Metric, Score};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use stdx::{FileError, jsonl};

mod appropriateness;
mod crows_pairs;
mod diversity;
mod generation;
mod hallucination;
mod instructions;
mod kl;
mod multiple_choice;
mod perplexity;
mod rank_classification;
mod reward_model;
mod toxicity;
mod truthfulqa_gen;
mod truthfulqa_mc;

/// Every task, in the order of the help.
pub const ALL: &[&dyn Task] = &[
    &instructions::Instructions,
    &multiple_choice::MultipleChoice,
    &rank_classification::RankClassification,
    &truthfulqa_mc::TruthfulQaMc,
    &truthfulqa_gen::TruthfulQaGen,
    &perplexity::Perplexity,
    &generation::Generation,
    &hallucination::Hallucination,
    &diversity::Diversity,
    &kl::KlFromReference,
    &crows_pairs::CrowsPairs,
    &toxicity::Toxicity,
    &appropriateness::Appropriateness,
    &reward_model::RewardModel,
];

/// Something that is asked and scored.
pub trait Task: Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Raised whenever its numbers may change: results of different versions don't compare.
    fn version(&self) -> u32;
    /// What it measures, in one line.
    fn summary(&self) -> &'static str;
    /// Where its definition comes from.
    fn source(&self) -> &'static str;
    /// What it reports, the main number first.
    fn metrics(&self) -> &'static [Metric];
    /// Its rows.
    fn data(&self) -> Data;
    /// The items of a row; an error says what was found and what was expected.
    fn items_of(&self, row: &Row, settings: &Settings) -> Result<Vec<Item>, String>;
    /// What an answer says of each metric; a metric may be left out.
    fn score(&self, item: &Item, answer: &Answer, settings: &Settings) -> Result<Vec<Score>, EvalError>;
    /// Who is asked.
    fn respondent(&self) -> Respondent {
        Respondent::Model
    }
    /// What an item is of that others may be of too: a prompt, a context, a row. Intervals draw these, because items of
    /// one aren't independent.
    fn cluster(&self, item: &Item) -> String {
        item.cluster()
    }
    /// What items and answers say together that no item says by itself.
    fn together(&self, _asked: &[(&Item, &Answer)], _settings: &Settings) -> Together {
        Together::default()
    }
    /// What a reader must know to read the numbers right.
    fn notes(&self, _settings: &Settings, _slices: &BTreeMap<String, Vec<Estimate>>) -> Vec<String> {
        Vec::new()
    }
    /// Rows, answers and their scores, worked by hand: at least one perfect and one worthless.
    fn examples(&self) -> Vec<Example>;
    /// All items.
    fn items(&self, settings: &Settings) -> Result<Vec<Item>, EvalError> {
        let mut items = Vec::new();
        for row in self.data().read(self.name(), settings)? {
            let wrong = |problem| EvalError::Line { path: row.path.clone(), line: row.line, problem };
            items.extend(self.items_of(&row, settings).map_err(wrong)?);
        }
        Ok(items)
    }
}

/// Who answers a task's questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Respondent {
    /// A language model.
    Model,
    /// A reward model.
    Reward,
    /// People, or others in their place, have answered already: the rows are their judgements.
    People,
}

/// What is said of items together.
#[derive(Clone, Debug, Default)]
pub struct Together {
    /// Of all.
    pub estimates: Vec<Estimate>,
    /// Of parts that aren't made of whole items.
    pub parts: BTreeMap<String, Vec<Estimate>>,
    /// Indices of the items of parts that overlap.
    pub slices: BTreeMap<String, BTreeSet<usize>>,
    /// For the reader.
    pub notes: Vec<String>,
}

/// Where a task's rows come from.
#[derive(Clone, Copy, Debug)]
pub enum Data {
    /// They ship with the task; a file of the same columns may take their place.
    Shipped(&'static str),
    /// They are the user's; what columns are read.
    File(&'static str),
}

/// How a task is set up.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The user's rows.
    pub data: Option<PathBuf>,
    /// Only the first items.
    pub limit: Option<usize>,
    /// Most tokens of a completion, where the task's own number isn't wanted.
    pub max_new_tokens: Option<usize>,
    /// Completions of a prompt, likewise.
    pub samples: Option<usize>,
    /// Temperature of completions, likewise.
    pub temperature: Option<f32>,
    /// For toxicity: what scores a text.
    pub scorer: Option<std::sync::Arc<dyn crate::scorer::TextScorer>>,
    /// For reward_model: the group of labelers whose rows the reward model never saw.
    pub left_out_group: Option<String>,
    /// For truthfulqa_gen: what judges an answer, at most one judge a quality.
    pub judges: Vec<std::sync::Arc<crate::truth::Judge>>,
}

/// A row of data and where it stands.
#[derive(Clone, Debug)]
pub struct Row {
    /// The file, or a name in angle brackets for rows that ship.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// The row.
    pub value: Value,
}

/// A worked example of a task.
pub struct Example {
    /// The row, as JSON.
    pub row: Value,
    /// The answer to the row's only item.
    pub answer: Answer,
    /// Metrics and their values (Σ value / Σ weight of this item).
    pub scores: Vec<(&'static str, f64)>,
}

/// The task of this name.
pub fn find(name: &str) -> Result<&'static dyn Task, EvalError> {
    let same = |task: &&&dyn Task| task.name() == name || task.name().replace('_', "-") == name;
    ALL.iter().find(same).copied().ok_or_else(|| EvalError::UnknownTask { found: name.to_owned() })
}

impl Data {
    pub(crate) fn read(self, task: &'static str, settings: &Settings) -> Result<Vec<Row>, EvalError> {
        match (self, &settings.data) {
            (_, Some(path)) => read(path),
            (Data::Shipped(text), None) => rows(&PathBuf::from(format!("<{task}>")), BufReader::new(text.as_bytes())),
            (Data::File(expected), None) => Err(EvalError::NoData { task, expected }),
        }
    }
}

/// Rows of a file: JSON lines, or (`.txt`) documents between `<|endoftext|>`s as rows of `text`.
fn read(path: &Path) -> Result<Vec<Row>, EvalError> {
    if path.extension().is_some_and(|extension| extension == "txt") {
        let text = std::fs::read_to_string(path).map_err(FileError::at(path, "read"))?;
        let documents = text.split("<|endoftext|>").map(str::trim).filter(|document| !document.is_empty());
        let row = |(idx, document): (usize, &str)| Row {
            path: path.to_path_buf(),
            line: idx + 1,
            value: serde_json::json!({ "text": document }),
        };
        return Ok(documents.enumerate().map(row).collect());
    }
    let file = File::open(path).map_err(FileError::at(path, "open"))?;
    rows(path, BufReader::new(file))
}

fn rows(path: &Path, source: impl std::io::BufRead) -> Result<Vec<Row>, EvalError> {
    let mut rows = Vec::new();
    for line in jsonl::Reader::new(source) {
        let (line, value) = line.map_err(|error| EvalError::Line {
            path: path.to_path_buf(),
            line: error.line,
            problem: error.problem.to_string(),
        })?;
        rows.push(Row { path: path.to_path_buf(), line, value });
    }
    Ok(rows)
}

impl Row {
    /// The row's id, or its number.
    pub fn id(&self) -> String {
        let keys = ["id", "key", "question_id"];
        let id = keys.into_iter().find_map(|key| self.value.get(key)).and_then(text_or_number);
        id.unwrap_or_else(|| format!("row-{}", self.line))
    }
    /// A string column.
    pub fn text(&self, column: &str) -> Result<&str, String> {
        self.find_text(&[column])
    }
    /// The first of several string columns that is there.
    pub fn find_text(&self, columns: &[&str]) -> Result<&str, String> {
        let expected = columns.join("` or `");
        match columns.iter().find_map(|column| self.value.get(column)) {
            Some(Value::String(text)) => Ok(text),
            Some(found) => Err(format!("`{expected}` is {}, expected text", kind(found))),
            None => Err(format!("no `{expected}`")),
        }
    }
    /// A string column that may be absent.
    pub fn optional_text(&self, column: &str) -> Option<String> {
        self.value.get(column).and_then(text_or_number)
    }
    /// A column with a list of strings.
    pub fn texts(&self, column: &str) -> Result<Vec<String>, String> {
        let value = self.value.get(column).ok_or_else(|| format!("no `{column}`"))?;
        texts(value).ok_or_else(|| format!("`{column}` is {}, expected a list of texts", kind(value)))
    }
    /// What is asked: text or messages.
    pub fn prompt(&self) -> Result<record::Prompt, String> {
        let columns = ["prompt", "question", "instruction", "text"];
        let found = columns.into_iter().find_map(|column| self.value.get(column)).ok_or("no `prompt`")?;
        serde_json::from_value(found.clone())
            .map_err(|_| format!("`prompt` is {}, expected text or a list of messages", kind(found)))
    }
    /// A conversation and the answer it ends with, when the row is one.
    pub fn conversation(&self) -> Result<Option<(record::Prompt, String)>, String> {
        let Some(value) = self.value.get("messages") else { return Ok(None) };
        let mut messages: Vec<record::Message> =
            serde_json::from_value(value.clone()).map_err(|error| format!("`messages`: {error}"))?;
        match messages.pop() {
            Some(last) if last.role == record::Role::Assistant && !messages.is_empty() => {
                Ok(Some((record::Prompt::Messages(messages), last.content)))
            }
            _ => Err("`messages`: expected the assistant's answer last, behind what it answers".to_owned()),
        }
    }
    /// Who wrote it.
    pub fn source(&self) -> Result<Option<record::Source>, String> {
        match self.value.get("source") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value.clone())
                .map(Some)
                .map_err(|_| format!("`source` is {value}, expected human, model, rule or simulated")),
        }
    }
}

/// A list of strings, if it is one.
fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

fn text_or_number(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
