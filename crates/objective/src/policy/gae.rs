//! Generalised advantage estimation.

use super::same_shape;
use crate::{About, Error, Family};

/// Its account of itself.
pub static ABOUT: About = About {
    name: "gae",
    family: Family::Estimator,
    summary: "Generalised advantage estimation, with a value model",
    formula: "A_t = δ_t + γλ·A_{t+1}, δ_t = r_t + γ·V(s_{t+1}) − V(s_t); R_t = A_t + V(s_t)",
    source: "GAE (arXiv 1506.02438) eqs. 11, 16",
    convention: "V(s_t) is read before token t; the value after the last token is 0, also without EOS",
    options: &[],
};

/// Advantages, and the returns that the value model regresses on.
#[derive(Debug, Clone, PartialEq)]
pub struct Advantages {
    /// A_t of each token, shaped as the rollouts.
    pub advantages: Vec<Vec<f64>>,
    /// R_t = A_t + V(s_t) of each token.
    pub returns: Vec<Vec<f64>>,
}

/// A_t = Σ_k (γλ)^k δ_{t+k}, over ragged rollouts; nothing follows a rollout's last token.
///
/// Schulman et al. 2016 (arXiv 1506.02438), eqs. 11 and 16. γ and λ lie in [0, 1].
pub fn gae(rewards: &[Vec<f64>], values: &[Vec<f64>], gamma: f64, lambda: f64) -> Result<Advantages, Error> {
    for (what, found) in [("gamma", gamma), ("lambda", lambda)] {
        if !(0.0..=1.0).contains(&found) {
            return Err(Error::OutOfRange { what, found, expected: "a number from 0 to 1" });
        }
    }
    same_shape(rewards, values, "values")?;
    let one = |(rewards, values): (&Vec<f64>, &Vec<f64>)| rollout(rewards, values, gamma, lambda);
    let advantages: Vec<Vec<f64>> = rewards.iter().zip(values).map(one).collect();
    let add = |(advantage, value): (&f64, &f64)| advantage + value;
    let returns = advantages.iter().zip(values);
    let returns = returns.map(|(a, v)| a.iter().zip(v).map(add).collect()).collect();
    Ok(Advantages { advantages, returns })
}

fn rollout(rewards: &[f64], values: &[f64], gamma: f64, lambda: f64) -> Vec<f64> {
    let mut advantages = vec![0.0; rewards.len()];
    let (mut next_advantage, mut next_value) = (0.0, 0.0);
    for t in (0..rewards.len()).rev() {
        let delta = rewards[t] + gamma * next_value - values[t];
        next_advantage = delta + gamma * lambda * next_advantage;
        next_value = values[t];
        advantages[t] = next_advantage;
    }
    advantages
}

/// The discounted sum of rewards from each token on: GAE without a value model, λ = 1.
pub fn returns_to_go(rewards: &[f64], gamma: f64) -> Vec<f64> {
    let mut returns = rewards.to_vec();
    for t in (0..returns.len().saturating_sub(1)).rev() {
        returns[t] += gamma * returns[t + 1];
    }
    returns
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn worked_by_hand() {
        // γ = .9, λ = .5: δ_1 = 1 − .6 = .4; δ_0 = .1 + .9·.6 − .2 = .44; A_0 = .44 + .45·.4 = .62.
        let out = gae(&[vec![0.1, 1.0]], &[vec![0.2, 0.6]], 0.9, 0.5).unwrap();
        for (found, expected) in out.advantages[0].iter().zip([0.62, 0.4]) {
            assert!((found - expected).abs() < 1e-15);
        }
        assert!((out.returns[0][0] - 0.82).abs() < 1e-15);
    }

    #[test]
    fn ragged_lists_that_differ_are_refused_by_rollout() {
        let found = gae(&[vec![1.0], vec![1.0]], &[vec![1.0], vec![]], 1.0, 0.95);
        assert!(matches!(found, Err(Error::Length { row: 1, expected: 1, found: 0, .. })));
        assert!(matches!(gae(&[vec![1.0]], &[], 1.0, 0.95), Err(Error::Length { row: 0, .. })));
        assert!(matches!(gae(&[], &[], 1.1, 0.95), Err(Error::OutOfRange { what: "gamma", .. })));
    }

    proptest! {
        #[test]
        fn with_lambda_1_returns_do_not_depend_on_values(
            rows in prop::collection::vec((-2.0f64..2.0, -2.0f64..2.0), 1..8),
            gamma in 0.5f64..1.0,
        ) {
            let (rewards, values): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            let out = gae(std::slice::from_ref(&rewards), &[values], gamma, 1.0).unwrap();
            for (a, b) in out.returns[0].iter().zip(returns_to_go(&rewards, gamma)) {
                prop_assert!((a - b).abs() < 1e-12);
            }
        }
    }
}
