//! Robust DPO: an unbiased loss under labels flipped at a known rate.

use super::formula::{BETA, LENGTH_NORMALISED, PairFormula, PairTerms};
use crate::options::BELOW_HALF;
use crate::real::Real;
use crate::{About, Family, OptionSpec, Settings, Value, Worked};

/// [ (1−ε)(−log σ(βΔ)) − ε(−log σ(−βΔ)) ] / (1 − 2ε).
///
/// Chowdhury, Kini & Natarajan 2024 (arXiv 2403.00409), §3: its expectation over labels flipped at
/// rate ε is the plain loss on true labels. It can be negative. With ε = 0 it is `sigmoid`.
pub(super) struct Robust;

static ABOUT: About = About {
    name: "robust",
    family: Family::Preference,
    summary: "Robust DPO: unbiased when a share ε of labels is flipped",
    formula: "[ −(1−ε) log σ(βΔ) + ε log σ(−βΔ) ] / (1 − 2ε)",
    source: "Robust DPO (arXiv 2403.00409) §3",
    convention: "not bounded below: on pairs that are far apart already it keeps pushing, at the rate βε/(1−2ε)",
    options: &[
        BETA,
        OptionSpec {
            name: "label_smoothing",
            kind: BELOW_HALF,
            default: Value::Number(0.1),
            other: Value::Number(0.3),
            help: "ε, the rate at which labels are flipped",
        },
        LENGTH_NORMALISED,
    ],
};

impl PairFormula for Robust {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn formula<T: Real>(&self, pair: &PairTerms<T>, settings: &Settings) -> T {
        let flipped = settings.number("label_smoothing");
        let logit = pair.delta().times(settings.number("beta"));
        let sum = -logit.log_sigmoid().times(1.0 - flipped) + (-logit).log_sigmoid().times(flipped);
        sum.times(1.0 / (1.0 - 2.0 * flipped))
    }
    fn worked(&self) -> &'static [Worked] {
        &[
            Worked { options: &[], trained: &[-5.2, -10.9], loss: BY_DEFAULT },
            Worked {
                options: &[("beta", Value::Number(0.5)), ("label_smoothing", Value::Number(0.2))],
                trained: &[-5.2, -10.9],
                loss: FIFTH_FLIPPED,
            },
        ]
    }
}

const BY_DEFAULT: f64 = 0.4682903966954267;
const FIFTH_FLIPPED: f64 = -0.5169789249271328;
