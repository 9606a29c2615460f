//! SimPO: no reference, average log-probabilities, a target margin.

use super::formula::{PairFormula, PairTerms};
use crate::options::{NOT_NEGATIVE, POSITIVE};
use crate::real::Real;
use crate::{About, Family, OptionSpec, Settings, Value, Worked};

/// −log σ( β/|y_w| · log π(y_w) − β/|y_l| · log π(y_l) − γ ).
///
/// Meng, Xia & Chen 2024 (arXiv 2405.14734), eq. 6.
pub(super) struct SimPo;

static ABOUT: About = About {
    name: "simpo",
    family: Family::Preference,
    summary: "SimPO: logistic loss on average log-probabilities, without a reference",
    formula: "−log σ( β·log π(y_w)/|y_w| − β·log π(y_l)/|y_l| − γ )",
    source: "SimPO (arXiv 2405.14734) eq. 6",
    convention: "always length-normalised; the reference is not looked at",
    options: &[
        OptionSpec {
            name: "beta",
            kind: POSITIVE,
            default: Value::Number(2.0),
            other: Value::Number(2.5),
            help: "the scale of the average log-probabilities",
        },
        OptionSpec {
            name: "gamma",
            kind: NOT_NEGATIVE,
            default: Value::Number(1.0),
            other: Value::Number(0.5),
            help: "γ, the margin that chosen should keep over rejected, in units of the reward",
        },
    ],
};

impl PairFormula for SimPo {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn uses_reference(&self) -> bool {
        false
    }
    fn formula<T: Real>(&self, pair: &PairTerms<T>, settings: &Settings) -> T {
        let [chosen, rejected] = self.rewards(pair, settings);
        -(chosen - rejected - T::from(settings.number("gamma"))).log_sigmoid()
    }
    fn rewards<T: Real>(&self, pair: &PairTerms<T>, settings: &Settings) -> [T; 2] {
        pair.averages().map(|average| average.times(settings.number("beta")))
    }
    fn worked(&self) -> &'static [Worked] {
        &[Worked { options: &[], trained: &[-5.2, -10.9], loss: BY_DEFAULT }]
    }
}

const BY_DEFAULT: f64 = 0.9652087157903233;
