//! The model that writes, as the loop sees it, and the memory of what it wrote.
//!
//! Every answer is appended to a file at once, under the hash of its request, so that nothing is asked twice: a run
//! that was interrupted, or killed, replays what it knows and goes on where nothing is known.

mod service;

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use endpoint::completion::{CompletionAnswer, CompletionRequest};
use serde::{Deserialize, Serialize};
use stdx::FileError;

pub use service::Service;

/// A request, and which of its samples is wanted: equal requests with different numbers are answered differently.
pub type Asked = (CompletionRequest, u64);

/// Whoever answers requests.
pub trait Writer {
    /// What it is called: answers of another writer don't count.
    fn name(&self) -> &str;

    /// Answers requests in any order, each handed over as it comes. After an error, or when `answered` says stop, what
    /// was answered before has been handed over.
    ///
    /// # Errors
    /// A request has no answer, and trying again won't help now.
    fn write(
        &mut self,
        requests: &[Asked],
        answered: &mut dyn FnMut(usize, CompletionAnswer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError>;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The model isn't there, or refuses.
    #[error("{0}")]
    Missing(String),
    /// The request is wrong.
    #[error("{0}")]
    Wrong(String),
    /// The person stopped it.
    #[error("stopped")]
    Stopped,
    /// An answer could not be kept.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file of answers isn't one.
    #[error("{}:{line}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// What may be spent is spent.
    #[error("{0}")]
    Budget(String),
}

/// What may be spent; without a number, anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Requests.
    pub requests: Option<u64>,
    /// Tokens of prompts and answers together.
    pub tokens: Option<u64>,
    /// Money, in the currency of the prices.
    pub cost: Option<f64>,
    /// Price of a million tokens of prompts.
    pub price_in: f64,
    /// Price of a million tokens of answers.
    pub price_out: f64,
}

/// What was spent, over all parts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spent {
    /// Answers that were had from the writer.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens of the answers.
    pub completion_tokens: u64,
}

impl Spent {
    fn add(&mut self, answer: &CompletionAnswer) {
        self.requests += 1;
        self.prompt_tokens += answer.prompt_tokens;
        self.completion_tokens += answer.completion_tokens;
    }

    /// In the currency of the prices.
    pub fn cost(&self, budget: &Budget) -> f64 {
        (self.prompt_tokens as f64 * budget.price_in + self.completion_tokens as f64 * budget.price_out) / 1e6
    }

    /// What is exceeded, if something is.
    fn exceeded(&self, budget: &Budget) -> Option<String> {
        let tokens = self.prompt_tokens + self.completion_tokens;
        let cost = self.cost(budget);
        match budget {
            Budget { requests: Some(limit), .. } if self.requests >= *limit => Some(format!("{limit} requests")),
            Budget { tokens: Some(limit), .. } if tokens >= *limit => Some(format!("{tokens} of {limit} tokens")),
            Budget { cost: Some(limit), .. } if cost >= *limit => Some(format!("{cost:.4} of {limit}")),
            _ => None,
        }
    }
}

/// A line of the file of answers.
#[derive(Serialize, Deserialize)]
struct Kept {
    hash: String,
    answer: CompletionAnswer,
}

/// The answers that were had.
pub struct Answers {
    path: PathBuf,
    file: File,
    known: HashMap<String, CompletionAnswer>,
    /// What they cost.
    pub spent: Spent,
}

impl Answers {
    /// Opens the file of answers, or begins it. A last line that a kill cut is cut off.
    ///
    /// # Errors
    /// The file can't be read or written, or a line before the last isn't an answer.
    pub fn open(path: &Path) -> Result<Answers, WriteError> {
        let mut known = HashMap::new();
        let mut spent = Spent::default();
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(FileError::at(path, "read")(error).into()),
        };
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        for (line, text) in (1..).zip(bytes[..whole].split(|&byte| byte == b'\n')).filter(|(_, text)| !text.is_empty())
        {
            let kept: Kept = serde_json::from_slice(text).map_err(|error| WriteError::Malformed {
                path: path.to_path_buf(),
                line,
                problem: format!("not an answer that was kept: {error}"),
            })?;
            if known.insert(kept.hash, kept.answer.clone()).is_none() {
                spent.add(&kept.answer);
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(FileError::at(path, "open"))?;
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(FileError::at(path, "shorten"))?;
        }
        Ok(Answers { path: path.to_path_buf(), file, known, spent })
    }

