//! Losses of a reward model: scores of ranked completions in, derivatives by each score out.
//!
//! To add one: write `reward/NAME.rs` and add its line to [`ALL`].

use crate::numeric::sigmoid;
use crate::{Error, Evaluation, Objective, Options, Settings};

pub mod bradley_terry;
mod centering;
pub mod outcomes;
pub mod plackett_luce;

/// Every reward-model loss, in the order that help shows them.
pub const ALL: &[&dyn RewardLoss] = &[&bradley_terry::BradleyTerry, &plackett_luce::PlackettLuce];

/// The completions of one prompt as a person ranked them and as the model scores them.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptScores {
    /// The model's score of each completion.
    pub scores: Vec<f64>,
    /// The rank of each completion: lower is better, equal is a tie, only the order counts.
    pub ranks: Vec<u32>,
    /// By how much a better completion's score should exceed a worse one's (Llama 2, eq. 2); 0
    /// without margins.
    pub margin: f64,
    /// How much this prompt counts, for instance by its labeler. Weights multiply the loss; the
    /// divisor stays the count, so weights with mean 1 keep the loss on its scale.
    pub weight: f64,
}

impl PromptScores {
    /// Scores and ranks with margin 0 and weight 1.
    pub fn new(scores: Vec<f64>, ranks: Vec<u32>) -> PromptScores {
        PromptScores { scores, ranks, margin: 0.0, weight: 1.0 }
    }

    /// The pairs (better, worse) of a ranking, ties left out.
    pub fn untied_pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        untied_pairs(&self.ranks)
    }
}

/// The pairs (better, worse) of a ranking, ties left out, in a fixed order.
pub fn untied_pairs(ranks: &[u32]) -> impl Iterator<Item = (usize, usize)> {
    (0..ranks.len()).flat_map(move |better| {
        (0..ranks.len()).filter(move |&worse| ranks[better] < ranks[worse]).map(move |worse| (better, worse))
    })
}

/// What one prompt adds to a batch: the batch's loss is Σ loss / Σ divisor.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptTerm {
    /// This prompt's share of the sum.
    pub loss: f64,
    /// The derivative of `loss` by each score.
    pub d_scores: Vec<f64>,
}

/// A loss of a reward model.
pub trait RewardLoss: Objective {
    /// What one prompt adds to the sum. `prompt` has as many ranks as scores.
    fn prompt(&self, settings: &Settings, prompt: &PromptScores) -> PromptTerm;
    /// What a prompt with these ranks adds to the divisor: 0 when every completion is tied.
    fn divisor(&self, settings: &Settings, ranks: &[u32]) -> f64;
}

/// The loss of a batch of prompts, its derivatives, and what else is worth logging.
#[derive(Debug, Clone, PartialEq)]
pub struct LossGrad {
    /// The loss.
    pub loss: f64,
    /// Its derivative by each score of each prompt.
    pub d_scores: Vec<Vec<f64>>,
    /// Share of untied pairs whose better completion scores higher; equal scores count ½.
    /// NaN without such a pair.
    pub accuracy: f64,
    /// Mean of r_better − r_worse over untied pairs. NaN without such a pair.
    pub margin: f64,
    /// The number of untied pairs.
    pub pairs: usize,
    /// The number of prompts with at least one untied pair.
    pub prompts: usize,
}

/// A reward loss with its options.
pub struct Loss {
    member: &'static dyn RewardLoss,
    settings: Settings,
}

/// The reward loss of this name with these options; refuses unknown names, and options that it
/// does not use.
pub fn by_name(name: &str, options: &Options) -> Result<Loss, Error> {
    let member = ALL.iter().copied().find(|member| member.about().name == name).ok_or_else(|| Error::UnknownName {
        family: "reward loss",
        found: name.to_owned(),
        among: ALL.iter().map(|member| member.about().name).collect(),
    })?;
    Ok(Loss { member, settings: Settings::resolve(member.about(), options)? })
}

/// InstructGPT's K-wise loss with this project's defaults: per prompt the mean over its untied
/// pairs, then the mean over the prompts that have one.
pub fn kwise(prompts: &[PromptScores]) -> Result<LossGrad, Error> {
    by_name("bradley_terry", &Options::new())?.loss(prompts)
}

