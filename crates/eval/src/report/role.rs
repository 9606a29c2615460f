//! What a model is in the comparison: the columns of the lecture's figures.

use super::material::TrainingRun;
use crate::EvalError;
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
    /// Fine-tuned on labelled data sets that templates word as instructions (FLAN, T0).
    TemplateTuned,
    /// Fine-tuned on demonstrations.
    Sft,
    /// Reinforced.
    Ppo,
    /// Reinforced with the pretraining mix.
    PpoPtx,
    /// Trained otherwise (DPO and others).
    Other,
}

/// Every role, in the order of the columns.
const ALL: [Role; 7] =
    [Role::Base, Role::Prompted, Role::TemplateTuned, Role::Sft, Role::Ppo, Role::PpoPtx, Role::Other];

impl Role {
    /// Of a model. Whether PPO had the mix, and whether SFT saw nothing but templates, is told by the evaluation, else by
    /// the training runs of the report.
    pub(super) fn of(model: &SubjectFacts, runs: &[TrainingRun]) -> Role {
        let own = || runs.iter().find(|run| Path::new(&model.path).starts_with(&run.path));
        let mixed = || model.mix.or_else(|| own()?.mix).is_some();
        let templates = || model.templates || own().is_some_and(|run| run.templates);
        match model.lineage["stage"].as_str() {
            None | Some("pretrain") if model.primer.is_empty() => Role::Base,
            None | Some("pretrain") => Role::Prompted,
            Some("sft") if templates() => Role::TemplateTuned,
            Some("sft") => Role::Sft,
            Some("ppo") if mixed() => Role::PpoPtx,
            Some("ppo") => Role::Ppo,
            Some(_) => Role::Other,
        }
    }

    /// As `--role NAME=ROLE` calls it.
    pub fn parse(name: &str) -> Result<Role, EvalError> {
        ALL.into_iter().find(|role| role.key() == name).ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|role| role.key()).collect();
            EvalError::Incomparable(format!("unknown role `{name}`, expected one of {}", known.join(", ")))
        })
    }

    fn key(self) -> &'static str {
        match self {
            Role::Base => "base",
            Role::Prompted => "prompted",
            Role::TemplateTuned => "template-tuned",
            Role::Sft => "sft",
            Role::Ppo => "ppo",
            Role::PpoPtx => "ppo-ptx",
            Role::Other => "other",
        }
    }

    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Role::Base => "base",
            Role::Prompted => "base with worked examples",
            Role::TemplateTuned => "template-tuned (FLAN/T0)",
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
            Role::TemplateTuned => 6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn roles_are_told_by_their_names_and_stand_in_the_order_of_the_columns() {
        assert!(ALL.is_sorted());
        for role in ALL {
            assert_eq!(Role::parse(role.key()).unwrap(), role);
            assert_eq!(serde_json::to_value(role).unwrap(), role.key());
        }
        let colours: std::collections::BTreeSet<usize> =
            ALL.iter().map(|role| role.colour() % chart::COLOURS).collect();
        assert_eq!(colours.len(), ALL.len(), "a colour and a mark of its own for each");
        assert!(Role::parse("flan").unwrap_err().to_string().contains("base, prompted, template-tuned, sft, ppo"));
    }

    #[test]
    fn templates_alone_are_told_from_demonstrations_by_the_evaluation_or_the_run() {
        let mut model = fixture::model("flan", "h", 4, 2).model;
        assert_eq!(Role::of(&model, &[]), Role::Sft);
        let mut run = fixture::run("sft", "flan", &[]);
        run.templates = true;
        assert_eq!(Role::of(&model, &[run.clone()]), Role::TemplateTuned);
        run.path = "runs/another".into();
        assert_eq!(Role::of(&model, &[run]), Role::Sft);
        model.templates = true;
        assert_eq!(Role::of(&model, &[]), Role::TemplateTuned);
        // What was reinforced after it is reinforced.
        model.lineage = serde_json::json!({"stage": "ppo"});
        assert_eq!(Role::of(&model, &[]), Role::Ppo);
    }
}
