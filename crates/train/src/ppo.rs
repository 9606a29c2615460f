//! Learning from rewards: PPO with a KL penalty, a value model and the pretraining mix (arXiv 2203.02155, §3.5, eq. 2),
//! and in the same loop REINFORCE, RLOO, GRPO and actor–critics.
//!
//! An iteration: sample answers to a batch of prompts, score them, turn score and KL into rewards and those into
//! advantages, take a few optimizer steps. A step of the session is an iteration.
mod credit;
mod every_token;
mod gauges;
mod learner;
mod material;
mod normalised;
mod phases;
mod plan;
mod rollout;
mod unchanged;
mod update;

pub use normalised::Normalised;

use crate::event::Sink;
use crate::order::Order;
use crate::scorer::Scorer;
use crate::session::{Companion, CompanionKind, Parent, Session, Supervised, shuffle};
use crate::{Options, Outcome, TrainError};
use gauges::{Samples, Tally};
use learner::Learner;
use material::Rows;
use phases::Phases;
use rollout::Group;
use run::PpoConfig;
use run::config::{DataSection, ModelSection, OptimizerSection, TrainSection};
use std::path::PathBuf;
use stdx::Seed;
use unchanged::Witness;

/// Where a finished run publishes its value model or critic.
const VALUE_FOLDER: &str = "value";

/// Where rewards come from.
#[derive(Default)]
pub struct Rewards {
    /// What is learnt from; `None` with fixed rollouts.
    pub reward: Option<Box<dyn Scorer>>,
    /// What is measured beside it, to see over-optimisation (arXiv 2210.10760).
    pub gold: Option<Box<dyn Scorer>>,
    /// Reward-model folders among them, whose content must not change.
    pub folders: Vec<PathBuf>,
}

/// Runs the stage: from prompts and rewards to `final/`.
pub fn run(
    mut options: Options<'_, PpoConfig>,
    mut rewards: Rewards,
    sink: &mut dyn Sink,
) -> Result<Outcome, TrainError> {
    learner::check(&options.config)?;
    let parent = Parent::open(&mut options, sink)?;
    let witness = Witness::of(&rewards)?;
    let PpoConfig { model: model_section, data, optimizer, train, ppo } = &options.config.config;
    let (renderer, seed) = (options.renderer, Seed(train.seed));
    let rows = Rows::read(data, ppo, seed, renderer)?;
    let value = material::value_folder(ppo, &parent.path, renderer)?;
    let mut session = Session::begin(&options, &parent, &rows, sink)?;
    plan::check(&session, &options, &parent, &rows, value, &rewards, sink)?;
    let mut learner = Learner::new(ppo, optimizer, &mut session, model_section, &parent.path)?;
    if let Some(path) = value {
        let kind = learner.companion_kind();
        let companion = Companion::load(&session, path, kind, model_section, optimizer, seed)?;
        if kind == CompanionKind::EveryToken {
            session.beside.arrays.push(every_token::delayed(&companion.model));
        }
        session.beside.companion = Some(companion);
    }
    let mut fixed = rows.fixed.clone();
    session.beside.arrays.extend(fixed.iter().flat_map(|groups| credit::empty_arrays(groups)));
    session.restore_beside()?;
    learner.restore(&session);
    if let Some(groups) = &mut fixed {
        learner.observe_fixed(&mut session, groups, data.shared_prefix)?;
    }
    let mut order = Order::new(rows.questions.len().max(1), ppo.rollout_batch, shuffle(train));
    let mut text = rows.text_order(ppo, shuffle(train));
    let mut samples = Samples::open(&session, ppo.samples_every)?;

    while session.step() < session.steps {
        if session.is_stopped() {
            return session.interrupt(sink);
        }
        session.start_step();
        let mut phases = Phases::begin();
        let step = session.step();
        let mut groups = match &fixed {
            Some(groups) => groups.clone(),
            None => {
                let seed = Seed(seed.stream("rollouts", step).next_u64());
                let Some(mut groups) = rollout::sample(&session, &rows, order.batch(step), ppo, seed, renderer)? else {
                    return session.interrupt(sink);
                };
                phases.end("seconds_sampling");
                if let Err(error) = rollout::score(&mut groups, &rows, &mut rewards) {
                    if step > 0 {
                        session.save_here(sink)?; // a service that is gone doesn't cost the iterations before
                    }
                    return Err(error);
                }
                phases.end("seconds_scoring");
                if step == 0 {
                    learner.warn_of_missing_ends(&groups, sink);
                }
                if session.is_stopped() {
                    return session.interrupt(sink);
                }
                learner.observe(&mut session, &mut groups, data.shared_prefix);
                phases.end("seconds_observing");
                groups
            }
        };
        let kl = credit::kl(&groups);
        learner.assign(&mut groups)?;

        let mut tally = Tally::default();
        for epoch in 0..ppo.epochs {
            for minibatch in minibatches(&groups, ppo.minibatches, seed, step * ppo.epochs + epoch) {
                let examples = rows.text_batch(&mut text, session.optimizer.step);
                tally.add(learner.update(&mut session, &minibatch, &examples, data.shared_prefix)?);
                learner.check_gap(&tally, step, fixed.is_some(), session.model.precision())?;
            }
        }
        phases.end("seconds_learning");
        learner.follow(kl.k1, &groups, &mut session)?;
        samples.write(&session, &groups, &rows, renderer, &tally)?;
        let n_tokens = tally.n_tokens;
        let n_targets = groups.iter().map(Group::n_targets).sum::<usize>() * ppo.epochs as usize;
        let own = [gauges::metrics(&groups, &kl, learner.beta_used, &tally), phases.seconds].concat();
        session.finish_step_with(tally.loss(), tally.grad_norm_total(), n_tokens, n_targets, own, sink)?;
        if let Some(budget) = ppo.kl_budget
            && kl.k1 > budget
        {
            let (step, checkpoint) = (session.step(), session.save_here(sink)?);
            return Err(TrainError::KlBudget { step, kl: kl.k1, budget, checkpoint });
        }
    }
    witness.check(&rewards, sink)?;
    session.publish_companion(VALUE_FOLDER)?;
    session.finish(sink)
}

/// The prompts of each minibatch; a prompt's rollouts stay together.
fn minibatches(groups: &[Group], n: usize, seed: Seed, pass: u64) -> Vec<Vec<&Group>> {
    let mut order: Vec<&Group> = groups.iter().collect();
    if n > 1 {
        seed.stream("minibatches", pass).shuffle(&mut order);
    }
    order.chunks(groups.len().div_ceil(n).max(1)).map(<[&Group]>::to_vec).collect()
}

impl Supervised for PpoConfig {
    fn sections(&self) -> (&ModelSection, &DataSection, &OptimizerSection, &TrainSection) {
        (&self.model, &self.data, &self.optimizer, &self.train)
    }
    fn data_mut(&mut self) -> &mut DataSection {
        &mut self.data
    }
}
