//! Answers kept on disk, by what was asked of whom: a second run costs nothing, an interrupted one loses a batch.

use crate::EvalError;
use crate::item::{Answer, Ask};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use stdx::{FileError, hash, jsonl};

/// The answers of one subject.
pub type AnswerCache = Kept<Answer>;

/// What one respondent said, by question.
#[derive(Debug)]
pub struct Kept<T> {
    /// Absent when nothing is to outlive the process.
    path: Option<PathBuf>,
    answers: HashMap<String, T>,
}

#[derive(Deserialize)]
struct Line<T> {
    key: String,
    answer: T,
}

impl<T: Clone + Serialize + DeserializeOwned> Kept<T> {
    /// Kept for as long as the process runs.
    pub fn in_memory() -> Kept<T> {
        Kept { path: None, answers: HashMap::new() }
    }

    /// The answers of the subject with this identity, in a folder that need not exist. A line that a crash cut short is
    /// passed over: its question is asked again.
    pub fn open(folder: &Path, identity: &str) -> Result<Kept<T>, EvalError> {
        std::fs::create_dir_all(folder).map_err(FileError::at(folder, "create"))?;
        let path = folder.join(format!("{}.jsonl", hash::bytes(identity.as_bytes())));
        let mut answers = HashMap::new();
        if path.exists() {
            let file = File::open(&path).map_err(FileError::at(&path, "open"))?;
            let lines = jsonl::Reader::<_, Line<T>>::new(BufReader::new(file)).flatten();
            answers.extend(lines.map(|(_, line)| (line.key, line.answer)));
        }
        Ok(Kept { path: Some(path), answers })
    }

    /// An answer given before.
    pub fn get(&self, key: &str) -> Option<&T> {
        self.answers.get(key)
    }

    /// Keeps a batch of answers; they are on disk afterwards.
    pub fn put(&mut self, batch: Vec<(String, T)>) -> Result<(), EvalError> {
        if let Some(path) = &self.path {
            append(path, &batch)?;
        }
        self.answers.extend(batch);
        Ok(())
    }
}

fn append<T: Serialize>(path: &Path, batch: &[(String, T)]) -> Result<(), EvalError> {
    let mut text = String::new();
    if ends_mid_line(path)? {
        text.push('\n');
    }
    for (key, answer) in batch {
        let line = json!({ "key": key, "answer": answer });
        text.push_str(&line.to_string());
        text.push('\n');
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(FileError::at(path, "open"))?;
    file.write_all(text.as_bytes()).map_err(FileError::at(path, "write"))?;
    file.sync_data().map_err(FileError::at(path, "sync"))?;
    Ok(())
}

fn ends_mid_line(path: &Path) -> Result<bool, EvalError> {
    use std::io::{Read, Seek, SeekFrom};
    let Ok(mut file) = File::open(path) else { return Ok(false) };
    if file.seek(SeekFrom::End(-1)).is_err() {
        return Ok(false);
    }
    let mut last = [0];
    file.read_exact(&mut last).map_err(FileError::at(path, "read"))?;
    Ok(last != *b"\n")
}

/// The name of a question: its content, and, where chance has a part in the answer, the seed and its place in the batch.
pub fn key(ask: &Ask, chance: Option<(u64, usize)>) -> String {
    hash::json(&json!({ "ask": ask, "chance": chance }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::LogLikelihood;

    fn answer(sum: f64) -> Answer {
        Answer::Text(LogLikelihood { sum, tokens: 3 })
    }

    #[test]
    fn answers_come_back_bit_for_bit_and_a_cut_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let third = -1.0 / 3.0;
        let mut cache = AnswerCache::open(folder.path(), "model").unwrap();
        cache.put(vec![("a".into(), answer(third))]).unwrap();
        let mut file = OpenOptions::new().append(true).open(cache.path.as_ref().unwrap()).unwrap();
        file.write_all(b"{\"key\":\"b\",\"ans").unwrap();
        let mut cache = AnswerCache::open(folder.path(), "model").unwrap();
        assert_eq!(cache.get("b"), None);
        cache.put(vec![("c".into(), answer(-2.0))]).unwrap();
        let cache = AnswerCache::open(folder.path(), "model").unwrap();
        assert_eq!((cache.get("a"), cache.get("c")), (Some(&answer(third)), Some(&answer(-2.0))));
        assert!(AnswerCache::open(folder.path(), "another model").unwrap().get("a").is_none());
    }

    #[test]
    fn keys_tell_questions_and_chances_apart() {
        let ask = |text: &str| Ask::Text { text: text.into() };
        let keys = [
            key(&ask("a"), None),
            key(&ask("b"), None),
            key(&ask("a"), Some((1, 0))),
            key(&ask("a"), Some((1, 1))),
            key(&ask("a"), Some((2, 0))),
        ];
        let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
