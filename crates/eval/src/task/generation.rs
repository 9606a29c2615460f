//! Written answers against references: exact match, F1, ROUGE, BLEU, a pattern, a number.

use super::instructions::says;
use super::{Data, Example, Row, Settings, Task, texts};
use crate::EvalError;
use crate::item::{Answer, Ask, Item, Sampling};
use crate::metric::{Metric, Score};
use regex::Regex;
use serde_json::{Value, json};
use std::collections::HashMap;
use text::rouge::{rouge_l, rouge_n};
use text::token::Words;

/// The task.
pub struct Generation;

const MAX_NEW_TOKENS: usize = 256;

impl Task for Generation {
    fn name(&self) -> &'static str {
        "generation"
    }
    fn version(&self) -> u32 {
        1
    }
    fn summary(&self) -> &'static str {
        "written answers against references (exact match, F1, ROUGE, BLEU, pattern, number)"
    }
    fn source(&self) -> &'static str {
        "exact match and F1 as SQuAD (arXiv 1606.05250); the last number of an answer as GSM8K (arXiv 2110.14168)"
    }
    fn metrics(&self) -> &'static [Metric] {
        const METRICS: &[Metric] = &[
            Metric::higher(
                "exact_match",
                "share of answers that are a reference, case, punctuation and articles aside",
            ),
            Metric::higher("verbatim", "share of answers that are a reference, blanks at the ends aside"),
            Metric::higher("f1", "harmonic mean of precision and recall of words, with the closest reference"),
            Metric::higher("rouge1", "ROUGE-1 F with the closest reference"),
            Metric::higher("rouge2", "ROUGE-2 F with the closest reference"),
            Metric::higher("rougeL", "ROUGE-L F with the closest reference"),
            Metric::higher("bleu", "BLEU of each answer with all references, 0 to 100, mean"),
            Metric::higher("regex", "share of answers that the row's `regex` matches, of rows that have one"),
            Metric::higher(
                "numeric",
                "share whose last number is the reference's, of rows whose reference ends in one",
            ),
            Metric::neither("ended", "share of answers that ended by themselves"),
            Metric::neither("tokens", "tokens of an answer, mean").per_token(),
        ];
        METRICS
    }
    fn data(&self) -> Data {
        Data::File("rows with `prompt` and `completion` or `answers` (a list); optional `regex`, `stop`, `category`")
    }
    fn items_of(&self, row: &Row, settings: &Settings) -> Result<Vec<Item>, String> {
        let regex = row.optional_text("regex");
        if let Some(pattern) = &regex {
            Regex::new(pattern).map_err(|error| format!("`regex`: {error}"))?;
        }
        let (prompt, references) = match row.conversation()? {
            Some((prompt, answer)) => (prompt, vec![answer]),
            None => (row.prompt()?, references(row, regex.is_some())?),
        };
        if regex.is_none() && references.iter().all(|reference| reference.trim().is_empty()) {
            return Err("every reference is empty".to_owned());
        }
        let stop = if row.value.get("stop").is_some() { row.texts("stop")? } else { Vec::new() };
        let sampling = Sampling { stop, ..Sampling::greedy(settings.max_new_tokens.unwrap_or(MAX_NEW_TOKENS)) };
        Ok(vec![Item {
            id: row.id(),
            ask: Ask::Completions { prompt, sampling },
            gold: json!({ "references": references, "regex": regex }),
            slice: row.optional_text("category").or_else(|| row.optional_text("use_case")),
            source: row.source()?,
        }])
    }
    fn score(&self, item: &Item, answer: &Answer, _: &Settings) -> Result<Vec<Score>, EvalError> {
        let Answer::Completions { samples } = answer else { return Ok(Vec::new()) };
        let Some(sample) = samples.first() else { return Ok(Vec::new()) };
        let answer = sample.text.trim();
        let references = texts(&item.gold["references"]).unwrap_or_default();
        let references: Vec<&str> = references.iter().map(String::as_str).collect();
        let mut scores = Vec::new();
        if !references.is_empty() {
            let closest =
                |similarity: &dyn Fn(&str) -> f64| references.iter().map(|r| similarity(r)).fold(0.0, f64::max);
            let any = |same: &dyn Fn(&str) -> bool| references.iter().any(|r| same(r));
            let words = Words::Unicode;
            scores.push(Score::yes("exact_match", any(&|r| normalised(r) == normalised(answer))));
            scores.push(Score::yes("verbatim", any(&|r| r.trim() == answer)));
            scores.push(Score::of("f1", closest(&|r| f1(r, answer))));
            scores.push(Score::of("rouge1", closest(&|r| rouge_n(r, answer, 1, words).f)));
            scores.push(Score::of("rouge2", closest(&|r| rouge_n(r, answer, 2, words).f)));
            scores.push(Score::of("rougeL", closest(&|r| rouge_l(r, answer, words).f)));
            scores.push(Score::of("bleu", text::bleu::sentence_bleu(answer, &references)));
            let numbers: Vec<f64> = references.iter().filter_map(|r| last_number(r)).collect();
            if !numbers.is_empty() {
                let found = last_number(answer);
                scores.push(Score::yes("numeric", found.is_some_and(|found| numbers.contains(&found))));
            }
        }
        if let Some(pattern) = item.gold["regex"].as_str() {
            scores.push(Score::yes("regex", Regex::new(pattern).is_ok_and(|regex| regex.is_match(answer))));
        }
        scores.push(Score::yes("ended", sample.ended));
        scores.push(Score::of("tokens", sample.tokens as f64));
        Ok(scores)
    }
    fn examples(&self) -> Vec<Example> {
        let row = json!({"prompt": "Q", "answers": ["The cat sat.", "It has 1,200 legs"], "regex": "^The"});
        let example = |text: &str, scores| Example { row: row.clone(), answer: says(text), scores };
        vec![
            example(
                "the cat, sat",
                vec![("exact_match", 1.0), ("verbatim", 0.0), ("f1", 1.0), ("rougeL", 1.0), ("regex", 0.0)],
            ),
            example("The cat sat.", vec![("verbatim", 1.0), ("regex", 1.0), ("numeric", 0.0)]),
            // cat of {cat, ran, off} and {cat, sat}: 2·(1/3)(1/2)/(1/3 + 1/2); ROUGE-1 also counts "the".
            example("The cat ran off", vec![("exact_match", 0.0), ("f1", 0.4), ("rouge1", 4.0 / 7.0)]),
            example("So 3 × 400 = $1200.", vec![("numeric", 1.0), ("exact_match", 0.0)]),
            example("", vec![("exact_match", 0.0), ("f1", 0.0), ("bleu", 0.0), ("numeric", 0.0)]),
        ]
    }
}

