//! The stages that learn from preferences: `[rm]` and `[dpo]`.
use super::sections::{
    DataSection, Field, ModelSection, OptimizerSection, OverLength, Paths, Section, TrainSection, section,
};
use super::stages::{Parts, complete};
use super::{ConfigError, Resolved, StageConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where a reward is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Readout {
    /// At the completion's EOS or end-of-turn token.
    #[default]
    Eos,
    /// At a learned token after it.
    Token,
}

section! {
    /// `[rm]`: the reward model's loss and what its scores are calibrated on.
    RmSection, "rm" {
        /// Loss: "bradley_terry" (all untied pairs) or "plackett_luce"; docs/objectives.md has their formulas.
        loss: String = "bradley_terry".into(),
        /// Use the rows' margins (Llama 2); refused on rankings, which have none.
        margin: bool = false,
        /// Pull of each pair's scores towards a sum of 0.
        center_coefficient: Option<f64> = None,
        /// A prompt's pairs are divided by those left after ties ("kept", default) or by all K(K−1)/2 ("all").
        pairs_divisor: Option<String> = None,
        /// Mean per prompt, then over prompts ("per_prompt", default), or one mean over all pairs ("pooled").
        reduction: Option<String> = None,
        /// Weights of labelers by name, such as { l-3 = 0.5 }; others count 1.
        labeler_weights: BTreeMap<String, f64> = BTreeMap::new(),
        /// Where the reward is read: "eos", or "token" for a learned token <|reward|> after it.
        readout: Readout = Readout::Eos,
        /// Train only the readout token's embedding and the head; the model stays as it is (readout = "token").
        train_only_readout: bool = false,
        /// Hold out the rows of this labeler group: how well the model agrees with people it did not learn from.
        leave_out_group: Option<String> = None,
        /// Demonstrations whose mean reward becomes 0 (`--demonstrations`).
        demonstrations: Paths = Paths::default(),
    }
}

section! {
    /// `[dpo]`: the preference loss and its reference.
    DpoSection, "dpo" {
        /// Loss by name; docs/objectives.md has their formulas.
        loss: String = "sigmoid".into(),
        /// Inverse temperature of the implicit reward; the default is the loss's own (0.1 for most).
        beta: Option<f64> = None,
        /// Share of pairs taken to be labelled the wrong way round (sigmoid: cDPO; robust).
        label_smoothing: Option<f64> = None,
        /// Log-probabilities per token instead of summed.
        length_normalised: Option<bool> = None,
        /// SimPO's target margin.
        gamma: Option<f64> = None,
        /// Weight of the likelihood of chosen answers (cpo).
        likelihood_coefficient: Option<f64> = None,
        /// Weight of answers judged good (kto).
        desirable_weight: Option<f64> = None,
        /// Weight of answers judged bad (kto).
        undesirable_weight: Option<f64> = None,
        /// Reference model (`--reference`); the model itself when absent, as it is before training.
        reference: Option<PathBuf> = None,
    }
}

/// `helpmate rm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmConfig {
    /// What is trained.
    pub model: ModelSection,
    /// What it learns from.
    pub data: DataSection,
    /// AdamW.
    pub optimizer: OptimizerSection,
    /// How long; a batch counts prompts.
    pub train: TrainSection,
    /// The loss.
    pub rm: RmSection,
}

/// `helpmate dpo`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DpoConfig {
    /// What is trained.
    pub model: ModelSection,
    /// What it learns from.
    pub data: DataSection,
    /// AdamW.
    pub optimizer: OptimizerSection,
    /// How long.
    pub train: TrainSection,
    /// The loss.
    pub dpo: DpoSection,
}

impl Default for RmConfig {
    /// One epoch: reward models overfit soon (arXiv 2203.02155, §C.2, which also has batches of 64 prompts).
    fn default() -> Self {
        RmConfig {
            model: ModelSection::default(),
            data: DataSection::default(),
            optimizer: OptimizerSection::default(),
            train: TrainSection { batch_size: 64, ..TrainSection::default() },
            rm: RmSection::default(),
        }
    }
}

