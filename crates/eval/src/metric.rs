//! What is measured, and what one item says about it.

use serde::{Deserialize, Serialize};

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// Neither: it describes.
    Neither,
}

/// What becomes of Σ values / Σ weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// It stands as it is.
    Mean,
    /// Its exponential is reported (perplexities).
    Exponential,
}

impl Scale {
    /// The number that is reported.
    pub fn apply(self, ratio: f64) -> f64 {
        match self {
            Scale::Mean => ratio,
            Scale::Exponential => ratio.exp(),
        }
    }
}

/// A number that a task reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Which way is good.
    pub better: Better,
    /// What becomes of the mean.
    pub scale: Scale,
    /// It counts tokens, so models with different tokenizers can't be compared by it.
    pub per_token: bool,
}

impl Metric {
    /// A mean of which more is better.
    pub const fn higher(name: &'static str, summary: &'static str) -> Metric {
        Metric { name, summary, better: Better::Higher, scale: Scale::Mean, per_token: false }
    }
    /// A mean of which less is better.
    pub const fn lower(name: &'static str, summary: &'static str) -> Metric {
        Metric { better: Better::Lower, ..Metric::higher(name, summary) }
    }
    /// A mean that describes.
    pub const fn neither(name: &'static str, summary: &'static str) -> Metric {
        Metric { better: Better::Neither, ..Metric::higher(name, summary) }
    }
    /// The same, counted by token.
    pub const fn per_token(self) -> Metric {
        Metric { per_token: true, ..self }
    }
    /// The same, reported as its exponential.
    pub const fn exponential(self) -> Metric {
        Metric { scale: Scale::Exponential, ..self }
    }
}

/// What one item adds to a metric, which is Σ value / Σ weight over the items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The metric.
    pub metric: String,
    /// Added to the numerator.
    pub value: f64,
    /// Added to the denominator.
    pub weight: f64,
}

impl Score {
    /// An item's own number: the metric is the mean over items.
    pub fn of(metric: &str, value: f64) -> Score {
        Score::weighted(metric, value, 1.0)
    }
    /// Yes is 1, no is 0.
    pub fn yes(metric: &str, yes: bool) -> Score {
        Score::of(metric, f64::from(u8::from(yes)))
    }
    /// A sum and what it is counted over (instructions, bytes, words, tokens).
    pub fn weighted(metric: &str, value: f64, weight: f64) -> Score {
        Score { metric: metric.to_owned(), value, weight }
    }
}
