//! What an iteration says about itself: `metrics.jsonl`, `updates.jsonl`, `samples.jsonl`, `use_cases.jsonl`.
use super::credit::{Kl, rollouts};
use super::material::Rows;
use super::rollout::{Group, Rollout};
use crate::TrainError;
use crate::session::Session;
use render::Renderer;
use run::metrics::JsonLines;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Rollouts in `samples.jsonl` at a time.
const SAMPLES: usize = 4;

/// The numbers of one optimizer step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Update {
    pub loss: f64,
    pub policy_loss: f64,
    pub value_loss: f64,
    pub entropy_loss: f64,
    pub ptx_loss: Option<f64>,
    /// Mean entropy of the distributions that tokens came from, nats.
    pub entropy: f64,
    pub clip_fraction: f64,
    /// max |log π now − log π_old|.
    pub gap: f64,
    pub grad_norm_ppo: f64,
    pub grad_norm_total: f64,
    pub grad_norm_value: f64,
    /// Tokens run through the policy.
    pub n_tokens: usize,
}

/// The updates of an iteration.
#[derive(Default)]
pub(super) struct Tally {
    updates: Vec<Update>,
    /// max |log π sampled − log π recomputed| over the first minibatch, before any step.
    pub gap: f64,
    /// Tokens run through the policy.
    pub n_tokens: usize,
}

impl Tally {
    pub fn add(&mut self, update: Update) {
        if self.updates.is_empty() {
            self.gap = update.gap;
        }
        self.n_tokens += update.n_tokens;
        self.updates.push(update);
    }

    /// Mean objective.
    pub fn loss(&self) -> f64 {
        self.mean(|update| update.loss)
    }

    /// Mean norm of what was stepped along.
    pub fn grad_norm_total(&self) -> f64 {
        self.mean(|update| update.grad_norm_total)
    }

    fn mean(&self, of: impl Fn(&Update) -> f64) -> f64 {
        self.updates.iter().map(of).sum::<f64>() / self.updates.len() as f64
    }
}

/// The stage's own columns of `metrics.jsonl`; a number that doesn't exist is NaN and left out.
pub(super) fn metrics(groups: &[Group], kl: &Kl, beta: f64, tally: &Tally) -> Vec<(&'static str, f64)> {
    let lengths: Vec<f64> = rollouts(groups).map(|rollout| rollout.old.len() as f64).collect();
    let scores: Vec<f64> = rollouts(groups).map(|rollout| rollout.score).collect();
    let (n, n_tokens) = (lengths.len() as f64, lengths.iter().sum::<f64>());
    let mean = |of: &dyn Fn(&Rollout) -> f64| rollouts(groups).map(of).sum::<f64>() / n;
    vec![
        ("reward", mean(&|rollout| rollout.score)),
        ("return", mean(&|rollout| rollout.rewards.iter().sum())),
        ("gold", mean(&|rollout| rollout.gold.unwrap_or(f64::NAN))),
        ("kl_k1", kl.k1),
        ("kl_k3", kl.k3),
        ("kl_per_token", kl.k1 * n / n_tokens),
        ("beta", beta),
        ("entropy", tally.mean(|update| update.entropy)),
        ("policy_loss", tally.mean(|update| update.policy_loss)),
        ("value_loss", tally.mean(|update| update.value_loss)),
        ("ptx_loss", tally.mean(|update| update.ptx_loss.unwrap_or(f64::NAN))),
        ("grad_norm_ppo", tally.mean(|update| update.grad_norm_ppo)),
        ("grad_norm_total", tally.grad_norm_total()),
        ("grad_norm_value", tally.mean(|update| update.grad_norm_value)),
        ("clip_fraction", tally.mean(|update| update.clip_fraction)),
        ("sampler_trainer_gap", tally.gap),
        ("length", n_tokens / n),
        ("share_eos", mean(&|rollout| f64::from(u8::from(rollout.ended)))),
        ("distinct_2", distinct_2(groups)),
        ("length_reward_correlation", statistics::correlation::pearson(&lengths, &scores).unwrap_or(f64::NAN)),
    ]
}

