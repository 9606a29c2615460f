//! What scores a text, for toxicity: a linear model in a file, or a service that is asked over HTTP.

use crate::EvalError;
use crate::cache::Kept;
use endpoint::score::ScoreClient;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use stdx::{FileError, hash};
use text::linear::LinearScorer;

/// Which scorer it was: this stands beside every number that it gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScorerFacts {
    /// The file's name, or "service".
    pub name: String,
    /// BLAKE3 of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
    /// The service's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl std::fmt::Display for ScorerFacts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.name)?;
        if let Some(hash) = &self.blake3 {
            write!(out, " (BLAKE3 {hash:.16}…)")?;
        }
        self.url.as_ref().map_or(Ok(()), |url| write!(out, " at {url}"))
    }
}

/// Gives a text a number from 0 to 1.
pub trait TextScorer: std::fmt::Debug + Send + Sync {
    /// Which it is.
    fn facts(&self) -> &ScorerFacts;
    /// The score of each text.
    fn scores(&self, texts: &[&str]) -> Result<Vec<f64>, EvalError>;
}

/// A linear model of words that was read from a file.
#[derive(Debug)]
pub struct FileScorer {
    scorer: LinearScorer,
    facts: ScorerFacts,
}

impl FileScorer {
    /// Reads a scorer's file.
    pub fn open(path: &Path) -> Result<FileScorer, EvalError> {
        let bytes = std::fs::read(path).map_err(FileError::at(path, "read"))?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        FileScorer::parse(name, &bytes)
            .map_err(|problem| EvalError::Scorer { message: format!("{}: {problem}", path.display()), missing: false })
    }

    /// A scorer from the bytes of its file; the error says field, found and expected.
    pub fn parse(name: String, bytes: &[u8]) -> Result<FileScorer, String> {
        let facts = ScorerFacts { name, blake3: Some(hash::bytes(bytes)), url: None };
        Ok(FileScorer { scorer: LinearScorer::parse(bytes)?, facts })
    }
}

impl TextScorer for FileScorer {
    fn facts(&self) -> &ScorerFacts {
        &self.facts
    }
    fn scores(&self, texts: &[&str]) -> Result<Vec<f64>, EvalError> {
        Ok(texts.iter().map(|text| self.scorer.score(text)).collect())
    }
}

/// A service, asked about no text twice.
#[derive(Debug)]
pub struct ServiceScorer {
    client: ScoreClient,
    facts: ScorerFacts,
    /// Texts that it may be asked about.
    budget: Option<usize>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    known: Kept<f64>,
    asked: usize,
}

impl ServiceScorer {
    /// What it said before is in `folder`, and what it says is kept there; without one it is kept in memory only.
    pub fn open(client: ScoreClient, folder: Option<&Path>, budget: Option<usize>) -> Result<ServiceScorer, EvalError> {
        let known = match folder {
            Some(folder) => Kept::open(folder, &format!("scores by {}", client.url()))?,
            None => Kept::in_memory(),
        };
        let facts = ScorerFacts { name: "service".to_owned(), blake3: None, url: Some(client.url().to_owned()) };
        Ok(ServiceScorer { client, facts, budget, state: Mutex::new(State { known, asked: 0 }) })
    }

    fn failed(&self, error: &endpoint::ServiceError) -> EvalError {
        EvalError::Scorer { message: error.to_string(), missing: error.is_missing() }
    }
}

impl TextScorer for ServiceScorer {
    fn facts(&self) -> &ScorerFacts {
        &self.facts
    }

    fn scores(&self, texts: &[&str]) -> Result<Vec<f64>, EvalError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<String> = texts.iter().map(|text| hash::bytes(text.as_bytes())).collect();
        let (mut met, mut unknown) = (BTreeSet::new(), Vec::<(&String, &str)>::new());
        for (key, text) in keys.iter().zip(texts) {
            if state.known.get(key).is_none() && met.insert(key) {
                unknown.push((key, text));
            }
        }
        for batch in unknown.chunks(self.client.batch()) {
            if let Some(most) = self.budget.filter(|most| state.asked + batch.len() > *most) {
                let (asked, url) = (state.asked, self.client.url());
                let message = format!(
                    "{url}: it was asked about {asked} texts and would be about {} more, the budget is {most}; what it said \
                     is kept, and the same command with a larger budget goes on from there",
                    batch.len()
                );
                return Err(EvalError::Scorer { message, missing: false });
            }
            state.asked += batch.len();
            let asked: Vec<&str> = batch.iter().map(|(_, text)| *text).collect();
            let scores = self.client.scores(&asked).map_err(|error| self.failed(&error))?;
            state.known.put(batch.iter().map(|(key, _)| (*key).clone()).zip(scores).collect())?;
        }
        // Every text was known or has just been put there.
        Ok(keys.iter().filter_map(|key| state.known.get(key).copied()).collect())
    }
}

#[cfg(test)]
mod tests;
