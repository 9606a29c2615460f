//! What learns: losses, reference, KL coefficient, baseline; and what it observes about rollouts before it does.
use super::credit::{self, fill, ragged};
use super::every_token::{self, EveryToken};
use super::gauges::Tally;
use super::rollout::Group;
use crate::event::{Event, Sink};
use crate::session::{CompanionKind, Session};
use crate::{TrainError, tree};
use kernels::linear::Precision;
use model::{LoadOptions, Model, Request, Trainable, TreeBatch, Workspace};
use objective::policy::algorithm::{self, Algorithm};
use objective::policy::kl_controller::AdaptiveKl;
use objective::policy::reinforce::RunningBaseline;
use objective::policy::rewards;
use objective::policy::{self, Loss, Value};
use run::config::{MissingEos, ModelSection, OptimizerSection, PpoSection};
use run::{PpoConfig, Resolved};
use serde_json::Value as Json;
use std::path::Path;

/// Largest |log π sampled − log π recomputed| that is taken for rounding, in f32 and in bf16.
const GAP_MAX: [f64; 2] = [1e-3, 0.1];

/// The parts of the algorithm.
pub(super) struct Learner<'a> {
    pub ppo: &'a PpoSection,
    pub algorithm: &'static Algorithm,
    pub losses: Losses,
    /// Learning rate of the value model at the height of the schedule.
    pub value_lr: f64,
    /// The frozen reference; `None`: the model with its adapters switched off.
    reference: Option<Model>,
    /// β of the next iteration.
    pub beta: f64,
    /// β of this iteration's rewards.
    pub beta_used: f64,
    pub baseline: RunningBaseline,
}

/// What the optimizer goes down.
pub(super) enum Losses {
    /// Of the sampled tokens' log-probabilities and advantages, and of the states' values.
    Sampled { policy: Loss, value: Option<Value> },
    /// Of every token's probability and value.
    EveryToken(EveryToken),
}

impl Losses {
    fn new(ppo: &PpoSection, algorithm: &Algorithm) -> Result<Losses, TrainError> {
        if *algorithm == algorithm::EVERY_TOKEN {
            let PpoSection { variance_penalty, delayed_rate, critic_warmup, .. } = *ppo;
            return Ok(Losses::EveryToken(EveryToken { variance_penalty, delayed_rate, critic_warmup }));
        }
        let only = |name: &'static str, wanted: bool, value: f64| {
            let mut options = objective::Options::new();
            if wanted {
                options.set(name, value);
            }
            options
        };
        let clip = only("clip", algorithm.policy_loss == "ppo_clip", ppo.clip);
        let value = match algorithm.value_loss {
            Some(name) => Some(policy::value_by_name(name, &only("value_clip", name == "value_clip", ppo.value_clip))?),
            None => None,
        };
        Ok(Losses::Sampled { policy: policy::by_name(algorithm.policy_loss, &clip)?, value })
    }
}

impl Learner<'_> {
    /// What the network beside the policy says.
    pub fn companion_kind(&self) -> CompanionKind {
        match self.losses {
            Losses::EveryToken(_) => CompanionKind::EveryToken,
            Losses::Sampled { .. } => CompanionKind::State,
        }
    }
}

/// Refuses options that the algorithm doesn't use, before anything is loaded.
pub(super) fn check(config: &Resolved<PpoConfig>) -> Result<(), TrainError> {
    let ppo = &config.config.ppo;
    let algorithm = algorithm::chosen(&ppo.algorithm, ppo.actor_critic.as_deref())?;
    let names = PpoSection::SECTION.fields.iter().map(|field| field.name);
    algorithm.check_options(names.filter(|name| config.is_given(&format!("ppo.{name}"))))?;
    let option = |key, found: String, expected| Err(TrainError::Option { key, found, expected });
    if *algorithm == algorithm::EVERY_TOKEN && config.config.model.lora.is_some() {
        let expected = "\"v\", or no adapters: they leave the critic's head as it is";
        return option("ppo.actor_critic", "\"q\" with model.lora".into(), expected);
    }
    if *algorithm == algorithm::EVERY_TOKEN && ppo.rollouts.is_some() {
        let expected = "\"v\", or sampled rollouts: its targets move with the delayed critic";
        return option("ppo.actor_critic", "\"q\" with ppo.rollouts".into(), expected);
    }
    if algorithm.value_loss.is_none() && ppo.value.is_some() {
        return option("ppo.value", format!("a value model for {}", algorithm.name), "none: it has no critic");
    }
    if algorithm.needs_groups && ppo.rollouts.is_none() && ppo.samples_per_prompt < 2 {
        let found = format!("{} for {}", ppo.samples_per_prompt, algorithm.name);
        return option("ppo.samples_per_prompt", found, "at least 2: rollouts of a prompt are compared");
    }
    Ok(())
}