/// distinct-2 of the response tokens; falls when answers become alike.
fn distinct_2(groups: &[Group]) -> f64 {
    let branches = groups.iter().flat_map(|group| &group.tree.branches);
    text::diversity::distinct_n(branches.map(|branch| &branch.token_ids[..]), 2)
}

/// What is written beside `metrics.jsonl`.
pub(super) struct Samples {
    samples: JsonLines,
    updates: JsonLines,
    use_cases: JsonLines,
    every: u64,
}

impl Samples {
    /// Opens the files; lines of iterations that a resumed run does again go.
    pub fn open(session: &Session<'_>, every: u64) -> Result<Samples, TrainError> {
        let open = |name: &str| JsonLines::open(&session.path().join(name), session.step());
        Ok(Samples {
            samples: open("samples.jsonl")?,
            updates: open("updates.jsonl")?,
            use_cases: open("use_cases.jsonl")?,
            every,
        })
    }

    /// Writes about the iteration that is being finished.
    pub fn write(
        &mut self,
        session: &Session<'_>,
        groups: &[Group],
        rows: &Rows,
        renderer: &Renderer,
        tally: &Tally,
    ) -> Result<(), TrainError> {
        let step = session.step() + 1;
        for (idx, update) in tally.updates.iter().enumerate() {
            self.updates.append(&line(step, update_line(idx, update)))?;
        }
        for (use_case, of_case) in by_use_case(groups, rows) {
            self.use_cases.append(&line(step, use_case_line(use_case, &of_case)))?;
        }
        if step == 1 || (self.every > 0 && step.is_multiple_of(self.every)) {
            let all = groups.iter().flat_map(|group| group.rollouts.iter().enumerate().map(move |at| (group, at)));
            for (group, (idx, rollout)) in all.take(SAMPLES) {
                self.samples.append(&line(step, sample_line(group, idx, rollout, renderer)))?;
            }
        }
        Ok(())
    }
}

fn line(step: u64, value: Value) -> Map<String, Value> {
    let mut line = Map::from_iter([("step".to_owned(), step.into())]);
    if let Value::Object(object) = value {
        line.extend(object);
    }
    line
}

fn update_line(idx: usize, update: &Update) -> Value {
    json!({
        "update": idx,
        "policy_loss": update.policy_loss,
        "value_loss": update.value_loss,
        "ptx_loss": update.ptx_loss,
        "grad_norm_ppo": update.grad_norm_ppo,
        "grad_norm_total": update.grad_norm_total,
        "grad_norm_value": update.grad_norm_value,
        "clip_fraction": update.clip_fraction,
        "entropy": update.entropy,
    })
}

fn sample_line(group: &Group, idx: usize, rollout: &Rollout, renderer: &Renderer) -> Value {
    json!({
        "prompt": renderer.completion_text(&[], &group.tree.shared).unwrap_or_default(),
        "completion": rollout.text,
        "score": rollout.score,
        "gold": rollout.gold,
        "ended": rollout.ended,
        "source": "model",
        "prompt_ids": group.tree.shared,
        "response_ids": group.tree.branches[idx].token_ids,
        "old_logprobs": rollout.old,
        "reference_logprobs": rollout.reference,
        "values": rollout.values,
        "rewards": rollout.rewards,
        "advantages": rollout.advantages,
        "returns": rollout.returns,
    })
}

fn by_use_case<'g>(groups: &'g [Group], rows: &'g Rows) -> BTreeMap<&'g str, Vec<&'g Rollout>> {
    let mut cases: BTreeMap<&str, Vec<&Rollout>> = BTreeMap::new();
    for group in groups {
        if let Some(use_case) = rows.use_case(group) {
            cases.entry(use_case).or_default().extend(&group.rollouts);
        }
    }
    cases
}

fn use_case_line(use_case: &str, rollouts: &[&Rollout]) -> Value {
    let mean = |of: &dyn Fn(&Rollout) -> f64| rollouts.iter().map(|r| of(r)).sum::<f64>() / rollouts.len() as f64;
    let kl = |rollout: &Rollout| -> f64 { rollout.old.iter().zip(&rollout.reference).map(|(p, q)| p - q).sum() };
    json!({
        "use_case": use_case,
        "rollouts": rollouts.len(),
        "reward": mean(&|rollout| rollout.score),
        "kl_k1": mean(&kl),
    })
}
