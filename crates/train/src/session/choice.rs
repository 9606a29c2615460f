//! Which checkpoint becomes `final/`.
use super::Session;
use super::begin::read_as;
use crate::TrainError;
use crate::evaluation::Evaluation;
use run::config::Choose;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a checkpoint is worth, more is better. A line of `choices.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Choice {
    pub step: u64,
    pub value: f64,
}

impl Session<'_> {
    /// Finds out what the checkpoint just written is worth, when one is to be chosen.
    pub(super) fn weigh(&mut self, checkpoint: &Path) -> Result<(), TrainError> {
        let value = match self.settings.train.choose {
            Choose::Last => return Ok(()),
            Choose::HeldOutLoss => match self.evaluated {
                Some(evaluation) if evaluation.step == self.state.step => -evaluation.held_out_loss,
                _ => return Ok(()), // an interrupted run's last checkpoint: not a candidate
            },
            Choose::Score => self.score(checkpoint)?,
        };
        self.choices.append(&super::object(&Choice { step: self.state.step, value }))?;
        Ok(())
    }

    fn score(&self, checkpoint: &Path) -> Result<f64, TrainError> {
        let failed = |message: String| TrainError::ScoreCommand { path: checkpoint.to_path_buf(), message };
        let score = self.score.ok_or_else(|| failed("no scorer was given".into()))?;
        let value = score(checkpoint).map_err(failed)?;
        if value.is_finite() { Ok(value) } else { Err(failed(format!("found {value}, expected a finite number"))) }
    }

    /// The best so far (the earlier of equals) whose checkpoint still stands.
    pub(super) fn best_choice(&self) -> Result<Option<Choice>, TrainError> {
        let choices: Vec<Choice> = read_as(&self.folder.path().join("choices.jsonl"))?;
        let standing = choices.into_iter().filter(|choice| self.folder.checkpoint_path(choice.step).is_dir());
        Ok(standing.reduce(|best, choice| if choice.value > best.value { choice } else { best }))
    }

    /// The step whose checkpoint becomes `final/`.
    pub(super) fn chosen_step(&self) -> Result<u64, TrainError> {
        Ok(self.best_choice()?.map_or(self.state.step, |choice| choice.step))
    }

    pub(super) fn read_evaluations(&self) -> Result<Vec<Evaluation>, TrainError> {
        read_as(&self.folder.path().join("evaluations.jsonl"))
    }
}
