//! The held-out side of reward modelling.
use super::calibrate::Demonstrations;
use super::prompt_scores;
use crate::data::{Data, DataReport};
use crate::evaluation::{Evaluation, HeldOut, Judging, Material};
use crate::ranked::Ranked;
use crate::readout::ReadoutToken;
use crate::{TrainError, tree};
use model::{Model, Workspace};
use objective::reward::{Loss, PromptScores};
use run::lineage::Hashed;

/// The rows with the loss that judges a model by them.
pub(super) struct Judgements<'a> {
    pub data: &'a Data<Ranked>,
    pub loss: &'a Loss,
    /// Whether margins count.
    pub margin: bool,
    pub shared_prefix: bool,
    /// Files that are read beside the rows.
    pub extra: &'a Demonstrations,
    /// A token of its own to read at.
    pub readout: Option<ReadoutToken>,
}

impl Material for Judgements<'_> {
    fn n_rows(&self) -> usize {
        self.data.train.len()
    }
    fn largest(&self) -> usize {
        let rows = self.data.train.iter().chain(&self.data.held_out);
        rows.map(|row| row.n_tokens(self.shared_prefix)).max().unwrap_or(0)
    }
    fn report(&self) -> &DataReport {
        &self.data.report
    }
    fn files(&self) -> Vec<Hashed> {
        [&self.data.files[..], &self.extra.files[..]].concat()
    }
    fn held_out_files(&self) -> Vec<Hashed> {
        self.data.held_out_files.clone()
    }
    fn readout(&self) -> Option<ReadoutToken> {
        self.readout
    }
    fn scalar_head(&self) -> bool {
        true
    }
    fn evaluate(&self, model: &Model, how: &Judging, workspace: &mut Workspace) -> Result<HeldOut, TrainError> {
        let rows: Vec<&Ranked> = self.data.held_out.iter().collect();
        if rows.is_empty() {
            return Ok(HeldOut::None);
        }
        let keep_on = || !how.is_stopped();
        let scored = scores_while(model, &rows, self.margin, how.budget, self.shared_prefix, workspace, &keep_on);
        let Some(scored) = scored else {
            return Ok(HeldOut::Stopped);
        };
        // no held-out row is all tied, so the loss exists
        let whole = self.loss.loss(&scored)?;
        Ok(HeldOut::Loss(Evaluation {
            step: how.step,
            held_out_loss: whole.loss,
            held_out_tokens: rows.iter().map(|row| row.n_targets() as u64).sum(),
            accuracy: Some(whole.accuracy),
        }))
    }
}

/// A model's scores of every row, nothing dropped out.
pub fn scores(
    model: &Model,
    rows: &[&Ranked],
    use_margins: bool,
    budget: Option<usize>,
    shared_prefix: bool,
    workspace: &mut Workspace,
) -> Vec<PromptScores> {
    scores_while(model, rows, use_margins, budget, shared_prefix, workspace, &|| true).unwrap_or_default()
}

/// The same as long as `keep_on` says so; `None` when it doesn't.
fn scores_while(
    model: &Model,
    rows: &[&Ranked],
    use_margins: bool,
    budget: Option<usize>,
    shared_prefix: bool,
    workspace: &mut Workspace,
    keep_on: &dyn Fn() -> bool,
) -> Option<Vec<PromptScores>> {
    let mut scored = Vec::with_capacity(rows.len());
    for prompts in tree::groups(rows.iter().copied(), budget, |prompt| prompt.n_tokens(shared_prefix)) {
        if !keep_on() {
            return None;
        }
        let (batch, request) = tree::scalars(prompts.iter().map(|prompt| &prompt.tree), shared_prefix);
        let outputs = model.forward(&batch, &request, workspace);
        scored.extend(prompt_scores(&prompts, &outputs, use_margins));
    }
    Some(scored)
}
