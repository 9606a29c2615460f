//! Mode collapse: how different the answers to one prompt are.

use super::{Data, Example, Row, Settings, Task};
use crate::EvalError;
use crate::item::{Answer, Ask, Item, Sample, Sampling};
use crate::metric::{Metric, Score};
use serde_json::{Value, json};
use std::collections::HashMap;
use text::diversity::{distinct_n, self_bleu};
use text::token::Words;

/// The task.
pub struct Diversity;

const SAMPLES: usize = 6;
const MAX_NEW_TOKENS: usize = 64;

/// Positions of an answer that are told apart, from and to (excluded), counted from 0.
const POSITIONS: [(&str, usize, usize); 5] = [
    ("entropy_1", 0, 1),
    ("entropy_2_4", 1, 4),
    ("entropy_5_16", 4, 16),
    ("entropy_17_64", 16, 64),
    ("entropy_65_on", 64, usize::MAX),
];

impl Task for Diversity {
    fn name(&self) -> &'static str {
        "diversity"
    }
    fn version(&self) -> u32 {
        1
    }
    fn summary(&self) -> &'static str {
        "how different the answers to one prompt are (mode collapse)"
    }
    fn source(&self) -> &'static str {
        "distinct-n (arXiv 1510.03055), Self-BLEU (arXiv 1802.01886), entropy of the next-token distribution"
    }
    fn metrics(&self) -> &'static [Metric] {
        const METRICS: &[Metric] = &[
            Metric::lower("top_share", "share of the commonest answer (normalised), mean over prompts"),
            Metric::higher("distinct_answers", "different answers ÷ answers, as they stand, mean over prompts"),
            Metric::higher("distinct_normalised", "the same, case, punctuation and blanks aside"),
            Metric::higher("distinct_1", "different words ÷ words of all answers to a prompt, mean over prompts"),
            Metric::higher("distinct_2", "the same of pairs of words"),
            Metric::higher("distinct_3", "the same of three words"),
            Metric::lower(
                "self_bleu",
                "BLEU-4 of an answer with the others as references, 0 to 100, mean over prompts",
            ),
            Metric::higher("entropy", "entropy of the distribution of the next token, nats, mean over tokens")
                .per_token(),
            Metric::higher("entropy_1", "the same at the first token of an answer").per_token(),
            Metric::higher("entropy_2_4", "the same at tokens 2 to 4").per_token(),
            Metric::higher("entropy_5_16", "the same at tokens 5 to 16").per_token(),
            Metric::higher("entropy_17_64", "the same at tokens 17 to 64").per_token(),
            Metric::higher("entropy_65_on", "the same from token 65 on").per_token(),
            Metric::neither("ended", "share of answers that ended by themselves"),
            Metric::neither("tokens", "tokens of an answer, mean").per_token(),
        ];
        METRICS
    }
    fn data(&self) -> Data {
        Data::Shipped(include_str!("../../data/diversity.jsonl"))
    }
    fn items_of(&self, row: &Row, settings: &Settings) -> Result<Vec<Item>, String> {
        let n = settings.samples.unwrap_or(SAMPLES);
        if n < 2 {
            return Err(format!("{n} answers a prompt, expected at least 2: one can't differ from itself"));
        }
        let drawn =
            Sampling::draw(n, settings.max_new_tokens.unwrap_or(MAX_NEW_TOKENS), settings.temperature.unwrap_or(1.0));
        Ok(vec![Item {
            id: row.id(),
            ask: Ask::Completions { prompt: row.prompt()?, sampling: Sampling { entropy: true, ..drawn } },
            gold: Value::Null,
            slice: row.optional_text("use_case"),
            source: row.source()?,
        }])
    }
    fn score(&self, _: &Item, answer: &Answer, _: &Settings) -> Result<Vec<Score>, EvalError> {
        let Answer::Completions { samples } = answer else { return Ok(Vec::new()) };
        if samples.is_empty() {
            return Ok(Vec::new());
        }
        let n = samples.len() as f64;
        let texts: Vec<&str> = samples.iter().map(|sample| sample.text.trim()).collect();
        let words: Vec<Vec<String>> = texts.iter().map(|text| Words::Unicode.of(text)).collect();
        let verbatim = counts(texts.iter().map(|text| (*text).to_owned()));
        let normalised = counts(words.iter().map(|words| words.join(" ")));
        let top = normalised.values().max().copied().unwrap_or(0);
        let mut scores = vec![
            Score::of("distinct_answers", verbatim.len() as f64 / n),
            Score::of("distinct_normalised", normalised.len() as f64 / n),
            Score::of("top_share", top as f64 / n),
            Score::weighted("ended", samples.iter().filter(|sample| sample.ended).count() as f64, n),
            Score::weighted("tokens", samples.iter().map(|sample| sample.tokens as f64).sum(), n),
        ];
        for (order, name) in [(1, "distinct_1"), (2, "distinct_2"), (3, "distinct_3")] {
            let share = distinct_n(words.iter().map(Vec::as_slice), order);
            // Answers of fewer words say nothing.
            scores.extend(share.is_finite().then(|| Score::of(name, share)));
        }
        // Without words there is nothing to compare either.
        let spoken: Vec<&str> = texts.iter().copied().filter(|text| !text.is_empty()).collect();
        scores.extend(self_bleu(&spoken).filter(|bleu| bleu.is_finite()).map(|bleu| Score::of("self_bleu", bleu)));
        scores.extend(entropies(samples));
        Ok(scores)
    }
    fn examples(&self) -> Vec<Example> {
        let row = json!({"prompt": "Are bugs real?"});
        let drawn = |texts: [&str; 4]| Answer::Completions { samples: texts.map(sample).to_vec() };
        vec![
            Example {
                row: row.clone(),
                answer: drawn(["yes they are", "no", "some", "who knows"]),
                // Seven words, all different; (2 + 1.5)/2 nats a token.
                scores: vec![("distinct_answers", 1.0), ("top_share", 0.25), ("distinct_1", 1.0), ("entropy", 1.75)],
            },
            Example {
                row,
                answer: drawn(["Yes.", "yes", "yes", "no"]),
                scores: vec![
                    ("distinct_answers", 0.75),
                    ("distinct_normalised", 0.5),
                    ("top_share", 0.75),
                    ("distinct_1", 0.5),
                    ("entropy_1", 2.0),
                    ("entropy_2_4", 1.5),
                ],
            },
        ]
    }
}

/// An answer whose first token had 2 nats of entropy and whose second had 1.5.
fn sample(text: &str) -> Sample {
    Sample { text: text.to_owned(), tokens: 2, ended: true, entropies: vec![2.0, 1.5], divergence: None }
}

fn counts(texts: impl Iterator<Item = String>) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    texts.for_each(|text| *counts.entry(text).or_default() += 1);
    counts
}

fn entropies(samples: &[Sample]) -> Vec<Score> {
    let of = |name: &str, from: usize, to: usize| {
        let inside = samples.iter().flat_map(|s| s.entropies.iter().take(to).skip(from)).map(|&e| f64::from(e));
        let n = inside.clone().count();
        (n > 0).then(|| Score::weighted(name, inside.sum(), n as f64))
    };
    let by_position = POSITIONS.iter().filter_map(|&(name, from, to)| of(name, from, to));
    of("entropy", 0, usize::MAX).into_iter().chain(by_position).collect()
}
