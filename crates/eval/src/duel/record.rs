//! What `helpmate eval duel` leaves: the counts in one file, every pair with what was said of it in another.

use super::{Duel, Said};
use crate::EvalError;
use record::Prompt;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use stdx::{FileError, jsonl};

/// The file of the counts.
pub const FILE: &str = "duel.json";

/// The file of the pairs, a [`Verdict`] a line.
pub const PAIRS: &str = "pairs.jsonl";

/// What sort of judge it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JudgedBy {
    /// A language model that saw both answers, in both orders.
    #[default]
    Model,
    /// A reward that saw one answer at a time.
    Reward,
}

/// Two models, their judge, and what came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The first model's answers.
    pub a: PathBuf,
    /// The second model's.
    pub b: PathBuf,
    /// What the two are called.
    #[serde(default)]
    pub names: Option<[String; 2]>,
    /// Who judged.
    pub judge: String,
    /// What sort of judge that is.
    #[serde(default)]
    pub judged_by: JudgedBy,
    /// What came out.
    #[serde(flatten)]
    pub duel: Duel,
}

/// What was said of one pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What was asked.
    pub prompt: Prompt,
    /// The first model's answer.
    pub a: String,
    /// The second model's.
    pub b: String,
    /// With `a` shown first, and with `b` shown first; nothing where the judge kept to no form.
    pub said: [Option<Said>; 2],
    /// The rewards of a and b, where a reward judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewards: Option<[f64; 2]>,
}

impl Record {
    /// What the models are called: as told, else the names of the files, else (where these are the same) their paths.
    pub fn names(&self) -> [String; 2] {
        if let Some(names) = &self.names {
            return names.clone();
        }
        let [a, b] = [&self.a, &self.b].map(|path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        if a == b { [&self.a, &self.b].map(|path| path.display().to_string()) } else { [a, b] }
    }

    /// Writes both files; each is whole or as it was.
    pub fn write(&self, folder: &Path, pairs: &[Verdict]) -> Result<(), EvalError> {
        let path = folder.join(PAIRS);
        let text = jsonl::to_string(pairs).map_err(|error| not_one(&path, error))?;
        stdx::write_file(&path, text.as_bytes())?;
        let path = folder.join(FILE);
        let text = serde_json::to_string_pretty(self).map_err(|error| not_one(&path, error))?;
        stdx::write_file(&path, format!("{text}\n").as_bytes())?;
        Ok(())
    }

    /// Reads what [`Record::write`] wrote; no pairs where there is only the file of the counts.
    pub fn read(folder: &Path) -> Result<(Record, Vec<Verdict>), EvalError> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(FileError::at(&path, "read"))?;
        let record = serde_json::from_str(&text).map_err(|error| not_one(&path, error))?;
        let path = folder.join(PAIRS);
        let mut pairs = Vec::new();
        if path.is_file() {
            let file = File::open(&path).map_err(FileError::at(&path, "open"))?;
            for line in jsonl::Reader::new(BufReader::new(file)) {
                let (_, pair) = line.map_err(|error| {
                    let (line, problem) = (error.line, error.problem.to_string());
                    EvalError::Line { path: path.clone(), line, problem }
                })?;
                pairs.push(pair);
            }
        }
        Ok((record, pairs))
    }
}

fn not_one(path: &Path, problem: impl std::fmt::Display) -> EvalError {
    EvalError::Damaged { path: path.to_path_buf(), problem: format!("not a duel: {problem}") }
}
