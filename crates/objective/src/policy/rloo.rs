//! RLOO: every rollout's baseline is the mean of the others of its prompt.

use crate::{About, Error, Family};

/// Its account of itself.
pub static ABOUT: About = About {
    name: "rloo",
    family: Family::Estimator,
    summary: "REINFORCE with leave-one-out baseline, several rollouts per prompt",
    formula: "A_i = R_i − mean_{j≠i} R_j for every token of rollout i, R = Σ_t r_t",
    source: "RLOO (arXiv 2402.14740) §2; Kool, van Hoof & Welling 2019",
    convention: "the KL penalty is part of R; needs at least two rollouts per prompt",
    options: &[],
};

/// Advantages of rollouts by their token rewards. `prompts[i]` says which prompt rollout i answers.
///
/// Unbiased: the baseline does not depend on the rollout it is for.
pub fn advantages(rewards: &[Vec<f64>], prompts: &[usize]) -> Result<Vec<Vec<f64>>, Error> {
    by_group(rewards, prompts, |returns, own| {
        let others = returns.iter().sum::<f64>() - own;
        own - others / (returns.len() - 1) as f64
    })
}

/// Applies `advantage(returns of the prompt, own return)` to each rollout and spreads it over the
/// rollout's tokens. A prompt with a single rollout is refused.
pub(super) fn by_group(
    rewards: &[Vec<f64>],
    prompts: &[usize],
    advantage: impl Fn(&[f64], f64) -> f64,
) -> Result<Vec<Vec<f64>>, Error> {
    let (expected, found) = (rewards.len(), prompts.len());
    if expected != found {
        return Err(Error::Length { row: 0, what: "prompt numbers (one per rollout)", expected, found });
    }
    let returns: Vec<f64> = rewards.iter().map(|rollout| rollout.iter().sum()).collect();
    let mut groups = std::collections::BTreeMap::<usize, Vec<f64>>::new();
    for (&prompt, &total) in prompts.iter().zip(&returns) {
        groups.entry(prompt).or_default().push(total);
    }
    let mut advantages = Vec::with_capacity(rewards.len());
    for (row, (rollout, prompt)) in rewards.iter().zip(prompts).enumerate() {
        let group = &groups[prompt];
        if group.len() < 2 {
            return Err(Error::Length { row, what: "or more rollouts of a prompt", expected: 2, found: 1 });
        }
        advantages.push(vec![advantage(group, returns[row]); rollout.len()]);
    }
    Ok(advantages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        let rewards = [vec![1.0, 2.0], vec![4.0], vec![10.0], vec![0.5, 0.5]];
        // Prompt 5: returns 3, 10, 1; prompt 2: only one, so it gets a second.
        let found = advantages(&rewards, &[5, 2, 5, 5]);
        assert!(matches!(found, Err(Error::Length { row: 1, found: 1, .. })));
        let found = advantages(&rewards, &[5, 2, 5, 2]).unwrap();
        assert_eq!(found, [vec![-7.0, -7.0], vec![3.0], vec![7.0], vec![-3.0, -3.0]]);
        let found = advantages(&rewards, &[0; 4]).unwrap();
        // 3 − (4 + 10 + 1)/3 = −2.
        assert_eq!(found[0], [-2.0, -2.0]);
        assert!(found.iter().map(|rollout| rollout[0]).sum::<f64>().abs() < 1e-12);
    }
}
