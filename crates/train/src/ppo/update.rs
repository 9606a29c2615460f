//! One optimizer step on a minibatch of rollouts and, beside it, text.
use super::credit::column;
use super::gauges::Update;
use super::learner::{Learner, Losses, value_request};
use super::rollout::{Group, Rollout};
use crate::packing::{Example, micro_batches, sum_log_probs};
use crate::session::{Companion, Session};
use crate::{TrainError, tree};
use model::{Derivatives, Noise};
use objective::policy::{self, Loss, Value, entropy, whiten};

impl Learner<'_> {
    /// L = L_policy − c_entropy·H + c_value·L_value + c_ptx·L_ptx over the minibatch; clips and steps.
    ///
    /// The gradient of the text goes into the same buffer as the policy's, after the policy's norm was taken.
    pub fn update(
        &self,
        session: &mut Session<'_>,
        minibatch: &[&Group],
        examples: &[&Example],
        shared_prefix: bool,
    ) -> Result<Update, TrainError> {
        session.gradients.zero(session.model.device());
        if let Some(Companion { gradients, .. }) = &mut session.beside.companion {
            gradients.zero(session.model.device());
        }
        let mut update = Update::default();
        let mut advantages = column(minibatch.iter().copied(), |rollout| &rollout.advantages);
        if matches!(self.losses, Losses::Sampled { value: Some(_), .. }) {
            advantages = whiten::advantages(&advantages);
        }
        let divisor = policy::count(&advantages);
        let mut advantages = advantages.into_iter();
        let size = |group: &&Group| tree::n_tokens(&group.tree, shared_prefix);
        for part in tree::groups(minibatch.iter().copied(), session.budget(), size) {
            let n_rollouts = part.iter().map(|group| group.rollouts.len()).sum();
            let advantages = advantages.by_ref().take(n_rollouts).collect();
            match &self.losses {
                Losses::EveryToken(every_token) => {
                    let pass = self.pass(None, shared_prefix);
                    every_token.part(session, &part, divisor, pass, self.ppo.entropy, &mut update)?;
                }
                Losses::Sampled { policy, value } => {
                    self.policy_part(policy, session, &part, advantages, divisor, shared_prefix, &mut update)?;
                    if let Some(value) = value {
                        self.value_part(value, session, &part, divisor, shared_prefix, &mut update)?;
                    }
                }
            }
        }
        self.finish(session, examples, &mut update)?;
        if let Losses::EveryToken(every_token) = &self.losses {
            every_token.follow(session);
        }
        Ok(update)
    }

    fn policy_part(
        &self,
        loss: &Loss,
        session: &mut Session<'_>,
        part: &[&Group],
        advantages: Vec<Vec<f64>>,
        divisor: f64,
        shared_prefix: bool,
        update: &mut Update,
    ) -> Result<(), TrainError> {
        let (batch, mut request) = tree::log_probs(part.iter().map(|group| &group.tree), shared_prefix);
        request.temperature = self.ppo.temperature as f32;
        request.entropy = true;
        update.n_tokens += batch.len();
        let noise = Noise::default();
        let outputs = session.model.forward_for_training(&batch, &request, noise, &mut session.workspace);
        let log_probs = like(part, &outputs.log_probs);
        let entropies = like(part, &outputs.entropies);
        let old = column(part.iter().copied(), |rollout| &rollout.old);
        let reference = column(part.iter().copied(), |rollout| &rollout.reference);
        let pairs = log_probs.iter().flatten().zip(old.iter().flatten());
        update.gap = pairs.map(|(new, old)| (new - old).abs()).fold(update.gap, f64::max);

        let tokens = policy::tokens(&log_probs, &old, &reference, &advantages)?;
        let loss = loss.loss_over(&tokens, divisor)?;
        update.policy_loss += loss.loss;
        update.clip_fraction += loss.clip_fraction * policy::count(&log_probs) / divisor;
        update.entropy += entropies.iter().flatten().sum::<f64>() / divisor;
        let mut derivatives = Derivatives { log_probs: flat(&loss.gradient), ..Derivatives::default() };
        if self.ppo.entropy > 0.0 {
            let bonus = entropy::bonus(&entropies, self.ppo.entropy, divisor)?;
            update.entropy_loss += bonus.loss;
            derivatives.entropies = flat(&bonus.gradient);
        }
        session.model.backward(&batch, &request, &derivatives, &mut session.workspace, &mut session.gradients);
        Ok(())
    }

    fn value_part(
        &self,
        loss: &Value,
        session: &mut Session<'_>,
        part: &[&Group],
        divisor: f64,
        shared_prefix: bool,
        update: &mut Update,
    ) -> Result<(), TrainError> {
        let Some(companion) = &mut session.beside.companion else {
            return Ok(());
        };
        let Companion { model, gradients, .. } = companion;
        let (batch, request) = value_request(part.iter().map(|group| &group.tree), shared_prefix);
        let outputs = model.forward_for_training(&batch, &request, Noise::default(), &mut session.workspace);
        let values = like(part, &outputs.scalars);
        let old = column(part.iter().copied(), |rollout| &rollout.values);
        let returns = column(part.iter().copied(), |rollout| &rollout.returns);
        let loss = loss.loss_over(&policy::states(&values, &old, &returns)?, divisor)?;
        update.value_loss += loss.loss;
        let coefficient = self.ppo.value_coefficient as f32;
        let slopes = flat(&loss.gradient).into_iter().map(|slope| coefficient * slope).collect();
        let derivatives = Derivatives { scalars: slopes, ..Derivatives::default() };
        model.backward(&batch, &request, &derivatives, &mut session.workspace, gradients);
        Ok(())
    }

    /// Of the value loss in what is logged as the loss. A critic of every token has an optimizer of its own and no weight.
    fn value_weight(&self) -> f64 {
        if matches!(self.losses, Losses::EveryToken(_)) { 1.0 } else { self.ppo.value_coefficient }
    }

    /// Text, norms, clipping, the step.
    fn finish(&self, session: &mut Session<'_>, examples: &[&Example], update: &mut Update) -> Result<(), TrainError> {
        let device = session.model.device().clone();
        let stands_still = matches!(&self.losses, Losses::EveryToken(every_token) if every_token.warms_up(session));
        update.grad_norm_ppo = session.gradients.sum_of_squares(&device).sqrt();
        let clips_alone = self.ppo.clip_scope == run::config::ClipScope::Ppo;
        if clips_alone {
            let factor = session.clip_factor(update.grad_norm_ppo);
            if factor < 1.0 {
                session.gradients.scale(&device, factor as f32);
            }
        }
        update.grad_norm_total = update.grad_norm_ppo;
        if !examples.is_empty() && !stands_still {
            self.text_part(session, examples, update);
            update.grad_norm_total = session.gradients.sum_of_squares(&device).sqrt();
        }
        let scale = if clips_alone { 1.0 } else { session.clip_factor(update.grad_norm_total) };
        let mut value_scale = 1.0;
        if let Some(Companion { gradients, .. }) = &session.beside.companion {
            update.grad_norm_value = gradients.sum_of_squares(&device).sqrt();
            value_scale = session.clip_factor(update.grad_norm_value);
        }
        update.loss = update.policy_loss
            + update.entropy_loss
            + self.value_weight() * update.value_loss
            + self.ppo.ptx_coefficient * update.ptx_loss.unwrap_or(0.0);
        session.refuse_unless_finite("loss", update.loss)?;
        session.refuse_unless_finite("gradient norm", update.grad_norm_total)?;
        session.refuse_unless_finite("gradient norm of the value model", update.grad_norm_value)?;
        if !stands_still {
            session.step_policy(scale);
        }
        session.step_companion(value_scale, self.value_lr);
        Ok(())
    }

    /// c_ptx times the mean −log p of the text's tokens, at temperature 1 (arXiv 2203.02155, eq. 2).
    fn text_part(&self, session: &mut Session<'_>, examples: &[&Example], update: &mut Update) {
        let n_targets: usize = examples.iter().map(|example| example.n_targets()).sum();
        let slope = (-self.ppo.ptx_coefficient / n_targets as f64) as f32;
        let mut loss = 0.0;
        for micro in micro_batches(examples.iter().copied(), session.budget()) {
            update.n_tokens += micro.batch.len();
            let outputs = session.model.forward_backward(
                &micro.batch,
                &micro.request,
                &micro.uniform_derivatives(slope),
                Noise::default(),
                &mut session.workspace,
                &mut session.gradients,
            );
            loss -= sum_log_probs(&outputs) / n_targets as f64;
        }
        update.ptx_loss = Some(loss);
    }
}

/// Numbers a response token as lists a rollout.
pub(super) fn like(part: &[&Group], flat: &[f32]) -> Vec<Vec<f64>> {
    let mut flat = flat.iter().map(|&value| f64::from(value));
    let lengths = |rollout: &Rollout| rollout.old.len();
    let rollouts = part.iter().flat_map(|group| &group.rollouts);
    rollouts.map(|rollout| flat.by_ref().take(lengths(rollout)).collect()).collect()
}

pub(super) fn flat(lists: &[Vec<f64>]) -> Vec<f32> {
    lists.iter().flatten().map(|&value| value as f32).collect()
}
