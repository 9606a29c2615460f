//! What `helpmate reject` sampled: many answers to each prompt with the proxy's reward, and gold where it was scored.

use crate::EvalError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use stdx::{FileError, jsonl};

/// The first round's samples: those of the model that was given.
#[derive(Clone, Debug, Serialize)]
pub struct BestOfN {
    /// The end of the folder's path.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
    /// Whether `gold.jsonl` stands beside the samples.
    pub has_gold: bool,
    /// `(proxy, gold)` of the answers to each prompt that have a reward; gold is 0 where there is none.
    #[serde(skip)]
    pub prompts: Vec<Vec<(f64, f64)>>,
}

#[derive(Deserialize)]
struct Sampled {
    row: usize,
    completion: String,
    reward: Option<f64>,
}

#[derive(Deserialize)]
struct Scored {
    rewards: Vec<f64>,
}

/// Reads a folder that `helpmate reject` wrote. `round-1/gold.jsonl` is what `helpmate score --skip-bad` made of
/// `round-1/samples.jsonl` with the gold reward: a row a sample, the empty ones left out.
pub(super) fn read(folder: &Path) -> Result<BestOfN, EvalError> {
    let (samples, gold) = (folder.join("round-1/samples.jsonl"), folder.join("round-1/gold.jsonl"));
    let sampled: Vec<Sampled> = rows(&samples)?;
    let has_gold = gold.is_file();
    let mut scores = if has_gold { gold_of(&gold, &sampled)? } else { vec![Some(0.0); sampled.len()] }.into_iter();
    let mut prompts: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in &sampled {
        let gold = scores.next().flatten();
        let of_prompt = prompts.entry(sample.row).or_default();
        of_prompt.extend(sample.reward.zip(gold));
    }
    let name = folder.file_name().map_or_else(|| "best of n".to_owned(), |name| name.to_string_lossy().into_owned());
    Ok(BestOfN { name, path: folder.to_path_buf(), has_gold, prompts: prompts.into_values().collect() })
}

/// Gold of each sample, absent for the empty ones.
fn gold_of(path: &Path, sampled: &[Sampled]) -> Result<Vec<Option<f64>>, EvalError> {
    let mut scores = rows::<Scored>(path)?.into_iter();
    let is_empty = |sample: &Sampled| sample.completion.trim().is_empty();
    let (found, expected) = (scores.len(), sampled.iter().filter(|sample| !is_empty(sample)).count());
    if found != expected {
        let problem = format!(
            "{found} scores, expected {expected}: one for each sample that isn't empty, as `helpmate score --skip-bad` writes them"
        );
        return Err(EvalError::Damaged { path: path.to_path_buf(), problem });
    }
    let score = |sample: &Sampled| {
        if is_empty(sample) { None } else { scores.next().and_then(|scored| scored.rewards.first().copied()) }
    };
    Ok(sampled.iter().map(score).collect())
}

fn rows<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>, EvalError> {
    let file = File::open(path).map_err(FileError::at(path, "open"))?;
    let wrong = |error: jsonl::LineError| EvalError::Line {
        path: path.to_path_buf(),
        line: error.line,
        problem: error.problem.to_string(),
    };
    jsonl::Reader::new(BufReader::new(file)).map(|line| line.map(|(_, row)| row).map_err(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(gold: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("round-1")).unwrap();
        let row = |row: usize, text: &str, reward: &str| {
            format!(
                "{{\"row\": {row}, \"sample\": 0, \"prompt\": \"p\", \"completion\": \"{text}\", \"stop\": \"stop\", \"reward\": {reward}}}\n"
            )
        };
        // The second answer is empty and has no score at all, the fourth was cut off and has no reward.
        let samples =
            [row(0, "a", "0.5"), row(0, " ", "null"), row(0, "b", "1.5"), row(1, "c", "null"), row(1, "d", "-1")];
        std::fs::write(folder.path().join("round-1/samples.jsonl"), samples.concat()).unwrap();
        if !gold.is_empty() {
            let gold: String = gold.iter().map(|gold| format!("{{\"row\": 0, \"rewards\": [{gold}]}}\n")).collect();
            std::fs::write(folder.path().join("round-1/gold.jsonl"), gold).unwrap();
        }
        folder
    }

    #[test]
    fn gold_is_laid_beside_the_samples_that_are_not_empty() {
        let found = read(place(&["10", "20", "30", "40"]).path()).unwrap();
        assert_eq!(found.prompts, [vec![(0.5, 10.0), (1.5, 20.0)], vec![(-1.0, 40.0)]]);
        let without = read(place(&[]).path()).unwrap();
        assert!(!without.has_gold && without.prompts[0] == [(0.5, 0.0), (1.5, 0.0)]);
        let error = read(place(&["10", "20"]).path()).unwrap_err().to_string();
        assert!(error.contains("gold.jsonl") && error.contains("2 scores, expected 4"), "{error}");
    }
}