impl Default for DpoConfig {
    /// A rate below fine-tuning's, as arXiv 2305.18290 (App. B: 1e-6, warm-up) has it.
    fn default() -> Self {
        DpoConfig {
            model: ModelSection::default(),
            data: DataSection::default(),
            optimizer: OptimizerSection { lr: 1e-6, ..OptimizerSection::default() },
            train: TrainSection { batch_size: 32, ..TrainSection::default() },
            dpo: DpoSection::default(),
        }
    }
}

/// Keys of `[data]` that mean nothing where completions are compared.
const UNUSED: &[(&str, &str)] = &[
    ("data.loss_on", "completions are compared, prompts carry no loss"),
    ("data.neftune_alpha", "it is an option of supervised fine-tuning"),
];

impl StageConfig for RmConfig {
    const STAGE: &'static str = "rm";
    const SECTIONS: &'static [Section] = &[
        ModelSection::SECTION,
        DataSection::SECTION,
        OptimizerSection::SECTION,
        TrainSection::SECTION,
        RmSection::SECTION,
    ];
    const UNUSED: &'static [(&'static str, &'static str)] = UNUSED;

    fn complete(&mut self) {
        complete(&mut self.train);
    }

    fn check(&self, resolved: &Resolved<Self>) -> Result<(), ConfigError> {
        let parts = Parts { model: &self.model, data: &self.data, optimizer: &self.optimizer, train: &self.train };
        parts.check(resolved)?;
        uncut(&self.data, resolved)?;
        if self.rm.leave_out_group.is_some() && (!self.data.eval.0.is_empty() || self.data.eval_fraction > 0.0) {
            let (first, second) = ("rm.leave_out_group", "data.eval");
            return Err(ConfigError::Conflict { first, second, why: "the group is what is held out" });
        }
        if self.rm.train_only_readout && self.rm.readout == Readout::Eos {
            return Err(ConfigError::NoEffect {
                key: "rm.train_only_readout".into(),
                origin: resolved.origin("rm.train_only_readout"),
                stage: Self::STAGE,
                why: "rm.readout is \"eos\", which is no token of its own".into(),
            });
        }
        if self.rm.train_only_readout && self.model.lora.is_some() {
            let (first, second) = ("rm.train_only_readout", "model.lora");
            return Err(ConfigError::Conflict { first, second, why: "adapters are more than the readout" });
        }
        let bad = self.rm.labeler_weights.iter().find(|(_, weight)| !(weight.is_finite() && **weight >= 0.0));
        match bad {
            Some((labeler, weight)) => Err(ConfigError::OutOfRange {
                key: "rm.labeler_weights",
                found: format!("{labeler} = {weight}"),
                origin: resolved.origin("rm.labeler_weights"),
                expected: "finite numbers, 0 or more",
            }),
            None => Ok(()),
        }
    }
}

impl StageConfig for DpoConfig {
    const STAGE: &'static str = "dpo";
    const SECTIONS: &'static [Section] = &[
        ModelSection::SECTION,
        DataSection::SECTION,
        OptimizerSection::SECTION,
        TrainSection::SECTION,
        DpoSection::SECTION,
    ];
    const UNUSED: &'static [(&'static str, &'static str)] = UNUSED;

    fn complete(&mut self) {
        complete(&mut self.train);
    }

    fn check(&self, resolved: &Resolved<Self>) -> Result<(), ConfigError> {
        let parts = Parts { model: &self.model, data: &self.data, optimizer: &self.optimizer, train: &self.train };
        parts.check(resolved)?;
        uncut(&self.data, resolved)
    }
}

/// A completion that is cut has no end: no reward could be read there, and it is not what was judged.
fn uncut<C: StageConfig>(data: &DataSection, resolved: &Resolved<C>) -> Result<(), ConfigError> {
    if data.over_length != OverLength::Truncate {
        return Ok(());
    }
    Err(ConfigError::OutOfRange {
        key: "data.over_length",
        found: "\"truncate\"".into(),
        origin: resolved.origin("data.over_length"),
        expected: "\"drop\" or \"error\": a completion that is cut is not the one that was judged",
    })
}
