//! Rewards per token: the score at the end, the KL penalty on the way.

use super::kl::k1;
use crate::{About, Error, Family};

/// Its account of itself.
pub static ABOUT: About = About {
    name: "token_rewards",
    family: Family::Control,
    summary: "The score on the last token, the KL penalty on every token",
    formula: "r_t = −β(log π_old − log π_ref)_t + [t last]·score",
    source: "InstructGPT (arXiv 2203.02155) eq. 2; Ziegler et al. 2019 (arXiv 1909.08593) §2.1",
    convention: "the score is added on the last response token, its EOS; without EOS it is replaced (−1 by default), or a penalty subtracted, or kept",
    options: &[],
};

/// What happens to the score of a response that did not end within the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MissingEos {
    /// The score is replaced by this number.
    Replace(f64),
    /// This number is subtracted from the score.
    Subtract(f64),
    /// The score stays.
    Keep,
}

impl Default for MissingEos {
    fn default() -> Self {
        MissingEos::Replace(-1.0)
    }
}

impl MissingEos {
    /// The score that counts.
    pub fn apply(self, score: f64, ended: bool) -> f64 {
        match self {
            MissingEos::Replace(replacement) if !ended => replacement,
            MissingEos::Subtract(penalty) if !ended => score - penalty,
            _ => score,
        }
    }

    /// The 5th percentile of `scores` when a replacement lies above it: then not to end is a
    /// prize for the worst responses, and a warning is due.
    pub fn is_a_prize(self, scores: &[f64]) -> Option<f64> {
        let MissingEos::Replace(replacement) = self else {
            return None;
        };
        let mut sorted: Vec<f64> = scores.iter().copied().filter(|score| !score.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let percentile = *sorted.get((sorted.len().saturating_sub(1)) / 20)?;
        (replacement > percentile).then_some(percentile)
    }
}

/// The rewards of one rollout's tokens: −β(log π_old − log π_ref), and on the last token the score.
///
/// The KL penalty is k1, signed and unclamped. A response without tokens, and a score that isn't
/// finite, are refused; `row` names the rollout in the error.
pub fn token_rewards(
    row: usize,
    score: f64,
    old_logprobs: &[f64],
    reference_logprobs: &[f64],
    beta: f64,
) -> Result<Vec<f64>, Error> {
    let (expected, found) = (old_logprobs.len(), reference_logprobs.len());
    if expected != found {
        return Err(Error::Length { row, what: "reference log-probabilities", expected, found });
    }
    if !score.is_finite() {
        return Err(Error::NotFinite { row, what: "the score", found: score });
    }
    let penalty = |(&old, &reference): (&f64, &f64)| -beta * k1(old, reference);
    let mut rewards: Vec<f64> = old_logprobs.iter().zip(reference_logprobs).map(penalty).collect();
    *rewards.last_mut().ok_or(Error::NoTokens { row })? += score;
    Ok(rewards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        let found = token_rewards(0, 2.0, &[-1.0, -3.0], &[-1.5, -2.0], 0.1).unwrap();
        // −.1·.5; −.1·(−1) + 2.
        assert!((found[0] + 0.05).abs() < 1e-15 && (found[1] - 2.1).abs() < 1e-15);
    }

    #[test]
    fn what_cannot_carry_a_reward_is_refused() {
        assert_eq!(token_rewards(3, 1.0, &[], &[], 0.1), Err(Error::NoTokens { row: 3 }));
        let short = token_rewards(1, 1.0, &[0.0], &[], 0.1);
        assert!(matches!(short, Err(Error::Length { row: 1, .. })));
        let nan = token_rewards(2, f64::NAN, &[0.0], &[0.0], 0.1);
        assert!(matches!(nan, Err(Error::NotFinite { row: 2, .. })));
    }

    #[test]
    fn a_missing_eos_does_what_it_says() {
        let cases = [(MissingEos::default(), -1.0), (MissingEos::Subtract(0.5), 1.5), (MissingEos::Keep, 2.0)];
        for (policy, expected) in cases {
            assert_eq!(policy.apply(2.0, false), expected);
            assert_eq!(policy.apply(2.0, true), 2.0);
        }
    }

    #[test]
    fn a_replacement_above_the_worst_scores_is_noticed() {
        let scores: Vec<f64> = (0..100).map(|i| -10.0 + f64::from(i) * 0.1).collect();
        // The 5th percentile (entry 4 of 100): −9.6.
        let found = MissingEos::Replace(-1.0).is_a_prize(&scores).unwrap();
        assert!((found + 9.6).abs() < 1e-12);
        assert_eq!(MissingEos::Replace(-9.7).is_a_prize(&scores), None);
        assert_eq!(MissingEos::Keep.is_a_prize(&scores), None);
        assert_eq!(MissingEos::default().is_a_prize(&[]), None);
    }
}
