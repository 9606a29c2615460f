//! Learning from preferences directly (arXiv 2305.18290 and its kin): log-probabilities of chosen and rejected answers
//! against a reference's.
//!
//! A prompt is run once for all its completions. The reference's log-probabilities never change, so they are computed
//! once before the first step and kept by the hash of what they depend on.
mod explain;
mod judge;
mod reference;

pub use explain::{Explained, Explanation, explain};

use crate::data::Data;
use crate::event::Sink;
use crate::order::Order;
use crate::ranked::{self, Ranked, Reading};
use crate::session::{Parent, Session, Supervised, shuffle};
use crate::{Options, Outcome, TrainError, tree};
use judge::{Comparisons, Judge, Shape, Tally};
use model::Derivatives;
use objective::preference::by_name;
use record::Kind;
use reference::Reference;
use run::DpoConfig;
use run::config::{DataSection, DpoSection, ModelSection, OptimizerSection, TrainSection};
use std::path::Path;
use stdx::Seed;

/// Runs the stage: from preferences and rankings to `final/`. `cache` is a folder that keeps the reference's
/// log-probabilities between runs.
pub fn run(
    mut options: Options<'_, DpoConfig>,
    cache: Option<&Path>,
    sink: &mut dyn Sink,
) -> Result<Outcome, TrainError> {
    let parent = Parent::open(&mut options, sink)?;
    let judge = Judge::new(&options)?;
    let data = read(&options, &judge)?;
    let reference = Reference::of(&options, &parent, &judge, &data, cache, sink)?;
    let train = &options.config.config.train;
    let shared_prefix = options.config.config.data.shared_prefix;
    let mut order = Order::new(data.train.len(), train.batch_size, shuffle(train));
    let material = Comparisons { data: &data, judge: &judge, reference: &reference, shared_prefix };
    let mut session = Session::begin(&options, &parent, &material, sink)?;
    reference.keep(&options.out)?;
    session.evaluate_first(sink)?;

    while session.step() < session.steps {
        session.start_step();
        let rows = order.batch(session.step());
        let batch: Vec<(&Ranked, &reference::Row)> =
            rows.iter().map(|&row| (&data.train[row], &reference.train[row])).collect();
        let divisor = judge.divisor(batch.iter().map(|(row, _)| *row));
        let n_targets: usize = batch.iter().map(|(row, _)| row.n_targets()).sum();
        let n_tokens: usize = batch.iter().map(|(row, _)| row.n_tokens(shared_prefix)).sum();
        let budget = session.budget();
        let reference_point = judge.reference_point(&session.model, &batch, budget, &mut session.workspace)?;

        let mut tally = Tally::default();
        let groups = tree::groups(batch, budget, |(row, _)| row.n_tokens(shared_prefix));
        for (micro_idx, rows) in groups.into_iter().enumerate() {
            if session.is_stopped() {
                return session.interrupt(sink); // the half-gathered gradients are dropped
            }
            let (batch, request) = tree::log_probs(rows.iter().map(|(row, _)| &row.tree), shared_prefix);
            let noise = session.noise(micro_idx);
            let outputs = session.model.forward_for_training(&batch, &request, noise, &mut session.workspace);
            let completions = judge::completions(&rows, &outputs);
            let part = judge.judge(&rows, &completions, divisor, reference_point)?;
            let log_probs = judge::by_target(&completions, &part.d_policy);
            let derivatives = Derivatives { log_probs, ..Derivatives::default() };
            session.model.backward(&batch, &request, &derivatives, &mut session.workspace, &mut session.gradients);
            tally.add(&part);
        }
        let grad_norm = session.step_optimizer(tally.loss)?;
        session.finish_step_with(tally.loss, grad_norm, n_tokens, n_targets, tally.metrics(), sink)?;
    }
    session.finish(sink)
}

/// The rows that the loss is defined on.
fn read(options: &Options<'_, DpoConfig>, judge: &Judge) -> Result<Data<Ranked>, TrainError> {
    let DpoConfig { data, train, .. } = &options.config.config;
    let unpaired = judge.shape == Shape::Unpaired;
    let kinds: &[Kind] =
        if unpaired { &[Kind::Preference, Kind::Unpaired] } else { &[Kind::Preference, Kind::Ranking] };
    let reading = Reading { kinds, mismatch: unpaired, ..Reading::default() };
    ranked::rows(data, reading, Seed(train.seed), options.renderer)
}

/// Only what was set: the loss refuses what it doesn't use.
fn loss_options(dpo: &DpoSection) -> objective::Options {
    let mut options = objective::Options::new();
    let numbers = [
        ("beta", dpo.beta),
        ("label_smoothing", dpo.label_smoothing),
        ("gamma", dpo.gamma),
        ("likelihood_coefficient", dpo.likelihood_coefficient),
        ("desirable_weight", dpo.desirable_weight),
        ("undesirable_weight", dpo.undesirable_weight),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            options.set(name, number);
        }
    }
    if let Some(switch) = dpo.length_normalised {
        options.set("length_normalised", switch);
    }
    options
}

impl Judge {
    fn new(options: &Options<'_, DpoConfig>) -> Result<Judge, TrainError> {
        let dpo = &options.config.config.dpo;
        let loss = by_name(&dpo.loss, &loss_options(dpo))?;
        if dpo.reference.is_some() && !loss.uses_reference() {
            let found = format!("a reference with the loss {:?}", dpo.loss);
            return Err(TrainError::Option { key: "dpo.reference", found, expected: "none: this loss has none" });
        }
        Ok(Judge { shape: Shape::of(&loss), loss })
    }
}

impl Supervised for DpoConfig {
    fn sections(&self) -> (&ModelSection, &DataSection, &OptimizerSection, &TrainSection) {
        (&self.model, &self.data, &self.optimizer, &self.train)
    }
    fn data_mut(&mut self) -> &mut DataSection {
        &mut self.data
    }
}
