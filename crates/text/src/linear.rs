//! TF-IDF with calibrated linear classifiers, read from a file: a toxicity scorer, say.
//!
//! The file is one JSON object:
//!
//! | field | meaning |
//! |---|---|
//! | `vocab` | the terms: words as [`long_words`] finds them, each a feature |
//! | `idf` | a weight a term |
//! | `models` | one or more of `{"coef": [a number a term], "intercept": b₀, "platt_a": a, "platt_b": b}` |
//! | `source`, `algorithm` | text for people; not read |
//!
//! A text's features are x = (count of a term × its idf), divided by their Euclidean length; a model says
//! p = 1 ÷ (1 + exp(a·(w·x + b₀) + b)) (Platt's calibration; a is negative), and the score is the mean over the models:
//! what a `CalibratedClassifierCV` of linear classifiers behind a `TfidfVectorizer` of scikit-learn predicts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stdx::FileError;

use crate::token::long_words;

/// A scorer that was read.
#[derive(Clone, Debug)]
pub struct LinearScorer {
    terms: HashMap<String, usize>,
    idf: Vec<f64>,
    models: Vec<LinearModel>,
}

/// One calibrated linear classifier.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LinearModel {
    /// A weight a term.
    pub coef: Vec<f64>,
    /// Added to the weighted sum.
    pub intercept: f64,
    /// Platt's slope; negative where more is likelier.
    pub platt_a: f64,
    /// Platt's offset.
    pub platt_b: f64,
}

#[derive(Deserialize)]
struct File {
    vocab: Vec<String>,
    idf: Vec<f64>,
    models: Vec<LinearModel>,
}

/// Why a scorer can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ScorerError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// It isn't a scorer.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Field, found and expected.
        problem: String,
    },
}

impl LinearScorer {
    /// Reads a scorer's file.
    ///
    /// # Errors
    /// The file can't be read, isn't the object above, or its lists differ in length.
    pub fn open(path: &Path) -> Result<LinearScorer, ScorerError> {
        let bytes = std::fs::read(path).map_err(FileError::at(path, "read"))?;
        LinearScorer::parse(&bytes).map_err(|problem| ScorerError::Malformed { path: path.to_path_buf(), problem })
    }

    /// A scorer from the bytes of its file; the error says field, found and expected.
    pub fn parse(bytes: &[u8]) -> Result<LinearScorer, String> {
        let file: File = serde_json::from_slice(bytes).map_err(|error| {
            format!("{error}; expected a linear scorer: {{\"vocab\": […], \"idf\": […], \"models\": […]}}")
        })?;
        let n_terms = file.vocab.len();
        let check = |field: &str, values: &[f64]| {
            if values.len() != n_terms {
                return Err(format!(
                    "{field}: {} numbers, expected {n_terms}, as many as terms in vocab",
                    values.len()
                ));
            }
            match values.iter().position(|value| !value.is_finite()) {
                Some(i) => Err(format!("{field}[{i}]: {}, expected a finite number", values[i])),
                None => Ok(()),
            }
        };
        check("idf", &file.idf)?;
        if file.models.is_empty() {
            return Err("models: an empty list, expected at least one".to_owned());
        }
        for (i, model) in file.models.iter().enumerate() {
            check(&format!("models[{i}].coef"), &model.coef)?;
        }
        let mut terms = HashMap::with_capacity(n_terms);
        for (i, term) in file.vocab.into_iter().enumerate() {
            if let Some(first) = terms.insert(term.clone(), i) {
                return Err(format!("vocab[{i}]: {term:?} stands already at {first}"));
            }
        }
        Ok(LinearScorer { terms, idf: file.idf, models: file.models })
    }

    /// The probability, 0 to 1, that `text` is of the class.
    pub fn score(&self, text: &str) -> f64 {
        let features = self.features(text);
        let sum: f64 = self.models.iter().map(|model| model.probability(&features)).sum();
        sum / self.models.len() as f64
    }

    /// Terms of the text with their weights, of length 1 unless there is none.
    fn features(&self, text: &str) -> Vec<(usize, f64)> {
        let mut counts: Vec<usize> = long_words(text).iter().filter_map(|word| self.terms.get(word).copied()).collect();
        counts.sort_unstable();
        let runs = counts.chunk_by(|a, b| a == b);
        let mut features: Vec<(usize, f64)> = runs.map(|run| (run[0], run.len() as f64 * self.idf[run[0]])).collect();
        let length = features.iter().map(|(_, x)| x * x).sum::<f64>().sqrt();
        if length > 0.0 {
            features.iter_mut().for_each(|(_, x)| *x /= length);
        }
        features
    }
}

impl LinearModel {
    fn probability(&self, features: &[(usize, f64)]) -> f64 {
        let sum: f64 = features.iter().map(|&(term, x)| self.coef[term] * x).sum();
        1.0 / (1.0 + (self.platt_a * (sum + self.intercept) + self.platt_b).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"source": "us", "vocab": ["bad", "good"], "idf": [2.0, 1.0], "models": [
        {"coef": [3.0, -1.0], "intercept": -0.5, "platt_a": -2.0, "platt_b": 0.25},
        {"coef": [1.0, 0.0], "intercept": 0.0, "platt_a": -1.0, "platt_b": 0.0}]}"#;

    #[test]
    fn by_hand() {
        let scorer = LinearScorer::parse(FILE.as_bytes()).expect("a scorer");
        // "Bad, good good!": counts 1 and 2, times idf 2 and 2, so x = (1, 1)/√2.
        let x = 0.5_f64.sqrt();
        let first = 1.0 / (1.0 + (-2.0 * (2.0 * x - 0.5) + 0.25_f64).exp());
        let second = 1.0 / (1.0 + (-x).exp());
        assert!((scorer.score("Bad, good good!") - (first + second) / 2.0).abs() < 1e-15);
        // No term at all: the intercepts alone.
        let none = (1.0 / (1.0 + 1.25_f64.exp()) + 0.5) / 2.0;
        assert!((scorer.score("x y z") - none).abs() < 1e-15);
    }

    #[test]
    fn broken_files_are_named_by_field() {
        let check = |from: &str, to: &str, expected: &str| {
            let text = FILE.replacen(from, to, 1);
            assert_ne!(text, FILE);
            let problem = LinearScorer::parse(text.as_bytes()).expect_err(to);
            assert!(problem.contains(expected), "{problem}");
        };
        check("[2.0, 1.0]", "[2.0]", "idf: 1 numbers, expected 2");
        check("[1.0, 0.0]", "[1.0, 0.0, 1.0]", "models[1].coef: 3 numbers");
        check("\"good\"", "\"bad\"", "vocab[1]: \"bad\" stands already at 0");
        check("\"vocab\"", "\"words\"", "missing field `vocab`");
        let error = LinearScorer::open(Path::new("/nowhere/scorer.json")).expect_err("missing");
        assert!(error.to_string().contains("/nowhere/scorer.json"), "{error}");
    }
}
