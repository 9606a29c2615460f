//! From log-probabilities of completions to a loss and its derivatives, whatever shape the loss is defined on.
use super::reference::{self, Reference};
use crate::TrainError;
use crate::data::{Data, DataReport};
use crate::evaluation::{Evaluation, HeldOut, Judging, Material};
use crate::ranked::Ranked;
use crate::tree;
use model::{Model, Outputs, Workspace};
use objective::numeric::sigmoid;
use objective::preference::{Completion, Loss, Pair, PairGrad, Ranking, Unpaired, kto};
use objective::reward::correct;
use run::lineage::Hashed;

/// What a loss is defined on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Every untied pair of a row.
    Pairs,
    /// A row's completions at once.
    Rankings,
    /// Each completion by itself.
    Unpaired,
}

impl Shape {
    pub fn of(loss: &Loss) -> Shape {
        match loss.takes() {
            "rankings" => Shape::Rankings,
            "unpaired answers" => Shape::Unpaired,
            _ => Shape::Pairs,
        }
    }
}

/// A loss and what it is defined on.
pub(super) struct Judge {
    pub loss: Loss,
    pub shape: Shape,
}

/// What a part of a batch says.
#[derive(Default)]
pub(super) struct Part {
    pub loss: f64,
    /// dL/d(log π) of every completion, a vector a row.
    pub d_policy: Vec<Vec<f64>>,
    pub pairs: Vec<Judged>,
    /// Answers judged right and judged at all, where there are no pairs.
    pub answers: (f64, f64),
}

/// A pair as the implicit reward sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judged {
    pub reward_chosen: f64,
    pub reward_rejected: f64,
    pub log_prob_chosen: f64,
    pub log_prob_rejected: f64,
}

/// A row with the reference's numbers.
pub(super) type RowOf<'a> = (&'a Ranked, &'a reference::Row);

/// The completions of rows that ran together.
pub(super) fn completions(rows: &[RowOf<'_>], outputs: &Outputs) -> Vec<Vec<Completion>> {
    let mut log_probs = outputs.log_probs.iter().map(|&log_prob| f64::from(log_prob));
    let mut of_row = |(row, reference): &RowOf<'_>| {
        let branches = row.tree.branches.iter().zip(&reference.own);
        let completion = |(branch, &reference): (&render::Branch, &f64)| {
            let tokens = tree::n_targets(branch);
            Completion { policy: log_probs.by_ref().take(tokens).sum(), reference, tokens }
        };
        branches.map(completion).collect()
    };
    rows.iter().map(&mut of_row).collect()
}

/// dL/d(log p) of every target: that of its completion, whose log-probability is their sum.
pub(super) fn by_target(completions: &[Vec<Completion>], d_policy: &[Vec<f64>]) -> Vec<f32> {
    let all = completions.iter().flatten().zip(d_policy.iter().flatten());
    all.flat_map(|(completion, &slope)| std::iter::repeat_n(slope as f32, completion.tokens)).collect()
}

