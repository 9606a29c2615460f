//! Where rewards come from: a reward model, a rule, an endpoint, a pair of policies, or several of these together.
//!
//! A scorer sees text, never the asking model's tokens: a reward model renders it with its own tokenizer and template,
//! so it may differ from the policy in size and vocabulary.
mod combined;
mod implicit;
mod reward_model;

pub use combined::{Gated, Weighted};
pub use implicit::ImplicitReward;
pub(crate) use reward_model::stored_scale;
pub use reward_model::{RewardModel, SCALAR_HEAD};

use crate::rule::{self, Check, RuleError};
use model::ModelError;
use record::Prompt;
use render::RenderError;
use std::path::PathBuf;

/// A prompt and the completions of it that are to be scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked<'a> {
    /// What is asked.
    pub prompt: &'a Prompt,
    /// The answers, as text without an end marker.
    pub completions: Vec<&'a str>,
}

impl<'a> Asked<'a> {
    /// One answer.
    pub fn one(prompt: &'a Prompt, completion: &'a str) -> Asked<'a> {
        Asked { prompt, completions: vec![completion] }
    }
}

/// Mean and standard deviation of a scorer's rewards on a reference set, by which they can be brought to one scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, above 0.
    pub std: f64,
}

impl Scale {
    /// (r − mean) ÷ std.
    pub fn normalise(&self, reward: f64) -> f64 {
        (reward - self.mean) / self.std
    }
}

/// Gives rewards to completions: more is better.
pub trait Scorer {
    /// What it is, for metrics and messages.
    fn name(&self) -> String;
    /// The reward of every completion of every prompt, each finite.
    fn score(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<f64>>, ScoreError>;
    /// Mean and deviation of its rewards, when it knows them.
    fn scale(&self) -> Option<Scale> {
        None
    }
    /// The reward models that it asks: to plan memory for, and to see that nothing writes to them.
    fn models(&self) -> Vec<&RewardModel> {
        Vec::new()
    }
}

/// Why there is no reward. Rows and completions count from 0.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The text can't become tokens.
    #[error("{scorer}: row {row}: {source}")]
    Render {
        /// Which scorer.
        scorer: String,
        /// Which prompt.
        row: usize,
        /// Why.
        source: RenderError,
    },
    /// More tokens than the scorer's model has positions.
    #[error("{scorer}: row {row}: {found} tokens, expected at most {expected} (the model's positions)")]
    TooLong {
        /// Which scorer.
        scorer: String,
        /// Which prompt.
        row: usize,
        /// Tokens of prompt and longest completion.
        found: usize,
        /// The limit.
        expected: usize,
    },
    /// A reward that is no number.
    #[error("{scorer}: row {row}, completion {completion}: the reward is {found}, expected a finite number")]
    NotFinite {
        /// Which scorer.
        scorer: String,
        /// Which prompt.
        row: usize,
        /// Which completion.
        completion: usize,
        /// NaN or infinite.
        found: f64,
    },
    /// Another number of rewards than completions.
    #[error("{scorer}: row {row}: {found} rewards, expected {expected} (one per completion)")]
    Count {
        /// Which scorer.
        scorer: String,
        /// Which prompt.
        row: usize,
        /// Rewards.
        found: usize,
        /// Completions.
        expected: usize,
    },
    /// A folder that holds no reward model, or one that is read in another way.
    #[error("{}: {found}, expected {expected}", path.display())]
    NotReward {
        /// The folder.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What must be.
        expected: &'static str,
    },
    /// The model can't be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokenizer can't be read.
    #[error(transparent)]
    Tokenizer(#[from] RenderError),
    /// A rule that doesn't exist or whose argument makes no sense.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A service failed or answered nonsense.
    #[error("{scorer}: {message}")]
    Endpoint {
        /// Which.
        scorer: String,
        /// What went wrong.
        message: String,
        /// Whether nobody answered (exit code 3), rather than something wrong.
        missing: bool,
    },
}

/// Refuses a missing or an infinite reward.
pub fn check(scorer: &str, asked: &[Asked<'_>], rewards: &[Vec<f64>]) -> Result<(), ScoreError> {
    let name = || scorer.to_owned();
    for (row, asked) in asked.iter().enumerate() {
        let of_row = rewards.get(row).map_or(&[][..], Vec::as_slice);
        let (found, expected) = (of_row.len(), asked.completions.len());
        if found != expected {
            return Err(ScoreError::Count { scorer: name(), row, found, expected });
        }
        if let Some(completion) = of_row.iter().position(|reward| !reward.is_finite()) {
            return Err(ScoreError::NotFinite { scorer: name(), row, completion, found: of_row[completion] });
        }
    }
    Ok(())
}

/// `rule:NAME[:ARG]`.
pub struct RuleScorer {
    spec: String,
    check: Check,
}

impl RuleScorer {
    /// The rule that `NAME[:ARG]` names.
    pub fn new(spec: &str) -> Result<RuleScorer, RuleError> {
        Ok(RuleScorer { spec: spec.to_owned(), check: rule::parse(spec)? })
    }
}

impl Scorer for RuleScorer {
    fn name(&self) -> String {
        format!("rule:{}", self.spec)
    }

    fn score(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<f64>>, ScoreError> {
        let of = |asked: &Asked<'_>| asked.completions.iter().map(|text| (self.check)(asked.prompt, text)).collect();
        Ok(asked.iter().map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_scores_every_completion() {
        let prompt = Prompt::Text("Say yes.".into());
        let mut scorer = RuleScorer::new("contains:yes").expect("a rule");
        let asked = [Asked { prompt: &prompt, completions: vec!["yes!", "no"] }, Asked::one(&prompt, "oh yes")];
        assert_eq!(scorer.score(&asked).expect("rewards"), [vec![1.0, 0.0], vec![1.0]]);
        assert_eq!(scorer.name(), "rule:contains:yes");
    }

    #[test]
    fn missing_and_infinite_rewards_are_refused_by_row() {
        let prompt = Prompt::Text("p".into());
        let asked = [Asked::one(&prompt, "a"), Asked { prompt: &prompt, completions: vec!["a", "b"] }];
        assert!(check("s", &asked, &[vec![1.0], vec![0.0, 2.0]]).is_ok());
        let nan = check("s", &asked, &[vec![1.0], vec![0.0, f64::NAN]]).expect_err("NaN").to_string();
        assert_eq!(nan, "s: row 1, completion 1: the reward is NaN, expected a finite number");
        let short = check("s", &asked, &[vec![1.0], vec![0.0]]).expect_err("one missing").to_string();
        assert_eq!(short, "s: row 1: 1 rewards, expected 2 (one per completion)");
        assert!(check("s", &asked, &[vec![1.0]]).is_err());
    }
}
