//! CPO: DPO with a uniform reference, plus the chosen answer's likelihood.

use super::formula::{BETA, LENGTH_NORMALISED, PairFormula, PairTerms};
use crate::options::NOT_NEGATIVE;
use crate::real::Real;
use crate::{About, Family, OptionSpec, Settings, Value, Worked};

/// −log σ( β·log π(y_w) − β·log π(y_l) ) − a·log π(y_w)/|y_w|.
///
/// Xu et al. 2024 (arXiv 2401.08417), §3. The likelihood term is per token here, as implementations
/// have it; the paper writes it per sequence, which would make its weight depend on length.
pub(super) struct Cpo;

static ABOUT: About = About {
    name: "cpo",
    family: Family::Preference,
    summary: "CPO: logistic loss without a reference, plus the likelihood of the chosen answer",
    formula: "−log σ( β(log π(y_w) − log π(y_l)) ) − a·log π(y_w)/|y_w|",
    source: "CPO (arXiv 2401.08417) §3",
    convention: "the likelihood term is averaged over tokens (the paper writes the sum)",
    options: &[
        BETA,
        OptionSpec {
            name: "likelihood_coefficient",
            kind: NOT_NEGATIVE,
            default: Value::Number(1.0),
            other: Value::Number(0.5),
            help: "a, the weight of the chosen answer's likelihood per token",
        },
        LENGTH_NORMALISED,
    ],
};

impl PairFormula for Cpo {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn uses_reference(&self) -> bool {
        false
    }
    fn formula<T: Real>(&self, pair: &PairTerms<T>, settings: &Settings) -> T {
        let [chosen, rejected] = self.rewards(pair, settings);
        let likelihood = pair.averages()[0].times(settings.number("likelihood_coefficient"));
        -(chosen - rejected).log_sigmoid() - likelihood
    }
    fn rewards<T: Real>(&self, pair: &PairTerms<T>, settings: &Settings) -> [T; 2] {
        [pair.chosen, pair.rejected].map(|summed| summed.times(settings.number("beta")))
    }
    fn worked(&self) -> &'static [Worked] {
        &[
            Worked { options: &[], trained: &[-5.2, -10.9], loss: BY_DEFAULT },
            Worked { options: &[("length_normalised", Value::Switch(true))], trained: &[-5.2, -10.9], loss: AVERAGED },
        ]
    }
}

const BY_DEFAULT: f64 = 1.7482215112208328;
const AVERAGED: f64 = 1.9803726884869512;