impl Judge {
    /// What the loss of a whole batch is divided by.
    pub fn divisor<'a>(&self, rows: impl Iterator<Item = &'a Ranked>) -> f64 {
        let of = |row: &Ranked| match self.shape {
            Shape::Pairs => row.pairs().count(),
            Shape::Rankings => 1,
            Shape::Unpaired => row.ranks.len(),
        };
        rows.map(of).sum::<usize>() as f64
    }

    /// Loss and derivatives of a part of a batch.
    pub fn judge(
        &self,
        rows: &[RowOf<'_>],
        completions: &[Vec<Completion>],
        divisor: f64,
        reference_point: f64,
    ) -> Result<Part, TrainError> {
        let mut part = Part::default();
        for ((row, _), completions) in rows.iter().zip(completions) {
            let rewards = match self.shape {
                Shape::Pairs => self.pairs(row, completions, divisor, &mut part)?,
                Shape::Rankings => self.ranking(row, completions, divisor, &mut part)?,
                Shape::Unpaired => self.answers(row, completions, divisor, reference_point, &mut part)?,
            };
            let judged = |(better, worse): (usize, usize)| Judged {
                reward_chosen: rewards[better],
                reward_rejected: rewards[worse],
                log_prob_chosen: completions[better].policy,
                log_prob_rejected: completions[worse].policy,
            };
            part.pairs.extend(row.pairs().map(judged));
        }
        Ok(part)
    }

    fn pairs(&self, row: &Ranked, of: &[Completion], divisor: f64, part: &mut Part) -> Result<Vec<f64>, TrainError> {
        let mut slopes = vec![0.0; of.len()];
        let mut rewards = vec![0.0; of.len()];
        for (better, worse) in row.pairs() {
            let pair = Pair { chosen: of[better], rejected: of[worse] };
            let judged = self.loss.loss_over(&[pair], divisor)?;
            let PairGrad { d_chosen, d_rejected, reward_chosen, reward_rejected, .. } = judged.pairs[0];
            slopes[better] += d_chosen;
            slopes[worse] += d_rejected;
            (rewards[better], rewards[worse]) = (reward_chosen, reward_rejected);
            part.loss += judged.loss;
        }
        part.d_policy.push(slopes);
        Ok(rewards)
    }

    fn ranking(&self, row: &Ranked, of: &[Completion], divisor: f64, part: &mut Part) -> Result<Vec<f64>, TrainError> {
        let ranking = Ranking { completions: of.to_vec(), ranks: row.ranks.clone() };
        let mut judged = self.loss.rankings_over(&[ranking], divisor)?;
        part.loss += judged.loss;
        part.d_policy.append(&mut judged.d_policy);
        Ok(judged.rewards.concat())
    }

    fn answers(
        &self,
        row: &Ranked,
        of: &[Completion],
        divisor: f64,
        reference_point: f64,
        part: &mut Part,
    ) -> Result<Vec<f64>, TrainError> {
        let answer = |(&completion, &rank): (&Completion, &u32)| Unpaired { completion, desirable: rank == 1 };
        let answers: Vec<Unpaired> = of.iter().zip(&row.ranks).map(answer).collect();
        let mut judged = self.loss.unpaired_over(&answers, reference_point, divisor)?;
        part.loss += judged.loss;
        part.answers.0 += judged.accuracy * answers.len() as f64;
        part.answers.1 += answers.len() as f64;
        part.d_policy.append(&mut judged.d_policy);
        Ok(judged.rewards.concat())
    }

    /// KTO's z₀ of a batch (0 for losses without one), from each prompt with the next row's completion; a constant for
    /// the gradient, so it takes a forward pass of its own.
    pub fn reference_point(
        &self,
        model: &Model,
        rows: &[RowOf<'_>],
        budget: Option<usize>,
        workspace: &mut Workspace,
    ) -> Result<f64, TrainError> {
        if self.shape != Shape::Unpaired {
            return Ok(0.0);
        }
        let crossed =
            rows.iter().filter_map(|(row, reference)| Some((row.mismatched.as_ref()?, reference.mismatched?)));
        let (trees, references): (Vec<_>, Vec<f64>) = crossed.unzip();
        let policies = reference::sums(model, &trees, budget, true, workspace);
        let completion = |((tree, policy), &reference): ((&&render::Tree, &Vec<f64>), &f64)| Completion {
            policy: policy[0],
            reference,
            tokens: tree::n_targets(&tree.branches[0]),
        };
        let completions: Vec<Completion> = trees.iter().zip(&policies).zip(&references).map(completion).collect();
        let averaged = self.loss.settings().switch("length_normalised");
        Ok(kto::reference_point(&completions, averaged)?)
    }
}

/// Sums over the parts of a batch.
#[derive(Default)]
pub(super) struct Tally {
    pub loss: f64,
    pairs: Vec<Judged>,
    answers: (f64, f64),
}

impl Tally {
    pub fn add(&mut self, part: &Part) {
        self.loss += part.loss;
        self.pairs.extend(&part.pairs);
        self.answers.0 += part.answers.0;
        self.answers.1 += part.answers.1;
    }

    /// Share of pairs (where there are none, of answers) that the implicit reward gets right.
    pub fn accuracy(&self) -> f64 {
        if self.pairs.is_empty() {
            return self.answers.0 / self.answers.1;
        }
        self.mean(|pair| correct(pair.reward_chosen - pair.reward_rejected))
    }

    fn mean(&self, of: impl Fn(&Judged) -> f64) -> f64 {
        self.pairs.iter().map(of).sum::<f64>() / self.pairs.len() as f64
    }

    /// The stage's own columns of `metrics.jsonl`.
    pub fn metrics(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("accuracy", self.accuracy()),
            ("margin", self.mean(|pair| pair.reward_chosen - pair.reward_rejected)),
            ("reward_chosen", self.mean(|pair| pair.reward_chosen)),
            ("reward_rejected", self.mean(|pair| pair.reward_rejected)),
            ("pair_weight", self.mean(|pair| sigmoid(pair.reward_rejected - pair.reward_chosen))),
            ("logprob_chosen", self.mean(|pair| pair.log_prob_chosen)),
            ("logprob_rejected", self.mean(|pair| pair.log_prob_rejected)),
        ]
    }
}

