//! Losses of a token or a state written once: value and gradient come from the one formula.

use super::{PolicyLoss, Token, ValueLoss, ValueToken};
use crate::real::{Dual, Real};
use crate::{About, Evaluation, Example, Objective, Settings, Worked};

/// A policy loss of one token, written once over [`Real`].
pub(super) trait TokenFormula: Sync {
    fn about(&self) -> &'static About;
    fn worked(&self) -> &'static [Worked];
    fn formula<T: Real>(&self, logprob: T, token: &Token, settings: &Settings) -> T;
    fn is_clipped(&self, _token: &Token, _settings: &Settings) -> bool {
        false
    }
}

/// Makes a registry member of a formula on tokens.
pub(super) struct OfTokens<F>(pub F);

impl<F: TokenFormula> PolicyLoss for OfTokens<F> {
    fn token(&self, settings: &Settings, token: &Token) -> (f64, f64) {
        let out = self.0.formula(Dual::<1>::input(token.logprob, 0), token, settings);
        (out.value, out.slope[0])
    }
    fn is_clipped(&self, settings: &Settings, token: &Token) -> bool {
        self.0.is_clipped(token, settings)
    }
}

impl<F: TokenFormula> Objective for OfTokens<F> {
    fn about(&self) -> &'static About {
        self.0.about()
    }
    fn worked(&self) -> &'static [Worked] {
        self.0.worked()
    }
    /// Three tokens: advantages 0.8, −1.1, 0.3; sampled at log π −1.2, −2.3, −0.4. The reference
    /// finds the first more, the second less likely than the sampler did.
    fn example(&self) -> Example {
        Example { start: vec![-1.2, -2.3, -0.4], raises: vec![0], lowers: vec![1] }
    }
    fn probe(&self, settings: &Settings, trained: &[f64]) -> Evaluation {
        let fixed = [(-1.2, -0.9, 0.8), (-2.3, -2.5, -1.1), (-0.4, -0.4, 0.3)];
        let mut evaluation = Evaluation { loss: 0.0, gradient: Vec::new() };
        for (&logprob, (old_logprob, reference_logprob, advantage)) in trained.iter().zip(fixed) {
            let token = Token { logprob, old_logprob, reference_logprob, advantage };
            let (loss, slope) = self.token(settings, &token);
            evaluation.loss += loss / 3.0;
            evaluation.gradient.push(slope / 3.0);
        }
        evaluation
    }
}

/// A value loss of one state, written once over [`Real`].
pub(super) trait ValueFormula: Sync {
    fn about(&self) -> &'static About;
    fn worked(&self) -> &'static [Worked];
    fn formula<T: Real>(&self, value: T, state: &ValueToken, settings: &Settings) -> T;
    fn is_clipped(&self, _state: &ValueToken, _settings: &Settings) -> bool {
        false
    }
}

/// Makes a registry member of a formula on states.
pub(super) struct OfValues<F>(pub F);

impl<F: ValueFormula> ValueLoss for OfValues<F> {
    fn state(&self, settings: &Settings, state: &ValueToken) -> (f64, f64) {
        let out = self.0.formula(Dual::<1>::input(state.value, 0), state, settings);
        (out.value, out.slope[0])
    }
    fn is_clipped(&self, settings: &Settings, state: &ValueToken) -> bool {
        self.0.is_clipped(state, settings)
    }
}

impl<F: ValueFormula> Objective for OfValues<F> {
    fn about(&self) -> &'static About {
        self.0.about()
    }
    fn worked(&self) -> &'static [Worked] {
        self.0.worked()
    }
    /// Two states, valued 0.5 and 0.2 at sampling, that turned out to be worth 1.4 and −0.3.
    fn example(&self) -> Example {
        Example { start: vec![0.5, 0.2], raises: vec![0], lowers: vec![1] }
    }
    fn probe(&self, settings: &Settings, trained: &[f64]) -> Evaluation {
        let mut evaluation = Evaluation { loss: 0.0, gradient: Vec::new() };
        for (&value, (old_value, target)) in trained.iter().zip([(0.5, 1.4), (0.2, -0.3)]) {
            let (loss, slope) = self.state(settings, &ValueToken { value, old_value, target });
            evaluation.loss += loss / 2.0;
            evaluation.gradient.push(slope / 2.0);
        }
        evaluation
    }
}
