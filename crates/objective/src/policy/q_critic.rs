//! A critic that values every next token, as in the actor–critic for sequence prediction.
//!
//! Bahdanau et al. 2016 (arXiv 1607.07086) learn Q̂(a; s) for every next token a with a *delayed*
//! target critic and a *delayed* actor. This file is the arithmetic of its Algorithm 1.

use crate::options::NOT_NEGATIVE;
use crate::{About, Error, Evaluation, Example, Family, Objective, OptionSpec, Settings, Value, Worked};

/// (Q̂(ŷ_t) − q_t)² + λ_C·Σ_a (Q̂(a) − mean_b Q̂(b))² for one state.
///
/// arXiv 1607.07086, Algorithm 1 and the variance penalty C_t of §3: values of tokens that were
/// never sampled would otherwise drift, and the actor takes them all.
pub struct QCritic;

static ABOUT: About = About {
    name: "q_critic",
    family: Family::Row,
    summary: "Critic of every next token: squared error at the sampled one, variance penalty on all",
    formula: "(Q(ŷ_t) − q_t)² + λ_C Σ_a (Q(a) − mean_b Q(b))², q_t = r_t + Σ_a π'(a) Q'(a) at the next state",
    source: "Actor–critic for sequence prediction (arXiv 1607.07086) Algorithm 1",
    convention: "no ½ on the squared error, as in the paper; primes are the delayed copies; the value after the last token is 0",
    options: &[OptionSpec {
        name: "variance_penalty",
        kind: NOT_NEGATIVE,
        default: Value::Number(0.001),
        other: Value::Number(0.1),
        help: "λ_C, the pull of all values of a state towards their mean",
    }],
};

/// The targets q_t = r_t + Σ_a π'(a|s_{t+1}) Q̂'(a; s_{t+1}) of one rollout.
///
/// `expected_next[t]` is that sum *at the state of token t* under delayed actor and critic
/// ([`expected`] of its rows), so token t looks at entry t + 1; after the last token there is
/// nothing left to gain.
pub fn targets(rewards: &[f64], expected: &[f64]) -> Result<Vec<f64>, Error> {
    if rewards.len() != expected.len() {
        let (expected, found) = (rewards.len(), expected.len());
        return Err(Error::Length { row: 0, what: "expected values (one per reward)", expected, found });
    }
    let next = |t: usize| expected.get(t + 1).copied().unwrap_or(0.0);
    Ok(rewards.iter().enumerate().map(|(t, reward)| reward + next(t)).collect())
}

/// Σ_a π(a) Q(a): what a state is worth to a policy.
///
/// # Panics
/// When the rows differ in length: both are as long as the vocabulary.
pub fn expected(probabilities: &[f64], q: &[f64]) -> f64 {
    assert_eq!(probabilities.len(), q.len(), "probabilities and values of one state");
    probabilities.iter().zip(q).map(|(probability, value)| probability * value).sum()
}

/// Loss of one state and its derivative by each Q̂(a).
///
/// # Panics
/// When `chosen` is not an index of the row.
pub fn loss(q: &[f64], chosen: usize, target: f64, variance_penalty: f64) -> Evaluation {
    let mean = q.iter().sum::<f64>() / q.len() as f64;
    let error = q[chosen] - target;
    let spread: f64 = q.iter().map(|value| (value - mean) * (value - mean)).sum();
    // The mean's own derivative drops out: Σ_a (Q(a) − mean) = 0.
    let mut gradient: Vec<f64> = q.iter().map(|value| 2.0 * variance_penalty * (value - mean)).collect();
    gradient[chosen] += 2.0 * error;
    Evaluation { loss: error * error + variance_penalty * spread, gradient }
}

/// The same from what a head says of a row without showing it: Q̂ of the sampled token, and the spread
/// Σ_a (Q̂(a) − mean_b Q̂(b))². The derivatives are by these two numbers.
pub fn loss_of(chosen: f64, spread: f64, target: f64, variance_penalty: f64) -> (f64, [f64; 2]) {
    let error = chosen - target;
    (error * error + variance_penalty * spread, [2.0 * error, variance_penalty])
}

/// One step of a delayed copy: θ' ← (1 − rate)·θ' + rate·θ (arXiv 1607.07086, Algorithm 1).
pub fn delayed_update(delayed: f64, current: f64, rate: f64) -> f64 {
    (1.0 - rate) * delayed + rate * current
}

impl Objective for QCritic {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    /// Three tokens of which the second was sampled, with target 0.8; values start equal.
    fn example(&self) -> Example {
        Example { start: vec![0.1, 0.1, 0.1], raises: vec![1], lowers: vec![] }
    }
    fn worked(&self) -> &'static [Worked] {
        // Mean 0.5; squared error 0.6² = 0.36; spread 0.7² + 0.3² + 0.4² = 0.74.
        const TRAINED: &[f64] = &[1.2, 0.2, 0.1];
        &[
            Worked { options: &[], trained: TRAINED, loss: 0.36 + 0.001 * 0.74 },
            Worked { options: &[("variance_penalty", Value::Number(0.5))], trained: TRAINED, loss: 0.36 + 0.5 * 0.74 },
        ]
    }
    fn probe(&self, settings: &Settings, trained: &[f64]) -> Evaluation {
        loss(trained, 1, 0.8, settings.number("variance_penalty"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_look_one_token_ahead_and_stop_at_the_end() {
        // 0.1 + 0.7, −0.2 + 0.4, 1.0 + 0.
        let found = targets(&[0.1, -0.2, 1.0], &[9.0, 0.7, 0.4]).unwrap();
        for (found, expected) in found.iter().zip([0.8, 0.2, 1.0]) {
            assert!((found - expected).abs() < 1e-15);
        }
        assert!(matches!(targets(&[0.1], &[]), Err(Error::Length { .. })));
    }

    /// With the true Q and the same policy everywhere, targets equal Q of the sampled token in
    /// expectation: two tokens, two steps, reward only at the end.
    #[test]
    fn the_true_values_are_a_fixed_point() {
        let policy = [0.3, 0.7];
        let reward = |first: usize, second: usize| (first * 2 + second) as f64;
        let q_second = |first: usize| [reward(first, 0), reward(first, 1)];
        for first in 0..2 {
            let q_first = expected(&policy, &q_second(first));
            for second in 0..2 {
                let states = [f64::NAN, expected(&policy, &q_second(first))];
                let found = targets(&[0.0, reward(first, second)], &states).unwrap();
                assert!((found[0] - q_first).abs() < 1e-15);
                assert_eq!(found[1], q_second(first)[second]);
            }
        }
    }

    /// The chain rule from the two numbers to the row gives the row's own gradient.
    #[test]
    fn two_numbers_of_a_row_are_enough() {
        let (q, chosen, target, penalty) = ([1.2, 0.2, 0.1], 1, 0.8, 0.5);
        let whole = loss(&q, chosen, target, penalty);
        let spread: f64 = q.iter().map(|q| (q - 0.5) * (q - 0.5)).sum();
        let (value, [by_chosen, by_spread]) = loss_of(q[chosen], spread, target, penalty);
        assert!((value - whole.loss).abs() < 1e-15);
        for (a, slope) in whole.gradient.iter().enumerate() {
            let by_row = by_spread * 2.0 * (q[a] - 0.5) + if a == chosen { by_chosen } else { 0.0 };
            assert!((by_row - slope).abs() < 1e-15);
        }
    }

    #[test]
    fn the_delayed_copy_follows() {
        assert!((delayed_update(2.0, 3.0, 0.1) - 2.1).abs() < 1e-15);
    }
}