impl Loss {
    /// The member's account of itself.
    pub fn about(&self) -> &'static crate::About {
        self.member.about()
    }

    /// The resolved options.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What these rankings divide the loss by: prompts or pairs, as the options say. It adds up
    /// over the parts of a batch and needs no scores.
    pub fn divisor<'a>(&self, rankings: impl IntoIterator<Item = &'a [u32]>) -> f64 {
        rankings.into_iter().map(|ranks| self.member.divisor(&self.settings, ranks)).sum()
    }

    /// Loss and derivatives of a whole batch. A batch without any untied pair is refused.
    pub fn loss(&self, prompts: &[PromptScores]) -> Result<LossGrad, Error> {
        self.loss_over(prompts, self.divisor(prompts.iter().map(|prompt| prompt.ranks.as_slice())))
    }

    /// Loss and derivatives of a part of a batch whose whole has this [`Loss::divisor`].
    pub fn loss_over(&self, prompts: &[PromptScores], divisor: f64) -> Result<LossGrad, Error> {
        if divisor <= 0.0 {
            return Err(Error::Empty { what: "no prompt has two completions of different rank" });
        }
        let mut loss = 0.0;
        let mut d_scores = Vec::with_capacity(prompts.len());
        for (row, prompt) in prompts.iter().enumerate() {
            check(row, prompt)?;
            let term = self.member.prompt(&self.settings, prompt);
            loss += prompt.weight * term.loss / divisor;
            let scale = prompt.weight / divisor;
            d_scores.push(term.d_scores.into_iter().map(|slope| slope * scale).collect());
        }
        Ok(with_statistics(loss, d_scores, prompts))
    }
}

fn check(row: usize, prompt: &PromptScores) -> Result<(), Error> {
    let (expected, found) = (prompt.scores.len(), prompt.ranks.len());
    if expected != found {
        return Err(Error::Length { row, what: "ranks (one per score)", expected, found });
    }
    if !prompt.margin.is_finite() {
        return Err(Error::NotFinite { row, what: "margin", found: prompt.margin });
    }
    if !(prompt.weight.is_finite() && prompt.weight >= 0.0) {
        let expected = "a finite number ≥ 0";
        return Err(Error::OutOfRange { what: "a prompt's weight", found: prompt.weight, expected });
    }
    Ok(())
}

fn with_statistics(loss: f64, d_scores: Vec<Vec<f64>>, prompts: &[PromptScores]) -> LossGrad {
    let (mut right, mut margin, mut pairs) = (0.0, 0.0, 0usize);
    for prompt in prompts {
        for (better, worse) in prompt.untied_pairs() {
            let difference = prompt.scores[better] - prompt.scores[worse];
            right += correct(difference);
            margin += difference;
            pairs += 1;
        }
    }
    let count = pairs as f64;
    LossGrad {
        loss,
        d_scores,
        accuracy: right / count,
        margin: margin / count,
        pairs,
        prompts: prompts.iter().filter(|prompt| prompt.untied_pairs().next().is_some()).count(),
    }
}

/// 1 when the difference is positive, ½ when it is 0, else 0; NaN for NaN.
pub fn correct(difference: f64) -> f64 {
    if difference.is_nan() {
        f64::NAN
    } else if difference == 0.0 {
        0.5
    } else {
        f64::from(difference > 0.0)
    }
}

/// P(first preferred to second) under Bradley–Terry: σ(s_first − s_second).
pub fn win_probability(first: f64, second: f64) -> f64 {
    sigmoid(first - second)
}

/// The example that reward losses are probed on: four completions, two of them tied, and two
/// completions of a second prompt.
pub(crate) fn probe(member: &dyn RewardLoss, settings: &Settings, trained: &[f64]) -> Evaluation {
    let prompts = [
        PromptScores { margin: 0.25, weight: 0.75, ..PromptScores::new(trained[..4].to_vec(), vec![1, 2, 2, 3]) },
        PromptScores::new(trained[4..6].to_vec(), vec![2, 1]),
    ];
    let divisor: f64 = prompts.iter().map(|prompt| member.divisor(settings, &prompt.ranks)).sum();
    let mut evaluation = Evaluation { loss: 0.0, gradient: Vec::new() };
    for prompt in &prompts {
        let term = member.prompt(settings, prompt);
        evaluation.loss += prompt.weight * term.loss / divisor;
        let scale = prompt.weight / divisor;
        evaluation.gradient.extend(term.d_scores.into_iter().map(|slope| slope * scale));
    }
    evaluation
}

