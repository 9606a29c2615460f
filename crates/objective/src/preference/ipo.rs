//! IPO: a squared distance to a target margin.

use super::formula::{BETA, LENGTH_NORMALISED, PairFormula, PairTerms};
use crate::real::Real;
use crate::{About, Family, Settings, Value, Worked};

/// (Δ − 1/(2β))².
///
/// Azar et al. 2023 (arXiv 2310.12036), eq. 17, with β for the paper's τ. Sums of log-probabilities
/// as in the paper; `length_normalised` gives the averages that some libraries use.
pub(super) struct Ipo;

static ABOUT: About = About {
    name: "ipo",
    family: Family::Preference,
    summary: "IPO: squared distance of the log-ratio margin to 1/(2β)",
    formula: "(Δ − 1/(2β))²",
    source: "IPO (arXiv 2310.12036) eq. 17, β for τ",
    convention: "summed log-probabilities, as in the paper; averages by `length_normalised`",
    options: &[BETA, LENGTH_NORMALISED],
};

impl PairFormula for Ipo {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn formula<T: Real>(&self, pair: &PairTerms<T>, settings: &Settings) -> T {
        (pair.delta() - T::from(0.5 / settings.number("beta"))).squared()
    }
    fn worked(&self) -> &'static [Worked] {
        // Δ = 3.9 and target 5: 1.1² = 1.21. Averaged: Δ̄ = (−5.2/4 + 10.9/7) − (−7.3/4 + 9.1/7).
        &[
            Worked { options: &[], trained: &[-5.2, -10.9], loss: 1.21 },
            Worked { options: &[("length_normalised", Value::Switch(true))], trained: &[-5.2, -10.9], loss: AVERAGED },
        ]
    }
}

const AVERAGED: f64 = 17.790318877551027;
