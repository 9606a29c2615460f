//! Hinge loss on the log-ratio margin.

use super::formula::{BETA, LENGTH_NORMALISED, PairFormula, PairTerms};
use crate::real::Real;
use crate::{About, Family, Settings, Value, Worked};

/// max(0, 1 − βΔ).
///
/// The calibration loss of SLiC (Zhao et al. 2023, arXiv 2305.10425) on normalised log-ratios, as
/// in RSO (Liu et al. 2023, arXiv 2309.06657), §3 (`hinge-norm`). No gradient once βΔ ≥ 1.
pub(super) struct Hinge;

static ABOUT: About = About {
    name: "hinge",
    family: Family::Preference,
    summary: "Hinge loss on the log-ratio margin",
    formula: "max(0, 1 − βΔ)",
    source: "SLiC-HF (arXiv 2305.10425); with the reference, RSO (arXiv 2309.06657) §3",
    convention: "no gradient at the kink and beyond",
    options: &[BETA, LENGTH_NORMALISED],
};

impl PairFormula for Hinge {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn formula<T: Real>(&self, pair: &PairTerms<T>, settings: &Settings) -> T {
        (T::from(1.0) - pair.delta().times(settings.number("beta"))).relu()
    }
    fn worked(&self) -> &'static [Worked] {
        // Δ = (−5.2 + 10.9) − (−7.3 + 9.1) = 3.9.
        &[
            Worked { options: &[], trained: &[-5.2, -10.9], loss: 1.0 - 0.1 * 3.9 },
            Worked { options: &[("beta", Value::Number(0.5))], trained: &[-5.2, -10.9], loss: 0.0 },
        ]
    }
}
