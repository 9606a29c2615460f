//! How far a model has moved from a reference: KL(model ‖ reference) on the model's own answers.

use super::{Data, Example, Row, Settings, Task};
use crate::EvalError;
use crate::item::{Answer, Ask, Divergence, Item, Sample, Sampling};
use crate::metric::{Metric, Score};
use serde_json::{Value, json};

/// The task.
pub struct KlFromReference;

const SAMPLES: usize = 2;
const MAX_NEW_TOKENS: usize = 64;

impl Task for KlFromReference {
    fn name(&self) -> &'static str {
        "kl"
    }
    fn version(&self) -> u32 {
        1
    }
    fn summary(&self) -> &'static str {
        "how far the model has moved from --reference (KL on its own answers)"
    }
    fn source(&self) -> &'static str {
        "KL(π ‖ π_ref): k1 and k3 (Schulman, \"Approximating KL divergence\", 2020), and exactly over the vocabulary"
    }
    fn metrics(&self) -> &'static [Metric] {
        const METRICS: &[Metric] = &[
            Metric::neither("kl_exact", "Σ_v π(v)(log π(v) − log π_ref(v)), nats a token").per_token(),
            Metric::neither("kl_k1", "log π − log π_ref of the token drawn, nats a token").per_token(),
            Metric::neither("kl_k3", "e^{−d} − 1 + d with d = log π − log π_ref, nats a token").per_token(),
            Metric::neither("kl_exact_sequence", "the same, nats an answer"),
            Metric::neither("kl_k1_sequence", "the same, nats an answer"),
            Metric::neither("kl_k3_sequence", "the same, nats an answer"),
            Metric::neither("tokens", "tokens of an answer, mean").per_token(),
        ];
        METRICS
    }
    fn data(&self) -> Data {
        Data::Shipped(include_str!("../../data/diversity.jsonl"))
    }
    fn items_of(&self, row: &Row, settings: &Settings) -> Result<Vec<Item>, String> {
        let drawn = Sampling::draw(
            settings.samples.unwrap_or(SAMPLES),
            settings.max_new_tokens.unwrap_or(MAX_NEW_TOKENS),
            // Elsewhere the answers wouldn't be the distribution's whose divergence is measured.
            1.0,
        );
        if settings.temperature.is_some_and(|temperature| temperature != 1.0) {
            return Err("KL is measured at temperature 1: answers must be drawn at it".to_owned());
        }
        Ok(vec![Item {
            id: row.id(),
            ask: Ask::Completions { prompt: row.prompt()?, sampling: Sampling { divergence: true, ..drawn } },
            gold: Value::Null,
            slice: None,
            source: row.source()?,
        }])
    }
    fn score(&self, _: &Item, answer: &Answer, _: &Settings) -> Result<Vec<Score>, EvalError> {
        let Answer::Completions { samples } = answer else { return Ok(Vec::new()) };
        let found: Vec<(&Sample, Divergence)> = samples.iter().filter_map(|s| Some((s, s.divergence?))).collect();
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let tokens: f64 = found.iter().map(|(sample, _)| sample.tokens as f64).sum();
        let answers = found.len() as f64;
        let sum = |part: fn(&Divergence) -> f64| found.iter().map(|(_, divergence)| part(divergence)).sum::<f64>();
        let (exact, k1, k3) = (sum(|d| d.exact), sum(|d| d.k1), sum(|d| d.k3));
        Ok(vec![
            Score::weighted("kl_exact", exact, tokens),
            Score::weighted("kl_k1", k1, tokens),
            Score::weighted("kl_k3", k3, tokens),
            Score::weighted("kl_exact_sequence", exact, answers),
            Score::weighted("kl_k1_sequence", k1, answers),
            Score::weighted("kl_k3_sequence", k3, answers),
            Score::weighted("tokens", tokens, answers),
        ])
    }
    fn examples(&self) -> Vec<Example> {
        let sample = |tokens: usize, k1: f64, k3: f64, exact: f64| Sample {
            text: String::new(),
            tokens,
            ended: true,
            entropies: Vec::new(),
            divergence: Some(Divergence { k1, k3, exact }),
        };
        vec![Example {
            row: json!({"prompt": "Q"}),
            // (2 + 1)/(4 + 2) a token, (2 + 1)/2 an answer.
            answer: Answer::Completions { samples: vec![sample(4, -1.0, 2.5, 2.0), sample(2, 4.0, 0.5, 1.0)] },
            scores: vec![("kl_exact", 0.5), ("kl_k1", 0.5), ("kl_k3", 0.5), ("kl_exact_sequence", 1.5)],
        }]
    }
}
