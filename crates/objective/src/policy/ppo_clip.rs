//! PPO's clipped surrogate.

use super::Token;
use super::formula::TokenFormula;
use crate::options::POSITIVE;
use crate::real::Real;
use crate::{About, Family, OptionSpec, Settings, Value, Worked};

/// max(−A·ρ, −A·clip(ρ, 1−c, 1+c)), ρ = exp(log π − log π_old).
///
/// Schulman et al. 2017 (arXiv 1707.06347), eq. 7, as a loss. Where both branches are equal the
/// unclipped one counts, so the gradient at ρ = 1 is the policy gradient −A.
pub(super) struct PpoClip;

static ABOUT: About = About {
    name: "ppo_clip",
    family: Family::Policy,
    summary: "PPO's clipped surrogate",
    formula: "mean_tokens max(−A·ρ, −A·clip(ρ, 1−c, 1+c)), ρ = exp(log π − log π_old)",
    source: "PPO (arXiv 1707.06347) eq. 7",
    convention: "mean over all tokens of the batch, not per rollout first",
    options: &[OptionSpec {
        name: "clip",
        kind: POSITIVE,
        default: Value::Number(0.2),
        other: Value::Number(0.1),
        help: "c, how far the ratio of new to old probability may move with a gradient",
    }],
};

impl TokenFormula for PpoClip {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn formula<T: Real>(&self, logprob: T, token: &Token, settings: &Settings) -> T {
        let clip = settings.number("clip");
        let ratio = (logprob - T::from(token.old_logprob)).exp();
        let free = ratio.times(-token.advantage);
        free.larger(ratio.clamp(1.0 - clip, 1.0 + clip).times(-token.advantage))
    }
    fn is_clipped(&self, token: &Token, settings: &Settings) -> bool {
        let clip = settings.number("clip");
        let ratio = (token.logprob - token.old_logprob).exp();
        if token.advantage > 0.0 { ratio > 1.0 + clip } else { token.advantage < 0.0 && ratio < 1.0 - clip }
    }
    fn worked(&self) -> &'static [Worked] {
        const TRAINED: &[f64] = &[-0.8, -2.9, -0.55];
        &[
            Worked { options: &[], trained: TRAINED, loss: BY_DEFAULT },
            Worked { options: &[("clip", Value::Number(0.7))], trained: TRAINED, loss: WIDE },
        ]
    }
}

const BY_DEFAULT: f64 = -0.1127374643091724;
const WIDE: f64 = -0.28265978377903483;
