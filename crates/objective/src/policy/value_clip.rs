//! The clipped value loss of PPO implementations.

use super::ValueToken;
use super::formula::ValueFormula;
use crate::options::POSITIVE;
use crate::real::Real;
use crate::{About, Family, OptionSpec, Settings, Value, Worked};

/// ½·max((V − R)², (clip(V, V_old ± c) − R)²).
///
/// OpenAI Baselines' PPO2, used for language models since Ziegler et al. 2019 (arXiv 1909.08593);
/// described in Huang et al. 2022, "The 37 implementation details of PPO", detail 9.
pub(super) struct ValueClip;

static ABOUT: About = About {
    name: "value_clip",
    family: Family::Value,
    summary: "Squared error of the value, clipped around the old value",
    formula: "mean_tokens ½·max((V − R)², (clip(V, V_old − c, V_old + c) − R)²)",
    source: "OpenAI Baselines ppo2; Huang et al. 2022, the 37 implementation details of PPO, detail 9",
    convention: "mean over all tokens of the batch; ½ included",
    options: &[OptionSpec {
        name: "value_clip",
        kind: POSITIVE,
        default: Value::Number(0.2),
        other: Value::Number(0.05),
        help: "c, how far the value may move from the old one with a gradient",
    }],
};

impl ValueFormula for ValueClip {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn formula<T: Real>(&self, value: T, state: &ValueToken, settings: &Settings) -> T {
        let clip = settings.number("value_clip");
        let near = value.clamp(state.old_value - clip, state.old_value + clip);
        let target = T::from(state.target);
        (value - target).squared().larger((near - target).squared()).times(0.5)
    }
    fn is_clipped(&self, state: &ValueToken, settings: &Settings) -> bool {
        let clip = settings.number("value_clip");
        // not `clamp`, which panics when the old value is NaN: then the loss says so
        let near = state.value.max(state.old_value - clip).min(state.old_value + clip);
        near != state.value && (near - state.target).abs() > (state.value - state.target).abs()
    }
    fn worked(&self) -> &'static [Worked] {
        // First state: V = 0.9 is clipped to 0.7, further from R = 1.4: ½·0.7². Second: V = 0.6 is
        // clipped to 0.4, nearer to R = −0.3, so the free branch counts: ½·0.9². Mean of the two.
        &[Worked { options: &[], trained: &[0.9, 0.6], loss: (0.49 + 0.81) / 4.0 }]
    }
}

#[cfg(test)]
mod tests {
    use crate::Options;
    use crate::policy::{ValueToken, value_by_name};

    /// A value model whose weights are gone stops the run by its loss, not by a panic.
    #[test]
    fn an_old_value_that_is_no_number_makes_the_loss_none() {
        let loss = value_by_name("value_clip", &Options::new()).expect("a loss");
        let state = ValueToken { value: 0.5, old_value: f64::NAN, target: f64::NAN };
        assert!(loss.loss(&[vec![state]]).expect("a state").loss.is_nan());
    }
}
