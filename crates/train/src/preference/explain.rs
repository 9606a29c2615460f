//! What a preference loss says about each pair, before any training.
use super::judge::{Judge, Shape};
use super::reference::Reference;
use super::{judge, read};
use crate::event::Sink;
use crate::ranked::Ranked;
use crate::session::Parent;
use crate::{Options, TrainError, tree};
use model::{LoadOptions, Model, Trainable, Workspace};
use objective::preference::{Completion, Pair};
use run::DpoConfig;
use serde::Serialize;
use std::path::Path;

/// A loss, in words and on each pair.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Its name.
    pub loss: String,
    /// Its formula.
    pub formula: String,
    /// Where it comes from.
    pub source: String,
    /// Its options with their values.
    pub options: Vec<(String, String)>,
    /// The training pairs.
    pub pairs: Vec<Explained>,
}

/// A pair.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// Which training row, from 0.
    pub row: usize,
    /// Which of its completions is the better.
    pub chosen: usize,
    /// Which is the worse.
    pub rejected: usize,
    /// log π of both, nats, summed over tokens.
    pub policy: [f64; 2],
    /// log π_ref of both; 0 for a loss without reference.
    pub reference: [f64; 2],
    /// r̂_chosen − r̂_rejected.
    pub margin: f64,
    /// σ(r̂_rejected − r̂_chosen).
    pub weight: f64,
    /// The pair's own loss.
    pub pair_loss: f64,
    /// dL/d(log π) of both, of this pair alone.
    pub pushes: [f64; 2],
}

/// The loss on every pair of the training rows, with the model as it is.
pub fn explain(
    mut options: Options<'_, DpoConfig>,
    cache: Option<&Path>,
    sink: &mut dyn Sink,
) -> Result<Explanation, TrainError> {
    let parent = Parent::open(&mut options, sink)?;
    let judge = Judge::new(&options)?;
    if judge.shape == Shape::Unpaired {
        let found = format!("{:?}, which judges answers one by one", options.config.config.dpo.loss);
        return Err(TrainError::Option {
            key: "dpo.loss",
            found,
            expected: "a loss over pairs or rankings to explain",
        });
    }
    let data = read(&options, &judge)?;
    let reference = Reference::of(&options, &parent, &judge, &data, cache, sink)?;
    let DpoConfig { model, data: section, train, .. } = &options.config.config;
    let precision = parent.precision(model.dtype, &options.device);
    let load = LoadOptions { precision, trainable: Trainable::Nothing, scalar_head: false };
    let policy = Model::load(&options.device, &parent.path, &load)?;
    let mut workspace = Workspace::default();
    let mut pairs = Vec::new();
    let rows: Vec<(usize, (&Ranked, _))> = data.train.iter().zip(&reference.train).enumerate().collect();
    let budget = section.packing.then_some(train.micro_tokens);
    for group in tree::groups(rows, budget, |(_, (row, _))| row.n_tokens(section.shared_prefix)) {
        let (indices, rows): (Vec<usize>, Vec<_>) = group.into_iter().unzip();
        let (batch, request) = tree::log_probs(rows.iter().map(|(row, _)| &row.tree), section.shared_prefix);
        let completions = judge::completions(&rows, &policy.forward(&batch, &request, &mut workspace));
        for ((row, (ranked, _)), completions) in indices.into_iter().zip(&rows).zip(&completions) {
            for (chosen, rejected) in ranked.pairs() {
                pairs.push(explained(&judge, row, chosen, rejected, completions)?);
            }
        }
    }
    let about = judge.loss.about();
    Ok(Explanation {
        loss: about.name.to_owned(),
        formula: about.formula.to_owned(),
        source: about.source.to_owned(),
        options: judge.loss.settings().iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect(),
        pairs,
    })
}

fn explained(
    judge: &Judge,
    row: usize,
    chosen: usize,
    rejected: usize,
    completions: &[Completion],
) -> Result<Explained, TrainError> {
    let pair = Pair { chosen: completions[chosen], rejected: completions[rejected] };
    let grad = judge.loss.loss(&[pair])?.pairs[0];
    Ok(Explained {
        row,
        chosen,
        rejected,
        policy: [pair.chosen.policy, pair.rejected.policy],
        reference: [pair.chosen.reference, pair.rejected.reference],
        margin: grad.margin,
        weight: grad.weight,
        pair_loss: grad.loss,
        pushes: [grad.d_chosen, grad.d_rejected],
    })
}
