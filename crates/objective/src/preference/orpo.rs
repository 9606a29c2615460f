//! ORPO: the chosen answer's likelihood plus an odds ratio, without a reference.

use super::formula::{PairFormula, PairTerms};
use crate::options::POSITIVE;
use crate::real::Real;
use crate::{About, Family, OptionSpec, Settings, Value, Worked};

/// −log P(y_w) + λ·( −log σ( log odds(y_w) − log odds(y_l) ) ), odds = P/(1 − P), where P is the
/// length-normalised probability exp(log π / |y|).
///
/// Hong, Lee & Thorne 2024 (arXiv 2403.07691), eqs. 4, 6 and 7; P as in eq. 3.
pub(super) struct Orpo;

/// P stays this far below 1, so that the odds stay finite; between there and 1 only the
/// likelihood terms have a gradient.
const LOG_PROBABILITY_MAX: f64 = -1e-9;

static ABOUT: About = About {
    name: "orpo",
    family: Family::Preference,
    summary: "ORPO: likelihood of the chosen answer plus an odds ratio, without a reference",
    formula: "−log P_w − λ log σ( log(P_w/(1−P_w)) − log(P_l/(1−P_l)) ), P = exp(log π/|y|)",
    source: "ORPO (arXiv 2403.07691) eqs. 3, 4, 6, 7",
    convention: "log-probabilities averaged over tokens in both terms; `beta` is the paper's λ; the implicit reward is the log odds",
    options: &[OptionSpec {
        name: "beta",
        kind: POSITIVE,
        default: Value::Number(0.1),
        other: Value::Number(0.3),
        help: "λ, the weight of the odds ratio beside the likelihood",
    }],
};

fn log_odds<T: Real>(log_probability: T) -> T {
    let bounded = log_probability.clamp(f64::NEG_INFINITY, LOG_PROBABILITY_MAX);
    log_probability - bounded.log_one_minus_exp()
}

impl PairFormula for Orpo {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn uses_reference(&self) -> bool {
        false
    }
    fn formula<T: Real>(&self, pair: &PairTerms<T>, settings: &Settings) -> T {
        let [chosen, rejected] = self.rewards(pair, settings);
        -pair.averages()[0] - (chosen - rejected).log_sigmoid().times(settings.number("beta"))
    }
    fn rewards<T: Real>(&self, pair: &PairTerms<T>, _: &Settings) -> [T; 2] {
        pair.averages().map(log_odds)
    }
    fn worked(&self) -> &'static [Worked] {
        &[Worked { options: &[], trained: &[-5.2, -10.9], loss: BY_DEFAULT }]
    }
}

const BY_DEFAULT: f64 = 1.3538080622222415;