    /// Answers to all requests, in their order: known ones from memory, the others from the writer, each asked once.
    ///
    /// # Errors
    /// The writer has no answer to one, or the budget is spent; what was answered is kept.
    pub fn of(
        &mut self,
        writer: &mut dyn Writer,
        requests: &[Asked],
        budget: &Budget,
        progress: &mut dyn FnMut(&Spent),
    ) -> Result<Vec<CompletionAnswer>, WriteError> {
        let hashes: Vec<String> =
            requests.iter().map(|(request, sample)| hash(writer.name(), request, *sample)).collect();
        let mut once = HashSet::new();
        let is_new = |i: &usize| !self.known.contains_key(&hashes[*i]) && once.insert(&hashes[*i]);
        let unknown: Vec<usize> = (0..requests.len()).filter(is_new).collect();
        if !unknown.is_empty() {
            if let Some(reason) = self.spent.exceeded(budget) {
                return Err(WriteError::Budget(format!("the budget is spent: {reason}")));
            }
            let asked: Vec<Asked> = unknown.iter().map(|&i| requests[i].clone()).collect();
            let mut n_left = asked.len();
            let (path, file, known, spent) = (&self.path, &mut self.file, &mut self.known, &mut self.spent);
            writer.write(&asked, &mut |i, answer| {
                let hash = hashes[unknown[i]].clone();
                let mut line = serde_json::to_vec(&Kept { hash: hash.clone(), answer: answer.clone() })
                    .map_err(|error| WriteError::Wrong(error.to_string()))?;
                line.push(b'\n');
                file.write_all(&line).map_err(FileError::at(path, "write"))?;
                spent.add(&answer);
                known.insert(hash, answer);
                progress(spent);
                n_left -= 1;
                match spent.exceeded(budget).filter(|_| n_left > 0) {
                    Some(reason) => Err(WriteError::Budget(format!("the budget is spent: {reason}"))),
                    None => Ok(()),
                }
            })?;
        }
        hashes
            .iter()
            .map(|hash| self.known.get(hash).cloned())
            .collect::<Option<_>>()
            .ok_or_else(|| WriteError::Missing("the model left requests without an answer".to_owned()))
    }
}

