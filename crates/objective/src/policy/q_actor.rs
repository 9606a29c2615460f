//! The actor's loss when a critic values every next token.

use super::q_critic::expected;
use crate::{About, Evaluation, Example, Family, Objective, Settings, Worked};

/// −Σ_a π(a|s) Q(a; s) for one state, differentiated by the *logits* of π.
///
/// arXiv 1607.07086, §3 and Algorithm 1: Σ_a ∇π(a)·Q(a), over all tokens and not only the sampled
/// one. By logit a it is −π(a)(Q(a) − Σ_b π(b)Q(b)): an advantage, with the state's worth as the
/// baseline.
pub struct QActor;

static ABOUT: About = About {
    name: "q_actor",
    family: Family::Row,
    summary: "Actor of a critic of every next token: the expected value under the policy",
    formula: "−Σ_a π(a) Q(a), π = softmax(logits)",
    source: "Actor–critic for sequence prediction (arXiv 1607.07086) §3, Algorithm 1",
    convention: "differentiated by the logits; Q is a constant for the gradient",
    options: &[],
};

/// Loss of one state and its derivative by each logit.
///
/// # Panics
/// When the rows differ in length: both are as long as the vocabulary.
pub fn loss(logits: &[f64], q: &[f64]) -> Evaluation {
    let total = crate::numeric::log_sum_exp(logits.iter().copied());
    let probabilities: Vec<f64> = logits.iter().map(|logit| (logit - total).exp()).collect();
    let worth = expected(&probabilities, q);
    let gradient = probabilities.iter().zip(q).map(|(probability, value)| -probability * (value - worth));
    Evaluation { loss: -worth, gradient: gradient.collect() }
}

/// The same from the expected value alone, with its derivative: the head that computes the expectation knows the way
/// on to the logits.
pub fn loss_of(expected: f64) -> (f64, f64) {
    (-expected, -1.0)
}

impl Objective for QActor {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    /// Three tokens worth 1.0, −0.5 and 0.2.
    fn example(&self) -> Example {
        Example { start: vec![0.0, 0.0, 0.0], raises: vec![0], lowers: vec![1, 2] }
    }
    fn worked(&self) -> &'static [Worked] {
        &[Worked { options: &[], trained: &[0.3, -0.9, 1.1], loss: OFF_SYMMETRY }]
    }
    fn probe(&self, _: &Settings, trained: &[f64]) -> Evaluation {
        loss(trained, &[1.0, -0.5, 0.2])
    }
}

const OFF_SYMMETRY: f64 = -0.3670565064304363;

#[cfg(test)]
mod tests {
    use super::*;

    /// By the expected value −1, by logit a then −π(a)(Q(a) − E).
    #[test]
    fn the_expected_value_is_enough() {
        let (logits, q) = ([0.3, -0.9, 1.1], [1.0, -0.5, 0.2]);
        let whole = loss(&logits, &q);
        let (value, slope) = loss_of(-whole.loss);
        assert_eq!(value, whole.loss);
        let total: f64 = logits.iter().map(|z: &f64| z.exp()).sum();
        for (a, by_logit) in whole.gradient.iter().enumerate() {
            let by_expectation = slope * logits[a].exp() / total * (q[a] + whole.loss);
            assert!((by_expectation - by_logit).abs() < 1e-15);
        }
    }
}
