//! A bonus for keeping options open.

use super::{TokenLossGrad, count};
use crate::{About, Error, Evaluation, Example, Family, Objective, OptionSpec, Settings, Value, Worked};

/// −c·mean_tokens H(π(·|s_t)).
///
/// Williams & Peng 1991; PPO (arXiv 1707.06347), eq. 9. The derivative is by the entropy of each
/// token's distribution; the model turns it into one by the logits.
pub struct EntropyBonus;

static ABOUT: About = About {
    name: "entropy_bonus",
    family: Family::Row,
    summary: "A bonus for the entropy of the policy",
    formula: "−c·mean_tokens H_t",
    source: "Williams & Peng 1991; PPO (arXiv 1707.06347) eq. 9",
    convention: "entropy in nats of the distribution that was sampled from, temperature included",
    options: &[OptionSpec {
        name: "entropy",
        kind: crate::options::POSITIVE,
        default: Value::Number(0.01),
        other: Value::Number(0.02),
        help: "c, the weight of the bonus",
    }],
};

/// The bonus as a loss, and its derivative by each entropy, over `divisor` tokens (those of the
/// whole batch; [`count`] when this is all of it).
pub fn bonus(entropies: &[Vec<f64>], coefficient: f64, divisor: f64) -> Result<TokenLossGrad, Error> {
    if count(entropies) == 0.0 || divisor <= 0.0 {
        return Err(Error::Empty { what: "no tokens in these rollouts" });
    }
    let sum: f64 = entropies.iter().flatten().sum();
    let slope = -coefficient / divisor;
    let gradient = entropies.iter().map(|rollout| vec![slope; rollout.len()]).collect();
    Ok(TokenLossGrad { loss: slope * sum, gradient, clip_fraction: 0.0 })
}

impl Objective for EntropyBonus {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn example(&self) -> Example {
        Example { start: vec![1.2, 0.4], raises: vec![0, 1], lowers: vec![] }
    }
    fn worked(&self) -> &'static [Worked] {
        &[Worked { options: &[], trained: &[1.5, 0.1], loss: -0.01 * 0.8 }]
    }
    fn probe(&self, settings: &Settings, trained: &[f64]) -> Evaluation {
        let coefficient = settings.number("entropy");
        match bonus(&[trained.to_vec()], coefficient, trained.len() as f64) {
            Ok(out) => Evaluation { loss: out.loss, gradient: out.gradient.concat() },
            Err(_) => Evaluation { loss: f64::NAN, gradient: vec![f64::NAN; trained.len()] },
        }
    }
}
