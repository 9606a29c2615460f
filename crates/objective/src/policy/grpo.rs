//! GRPO: rewards standardised within the rollouts of a prompt.

use super::rloo::by_group;
use crate::{About, Error, Family};

/// Its account of itself.
pub static ABOUT: About = About {
    name: "grpo",
    family: Family::Estimator,
    summary: "Rewards standardised within the rollouts of a prompt",
    formula: "A_i = (R_i − mean_j R_j)/(std_j R_j + 1e-4) for every token of rollout i, R = Σ_t r_t",
    source: "GRPO (arXiv 2402.03300) §4.1",
    convention: "Bessel's standard deviation; the KL penalty is part of R; dividing by the deviation weighs prompts by how little their rollouts differ, so the optimum is not that of the KL-regularised reward",
    options: &[],
};

const EPSILON: f64 = 1e-4;

/// Advantages of rollouts by their token rewards. `prompts[i]` says which prompt rollout i answers.
pub fn advantages(rewards: &[Vec<f64>], prompts: &[usize]) -> Result<Vec<Vec<f64>>, Error> {
    by_group(rewards, prompts, |returns, own| {
        let count = returns.len() as f64;
        let mean = returns.iter().sum::<f64>() / count;
        let squares: f64 = returns.iter().map(|r| (r - mean) * (r - mean)).sum();
        (own - mean) / ((squares / (count - 1.0)).sqrt() + EPSILON)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        // Returns 1, 2, 6: mean 3, Bessel's variance (4 + 1 + 9)/2 = 7.
        let found = advantages(&[vec![1.0], vec![1.5, 0.5], vec![6.0]], &[0; 3]).unwrap();
        let deviation = 7.0f64.sqrt() + 1e-4;
        assert!((found[2][0] - 3.0 / deviation).abs() < 1e-15);
        assert_eq!(found[1], vec![-1.0 / deviation; 2]);
        // Equal returns: nothing to learn, and no division by zero.
        assert_eq!(advantages(&[vec![2.0], vec![2.0]], &[0, 0]).unwrap(), [[0.0], [0.0]]);
    }
}
