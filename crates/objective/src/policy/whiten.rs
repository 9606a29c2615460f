//! Scaling of advantages and rewards over the tokens of a batch.

use crate::{About, Family};

/// Its account of itself.
pub static ABOUT: About = About {
    name: "whiten",
    family: Family::Estimator,
    summary: "Advantages scaled to mean 0 and variance 1 over a minibatch's tokens",
    formula: "(a − μ)·rsqrt(σ² + 1e-8); rewards: the mean is added back",
    source: "Ziegler et al. 2019 (arXiv 1909.08593); Huang et al. 2024 (arXiv 2403.17031)",
    convention: "population variance over real tokens (Bessel's correction gives .972 instead of 1.000 on the reference fixture)",
    options: &[],
};

const EPSILON: f64 = 1e-8;

/// (a − μ)·rsqrt(σ² + 1e-8) over all tokens of a minibatch, population variance.
pub fn advantages(advantages: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let (mean, scale) = moments(advantages);
    map(advantages, |advantage| (advantage - mean) * scale)
}

/// Rewards divided by their standard deviation, the mean kept: (r − μ)·rsqrt(σ² + 1e-8) + μ.
pub fn rewards(rewards: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let (mean, scale) = moments(rewards);
    map(rewards, |reward| (reward - mean) * scale + mean)
}

fn moments(rollouts: &[Vec<f64>]) -> (f64, f64) {
    let count = super::count(rollouts);
    let mean = rollouts.iter().flatten().sum::<f64>() / count;
    let squares: f64 = rollouts.iter().flatten().map(|x| (x - mean) * (x - mean)).sum();
    (mean, (squares / count + EPSILON).sqrt().recip())
}

fn map(rollouts: &[Vec<f64>], f: impl Fn(f64) -> f64) -> Vec<Vec<f64>> {
    rollouts.iter().map(|rollout| rollout.iter().map(|&x| f(x)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn worked_by_hand() {
        // Mean 2, population variance (1 + 0 + 1)/3 (with Bessel: 1).
        let rows = [vec![1.0, 2.0], vec![], vec![3.0]];
        let found = advantages(&rows);
        let scale = (2.0f64 / 3.0 + 1e-8).sqrt();
        assert!((found[2][0] - 1.0 / scale).abs() < 1e-15 && found[1].is_empty());
        assert!((rewards(&rows)[0][0] - (2.0 - 1.0 / scale)).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn mean_0_and_variance_1(rows in prop::collection::vec(prop::collection::vec(-5.0f64..5.0, 1..5), 2..5)) {
            let (_, scale) = moments(&rows);
            prop_assume!(scale < 1e3);
            let white = advantages(&rows);
            let (mean, scale) = moments(&white);
            prop_assert!(mean.abs() < 1e-10 && (scale - 1.0).abs() < 1e-2 * 0.1 + 1e-5);
            let (before, _) = moments(&rows);
            let (after, _) = moments(&rewards(&rows));
            prop_assert!((before - after).abs() < 1e-10);
        }
    }
}
