//! DPO's implicit reward as a scorer.
use super::{Asked, ScoreError, Scorer, check, reward_model};
use crate::tree;
use kernels::Device;
use kernels::linear::Precision;
use model::{LoadOptions, Model, Trainable, Workspace};
use objective::preference::{Completion, implicit_reward};
use render::{Renderer, Tree};
use std::path::{Path, PathBuf};

/// r̂(x, y) = β·(log π(y | x) − log π_ref(y | x)), summed over the completion's tokens, EOS included
/// (arXiv 2305.18290, §4; up to a number that depends on the prompt alone).
pub struct ImplicitReward {
    name: String,
    policy: Model,
    reference: Model,
    renderer: Renderer,
    workspace: Workspace,
    micro_tokens: usize,
    beta: f64,
}

impl ImplicitReward {
    /// Opens two model folders that share one tokenizer.
    pub fn open(
        device: &Device,
        policy: &Path,
        reference: &Path,
        beta: f64,
        precision: Precision,
        micro_tokens: usize,
    ) -> Result<ImplicitReward, ScoreError> {
        let (renderer, other) = (Renderer::open(policy, None)?, Renderer::open(reference, None)?);
        let (here, there) = (renderer.tokenizer().content_hash(), other.tokenizer().content_hash());
        if here != there {
            let found = format!("tokenizer {there}");
            let expected = "the policy's: log-probabilities of other tokens can't be compared";
            return Err(ScoreError::NotReward { path: PathBuf::from(reference), found, expected });
        }
        let options = LoadOptions { precision, trainable: Trainable::Nothing, scalar_head: false };
        Ok(ImplicitReward {
            name: format!("{beta}*log({} / {})", policy.display(), reference.display()),
            policy: Model::load(device, policy, &options)?,
            reference: Model::load(device, reference, &options)?,
            renderer,
            workspace: Workspace::default(),
            micro_tokens,
            beta,
        })
    }

    fn of_group(&mut self, group: &[&Tree]) -> Vec<Vec<f64>> {
        let (batch, request) = tree::log_probs(group.iter().copied(), true);
        if batch.is_empty() {
            return group.iter().map(|_| Vec::new()).collect(); // prompts without any completion
        }
        let policy = self.policy.forward(&batch, &request, &mut self.workspace).log_probs;
        let reference = self.reference.forward(&batch, &request, &mut self.workspace).log_probs;
        let mut at = 0;
        let mut of = |branch: &render::Branch| {
            let tokens = tree::n_targets(branch);
            let range = at..at + tokens;
            at += tokens;
            let sum = |log_probs: &[f32]| log_probs[range.clone()].iter().map(|&x| f64::from(x)).sum();
            let completion = Completion { policy: sum(&policy), reference: sum(&reference), tokens };
            implicit_reward(&completion, self.beta, false)
        };
        group.iter().map(|tree| tree.branches.iter().map(&mut of).collect()).collect()
    }
}

impl Scorer for ImplicitReward {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn score(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<f64>>, ScoreError> {
        let limit = self.policy.config().max_position.min(self.reference.config().max_position);
        let trees = reward_model::trees(&self.name, &self.renderer, limit, None, asked)?;
        let mut rewards = Vec::with_capacity(trees.len());
        for group in tree::groups(&trees, Some(self.micro_tokens), |tree| tree::n_tokens(tree, true)) {
            rewards.extend(self.of_group(&group));
        }
        check(&self.name, asked, &rewards)?;
        Ok(rewards)
    }
}
