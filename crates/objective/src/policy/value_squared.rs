//! Plain squared error of the value.

use super::ValueToken;
use super::formula::ValueFormula;
use crate::real::Real;
use crate::{About, Family, Settings, Worked};

/// ½·(V − R)²: the critic of an advantage actor–critic (Mnih et al. 2016, arXiv 1602.01783, §4).
pub(super) struct ValueSquared;

static ABOUT: About = About {
    name: "value_squared",
    family: Family::Value,
    summary: "Squared error of the value",
    formula: "mean_tokens ½·(V − R)²",
    source: "A3C (arXiv 1602.01783) §4",
    convention: "mean over all tokens of the batch; ½ included",
    options: &[],
};

impl ValueFormula for ValueSquared {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn formula<T: Real>(&self, value: T, state: &ValueToken, _: &Settings) -> T {
        (value - T::from(state.target)).squared().times(0.5)
    }
    fn worked(&self) -> &'static [Worked] {
        &[Worked { options: &[], trained: &[0.9, 0.6], loss: (0.25 + 0.81) / 4.0 }]
    }
}
