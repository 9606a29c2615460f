//! A reward model's folder as a scorer.
use super::{Asked, Scale, ScoreError, Scorer, check};
use crate::{readout, tree};
use kernels::Device;
use kernels::linear::Precision;
use model::{LoadOptions, MemoryPlan, Model, Trainable, Workspace, weights};
use render::{Renderer, Tree};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A model with a scalar head, its own tokenizer and chat template. Each reward is read at the completion's EOS or end
/// of turn, or at the model's own token after it, as its `config.json` says; `reward_bias` is included.
pub struct RewardModel {
    path: PathBuf,
    model: Model,
    renderer: Renderer,
    workspace: Workspace,
    /// Tokens run at once.
    micro_tokens: usize,
    scale: Option<Scale>,
    /// The token after each completion that rewards are read at; `None`: its end.
    readout: Option<u32>,
}

impl RewardModel {
    /// Opens a reward-model folder. Prompts are run once for all their completions, `micro_tokens` tokens at a time.
    pub fn open(
        device: &Device,
        path: &Path,
        precision: Precision,
        micro_tokens: usize,
    ) -> Result<RewardModel, ScoreError> {
        let config = weights::open(path)?;
        let not_reward = |found: String, expected| ScoreError::NotReward { path: path.to_path_buf(), found, expected };
        if config.tensors.shape(SCALAR_HEAD).is_none() {
            let expected = "a reward model (`helpmate rm` makes one)";
            return Err(not_reward(format!("no tensor `{SCALAR_HEAD}`"), expected));
        }
        let options = LoadOptions { precision, trainable: Trainable::Nothing, scalar_head: true };
        let scale = stored_scale(&config.config);
        drop(config);
        let model = Model::load(device, path, &options)?;
        let readout = readout::read(model.config()).map_err(|(found, expected)| not_reward(found, expected))?;
        let renderer = Renderer::open(path, None)?;
        let (tokens, rows) = (renderer.tokenizer().vocab_size(), model.config().vocab_size);
        if tokens > rows {
            return Err(not_reward(format!("a tokenizer of {tokens} tokens"), "no more than rows of the embedding"));
        }
        let workspace = Workspace::default();
        Ok(RewardModel { path: path.to_path_buf(), model, renderer, workspace, micro_tokens, scale, readout })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that scoring takes: weights, and buffers for a batch of rows of up to `largest` tokens, `n_tokens` in all.
    pub fn memory(&self, largest: usize, n_tokens: usize) -> MemoryPlan {
        let micro_tokens = self.micro_tokens.min(n_tokens).max(largest);
        let plan = self.model.memory_plan(micro_tokens, false, false);
        MemoryPlan { head: plan.head - self.model.head_chunk_bytes(micro_tokens), ..plan }
    }

    fn trees(&self, asked: &[Asked<'_>]) -> Result<Vec<Tree>, ScoreError> {
        trees(&self.name(), &self.renderer, self.model.config().max_position, self.readout, asked)
    }
}

/// The scalar head's tensor, in every family.
pub const SCALAR_HEAD: &str = "score.weight";

/// What a reward model's `config.json` says of its rewards on its reference set.
pub(crate) fn stored_scale(config: &Value) -> Option<Scale> {
    let number = |key: &str| config.get(key)?.as_f64().filter(|number| number.is_finite());
    let scale = Scale { mean: number("reward_mean")?, std: number("reward_std")? };
    (scale.std > 0.0).then_some(scale)
}

/// Every row as tokens, up to each completion's end, and the token that follows it where rewards are read at one.
pub(super) fn trees(
    scorer: &str,
    renderer: &Renderer,
    max_position: usize,
    readout: Option<u32>,
    asked: &[Asked<'_>],
) -> Result<Vec<Tree>, ScoreError> {
    let tree = |(row, asked): (usize, &Asked<'_>)| {
        let rendered = renderer.tree(asked.prompt, &asked.completions);
        let rendered = rendered.map_err(|source| ScoreError::Render { scorer: scorer.to_owned(), row, source })?;
        let too_long = |found| ScoreError::TooLong { scorer: scorer.to_owned(), row, found, expected: max_position };
        let tree = tree::with_readout(tree::trimmed(rendered).ok_or_else(|| too_long(0))?, readout);
        match tree::longest_path(&tree) {
            found if found > max_position => Err(too_long(found)),
            _ => Ok(tree),
        }
    };
    asked.iter().enumerate().map(tree).collect()
}

impl Scorer for RewardModel {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn score(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<f64>>, ScoreError> {
        let trees = self.trees(asked)?;
        let mut rewards = Vec::with_capacity(trees.len());
        for group in tree::groups(&trees, Some(self.micro_tokens), |tree| tree::n_tokens(tree, true)) {
            let (batch, request) = tree::scalars(group.iter().copied(), true);
            if batch.is_empty() {
                rewards.extend(group.iter().map(|_| Vec::new())); // prompts without any completion
                continue;
            }
            let outputs = self.model.forward(&batch, &request, &mut self.workspace);
            let mut scalars = outputs.scalars.into_iter().map(f64::from);
            rewards.extend(group.iter().map(|tree| scalars.by_ref().take(tree.branches.len()).collect::<Vec<f64>>()));
        }
        check(&self.name(), asked, &rewards)?;
        Ok(rewards)
    }

    fn scale(&self) -> Option<Scale> {
        self.scale
    }

    fn models(&self) -> Vec<&RewardModel> {
        vec![self]
    }
}
