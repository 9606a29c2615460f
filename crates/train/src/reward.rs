//! Reward modelling (arXiv 2203.02155, §3.5, eq. 1): scores of a prompt's completions against the order that people
//! gave them.
//!
//! A batch counts prompts. A prompt is run once, its K completions branch off it, and a scalar is read at each
//! completion's EOS or end of turn, or at a learned token after it ([`crate::readout`]). All pairs of a prompt stay together: InstructGPT found that pairs shuffled over the
//! data set make the model overfit within one epoch.
mod calibrate;
mod held_out;
mod padding;
pub mod report;

pub use held_out::scores;

use crate::data::Data;
use crate::event::Sink;
use crate::order::Order;
use crate::ranked::{self, Ranked, Reading};
use crate::readout::{REWARD_TOKEN, ReadoutToken};
use crate::scorer::ScoreError;
use crate::session::{Parent, Session, Supervised, shuffle};
use crate::{Options, Outcome, TrainError, tree};
use held_out::Judgements;
use model::{Derivatives, Outputs};
use objective::reward::{LossGrad, PromptScores, by_name};
use run::RmConfig;
use run::config::{DataSection, ModelSection, OptimizerSection, Readout, RmSection, TrainSection};
use stdx::Seed;

/// Runs the stage: from rankings and preferences to `final/`.
pub fn run(mut options: Options<'_, RmConfig>, sink: &mut dyn Sink) -> Result<Outcome, TrainError> {
    let parent = Parent::open(&mut options, sink)?;
    // with a token of its own to read at, the tokenizer grows by it, from here on to the finished model
    let grown = match options.config.config.rm.readout {
        Readout::Token => Some(options.renderer.with_special(REWARD_TOKEN).map_err(ScoreError::from)?),
        Readout::Eos => None,
    };
    let alone = options.config.config.rm.train_only_readout;
    let readout = match &grown {
        Some(grown) => Some(ReadoutToken::new(options.renderer, grown, parent.vocabulary(), alone)?),
        None => None,
    };
    let options = Options { renderer: grown.as_ref().unwrap_or(options.renderer), ..options };
    let token_id = readout.map(|readout| readout.token.token_id);
    let RmConfig { data, train, rm, .. } = &options.config.config;
    let loss = by_name(&rm.loss, &loss_options(rm))?;
    let shared_prefix = data.shared_prefix;
    let group = rm.leave_out_group.as_deref();
    let reading = Reading { leave_out_group: group, readout: token_id, ..Reading::default() };
    let mut data = ranked::rows(data, reading, Seed(train.seed), options.renderer)?;
    check(rm, &data)?;
    weigh(rm, &mut data)?;
    let demonstrations = calibrate::Demonstrations::read(&options.config.config, options.renderer, token_id, sink)?;
    let mut order = Order::new(data.train.len(), train.batch_size, shuffle(train));
    let extra = &demonstrations;
    let material = Judgements { data: &data, loss: &loss, margin: rm.margin, shared_prefix, extra, readout };
    let mut session = Session::begin(&options, &parent, &material, sink)?;
    let padding = padding::Padding::choose(options.renderer, session.model.config(), token_id);
    session.model.config_mut().pad_token_id = Some(padding.id);
    session.evaluate_first(sink)?;

    while session.step() < session.steps {
        session.start_step();
        let batch: Vec<&Ranked> = order.batch(session.step()).iter().map(|&row| &data.train[row]).collect();
        let divisor = loss.divisor(batch.iter().map(|prompt| prompt.ranks.as_slice()));
        let n_targets: usize = batch.iter().map(|prompt| prompt.n_targets()).sum();
        let n_tokens: usize = batch.iter().map(|prompt| prompt.n_tokens(shared_prefix)).sum();

        let mut tally = Tally::default();
        let groups = tree::groups(batch, session.budget(), |prompt| prompt.n_tokens(shared_prefix));
        for (micro_idx, prompts) in groups.into_iter().enumerate() {
            if session.is_stopped() {
                return session.interrupt(sink); // the half-gathered gradients are dropped
            }
            let (batch, request) = tree::scalars(prompts.iter().map(|prompt| &prompt.tree), shared_prefix);
            let noise = session.noise(micro_idx);
            let outputs = session.model.forward_for_training(&batch, &request, noise, &mut session.workspace);
            let part = loss.loss_over(&prompt_scores(&prompts, &outputs, rm.margin), divisor)?;
            let by_scalar = part.d_scores.iter().flatten().map(|&slope| slope as f32).collect();
            let derivatives = Derivatives { scalars: by_scalar, ..Derivatives::default() };
            session.model.backward(&batch, &request, &derivatives, &mut session.workspace, &mut session.gradients);
            tally.add(&prompts, &part);
        }
        let grad_norm = session.step_optimizer(tally.loss)?;
        session.finish_step_with(tally.loss, grad_norm, n_tokens, n_targets, tally.metrics(), sink)?;
    }
    let finishing = calibrate::Finishing {
        rows: if data.held_out.is_empty() { &data.train } else { &data.held_out },
        held_out: !data.held_out.is_empty(),
        demonstrations: &demonstrations,
        padding: &padding,
        loss: &loss,
        options: &options,
        readout: token_id,
        precision: session.model.precision(),
    };
    session.finish_with(&mut |folder| finishing.complete(folder), sink)
}

