//! Multiple choice by log-likelihood, as lm-evaluation-harness scores it.

use super::{Data, Example, Row, Settings, Task};
use crate::EvalError;
use crate::item::{Answer, Ask, Item, LogLikelihood};
use crate::metric::{Metric, Score};
use serde_json::{Value, json};

/// The task.
pub struct MultipleChoice;

impl Task for MultipleChoice {
    fn name(&self) -> &'static str {
        "multiple_choice"
    }
    fn version(&self) -> u32 {
        1
    }
    fn summary(&self) -> &'static str {
        "multiple choice by log-likelihood, as lm-evaluation-harness scores it"
    }
    fn source(&self) -> &'static str {
        "`multiple_choice` of EleutherAI's lm-evaluation-harness 0.4"
    }
    fn metrics(&self) -> &'static [Metric] {
        const METRICS: &[Metric] = &[
            Metric::higher("acc", "share whose likeliest choice is right"),
            Metric::higher("acc_norm", "the same by log-likelihood per character"),
            Metric::higher("acc_bytes", "the same by log-likelihood per byte"),
            Metric::higher("acc_mutual_info", "the same by log p(choice | context) − log p(choice)"),
        ];
        METRICS
    }
    fn data(&self) -> Data {
        Data::File("rows with `context`, `choices` and `gold` (an index or several), optional `delimiter`, `slice`")
    }
    fn items_of(&self, row: &Row, _: &Settings) -> Result<Vec<Item>, String> {
        let context = row.find_text(&["context", "question", "prompt"])?;
        let choices = row.texts("choices")?;
        let gold = gold(row, choices.len())?;
        let delimiter = row.optional_text("delimiter").unwrap_or_else(|| " ".to_owned());
        let continuations = choices.iter().map(|choice| format!("{delimiter}{choice}")).collect();
        let slice = ["slice", "category", "subject"].into_iter().find_map(|column| row.optional_text(column));
        Ok(vec![Item {
            id: row.id(),
            ask: Ask::Choices { context: context.to_owned(), continuations, unconditional: true },
            gold: json!({ "choices": choices, "gold": gold }),
            slice,
            source: row.source()?,
        }])
    }
    fn score(&self, item: &Item, answer: &Answer, _: &Settings) -> Result<Vec<Score>, EvalError> {
        let Answer::Choices { conditional, unconditional } = answer else { return Ok(Vec::new()) };
        let choices = item.gold["choices"].as_array().map(Vec::as_slice).unwrap_or_default();
        let choices: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
        let right = |scores: Vec<f64>| is_gold(&item.gold["gold"], best(&scores));
        let by = |length: &dyn Fn(&str) -> usize| {
            conditional.iter().zip(&choices).map(|(l, choice)| l.sum / length(choice) as f64).collect()
        };
        let gains = conditional.iter().zip(unconditional).map(|(with, without)| with.sum - without.sum).collect();
        Ok(vec![
            Score::yes("acc", right(conditional.iter().map(|l| l.sum).collect())),
            Score::yes("acc_norm", right(by(&|choice| choice.chars().count()))),
            Score::yes("acc_bytes", right(by(&str::len))),
            Score::yes("acc_mutual_info", right(gains)),
        ])
    }
    fn examples(&self) -> Vec<Example> {
        let row = json!({"context": "Q", "choices": ["é", "long"], "gold": 0});
        let example = |row: &Value, conditional: [f64; 2], unconditional: [f64; 2], scores| Example {
            row: row.clone(),
            answer: Answer::Choices { conditional: sums(&conditional), unconditional: sums(&unconditional) },
            scores,
        };
        vec![
            example(
                &row,
                [-1.0, -9.0],
                [-1.0, -1.0],
                vec![("acc", 1.0), ("acc_norm", 1.0), ("acc_bytes", 1.0), ("acc_mutual_info", 1.0)],
            ),
            // Per character −3 against −2; per byte −1.5 against −2; gains 3 − 2 against 0.
            example(
                &row,
                [-3.0, -8.0],
                [-4.0, -8.0],
                vec![("acc", 1.0), ("acc_norm", 0.0), ("acc_bytes", 1.0), ("acc_mutual_info", 1.0)],
            ),
            example(&row, [-9.0, -1.0], [-9.0, -9.0], vec![("acc", 0.0), ("acc_mutual_info", 0.0)]),
            // The first of equals wins, and any of several right ones is right.
            example(
                &json!({"context": "Q", "choices": ["a", "b"], "gold": [1]}),
                [-1.0, -1.0],
                [0.0, 0.0],
                vec![("acc", 0.0)],
            ),
            example(
                &json!({"context": "Q", "choices": ["a", "b"], "gold": [0, 1]}),
                [-2.0, -1.0],
                [0.0, 0.0],
                vec![("acc", 1.0)],
            ),
        ]
    }
}

/// Log-likelihoods of one token each.
pub(super) fn sums(sums: &[f64]) -> Vec<LogLikelihood> {
    sums.iter().map(|&sum| LogLikelihood { sum, tokens: 1 }).collect()
}

/// The index of the highest, the first of equals.
pub(super) fn best(scores: &[f64]) -> usize {
    let mut best = 0;
    for (idx, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = idx;
        }
    }
    best
}

/// The right choices of a row, each one there is.
pub(super) fn gold(row: &Row, n: usize) -> Result<Vec<usize>, String> {
    if n == 0 {
        return Err("no choices: the list is empty".to_owned());
    }
    let column = ["gold", "label", "answer"].into_iter().find_map(|column| row.value.get(column)).ok_or("no `gold`")?;
    let index = |value: &Value| {
        let found = value.as_u64().map(|found| found as usize).filter(|&found| found < n);
        found.ok_or_else(|| format!("`gold` is {value}, expected 0 to {}", n - 1))
    };
    match column {
        Value::Array(several) if several.is_empty() => Err("`gold` is an empty list".to_owned()),
        Value::Array(several) => several.iter().map(index).collect(),
        one => Ok(vec![index(one)?]),
    }
}

/// Whether a choice is one of the right ones.
pub(super) fn is_gold(gold: &Value, choice: usize) -> bool {
    gold.as_array().is_some_and(|gold| gold.iter().any(|index| index.as_u64() == Some(choice as u64)))
}
