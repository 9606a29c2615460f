//! A loss on pairs written once: value, gradient and diagnostics come from the one formula.

use super::{Completion, Pair, PairGrad, PreferenceLoss};
use crate::numeric::sigmoid;
use crate::real::{Dual, Real};
use crate::{About, Error, Evaluation, Example, Objective, OptionSpec, Settings, Value, Worked};

/// What a pair formula sees: log-probabilities summed, or averaged when `length_normalised`.
#[derive(Debug, Clone, Copy)]
pub(super) struct PairTerms<T> {
    pub chosen: T,
    pub rejected: T,
    pub reference_chosen: f64,
    pub reference_rejected: f64,
    pub tokens_chosen: f64,
    pub tokens_rejected: f64,
}

impl<T: Real> PairTerms<T> {
    /// Δ = (log π_w − log π_l) − (log ref_w − log ref_l).
    pub fn delta(&self) -> T {
        (self.chosen - self.rejected) - T::from(self.reference_chosen - self.reference_rejected)
    }

    /// r̂ = β(log π − log ref), chosen and rejected.
    pub fn log_ratio_rewards(&self, beta: f64) -> [T; 2] {
        [
            (self.chosen - T::from(self.reference_chosen)).times(beta),
            (self.rejected - T::from(self.reference_rejected)).times(beta),
        ]
    }

    /// log π averaged over the completion's tokens, chosen and rejected.
    pub fn averages(&self) -> [T; 2] {
        [self.chosen.times(1.0 / self.tokens_chosen), self.rejected.times(1.0 / self.tokens_rejected)]
    }
}

/// A loss on pairs, written once; value, gradient and diagnostics come from it.
pub(super) trait PairFormula: Sync {
    /// Its account of itself.
    fn about(&self) -> &'static About;
    /// Losses worked out elsewhere.
    fn worked(&self) -> &'static [Worked];
    /// Whether it looks at the reference.
    fn uses_reference(&self) -> bool {
        true
    }
    /// The loss of one pair.
    fn formula<T: Real>(&self, pair: &PairTerms<T>, settings: &Settings) -> T;
    /// The implicit rewards, chosen and rejected.
    fn rewards<T: Real>(&self, pair: &PairTerms<T>, settings: &Settings) -> [T; 2] {
        pair.log_ratio_rewards(settings.number("beta"))
    }
}

/// Makes a registry member of a formula on pairs.
pub(super) struct OfPairs<F>(pub F);

impl<F: PairFormula> OfPairs<F> {
    fn terms(settings: &Settings, pair: &Pair) -> PairTerms<Dual<2>> {
        let averaged =
            settings.iter().any(|(name, value)| name == LENGTH_NORMALISED.name && *value == Value::Switch(true));
        let [tokens_chosen, tokens_rejected] = [pair.chosen.tokens as f64, pair.rejected.tokens as f64];
        let (per_chosen, per_rejected) =
            if averaged { (1.0 / tokens_chosen, 1.0 / tokens_rejected) } else { (1.0, 1.0) };
        PairTerms {
            chosen: Dual::input(pair.chosen.policy, 0).times(per_chosen),
            rejected: Dual::input(pair.rejected.policy, 1).times(per_rejected),
            reference_chosen: pair.chosen.reference * per_chosen,
            reference_rejected: pair.rejected.reference * per_rejected,
            // Averaged already: a formula that averages by itself finds nothing left to divide.
            tokens_chosen: if averaged { 1.0 } else { tokens_chosen },
            tokens_rejected: if averaged { 1.0 } else { tokens_rejected },
        }
    }

    fn grad(&self, settings: &Settings, pair: &Pair) -> PairGrad {
        let terms = Self::terms(settings, pair);
        let loss = self.0.formula(&terms, settings);
        let [reward_chosen, reward_rejected] = self.0.rewards(&terms, settings).map(|reward| reward.value);
        PairGrad {
            loss: loss.value,
            d_chosen: loss.slope[0],
            d_rejected: loss.slope[1],
            reward_chosen,
            reward_rejected,
            margin: reward_chosen - reward_rejected,
            weight: sigmoid(reward_rejected - reward_chosen),
        }
    }
}

impl<F: PairFormula> PreferenceLoss for OfPairs<F> {
    fn takes(&self) -> &'static str {
        "pairs"
    }
    fn uses_reference(&self) -> bool {
        self.0.uses_reference()
    }
    fn pair(&self, settings: &Settings, pair: &Pair) -> Result<PairGrad, Error> {
        Ok(self.grad(settings, pair))
    }
}

impl<F: PairFormula> Objective for OfPairs<F> {
    fn about(&self) -> &'static About {
        self.0.about()
    }
    fn worked(&self) -> &'static [Worked] {
        self.0.worked()
    }
    /// One pair: chosen 4 tokens with log ref −7.3, rejected 7 tokens with log ref −9.1.
    fn example(&self) -> Example {
        Example { start: vec![-7.3, -9.1], raises: vec![0], lowers: vec![1] }
    }
    fn probe(&self, settings: &Settings, trained: &[f64]) -> Evaluation {
        let pair = Pair {
            chosen: Completion { policy: trained[0], reference: -7.3, tokens: 4 },
            rejected: Completion { policy: trained[1], reference: -9.1, tokens: 7 },
        };
        let grad = self.grad(settings, &pair);
        Evaluation { loss: grad.loss, gradient: vec![grad.d_chosen, grad.d_rejected] }
    }
}

/// β of the losses whose implicit reward is β(log π − log ref).
pub(super) const BETA: OptionSpec = OptionSpec {
    name: "beta",
    kind: crate::options::POSITIVE,
    default: Value::Number(0.1),
    other: Value::Number(0.3),
    help: "how closely the policy is held to the reference: higher is closer",
};

/// Averages instead of sums of log-probabilities.
pub(super) const LENGTH_NORMALISED: OptionSpec = OptionSpec {
    name: "length_normalised",
    kind: crate::options::Kind::Switch,
    default: Value::Switch(false),
    other: Value::Switch(true),
    help: "average log-probabilities over a completion's tokens instead of summing them",
};