/// The rows with the loss that judges a model by them.
pub(super) struct Comparisons<'a> {
    pub data: &'a Data<Ranked>,
    pub judge: &'a Judge,
    pub reference: &'a Reference,
    pub shared_prefix: bool,
}

impl Comparisons<'_> {
    /// What the held-out rows add up to; `None` when stopped before the last of them.
    fn held_out(&self, model: &Model, how: &Judging, workspace: &mut Workspace) -> Result<Option<Tally>, TrainError> {
        let budget = how.budget;
        let rows: Vec<RowOf> = self.data.held_out.iter().zip(&self.reference.held_out).collect();
        let divisor = self.judge.divisor(self.data.held_out.iter());
        let reference_point = self.judge.reference_point(model, &rows, budget, workspace)?;
        let mut tally = Tally::default();
        for rows in tree::groups(rows, budget, |(row, _)| row.n_tokens(self.shared_prefix)) {
            if how.is_stopped() {
                return Ok(None);
            }
            let (batch, request) = tree::log_probs(rows.iter().map(|(row, _)| &row.tree), self.shared_prefix);
            let outputs = model.forward(&batch, &request, workspace);
            tally.add(&self.judge.judge(&rows, &completions(&rows, &outputs), divisor, reference_point)?);
        }
        Ok(Some(tally))
    }
}

impl Material for Comparisons<'_> {
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
        [&self.data.files[..], self.reference.model.as_slice()].concat()
    }
    fn held_out_files(&self) -> Vec<Hashed> {
        self.data.held_out_files.clone()
    }
    fn evaluate(&self, model: &Model, how: &Judging, workspace: &mut Workspace) -> Result<HeldOut, TrainError> {
        // KTO compares with another prompt's completion: of a single row there is none, nor where all would be too long
        let rows = &self.data.held_out;
        let has_point = self.judge.shape != Shape::Unpaired || rows.iter().any(|row| row.mismatched.is_some());
        if rows.is_empty() || !has_point {
            return Ok(HeldOut::None);
        }
        let Some(tally) = self.held_out(model, how, workspace)? else {
            return Ok(HeldOut::Stopped);
        };
        Ok(HeldOut::Loss(Evaluation {
            step: how.step,
            held_out_loss: tally.loss,
            held_out_tokens: self.data.held_out.iter().map(|row| row.n_targets() as u64).sum(),
            accuracy: Some(tally.accuracy()),
        }))
    }
}
