//! An actor–critic whose critic values every next token (arXiv 1607.07086, Algorithm 1).
//!
//! The actor goes up Σ_a π(a|s_t)·Q(a; s_t), all tokens and not the sampled one. The critic learns
//! r_t + Σ_a π'(a|s_{t+1})·Q'(a; s_{t+1}) at the sampled token, with a delayed copy of itself in Q', and is pulled
//! together at all others by the variance penalty. Logits and values are never whole in memory: the heads meet in chunks.
//!
//! Departures from the paper: π' is the policy that sampled, which stands still for the iteration, instead of a second
//! delayed copy; the critic sees prompt and answer, not a reference answer; it is trained beforehand not for a whole stage
//! but for the first iterations (`critic_warmup`), its head beginning at 0.
use super::credit::column;
use super::gauges::Update;
use super::learner::Pass;
use super::rollout::Group;
use super::update::{flat, like};
use crate::session::{Beside, Companion, Session};
use crate::{TrainError, tree};
use model::{Critic, Expectations, Model, ValueSlopes};
use objective::policy::{entropy, q_actor, q_critic};

/// The delayed critic's weights in a checkpoint.
const DELAYED: &str = "delayed_critic";

/// Constants of the critic's loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct EveryToken {
    /// Pull of a state's values towards their mean.
    pub variance_penalty: f64,
    /// Share by which the delayed copy follows at each step.
    pub delayed_rate: f64,
    /// Iterations at the start in which the actor stands still.
    pub critic_warmup: u64,
}

/// The delayed copy as it begins: the critic.
pub(super) fn delayed(critic: &Model) -> (&'static str, Vec<f32>) {
    (DELAYED, critic.trainable().to_vec())
}

/// What each state is worth to the policy by the delayed critic: Σ_a π(a|s_t)·Q'(a; s_t) before each response token.
pub(super) fn worth(session: &mut Session<'_>, groups: &[Group], pass: Pass) -> Vec<f32> {
    let Session { model: policy, workspace, beside, .. } = session;
    let Beside { companion: Some(Companion { model: critic, .. }), arrays, .. } = beside else {
        return Vec::new();
    };
    let current = critic.trainable().to_vec();
    if let Some((_, delayed)) = arrays.iter().find(|(name, _)| *name == DELAYED) {
        critic.set_trainable(delayed);
    }
    let mut numbers = Vec::new();
    let size = |group: &&Group| tree::n_tokens(&group.tree, pass.shared_prefix);
    for part in tree::groups(groups, pass.budget, size) {
        let (batch, mut request) = tree::log_probs(part.iter().map(|group| &group.tree), pass.shared_prefix);
        request.temperature = pass.temperature;
        let states = critic.states(&batch, &request, workspace);
        let critic = Critic { model: critic, states: &states };
        numbers.extend(policy.expectations(&batch, &request, critic, workspace).expected);
    }
    critic.set_trainable(&current);
    numbers
}

impl EveryToken {
    /// Whether the critic learns alone in this iteration: an actor that listens to one that knows nothing goes anywhere, and
    /// with Adam far.
    pub fn warms_up(&self, session: &Session<'_>) -> bool {
        session.step() < self.critic_warmup
    }

    /// Adds the gradients of critic and actor over some rollouts; the actor takes the critic as it is before its step.
    pub fn part(
        &self,
        session: &mut Session<'_>,
        part: &[&Group],
        divisor: f64,
        pass: Pass,
        entropy_coefficient: f64,
        update: &mut Update,
    ) -> Result<(), TrainError> {
        let warms_up = self.warms_up(session);
        let Session { model: policy, gradients, workspace, beside, .. } = session;
        let Some(Companion { model: critic, gradients: critic_gradients, .. }) = &mut beside.companion else {
            return Ok(());
        };
        let (batch, mut request) = tree::log_probs(part.iter().map(|group| &group.tree), pass.shared_prefix);
        request.temperature = pass.temperature;
        update.n_tokens += batch.len();

        let valued = critic.values_for_training(&batch, &request, workspace);
        let targets = column(part.iter().copied(), |rollout| &rollout.returns).concat();
        let mut slopes = ValueSlopes::default();
        for ((&chosen, &spread), target) in valued.chosen.iter().zip(&valued.spread).zip(targets) {
            let (loss, [by_chosen, by_spread]) =
                q_critic::loss_of(f64::from(chosen), f64::from(spread), target, self.variance_penalty);
            update.value_loss += loss / divisor;
            slopes.chosen.push((by_chosen / divisor) as f32);
            slopes.spread.push((by_spread / divisor) as f32);
        }
        critic.values_backward(&batch, &request, &slopes, workspace, critic_gradients);

        let n = request.targets.len();
        let critic = Critic { model: critic, states: &valued.states };
        let zeros = like(part, &vec![0.0; n]);
        let bonus = entropy::bonus(&zeros, entropy_coefficient, divisor)?;
        let (_, by_expected) = q_actor::loss_of(0.0);
        let slopes = Expectations {
            log_probs: flat(&zeros),
            entropies: flat(&bonus.gradient),
            expected: vec![(by_expected / divisor) as f32; n],
        };
        let said = if warms_up {
            policy.expectations(&batch, &request, critic, workspace)
        } else {
            policy.expectations_backward(&batch, &request, critic, &slopes, workspace, gradients)
        };
        for (row, &expected) in said.expected.iter().enumerate() {
            update.policy_loss += q_actor::loss_of(f64::from(expected)).0 / divisor;
            update.entropy += f64::from(said.entropies[row]) / divisor;
        }
        update.entropy_loss += entropy::bonus(&like(part, &said.entropies), entropy_coefficient, divisor)?.loss;
        let old = column(part.iter().copied(), |rollout| &rollout.old).concat();
        let gaps = said.log_probs.iter().zip(old).map(|(&new, old)| (f64::from(new) - old).abs());
        update.gap = gaps.fold(update.gap, f64::max);
        Ok(())
    }

    /// After a step: θ' ← (1 − rate)·θ' + rate·θ.
    pub fn follow(&self, session: &mut Session<'_>) {
        let Beside { companion: Some(Companion { model: critic, .. }), arrays, .. } = &mut session.beside else {
            return;
        };
        let Some((_, delayed)) = arrays.iter_mut().find(|(name, _)| *name == DELAYED) else {
            return;
        };
        for (delayed, &current) in delayed.iter_mut().zip(critic.trainable()) {
            let followed = q_critic::delayed_update(f64::from(*delayed), f64::from(current), self.delayed_rate);
            *delayed = followed as f32;
        }
    }
}