impl<'a> Learner<'a> {
    /// Builds the losses and loads the reference.
    pub fn new(
        ppo: &'a PpoSection,
        optimizer: &OptimizerSection,
        session: &mut Session<'_>,
        section: &ModelSection,
        policy: &Path,
    ) -> Result<Learner<'a>, TrainError> {
        let algorithm = algorithm::chosen(&ppo.algorithm, ppo.actor_critic.as_deref())?;
        let switchable = section.lora.is_some() && ppo.reference.is_none();
        let reference = if switchable {
            None
        } else {
            let path = ppo.reference.as_deref().unwrap_or(policy);
            let precision = session.model.precision();
            let options = LoadOptions { precision, trainable: Trainable::Nothing, scalar_head: false };
            let model = Model::load(session.model.device(), path, &options)?;
            let (found, expected) = (model.config().vocab_size, session.model.config().vocab_size);
            if found != expected {
                let found = format!("{} with {found} tokens, the policy has {expected}", path.display());
                let expected = "a model with the policy's tokenizer";
                return Err(TrainError::Option { key: "ppo.reference", found, expected });
            }
            Some(model)
        };
        Ok(Learner {
            ppo,
            algorithm,
            losses: Losses::new(ppo, algorithm)?,
            value_lr: ppo.value_lr.unwrap_or(optimizer.lr),
            reference,
            beta: ppo.beta,
            beta_used: ppo.beta,
            baseline: RunningBaseline::new(ppo.baseline_decay)?,
        })
    }

    /// As the objective wants it.
    pub fn missing_eos(&self) -> rewards::MissingEos {
        match self.ppo.missing_eos {
            MissingEos::Replace(number) => rewards::MissingEos::Replace(number),
            MissingEos::Subtract(number) => rewards::MissingEos::Subtract(number),
            MissingEos::Keep => rewards::MissingEos::Keep,
        }
    }

    /// Says when `ppo.missing_eos` leaves nothing to learn, and when not to end would be a prize.
    pub fn warn_of_missing_ends(&self, groups: &[Group], sink: &mut dyn Sink) {
        let replaces = matches!(self.ppo.missing_eos, MissingEos::Replace(_));
        if replaces && !credit::rollouts(groups).any(|rollout| rollout.ended) {
            sink.event(&Event::Notice(format!(
                "none of the first {} rollouts ended within ppo.max_new_tokens = {}: ppo.missing_eos replaced every \
                 score, so that nothing is learnt from the reward; raise the limit, or set ppo.missing_eos = \"keep\"",
                credit::rollouts(groups).count(),
                self.ppo.max_new_tokens
            )));
            return;
        }
        let scores: Vec<f64> = credit::rollouts(groups).map(|rollout| rollout.score).collect();
        if let Some(percentile) = self.missing_eos().is_a_prize(&scores) {
            sink.event(&Event::Notice(format!(
                "ppo.missing_eos puts a score in place that lies above the 5th percentile of scores ({percentile:.3}): \
                 not to end is better than the worst answers"
            )));
        }
    }

    /// β and the baseline of a resumed run, bit for bit.
    pub fn restore(&mut self, session: &Session<'_>) {
        let number = |name: &str| session.beside.numbers.get(name).and_then(Json::as_u64).map(f64::from_bits);
        self.beta = number("beta").unwrap_or(self.beta);
        self.baseline.mean = number("baseline_mean").or(self.baseline.mean);
        self.baseline.mean_square = number("baseline_mean_square").unwrap_or(self.baseline.mean_square);
    }

    /// After the updates: β follows its target; the numbers go where checkpoints find them.
    pub fn follow(&mut self, kl: f64, groups: &[Group], session: &mut Session<'_>) -> Result<(), TrainError> {
        if let Some(section) = self.ppo.adaptive_kl {
            let mut controller = AdaptiveKl::new(self.beta, section.target, section.horizon)?;
            controller.update(kl, credit::rollouts(groups).count())?;
            self.beta = controller.beta;
        }
        let numbers = &mut session.beside.numbers;
        numbers.insert("beta".into(), self.beta.to_bits().into());
        if let Some(mean) = self.baseline.mean {
            numbers.insert("baseline_mean".into(), mean.to_bits().into());
            numbers.insert("baseline_mean_square".into(), self.baseline.mean_square.to_bits().into());
        }
        Ok(())
    }

    /// log π_ref and V of sampled rollouts; log π_old came with the sampling.
    pub fn observe(&self, session: &mut Session<'_>, groups: &mut [Group], shared_prefix: bool) {
        let reference = self.reference_log_probs(session, groups, shared_prefix);
        fill(groups, ragged(groups, &reference), |rollout| &mut rollout.reference);
        let values = self.values(session, groups, shared_prefix);
        fill(groups, ragged(groups, &values), |rollout| &mut rollout.values);
    }

    /// The same for fixed rollouts, once a run: what was observed at its start stays, also when it is resumed.
    pub fn observe_fixed(
        &self,
        session: &mut Session<'_>,
        groups: &mut [Group],
        shared_prefix: bool,
    ) -> Result<(), TrainError> {
        if session.step() == 0 {
            let pass = self.pass(session.budget(), shared_prefix);
            let reference = self.reference_log_probs(session, groups, shared_prefix);
            let values = self.values(session, groups, shared_prefix);
            let computed = of_model(
                &session.model,
                &mut session.workspace,
                groups,
                pass,
                |trees, shared| tree::log_probs(trees, shared),
                |outputs| outputs.log_probs,
            );
            let given = ragged(groups, &computed).into_iter().zip(credit::rollouts(&*groups));
            let old = given
                .flat_map(|(computed, rollout)| if rollout.old.is_empty() { computed } else { rollout.old.clone() });
            let old: Vec<f32> = old.map(|log_prob| log_prob as f32).collect();
            session.beside.arrays = vec![("old", old), ("reference", reference), ("values", values)];
        }
        for (name, flat) in &session.beside.arrays {
            let lists = ragged(groups, flat);
            match *name {
                "old" => fill(groups, lists, |rollout| &mut rollout.old),
                "reference" => fill(groups, lists, |rollout| &mut rollout.reference),
                _ => fill(groups, lists, |rollout| &mut rollout.values),
            }
        }
        Ok(())
    }

    pub(super) fn pass(&self, budget: Option<usize>, shared_prefix: bool) -> Pass {
        Pass { temperature: self.ppo.temperature as f32, budget, shared_prefix }
    }

    fn reference_log_probs(&self, session: &mut Session<'_>, groups: &[Group], shared_prefix: bool) -> Vec<f32> {
        let pass = self.pass(session.budget(), shared_prefix);
        let Some(reference) = &self.reference else {
            session.model.set_adapter_enabled(false);
            let found = of_model(
                &session.model,
                &mut session.workspace,
                groups,
                pass,
                |trees, shared| tree::log_probs(trees, shared),
                |outputs| outputs.log_probs,
            );
            session.model.set_adapter_enabled(true);
            return found;
        };
        of_model(
            reference,
            &mut session.workspace,
            groups,
            pass,
            |trees, shared| tree::log_probs(trees, shared),
            |outputs| outputs.log_probs,
        )
    }

    /// V at the hidden state before each response token, or what the policy expects of a critic there; zeros without
    /// either.
    fn values(&self, session: &mut Session<'_>, groups: &[Group], shared_prefix: bool) -> Vec<f32> {
        let pass = self.pass(session.budget(), shared_prefix);
        match &session.beside.companion {
            Some(_) if matches!(self.losses, Losses::EveryToken(_)) => every_token::worth(session, groups, pass),
            Some(companion) => of_model(
                &companion.model,
                &mut session.workspace,
                groups,
                pass,
                |trees, shared| value_request(trees, shared),
                |outputs| outputs.scalars,
            ),
            None => vec![0.0; groups.iter().map(Group::n_targets).sum()],
        }
    }

    /// Stops a run whose sampler doesn't say what its trainer says: at the first step there is nothing else in the ratio.
    pub fn check_gap(&self, tally: &Tally, step: u64, is_fixed: bool, precision: Precision) -> Result<(), TrainError> {
        let bound = GAP_MAX[usize::from(precision == Precision::Bf16)];
        if step == 0 && !is_fixed && tally.gap > bound {
            return Err(TrainError::SamplerGap { gap: tally.gap, bound });
        }
        Ok(())
    }
}

