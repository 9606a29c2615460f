//! Rollouts: sampled by the engine that trains, and scored.
use super::Rewards;
use super::material::Rows;
use crate::TrainError;
use crate::scorer::{Asked, check};
use crate::session::Session;
use crate::tree;
use generate::{Generator, Sampling, Settings, StopReason};
use render::{Branch, Renderer, Tree};
use run::config::PpoSection;
use std::ops::ControlFlow;
use stdx::Seed;

/// Sequences decoded together.
pub(super) const DECODED_TOGETHER: usize = 64;

/// A prompt with its rollouts; branch i of the tree is rollout i.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    /// Which question; of fixed rollouts, which group.
    pub question: usize,
    /// Tokens, prompt shared.
    pub tree: Tree,
    /// What is known about each branch.
    pub rollouts: Vec<Rollout>,
}

/// A rollout. The lists have an entry a response token.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rollout {
    /// The response, without its end token.
    pub text: String,
    /// Whether it ended by itself.
    pub ended: bool,
    /// The reward of the text.
    pub score: f64,
    /// Another reward of it, only measured.
    pub gold: Option<f64>,
    /// log π_old, under the policy that sampled; nats.
    pub old: Vec<f64>,
    /// log π_ref; nats.
    pub reference: Vec<f64>,
    /// V before each token.
    pub values: Vec<f64>,
    /// Score and KL penalty.
    pub rewards: Vec<f64>,
    /// How much better than expected.
    pub advantages: Vec<f64>,
    /// What the value model regresses on.
    pub returns: Vec<f64>,
}

impl Group {
    /// Response tokens.
    pub fn n_targets(&self) -> usize {
        self.tree.branches.iter().map(tree::n_targets).sum()
    }
}

/// A response whose every token is trained.
pub(super) fn response(token_ids: Vec<u32>) -> Branch {
    Branch { mask: vec![true; token_ids.len()], token_ids }
}

/// Samples answers to some of the questions, each prompt prefilled once; `None` when somebody asked to stop. Nothing is
/// truncated: the distribution that is sampled from is the one that is trained.
pub(super) fn sample(
    session: &Session<'_>,
    rows: &Rows,
    batch: &[usize],
    ppo: &PpoSection,
    seed: Seed,
    renderer: &Renderer,
) -> Result<Option<Vec<Group>>, TrainError> {
    let settings = Settings {
        sampling: Sampling { temperature: ppo.temperature as f32, ..Sampling::default() },
        n: ppo.samples_per_prompt,
        max_new_tokens: ppo.max_new_tokens,
        end_token_ids: renderer.end_ids().to_vec(),
        stop: Vec::new(),
        seed,
        batch: DECODED_TOGETHER,
    };
    let prompts: Vec<Vec<u32>> = batch.iter().map(|&question| rows.questions[question].token_ids.clone()).collect();
    let mut generator = Generator::new(&session.model, Some(renderer.tokenizer())).exactly();
    let completions = generator.generate(&prompts, &settings, &mut |_| {
        if session.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if session.is_stopped() {
        return Ok(None);
    }
    let group = |(&question, shared): (&usize, Vec<u32>)| Group {
        question,
        tree: Tree { shared, branches: Vec::new() },
        rollouts: Vec::new(),
    };
    let mut groups: Vec<Group> = batch.iter().zip(prompts).map(group).collect();
    for completion in completions {
        let group = &mut groups[completion.prompt_idx];
        group.tree.branches.push(response(completion.token_ids));
        group.rollouts.push(Rollout {
            text: completion.text,
            ended: completion.stop == StopReason::End,
            old: completion.log_probs.into_iter().map(f64::from).collect(),
            ..Rollout::default()
        });
    }
    Ok(Some(groups))
}

/// Gives every rollout its reward, and the gold reward when there is one. A prompt is scored once for all its rollouts.
pub(super) fn score(groups: &mut [Group], rows: &Rows, rewards: &mut Rewards) -> Result<(), TrainError> {
    let asked: Vec<Asked<'_>> = groups
        .iter()
        .map(|group| Asked {
            prompt: &rows.questions[group.question].prompt,
            completions: group.rollouts.iter().map(|rollout| rollout.text.as_str()).collect(),
        })
        .collect();
    let ask = |scorer: &mut Option<Box<dyn crate::scorer::Scorer>>| -> Result<Option<Vec<Vec<f64>>>, TrainError> {
        let Some(scorer) = scorer else {
            return Ok(None);
        };
        let scores = scorer.score(&asked)?;
        check(&scorer.name(), &asked, &scores)?;
        Ok(Some(scores))
    };
    let (scores, gold) = (ask(&mut rewards.reward)?, ask(&mut rewards.gold)?);
    let missing = || TrainError::Option { key: "ppo.reward", found: "none".into(), expected: "at least one" };
    let scores = scores.ok_or_else(missing)?;
    for (row, group) in groups.iter_mut().enumerate() {
        for (idx, rollout) in group.rollouts.iter_mut().enumerate() {
            rollout.score = scores[row][idx];
            rollout.gold = gold.as_ref().map(|gold| gold[row][idx]);
        }
    }
    Ok(())
}
