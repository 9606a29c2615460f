//! Rows that `helpmate label export` writes (`rankings` and `ratings`), and others of their shape.

use super::{Judged, Judgement};
use crate::{EvalError, facet};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use stdx::{FileError, hash, jsonl};

/// A judgement's id, a model, and what it answered.
type Rated = (String, Option<String>, String);

/// The judgements of files. A rating that is also in a ranking of the same `id` counts once.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Judgement>, EvalError> {
    let mut found = Vec::new();
    // A project's rankings and ratings may both be given.
    let mut rated: HashSet<Rated> = HashSet::new();
    for path in paths {
        let file = File::open(path).map_err(FileError::at(path, "open"))?;
        let before = found.len();
        for line in jsonl::Reader::<_, Map<String, Value>>::new(BufReader::new(file)) {
            let at = |line: usize, problem: String| EvalError::Line { path: path.clone(), line, problem };
            let (line, row) = line.map_err(|error| at(error.line, error.problem.to_string()))?;
            let (judgement, texts) = judgement(&row).map_err(|problem| at(line, problem))?;
            found.push(once(judgement, &texts, row.get("id").and_then(Value::as_str), &mut rated));
        }
        if found.len() == before {
            return Err(empty(path));
        }
    }
    Ok(found)
}

/// Without ratings that an earlier row of the same judgement gave to the same answer of the same model.
fn once(mut read: Judgement, texts: &[&str], id: Option<&str>, rated: &mut HashSet<Rated>) -> Judgement {
    let Some(id) = id else { return read };
    let mut fresh = Vec::new();
    for (answer, text) in read.answers.iter_mut().zip(texts) {
        if answer.rating.is_none() && answer.flags.is_empty() {
            continue;
        }
        let key = (id.to_owned(), answer.model.clone(), (*text).to_owned());
        if rated.contains(&key) {
            (answer.rating, answer.flags) = (None, BTreeMap::new());
        } else {
            fresh.push(key);
        }
    }
    // Only now: one row may hold the same words twice.
    rated.extend(fresh);
    read
}

fn empty(path: &Path) -> EvalError {
    EvalError::Line { path: path.to_path_buf(), line: 1, problem: "no judgements, expected at least one".to_owned() }
}

/// A row as a judgement, with the texts of its answers.
fn judgement(row: &Map<String, Value>) -> Result<(Judgement, Vec<&str>), String> {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let prompt = row.get("prompt").ok_or("no `prompt`")?;
    let mut texts = Vec::new();
    let answers = match (row.get("completions").and_then(Value::as_array), row.get("completion")) {
        (Some(completions), _) => {
            let answer = |(idx, completion): (usize, &'_ Value)| {
                let wrong = |problem: &str| format!("completions[{idx}]: {problem}");
                let fields = completion.as_object().ok_or_else(|| wrong("expected an object"))?;
                let rank =
                    fields.get("rank").and_then(Value::as_f64).ok_or_else(|| wrong("no `rank`, expected a number"))?;
                answer(fields, "text", Some(rank)).map_err(|problem| wrong(&problem))
            };
            for completion in completions {
                texts.push(completion.get("text").and_then(Value::as_str).unwrap_or_default());
            }
            completions.iter().enumerate().map(answer).collect::<Result<Vec<_>, _>>()?
        }
        (None, Some(completion)) => {
            texts.push(completion.as_str().unwrap_or_default());
            let rated = answer(row, "completion", None)?;
            if rated.rating.is_none() && rated.flags.is_empty() {
                return Err(
                    "neither `completions` with ranks nor a `completion` with `fields` or a `rating`".to_owned()
                );
            }
            vec![rated]
        }
        (None, None) => {
            return Err(
                "neither `completions` nor `completion`: preferences don't say which model wrote what".to_owned()
            );
        }
    };
    let field = |name: &&str| Some(((*name).to_owned(), row.get(*name)?.as_str()?.to_owned()));
    let about = facet::FIELDS.iter().filter(|name| **name != "labeler").filter_map(field).collect();
    let prompt = hash::json(prompt);
    Ok((Judgement { prompt, source: text("source"), labeler: text("labeler"), about, answers }, texts))
}

/// An answer: its model is `origin` or `model`; ratings and flags stand in `fields`, or by themselves.
fn answer(fields: &Map<String, Value>, text: &str, rank: Option<f64>) -> Result<Judged, String> {
    let words = fields.get(text).and_then(Value::as_str).ok_or_else(|| format!("no `{text}`, expected text"))?;
    let model = ["origin", "model"].into_iter().find_map(|name| fields.get(name)?.as_str()).map(str::to_owned);
    let said = fields.get("fields").and_then(Value::as_object);
    let rating = fields.get("rating").or_else(|| said?.get("rating"));
    let rating = match rating {
        None | Some(Value::Null) => None,
        Some(found) => match found.as_f64().filter(|rating| (1.0..=7.0).contains(rating)) {
            Some(rating) => Some(rating),
            None => return Err(format!("`rating` is {found}, expected 1 to 7")),
        },
    };
    let flags = fields.get("flags").and_then(Value::as_object).or(said);
    let flag = |(name, value): (&String, &Value)| Some((name.clone(), value.as_bool()?));
    let flags = flags.into_iter().flatten().filter_map(flag).collect();
    let characters = words.chars().count();
    Ok(Judged { model, rank, rating, flags, characters, words: hash::bytes(words.as_bytes()) })
}
