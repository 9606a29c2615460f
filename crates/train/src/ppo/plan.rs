//! What a run will need in memory: four networks, and the rollouts of an iteration.
//!
//! One workspace serves policy, reference and value model in turn, so of their activations the largest counts. Reward
//! models have a workspace each, and so has the sampler, beside its cache of keys and values.
use super::Rewards;
use super::material::Rows;
use super::rollout::DECODED_TOGETHER;
use crate::event::{Event, Sink};
use crate::options::Options;
use crate::session::{Companion, CompanionKind, Parent, Session, micro_tokens};
use crate::{TrainError, memory};
use model::{LoadOptions, MemoryPlan, Model, Trainable};
use objective::policy::algorithm;
use run::PpoConfig;
use std::path::Path;

/// Numbers kept about a response token: old, reference, values, rewards, advantages, returns, and room for a copy of two.
const LISTS: usize = 8;

/// Adds up what the run will hold, says so, and refuses what can't fit. The policy and the reward models are loaded.
pub(super) fn check(
    session: &Session<'_>,
    options: &Options<'_, PpoConfig>,
    parent: &Parent,
    rows: &Rows,
    value: Option<&Path>,
    rewards: &Rewards,
    sink: &mut dyn Sink,
) -> Result<(), TrainError> {
    let PpoConfig { model: section, train, ppo, .. } = &options.config.config;
    let (policy, device) = (&session.model, session.model.device());
    let tokens = micro_tokens(rows, session.budget(), train);
    let checkpointed = section.checkpoint_activations;
    let own = policy.memory_plan(tokens, checkpointed, true);
    let average = if train.ema.is_some() { 4 * policy.trainable().len() as u64 } else { 0 };
    // what another network needs of the workspace beyond the policy's share
    let beyond = |plan: &MemoryPlan| (plan.activations + plan.head).saturating_sub(own.activations + own.head);
    let held = |plan: &MemoryPlan| plan.weights + plan.gradients + plan.optimizer;
    let mut parts = Vec::new();
    let mut add = |name: String, bytes: u64| parts.push((name, bytes));

    if section.lora.is_none() || ppo.reference.is_some() {
        let path = ppo.reference.as_deref().unwrap_or(&parent.path);
        let frozen = LoadOptions { precision: policy.precision(), trainable: Trainable::Nothing, scalar_head: false };
        let plan = Model::plan_of(device, path, &frozen, tokens, checkpointed, false)?;
        add("reference".into(), plan.weights + beyond(&plan));
    }
    if let Some(path) = value {
        let every_token = *algorithm::chosen(&ppo.algorithm, ppo.actor_critic.as_deref())? == algorithm::EVERY_TOKEN;
        let kind = if every_token { CompanionKind::EveryToken } else { CompanionKind::State };
        let load = Companion::options(policy.precision(), kind, section);
        let plan = match kind {
            CompanionKind::State => Model::plan_of(device, path, &load, tokens, checkpointed, true)?,
            CompanionKind::EveryToken => Model::critic_plan_of(device, path, &load, tokens, checkpointed)?,
        };
        match kind {
            // its head has no chunk of logits
            CompanionKind::State => {
                let head = plan.head - policy.head_chunk_bytes(tokens).min(plan.head);
                add("value model".into(), held(&plan) + beyond(&MemoryPlan { head, ..plan }));
            }
            CompanionKind::EveryToken => {
                add("critic".into(), held(&plan) + beyond(&plan));
                // a moment is as large as the weights that train: the copy itself, and the other one while it is used
                add("delayed critic".into(), plan.optimizer);
                add("chunks of values".into(), 3 * policy.head_chunk_bytes(tokens));
            }
        }
    }
    let (largest, n_tokens) = (rows.largest_group(), rows.largest_group() * ppo.rollout_batch);
    let mut loaded = own.weights;
    for model in rewards.models() {
        let plan = model.memory(largest, n_tokens);
        loaded += plan.weights;
        let name = model.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        add(format!("reward model {name}"), plan.total());
    }
    if rows.fixed.is_none() {
        let longest = rows.questions.iter().map(|question| question.token_ids.len()).max().unwrap_or(0);
        let n_rollouts = ppo.rollout_batch.min(rows.questions.len()) * ppo.samples_per_prompt;
        let slots = DECODED_TOGETHER.min(n_rollouts);
        let logits = (4 * 2 * slots * policy.config().vocab_size) as u64;
        let passes = policy.memory_plan(longest.max(slots), false, false).activations;
        add("sampling".into(), policy.cache_bytes(slots * (longest + ppo.max_new_tokens)) + passes + logits);
    }
    add("rollouts".into(), (8 * LISTS * n_tokens) as u64);

    let total = own.total() + average + parts.iter().map(|(_, bytes)| bytes).sum::<u64>();
    let available = memory::available();
    sink.event(&Event::MemoryBeside { parts: parts.clone(), total, available });
    memory::check_all(&parts, total - loaded, available, section.lora.is_some())
}
