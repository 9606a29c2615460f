//! `helpmate ppo`: learning from rewards.
#![allow(rustdoc::broken_intra_doc_links)] // the documentation of keys is help, where brackets mean "optional"
use super::sections::{
    DataSection, Field, ModelSection, OptimizerSection, OverLength, Paths, Schedule, Section, TrainSection, section,
};
use super::stages::{Parts, complete};
use super::{ConfigError, Resolved, StageConfig};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What happens to the score of a response that did not end within the limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingEos {
    /// This number takes its place.
    Replace(f64),
    /// This number is subtracted from it.
    Subtract(f64),
    /// It stays.
    Keep,
}

/// Which gradient is clipped to `optimizer.max_grad_norm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClipScope {
    /// The policy's own, before the pretraining text's is added.
    #[default]
    Ppo,
    /// The sum of both.
    Sum,
}

/// A KL coefficient that follows a target (arXiv 1909.08593, §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveKlSection {
    /// KL per rollout to hold, nats.
    pub target: f64,
    /// Rollouts over which a steady error of 1 would change the coefficient by its own size.
    #[serde(default = "horizon")]
    pub horizon: f64,
}

fn horizon() -> f64 {
    10_000.0
}

section! {
    /// `[ppo]`: rollouts, rewards, advantages, losses.
    PpoSection, "ppo" {
        /// "ppo", "reinforce", "rloo", "grpo" or "actor_critic".
        algorithm: String = "ppo".into(),
        /// What the critic of algorithm = "actor_critic" values: "v" (default), the state, or "q", every next token.
        actor_critic: Option<String> = None,
        /// Rewards (`--reward`): reward-model folders, rule:NAME[:ARG] or URLs, WEIGHT*R weighs one.
        reward: Vec<String> = Vec::new(),
        /// Safety reward: below safety_threshold it counts instead of the others (Llama 2; `--safety`).
        safety: Option<String> = None,
        /// Below it an answer is unsafe.
        safety_threshold: f64 = 0.15,
        /// Rewards that are only measured, never learnt from (`--gold`).
        gold: Vec<String> = Vec::new(),
        /// Model that the KL penalty holds the policy to (`--reference`); the policy as it began when absent.
        reference: Option<PathBuf> = None,
        /// Model that the value model begins as (`--value`); the policy with a new head when absent.
        value: Option<PathBuf> = None,
        /// Weight of the KL penalty in the reward.
        beta: f64 = 0.02,
        /// Let beta follow a target: { target, horizon = 10000 }.
        adaptive_kl: Option<AdaptiveKlSection> = None,
        /// KL per rollout, nats, beyond which the run stops with a checkpoint.
        kl_budget: Option<f64> = None,
        /// Discount per token.
        gamma: f64 = 1.0,
        /// GAE's decay.
        lambda: f64 = 0.95,
        /// How far the ratio of new to old probability may move with a gradient.
        clip: f64 = 0.2,
        /// How far a value may move from the old one with a gradient.
        value_clip: f64 = 0.2,
        /// Weight of the value loss.
        value_coefficient: f64 = 0.1,
        /// Learning rate of the value model; the policy's when absent.
        value_lr: Option<f64> = None,
        /// First iterations in which the critic learns alone (actor_critic = "q").
        critic_warmup: u64 = 10,
        /// Pull of a critic's values of all tokens towards their mean (actor_critic = "q").
        variance_penalty: f64 = 0.001,
        /// Share by which the delayed critic, which sets the targets, follows at each step (actor_critic = "q").
        delayed_rate: f64 = 0.1,
        /// Share of the earlier statistics that REINFORCE's baseline keeps at each step.
        baseline_decay: f64 = 0.9,
        /// Weight of the entropy bonus; 0 is off.
        entropy: f64 = 0.0,
        /// Text to go on learning from (`--ptx`), a row an example, no EOS added.
        ptx: Paths = Paths::default(),
        /// Weight of its cross-entropy, a mean over tokens.
        ptx_coefficient: f64 = 27.8,
        /// Its examples per rollout.
        ptx_ratio: f64 = 1.0,
        /// Which gradient is clipped: "ppo" (before the text's is added) or "sum".
        clip_scope: ClipScope = ClipScope::Ppo,
        /// Passes over the rollouts of an iteration.
        epochs: u64 = 1,
        /// Optimizer steps a pass.
        minibatches: usize = 1,
        /// Prompts an iteration.
        rollout_batch: usize = 32,
        /// Rollouts of each prompt.
        samples_per_prompt: usize = 1,
        /// Tokens of a rollout at most, its end token included.
        max_new_tokens: usize = 64,
        /// Divides the logits, in sampling and in every log-probability of a rollout.
        temperature: f64 = 1.0,
        /// Divide rewards by their standard deviation, the mean kept.
        reward_whitening: bool = false,
        /// Score of a rollout without EOS: { replace = -1.0 }, { subtract = 1.0 } or "keep".
        missing_eos: MissingEos = MissingEos::Replace(-1.0),
        /// Learn from the rollouts in this file instead of sampling: prompt_ids, response_ids, score, optional old_logprobs.
        rollouts: Option<PathBuf> = None,
        /// Iterations between samples in samples.jsonl (the first always has some); 0: only there.
        samples_every: u64 = 10,
    }
}

