//! The plain policy gradient.

use super::Token;
use super::formula::TokenFormula;
use crate::real::Real;
use crate::{About, Family, Settings, Worked};

/// −A·log π.
///
/// Williams 1992 (REINFORCE), §2; with A a return less a baseline. Its gradient is the policy
/// gradient only on the policy that sampled: one optimizer step per batch of rollouts.
pub(super) struct PolicyGradient;

static ABOUT: About = About {
    name: "policy_gradient",
    family: Family::Policy,
    summary: "The plain policy gradient",
    formula: "mean_tokens −A·log π",
    source: "Williams 1992 (REINFORCE) §2",
    convention: "mean over all tokens of the batch; right only for one step per batch of rollouts",
    options: &[],
};

impl TokenFormula for PolicyGradient {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn formula<T: Real>(&self, logprob: T, token: &Token, _: &Settings) -> T {
        logprob.times(-token.advantage)
    }
    fn worked(&self) -> &'static [Worked] {
        // (0.8·0.8 − 1.1·2.9 + 0.3·0.55)/3.
        &[Worked { options: &[], trained: &[-0.8, -2.9, -0.55], loss: (0.8 * 0.8 - 1.1 * 2.9 + 0.3 * 0.55) / 3.0 }]
    }
}