fn hash(writer: &str, request: &CompletionRequest, sample: u64) -> String {
    stdx::hash::json(&serde_json::json!({"writer": writer, "request": request, "sample": sample}))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Answers by a function of the prompt; fails after so many.
    pub(crate) struct Scripted<F: Fn(&str) -> String> {
        pub(crate) answer: F,
        pub(crate) fails_after: usize,
        pub(crate) asked: usize,
    }

    impl<F: Fn(&str) -> String> Writer for Scripted<F> {
        fn name(&self) -> &str {
            "scripted"
        }

        fn write(
            &mut self,
            requests: &[Asked],
            answered: &mut dyn FnMut(usize, CompletionAnswer) -> Result<(), WriteError>,
        ) -> Result<(), WriteError> {
            // From the last to the first: order must not matter.
            for (i, (request, _)) in requests.iter().enumerate().rev() {
                if self.asked == self.fails_after {
                    return Err(WriteError::Missing("gone".to_owned()));
                }
                self.asked += 1;
                let text = (self.answer)(&request.prompt);
                answered(i, CompletionAnswer { text, cut: false, prompt_tokens: 10, completion_tokens: 5 })?;
            }
            Ok(())
        }
    }

    fn requests(n: usize) -> Vec<Asked> {
        let request = |i| CompletionRequest {
            prompt: format!("p{}", i % 3),
            max_tokens: 1,
            temperature: 0.5,
            top_p: 1.0,
            presence_penalty: 0.0,
            stop: Vec::new(),
        };
        (0..n).map(|i| (request(i), i as u64 / 3)).collect()
    }

    fn scripted(fails_after: usize) -> Scripted<impl Fn(&str) -> String> {
        Scripted { answer: |prompt: &str| format!("{prompt}!"), fails_after, asked: 0 }
    }

    #[test]
    fn nothing_is_asked_twice_and_a_cut_line_is_asked_again() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("answers.jsonl");
        let mut writer = scripted(4);
        let mut answers = Answers::open(&path).expect("new");
        let error = answers.of(&mut writer, &requests(6), &Budget::default(), &mut |_| {}).expect_err("gone");
        assert!(matches!(error, WriteError::Missing(_)));
        drop(answers);
        // A kill in the middle of a line.
        let mut text = std::fs::read_to_string(&path).expect("kept");
        assert_eq!(text.lines().count(), 4);
        text.truncate(text.len() - 20);
        std::fs::write(&path, text).expect("cut");
        let mut writer = scripted(99);
        let mut answers = Answers::open(&path).expect("reopened");
        let got = answers.of(&mut writer, &requests(6), &Budget::default(), &mut |_| {}).expect("all");
        assert_eq!(writer.asked, 3);
        assert_eq!(got.iter().map(|a| &a.text[..]).collect::<Vec<_>>(), ["p0!", "p1!", "p2!", "p0!", "p1!", "p2!"]);
        assert_eq!(answers.spent, Spent { requests: 6, prompt_tokens: 60, completion_tokens: 30 });
        let mut nobody = scripted(0);
        answers.of(&mut nobody, &requests(6), &Budget::default(), &mut |_| {}).expect("all known");
    }

    #[test]
    fn a_budget_stops_before_the_next_request() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut answers = Answers::open(&dir.path().join("a.jsonl")).expect("new");
        // 30 · 2 + 15 · 4 = 120 a million after three requests.
        let budget = Budget { cost: Some(1e-4), price_in: 2.0, price_out: 4.0, ..Budget::default() };
        let mut writer = scripted(99);
        answers.of(&mut writer, &requests(3), &budget, &mut |_| {}).expect("within");
        assert!((answers.spent.cost(&budget) - 1.2e-4).abs() < 1e-12);
        let error = answers.of(&mut writer, &requests(6), &budget, &mut |_| {}).expect_err("spent").to_string();
        assert!(error.contains("budget is spent") && writer.asked == 3, "{error}");
    }

    #[test]
    fn a_budget_stops_in_the_middle_of_many_requests() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("a.jsonl");
        let mut answers = Answers::open(&path).expect("new");
        let mut writer = scripted(99);
        let budget = Budget { requests: Some(2), ..Budget::default() };
        let error = answers.of(&mut writer, &requests(6), &budget, &mut |_| {}).expect_err("spent").to_string();
        assert!(error.contains("2 requests") && writer.asked == 2, "{error}");
        // A larger one goes on, and asks for the other four.
        let mut answers = Answers::open(&path).expect("reopened");
        let budget = Budget { requests: Some(6), ..Budget::default() };
        answers.of(&mut writer, &requests(6), &budget, &mut |_| {}).expect("enough");
        assert_eq!(writer.asked, 6);
    }

    #[test]
    fn equal_requests_are_one_wherever_they_stand() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut answers = Answers::open(&dir.path().join("a.jsonl")).expect("new");
        let mut writer = scripted(99);
        let mixed = [requests(6), requests(6), requests(3)].concat();
        let got = answers.of(&mut writer, &mixed, &Budget::default(), &mut |_| {}).expect("all");
        assert_eq!((got.len(), writer.asked, answers.spent.requests), (15, 6, 6));
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("a.jsonl");
        std::fs::write(&path, "{\"hash\": 1}\n{}\n").expect("written");
        let error = Answers::open(&path).err().expect("refused").to_string();
        assert!(error.contains("a.jsonl:1: not an answer"), "{error}");
    }
}