/// How rollouts run through a model.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    pub temperature: f32,
    pub budget: Option<usize>,
    pub shared_prefix: bool,
}

/// The scalar at the token before each target.
pub(super) fn value_request<'t>(
    trees: impl IntoIterator<Item = &'t render::Tree>,
    shared_prefix: bool,
) -> (TreeBatch, Request) {
    let (batch, request) = tree::log_probs(trees, shared_prefix);
    let sources = request.targets.iter().map(|target| target.source).collect();
    (batch, Request::scalars(sources))
}

/// One number for every response token, in order.
fn of_model(
    model: &Model,
    workspace: &mut Workspace,
    groups: &[Group],
    pass: Pass,
    request: impl for<'t> Fn(Vec<&'t render::Tree>, bool) -> (TreeBatch, Request),
    read: impl Fn(model::Outputs) -> Vec<f32>,
) -> Vec<f32> {
    let mut numbers = Vec::new();
    let size = |group: &&Group| tree::n_tokens(&group.tree, pass.shared_prefix);
    for part in tree::groups(groups, pass.budget, size) {
        let (batch, mut request) = request(part.iter().map(|group| &group.tree).collect(), pass.shared_prefix);
        request.temperature = pass.temperature;
        numbers.extend(read(model.forward(&batch, &request, workspace)));
    }
    numbers
}