/// The right answers of a row; a row with a pattern needs none.
fn references(row: &Row, has_regex: bool) -> Result<Vec<String>, String> {
    let columns = ["answers", "completion", "answer", "target", "reference"];
    match columns.into_iter().find_map(|column| row.value.get(column)) {
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(list) => texts(list).ok_or_else(|| "`answers` is no list of texts".to_owned()),
        None if has_regex => Ok(Vec::new()),
        None => Err("no `completion`, `answers` or `regex`".to_owned()),
    }
}

/// Small letters, without punctuation and the articles a, an, the; single blanks (SQuAD's convention).
fn normalised(text: &str) -> String {
    normalised_words(text).join(" ")
}

fn normalised_words(text: &str) -> Vec<String> {
    let plain: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    plain.split_whitespace().filter(|word| !matches!(*word, "a" | "an" | "the")).map(str::to_owned).collect()
}

/// F1 of words, each counted as often as in the text that has it less often.
fn f1(reference: &str, answer: &str) -> f64 {
    let (reference, answer) = (normalised_words(reference), normalised_words(answer));
    if reference.is_empty() || answer.is_empty() {
        return f64::from(u8::from(reference == answer));
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    reference.iter().for_each(|word| *left.entry(word).or_default() += 1);
    let mut shared = 0;
    for word in &answer {
        if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    2.0 * shared as f64 / (reference.len() + answer.len()) as f64
}

/// The last number of a text: digits with commas between thousands, a sign, a fraction.
pub(crate) fn last_number(text: &str) -> Option<f64> {
    let pattern = Regex::new(r"-?\d[\d,]*(?:\.\d+)?").ok()?;
    let last = pattern.find_iter(text).last()?;
    last.as_str().replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demonstration_is_a_question_with_its_answer() {
        let conversation = |roles: &[&str]| Row {
            path: "rows.jsonl".into(),
            line: 1,
            value: json!({"messages": roles.iter().map(|role| json!({"role": role, "content": format!("{role} says")})).collect::<Vec<_>>()}),
        };
        let items = Generation.items_of(&conversation(&["user", "assistant"]), &Settings::default()).unwrap();
        assert_eq!(items[0].gold["references"], json!(["assistant says"]));
        let Ask::Completions { prompt: record::Prompt::Messages(messages), .. } = &items[0].ask else { panic!() };
        assert_eq!(messages.len(), 1);
        let error = Generation.items_of(&conversation(&["user"]), &Settings::default()).unwrap_err();
        assert!(error.contains("expected the assistant's answer last"), "{error}");
    }

    #[test]
    fn the_last_number_is_the_answer() {
        let check = |text: &str, expected: Option<f64>| assert_eq!(last_number(text), expected, "{text:?}");
        check("He has 3 apples and 4 pears, so 7.", Some(7.0));
        check("#### 1,234.50", Some(1234.5));
        check("It is -5 degrees", Some(-5.0));
        check("the 2, then", Some(2.0));
        check("none", None);
    }
}
