//! What a model is in the comparison: the columns of the lecture's figures.

use super::material::TrainingRun;
use crate::result::SubjectFacts;
use serde::Serialize;
use std::path::Path;

/// What was done to a model, by what its run tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Nothing is told: a base model, or one from elsewhere.
    Base,
    /// The same, asked with worked examples before the prompt.
    Prompted,
    /// Fine-tuned.
    Sft,
    /// Reinforced.
    Ppo,
    /// Reinforced with the pretraining mix.
    PpoPtx,
    /// Trained otherwise (DPO and others).
    Other,
}

impl Role {
    /// Of a model; whether PPO had the mix is told by the evaluation, else by the training runs of the report.
    pub(super) fn of(model: &SubjectFacts, runs: &[TrainingRun]) -> Role {
        let mixed = || {
            let own = |run: &&TrainingRun| Path::new(&model.path).starts_with(&run.path);
            model.mix.or_else(|| runs.iter().find(own)?.mix).is_some()
        };
        match model.lineage["stage"].as_str() {
            None | Some("pretrain") if model.primer.is_empty() => Role::Base,
            None | Some("pretrain") => Role::Prompted,
            Some("sft") => Role::Sft,
            Some("ppo") if mixed() => Role::PpoPtx,
            Some("ppo") => Role::Ppo,
            Some(_) => Role::Other,
        }
    }

    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Role::Base => "base",
            Role::Prompted => "base with worked examples",
            Role::Sft => "SFT",
            Role::Ppo => "PPO",
            Role::PpoPtx => "PPO-ptx",
            Role::Other => "other training",
        }
    }

    /// Its colour, the same in every figure.
    pub(super) fn colour(self) -> usize {
        match self {
            Role::Sft => 0,
            Role::Ppo => 1,
            Role::PpoPtx => 2,
            Role::Other => 3,
            Role::Prompted => 4,
            Role::Base => 5,
        }
    }
}