/// `helpmate ppo`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PpoConfig {
    /// What is trained.
    pub model: ModelSection,
    /// Prompts.
    pub data: DataSection,
    /// AdamW.
    pub optimizer: OptimizerSection,
    /// How long; a step is an iteration.
    pub train: TrainSection,
    /// Rollouts, rewards, losses.
    pub ppo: PpoSection,
}

impl Default for PpoConfig {
    /// Adam's ε is 1e-5 and the rate constant, as PPO implementations for language models have it.
    fn default() -> Self {
        let optimizer =
            OptimizerSection { lr: 2e-6, eps: 1e-5, schedule: Schedule::Constant, ..OptimizerSection::default() };
        PpoConfig {
            model: ModelSection::default(),
            data: DataSection::default(),
            optimizer,
            train: TrainSection { save_every: 50, ..TrainSection::default() },
            ppo: PpoSection::default(),
        }
    }
}

impl StageConfig for PpoConfig {
    const STAGE: &'static str = "ppo";
    const SECTIONS: &'static [Section] = &[
        ModelSection::SECTION,
        DataSection::SECTION,
        OptimizerSection::SECTION,
        TrainSection::SECTION,
        PpoSection::SECTION,
    ];
    const UNUSED: &'static [(&'static str, &'static str)] = &[
        ("model.dropout", "the trained log-probabilities must be those that were sampled from"),
        ("data.loss_on", "only sampled tokens carry loss"),
        ("data.neftune_alpha", "it is an option of supervised fine-tuning"),
        ("data.eval", "rewards are measured on fresh rollouts; ppo.gold measures another reward on them"),
        ("data.eval_fraction", "rewards are measured on fresh rollouts; ppo.gold measures another reward on them"),
        ("train.batch_size", "ppo.rollout_batch counts prompts"),
        ("train.eval_every", "there are no held-out rows"),
    ];

    fn complete(&mut self) {
        complete(&mut self.train);
        self.train.batch_size = self.ppo.rollout_batch.max(1);
        if let (Some(rollouts), true) = (&self.ppo.rollouts, self.data.train.0.is_empty()) {
            self.data.train = Paths(vec![rollouts.clone()]);
        }
    }

    fn check(&self, resolved: &Resolved<Self>) -> Result<(), ConfigError> {
        if self.data.train.0.is_empty() {
            return Err(ConfigError::Missing { key: "data.train", hint: "give --prompts FILE" });
        }
        let parts = Parts { model: &self.model, data: &self.data, optimizer: &self.optimizer, train: &self.train };
        parts.check(resolved)?;
        self.ppo.check_ranges(resolved)?;
        if self.data.over_length == OverLength::Truncate {
            return Err(ConfigError::OutOfRange {
                key: "data.over_length",
                found: "\"truncate\"".into(),
                origin: resolved.origin("data.over_length"),
                expected: "\"drop\" or \"error\": a prompt that is cut asks something else",
            });
        }
        self.check_effects(resolved)
    }
}