/// Where training starts on that example: equal scores; best raised, worst lowered.
pub(crate) fn example() -> crate::Example {
    crate::Example { start: vec![0.3; 6], raises: vec![0, 5], lowers: vec![3, 4] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kwise_with(options: Options, prompts: &[PromptScores]) -> LossGrad {
        by_name("bradley_terry", &options).unwrap().loss(prompts).unwrap()
    }

    /// Scores of `tiny-reward` on `tests/conformance/rankings.jsonl` in f64 (transformers 5,
    /// torch 2.15; `kwise.json` has the two losses but not the scores).
    fn conformance() -> Vec<PromptScores> {
        vec![
            PromptScores::new(
                vec![0.12277231816754425, 0.12079242433555272, 0.14388630768104108, 0.13461120585677389],
                vec![1, 2, 2, 3],
            ),
            PromptScores::new(vec![0.12356059953849413, 0.07076819295759162], vec![2, 1]),
        ]
    }

    #[test]
    fn kwise_agrees_with_pytorch_in_both_reductions() {
        let prompts = conformance();
        assert!((kwise(&prompts).unwrap().loss - 0.7083061207100687).abs() < 1e-13);
        let pooled = kwise_with(Options::new().with("reduction", "pooled"), &prompts);
        assert!((pooled.loss - 0.7005823857328936).abs() < 1e-13);
        assert_eq!((pooled.pairs, pooled.prompts), (6, 2));
    }

    #[test]
    fn equal_scores_cost_ln_2_and_are_half_right() {
        let out = kwise(&[PromptScores::new(vec![1.7; 5], vec![0, 4, 4, 9, 1])]).unwrap();
        assert!((out.loss - std::f64::consts::LN_2).abs() < 1e-15);
        assert_eq!(out.accuracy, 0.5);
    }

    #[test]
    fn a_prompt_of_ties_changes_nothing_and_a_batch_of_them_is_refused() {
        let tied = PromptScores::new(vec![3.0, -2.0, 0.5], vec![4, 4, 4]);
        let mut prompts = conformance();
        let without = kwise(&prompts).unwrap();
        prompts.push(tied.clone());
        let with = kwise(&prompts).unwrap();
        assert_eq!(with.loss, without.loss);
        assert_eq!(with.d_scores[2], [0.0; 3]);
        assert!(matches!(kwise(&[tied]), Err(Error::Empty { .. })));
        let alone = PromptScores::new(vec![3.0], vec![1]);
        assert!(matches!(kwise(&[alone]), Err(Error::Empty { .. })));
    }

    #[test]
    fn bad_prompts_are_refused_by_row() {
        let mut prompts = conformance();
        prompts[1].ranks.pop();
        let found = by_name("bradley_terry", &Options::new()).unwrap().loss_over(&prompts, 2.0);
        assert!(matches!(found, Err(Error::Length { row: 1, expected: 2, found: 1, .. })));
        prompts = conformance();
        prompts[0].weight = -1.0;
        assert!(matches!(kwise(&prompts), Err(Error::OutOfRange { .. })));
        prompts = conformance();
        prompts[0].margin = f64::NAN;
        assert!(matches!(kwise(&prompts), Err(Error::NotFinite { row: 0, .. })));
        assert!(matches!(by_name("bt", &Options::new()), Err(Error::UnknownName { .. })));
    }

    fn prompt_strategy() -> impl Strategy<Value = PromptScores> {
        (2usize..7).prop_flat_map(|k| {
            (prop::collection::vec(-3.0f64..3.0, k), prop::collection::vec(0u32..4, k), 0.0f64..1.0)
                .prop_map(|(scores, ranks, margin)| PromptScores { margin, ..PromptScores::new(scores, ranks) })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn parts_of_a_batch_add_up_to_the_whole(
            prompts in prop::collection::vec(prompt_strategy(), 1..6),
            name in prop::sample::select(ALL.iter().map(|m| m.about().name).collect::<Vec<_>>()),
        ) {
            let loss = by_name(name, &Options::new()).unwrap();
            let divisor = loss.divisor(prompts.iter().map(|p| p.ranks.as_slice()));
            prop_assume!(divisor > 0.0);
            let whole = loss.loss(&prompts).unwrap();
            let (left, right) = prompts.split_at(prompts.len() / 2);
            let left = loss.loss_over(left, divisor).unwrap();
            let right = loss.loss_over(right, divisor).unwrap();
            prop_assert!((left.loss + right.loss - whole.loss).abs() < 1e-12);
            prop_assert_eq!([left.d_scores, right.d_scores].concat(), whole.d_scores);
        }

        #[test]
        fn the_order_of_completions_and_the_scale_of_ranks_do_not_matter(prompt in prompt_strategy()) {
            prop_assume!(prompt.untied_pairs().next().is_some());
            let turned = PromptScores {
                scores: prompt.scores.iter().rev().copied().collect(),
                ranks: prompt.ranks.iter().rev().map(|rank| rank * 3 + 5).collect(),
                ..prompt.clone()
            };
            let (a, b) = (kwise(&[prompt]).unwrap(), kwise(&[turned]).unwrap());
            prop_assert!((a.loss - b.loss).abs() < 1e-12);
            for (left, right) in a.d_scores[0].iter().zip(b.d_scores[0].iter().rev()) {
                prop_assert!((left - right).abs() < 1e-12);
            }
        }

        #[test]
        fn a_common_shift_of_scores_changes_nothing(prompt in prompt_strategy(), shift in -9.0f64..9.0) {
            prop_assume!(prompt.untied_pairs().next().is_some());
            let mut shifted = prompt.clone();
            shifted.scores.iter_mut().for_each(|score| *score += shift);
            for member in ALL {
                let loss = by_name(member.about().name, &Options::new()).unwrap();
                let (a, b) = (loss.loss(std::slice::from_ref(&prompt)).unwrap(), loss.loss(std::slice::from_ref(&shifted)).unwrap());
                prop_assert!((a.loss - b.loss).abs() < 1e-10);
                prop_assert!(a.d_scores[0].iter().sum::<f64>().abs() < 1e-12);
            }
        }
    }
}
