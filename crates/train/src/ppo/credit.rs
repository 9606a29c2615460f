//! From scores and log-probabilities to rewards, KL and advantages.
use super::learner::Learner;
use super::rollout::{Group, Rollout};
use crate::TrainError;
use objective::policy::{gae, grpo, kl, q_critic, rewards, rloo, whiten};

/// KL of the sampling policy to the reference, estimated on its own rollouts: means over rollouts of sums over tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kl {
    /// Σ (log π − log π_ref), nats a rollout.
    pub k1: f64,
    /// Σ (e^{−d} − 1 + d), nats a rollout: never negative.
    pub k3: f64,
}

/// Every rollout, in order.
pub(super) fn rollouts<'g>(groups: impl IntoIterator<Item = &'g Group>) -> impl Iterator<Item = &'g Rollout> {
    groups.into_iter().flat_map(|group| &group.rollouts)
}

/// One list of every rollout.
pub(super) fn column<'g>(
    groups: impl IntoIterator<Item = &'g Group>,
    of: impl Fn(&Rollout) -> &Vec<f64>,
) -> Vec<Vec<f64>> {
    rollouts(groups).map(|rollout| of(rollout).clone()).collect()
}

/// Puts a list into every rollout.
pub(super) fn fill(groups: &mut [Group], lists: Vec<Vec<f64>>, place: impl Fn(&mut Rollout) -> &mut Vec<f64>) {
    let rollouts = groups.iter_mut().flat_map(|group| &mut group.rollouts);
    rollouts.zip(lists).for_each(|(rollout, list)| *place(rollout) = list);
}

/// The KL of these rollouts.
pub(super) fn kl(groups: &[Group]) -> Kl {
    let mean = |estimate: fn(f64, f64) -> f64| {
        let of = |rollout: &Rollout| -> f64 {
            rollout.old.iter().zip(&rollout.reference).map(|(&policy, &reference)| estimate(policy, reference)).sum()
        };
        let sums: Vec<f64> = rollouts(groups).map(of).collect();
        sums.iter().sum::<f64>() / sums.len() as f64
    };
    Kl { k1: mean(kl::k1), k3: mean(kl::k3) }
}

/// Space in a checkpoint for what was observed of fixed rollouts at the start: log-probabilities and values.
pub(super) fn empty_arrays(groups: &[Group]) -> Vec<(&'static str, Vec<f32>)> {
    let n_tokens = groups.iter().map(Group::n_targets).sum();
    ["old", "reference", "values"].into_iter().map(|name| (name, vec![0.0; n_tokens])).collect()
}

/// One flat array as lists a rollout.
pub(super) fn ragged(groups: &[Group], flat: &[f32]) -> Vec<Vec<f64>> {
    let mut flat = flat.iter().map(|&value| f64::from(value));
    let lengths = groups.iter().flat_map(|group| &group.tree.branches).map(|branch| branch.token_ids.len());
    lengths.map(|length| flat.by_ref().take(length).collect()).collect()
}

impl Learner<'_> {
    /// Rewards (eq. 2 of arXiv 2203.02155: the score on the last token, −β·k1 on each), then advantages and returns.
    pub fn assign(&mut self, groups: &mut [Group]) -> Result<(), TrainError> {
        let missing = self.missing_eos();
        self.beta_used = self.beta;
        let mut of_tokens = Vec::new();
        for (row, rollout) in rollouts(&*groups).enumerate() {
            let score = missing.apply(rollout.score, rollout.ended);
            of_tokens.push(rewards::token_rewards(row, score, &rollout.old, &rollout.reference, self.beta)?);
        }
        if self.ppo.reward_whitening {
            of_tokens = whiten::rewards(&of_tokens);
        }
        let prompts = groups.iter().enumerate().flat_map(|(idx, group)| vec![idx; group.rollouts.len()]);
        let prompts: Vec<usize> = prompts.collect();
        let (advantages, returns) = match self.algorithm.advantages {
            "gae" => {
                let values = column(&*groups, |rollout| &rollout.values);
                let found = gae::gae(&of_tokens, &values, self.ppo.gamma, self.ppo.lambda)?;
                (found.advantages, found.returns)
            }
            "q_critic" => {
                let worth = column(&*groups, |rollout| &rollout.values);
                let lists = of_tokens.iter().zip(&worth).map(|(rewards, worth)| q_critic::targets(rewards, worth));
                let targets = lists.collect::<Result<Vec<_>, _>>()?;
                // not learnt from: how much better the sampled token turned out than the policy's mean
                let better =
                    |(targets, worth): (&Vec<f64>, &Vec<f64>)| targets.iter().zip(worth).map(|(q, v)| q - v).collect();
                (targets.iter().zip(&worth).map(better).collect(), targets)
            }
            "rloo" => (rloo::advantages(&of_tokens, &prompts)?, Vec::new()),
            "grpo" => (grpo::advantages(&of_tokens, &prompts)?, Vec::new()),
            _ => (self.baseline.advantages(&of_tokens)?, Vec::new()),
        };
        fill(groups, of_tokens, |rollout| &mut rollout.rewards);
        fill(groups, advantages, |rollout| &mut rollout.advantages);
        fill(groups, returns, |rollout| &mut rollout.returns);
        Ok(())
    }
}