impl PpoSection {
    fn check_ranges(&self, resolved: &Resolved<PpoConfig>) -> Result<(), ConfigError> {
        let within = |key: &'static str, ok: bool, found: String, expected: &'static str| {
            if ok {
                Ok(())
            } else {
                Err(ConfigError::OutOfRange { key, found, origin: resolved.origin(key), expected })
            }
        };
        let (positive, not_negative) = ("a finite number above 0", "a finite number, 0 or more");
        let (unit, count) = ("a number in [0, 1]", "at least 1");
        let is_positive = |x: f64| x.is_finite() && x > 0.0;
        let is_not_negative = |x: f64| x.is_finite() && x >= 0.0;
        let is_unit = |x: f64| (0.0..=1.0).contains(&x);
        for (key, value, ok, expected) in [
            ("ppo.beta", self.beta, is_not_negative(self.beta), not_negative),
            ("ppo.gamma", self.gamma, is_unit(self.gamma), unit),
            ("ppo.lambda", self.lambda, is_unit(self.lambda), unit),
            ("ppo.clip", self.clip, is_positive(self.clip), positive),
            ("ppo.value_clip", self.value_clip, is_positive(self.value_clip), positive),
            ("ppo.value_coefficient", self.value_coefficient, is_positive(self.value_coefficient), positive),
            ("ppo.entropy", self.entropy, is_not_negative(self.entropy), not_negative),
            ("ppo.variance_penalty", self.variance_penalty, is_not_negative(self.variance_penalty), not_negative),
            (
                "ppo.delayed_rate",
                self.delayed_rate,
                is_positive(self.delayed_rate) && self.delayed_rate <= 1.0,
                "a number in (0, 1]",
            ),
            ("ppo.ptx_coefficient", self.ptx_coefficient, is_positive(self.ptx_coefficient), positive),
            ("ppo.ptx_ratio", self.ptx_ratio, is_positive(self.ptx_ratio), positive),
            ("ppo.temperature", self.temperature, is_positive(self.temperature), positive),
            ("ppo.safety_threshold", self.safety_threshold, self.safety_threshold.is_finite(), "a finite number"),
        ] {
            within(key, ok, value.to_string(), expected)?;
        }
        for (key, value) in [("ppo.kl_budget", self.kl_budget), ("ppo.value_lr", self.value_lr)] {
            within(key, value.is_none_or(is_positive), value.unwrap_or(1.0).to_string(), positive)?;
        }
        for (key, value) in [
            ("ppo.epochs", self.epochs as usize),
            ("ppo.minibatches", self.minibatches),
            ("ppo.rollout_batch", self.rollout_batch),
            ("ppo.samples_per_prompt", self.samples_per_prompt),
            ("ppo.max_new_tokens", self.max_new_tokens),
        ] {
            within(key, value > 0, value.to_string(), count)?;
        }
        if let MissingEos::Replace(number) | MissingEos::Subtract(number) = self.missing_eos {
            within("ppo.missing_eos", number.is_finite(), number.to_string(), "a finite number")?;
        }
        let fits = self.rollouts.is_some() || self.minibatches <= self.rollout_batch;
        within("ppo.minibatches", fits, self.minibatches.to_string(), "at most ppo.rollout_batch: a prompt isn't split")
    }
}

impl PpoConfig {
    /// Options that these values leave without effect.
    fn check_effects(&self, resolved: &Resolved<Self>) -> Result<(), ConfigError> {
        let PpoSection { rollouts, ptx, safety, actor_critic, algorithm, .. } = &self.ppo;
        let no_text = ptx.0.is_empty();
        let mut cases = vec![
            ("ppo.ptx_coefficient", no_text, "there is no ppo.ptx"),
            ("ppo.ptx_ratio", no_text, "there is no ppo.ptx"),
            ("ppo.clip_scope", no_text, "there is no ppo.ptx, so both gradients are one"),
            ("ppo.clip_scope", self.optimizer.max_grad_norm == 0.0, "optimizer.max_grad_norm is 0"),
            ("ppo.safety_threshold", safety.is_none(), "there is no ppo.safety"),
            ("ppo.adaptive_kl", self.ppo.beta == 0.0, "ppo.beta is 0, and it moves by factors"),
            ("ppo.actor_critic", actor_critic.is_some() && algorithm != "actor_critic", "algorithm is another"),
            (
                "ppo.reference",
                self.ppo.beta == 0.0 && self.ppo.kl_budget.is_none(),
                "beta is 0 and there is no kl_budget",
            ),
        ];
        for key in [
            "ppo.reward",
            "ppo.gold",
            "ppo.safety",
            "ppo.adaptive_kl",
            "ppo.rollout_batch",
            "ppo.samples_per_prompt",
            "ppo.max_new_tokens",
        ] {
            cases.push((key, rollouts.is_some(), "the rollouts and their scores stand in ppo.rollouts"));
        }
        let idle = cases.into_iter().find(|(key, idle, _)| *idle && resolved.is_given(key));
        if let Some((key, _, why)) = idle {
            let origin = resolved.origin(key);
            return Err(ConfigError::NoEffect { key: key.into(), origin, stage: Self::STAGE, why: why.into() });
        }
        let own = self.data.train.0.iter().collect::<Vec<_>>() == rollouts.iter().collect::<Vec<_>>();
        if rollouts.is_some() && !own {
            let why = "the prompts stand in the rollouts";
            return Err(ConfigError::Conflict { first: "ppo.rollouts", second: "data.train", why });
        }
        if rollouts.is_none() && self.ppo.reward.is_empty() {
            return Err(ConfigError::Missing { key: "ppo.reward", hint: "give --reward R" });
        }
        Ok(())
    }
}