/// The scores of prompts that ran together, with what people said.
fn prompt_scores(prompts: &[&Ranked], outputs: &Outputs, use_margins: bool) -> Vec<PromptScores> {
    let mut scalars = outputs.scalars.iter().map(|&scalar| f64::from(scalar));
    let scored = |prompt: &&Ranked| PromptScores {
        scores: scalars.by_ref().take(prompt.ranks.len()).collect(),
        ranks: prompt.ranks.clone(),
        margin: if use_margins { prompt.margin.unwrap_or(0.0) } else { 0.0 },
        weight: prompt.weight,
    };
    prompts.iter().map(scored).collect()
}

/// Only what was set: the loss refuses what it doesn't use.
fn loss_options(rm: &RmSection) -> objective::Options {
    let mut options = objective::Options::new();
    if let Some(coefficient) = rm.center_coefficient {
        options.set("center_coefficient", coefficient);
    }
    for (name, word) in [("pairs_divisor", &rm.pairs_divisor), ("reduction", &rm.reduction)] {
        if let Some(word) = word {
            options.set(name, word.as_str());
        }
    }
    options
}

/// Refuses options that these rows leave without effect.
fn check(rm: &RmSection, data: &Data<Ranked>) -> Result<(), TrainError> {
    if !rm.margin {
        return Ok(());
    }
    let rows = || data.train.iter().chain(&data.held_out);
    let refuse =
        |found: &str, expected| Err(TrainError::Option { key: "rm.margin", found: found.to_owned(), expected });
    if rm.loss != "bradley_terry" {
        return refuse("true with a loss over whole rankings", "false, or rm.loss = \"bradley_terry\"");
    }
    if rows().any(|row| row.is_ranking) {
        return refuse("true on rankings, which have no margins", "false, or rows {prompt, chosen, rejected, margin}");
    }
    if !rows().any(|row| row.margin.is_some()) {
        return refuse("true on rows without margins", "false, or rows with a `margin`");
    }
    Ok(())
}

/// Gives each judgement its labeler's weight.
fn weigh(rm: &RmSection, data: &mut Data<Ranked>) -> Result<(), TrainError> {
    for labeler in rm.labeler_weights.keys() {
        if !data.train.iter().chain(&data.held_out).any(|row| row.labeler.as_ref() == Some(labeler)) {
            let found = format!("a weight for {labeler:?}, who judged no row");
            return Err(TrainError::Option { key: "rm.labeler_weights", found, expected: "labelers of the rows" });
        }
    }
    for row in data.train.iter_mut().chain(&mut data.held_out) {
        let weight = row.labeler.as_ref().and_then(|labeler| rm.labeler_weights.get(labeler));
        row.weight = weight.copied().unwrap_or(1.0);
    }
    Ok(())
}

/// Sums over the parts of a batch.
#[derive(Default)]
struct Tally {
    loss: f64,
    pairs: f64,
    right: f64,
    margin: f64,
    longer_right: [f64; 2],
}

impl Tally {
    fn add(&mut self, prompts: &[&Ranked], part: &LossGrad) {
        self.loss += part.loss;
        if part.pairs > 0 {
            let pairs = part.pairs as f64;
            self.pairs += pairs;
            self.right += pairs * part.accuracy;
            self.margin += pairs * part.margin;
        }
        for prompt in prompts {
            for (sum, right) in self.longer_right.iter_mut().zip(report::longer_wins(prompt)) {
                *sum += right.iter().sum::<f64>();
            }
        }
    }

    /// The stage's own columns of `metrics.jsonl`.
    fn metrics(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("accuracy", self.right / self.pairs),
            ("length_baseline", self.longer_right[0] / self.pairs),
            ("length_baseline_tokens", self.longer_right[1] / self.pairs),
            ("margin", self.margin / self.pairs),
            ("pairs", self.pairs),
        ]
    }
}

impl Supervised for RmConfig {
    fn sections(&self) -> (&ModelSection, &DataSection, &OptimizerSection, &TrainSection) {
        (&self.model, &self.data, &self.optimizer, &self.train)
    }
    fn data_mut(&mut self) -> &mut DataSection {
        &mut self.data
    }
}
