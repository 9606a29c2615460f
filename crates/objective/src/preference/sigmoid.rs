//! DPO's logistic loss, with label smoothing (cDPO).

use super::formula::{BETA, LENGTH_NORMALISED, PairFormula, PairTerms};
use crate::options::BELOW_HALF;
use crate::real::Real;
use crate::{About, Family, OptionSpec, Settings, Value, Worked};

/// −(1−ε) log σ(βΔ) − ε log σ(−βΔ).
///
/// Rafailov et al. 2023 (arXiv 2305.18290), eq. 7; ε > 0 is Mitchell 2023, "A note on DPO with
/// noisy preferences & relationship to IPO", eq. 3: a share ε of labels is believed flipped.
pub(super) struct Sigmoid;

static ABOUT: About = About {
    name: "sigmoid",
    family: Family::Preference,
    summary: "DPO: logistic loss on the log-ratio margin; with label smoothing, cDPO",
    formula: "−(1−ε) log σ(βΔ) − ε log σ(−βΔ)",
    source: "DPO (arXiv 2305.18290) eq. 7; ε: Mitchell 2023, a note on DPO with noisy preferences, eq. 3",
    convention: "log-probabilities summed over completion tokens, EOS included",
    options: &[
        BETA,
        OptionSpec {
            name: "label_smoothing",
            kind: BELOW_HALF,
            default: Value::Number(0.0),
            other: Value::Number(0.3),
            help: "ε, the share of labels believed to be flipped",
        },
        LENGTH_NORMALISED,
    ],
};

impl PairFormula for Sigmoid {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn formula<T: Real>(&self, pair: &PairTerms<T>, settings: &Settings) -> T {
        let flipped = settings.number("label_smoothing");
        let logit = pair.delta().times(settings.number("beta"));
        -logit.log_sigmoid().times(1.0 - flipped) - (-logit).log_sigmoid().times(flipped)
    }
    fn worked(&self) -> &'static [Worked] {
        &[
            Worked { options: &[], trained: &[-5.2, -10.9], loss: PLAIN },
            Worked {
                options: &[("beta", Value::Number(0.5)), ("label_smoothing", Value::Number(0.2))],
                trained: &[-5.2, -10.9],
                loss: SMOOTHED,
            },
        ]
    }
}

const PLAIN: f64 = 0.5170403966954268;
const SMOOTHED: f64 = 0.5230210750728673;
