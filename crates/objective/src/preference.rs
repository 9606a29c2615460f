//! Losses of a policy trained on preferences directly: the DPO family.
//!
//! Summed log-probabilities of completions under policy and reference in, derivatives by the
//! policy's out. To add a loss: write `preference/NAME.rs` and add its line to [`ALL`].

use crate::numeric::mean;
use crate::reward::correct;
use crate::{About, Error, Objective, Options, Settings};
use formula::OfPairs;

mod cpo;
mod formula;
mod hinge;
mod ipo;
pub mod kto;
mod orpo;
mod plackett_luce;
mod robust;
mod sigmoid;
mod simpo;

/// Every preference loss, in the order that help shows them.
pub const ALL: &[&dyn PreferenceLoss] = &[
    &OfPairs(sigmoid::Sigmoid),
    &OfPairs(robust::Robust),
    &OfPairs(hinge::Hinge),
    &OfPairs(ipo::Ipo),
    &OfPairs(simpo::SimPo),
    &OfPairs(orpo::Orpo),
    &OfPairs(cpo::Cpo),
    &kto::Kto,
    &plackett_luce::PlackettLuceDpo,
];

/// One completion: log-probabilities summed over its tokens, EOS included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Completion {
    /// log π(completion | prompt), the trained number, in nats.
    pub policy: f64,
    /// log π_ref(completion | prompt), in nats. Any number for a loss without a reference.
    pub reference: f64,
    /// Its length in tokens, EOS included.
    pub tokens: usize,
}

/// A comparison: the answer a person chose and the one they rejected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The better answer.
    pub chosen: Completion,
    /// The worse answer.
    pub rejected: Completion,
}

/// K answers to one prompt and how a person ranked them.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// The answers.
    pub completions: Vec<Completion>,
    /// The rank of each: lower is better, equal is a tie.
    pub ranks: Vec<u32>,
}

/// An answer that was judged by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unpaired {
    /// The answer.
    pub completion: Completion,
    /// Whether it was judged good.
    pub desirable: bool,
}

/// What a loss says about one pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairGrad {
    /// The pair's own loss.
    pub loss: f64,
    /// The derivative (of the batch's loss) by log π(chosen).
    pub d_chosen: f64,
    /// The derivative (of the batch's loss) by log π(rejected).
    pub d_rejected: f64,
    /// The implicit reward r̂ of the chosen answer; β(log π − log π_ref) for DPO.
    pub reward_chosen: f64,
    /// The implicit reward r̂ of the rejected answer.
    pub reward_rejected: f64,
    /// r̂_chosen − r̂_rejected.
    pub margin: f64,
    /// σ(r̂_rejected − r̂_chosen): how wrong the implicit reward is about the pair, the weight of
    /// its gradient in DPO (arXiv 2305.18290, §4).
    pub weight: f64,
}

/// The loss of a batch of pairs and what is worth logging.
#[derive(Debug, Clone, PartialEq)]
pub struct PairsLoss {
    /// The loss: Σ over pairs ÷ divisor.
    pub loss: f64,
    /// Each pair, in order.
    pub pairs: Vec<PairGrad>,
    /// Share of pairs with a positive margin; a margin of 0 counts ½.
    pub accuracy: f64,
    /// Mean margin.
    pub margin: f64,
    /// Mean implicit reward of the chosen answers.
    pub reward_chosen: f64,
    /// Mean implicit reward of the rejected answers.
    pub reward_rejected: f64,
    /// Mean pair weight.
    pub pair_weight: f64,
}

/// The loss of a batch of rankings, or of unpaired answers.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupLoss {
    /// The loss: Σ over rankings (or answers) ÷ divisor.
    pub loss: f64,
    /// The derivative by log π of each completion: a row a ranking; one row for unpaired answers.
    pub d_policy: Vec<Vec<f64>>,
    /// The implicit reward of each completion, shaped as `d_policy`.
    pub rewards: Vec<Vec<f64>>,
    /// Share of untied pairs (rankings), or of answers (unpaired), that the implicit reward gets
    /// right, ½ for equality. NaN without any.
    pub accuracy: f64,
}

/// A preference loss. Each is defined on one shape of data and refuses the others.
pub trait PreferenceLoss: Objective {
    /// The data it is defined on, in words.
    fn takes(&self) -> &'static str;
    /// Whether it looks at the reference's log-probabilities.
    fn uses_reference(&self) -> bool;
    /// One pair, unscaled.
    fn pair(&self, _settings: &Settings, _pair: &Pair) -> Result<PairGrad, Error> {
        Err(self.wrong_shape("pairs"))
    }
    /// One ranking: loss, derivatives by each log π, implicit rewards.
    fn ranking(&self, _: &Settings, _: &Ranking) -> Result<(f64, Vec<f64>, Vec<f64>), Error> {
        Err(self.wrong_shape("rankings"))
    }
    /// One unpaired answer against the reference point z₀: loss, derivative, implicit reward.
    fn unpaired(&self, _: &Settings, _: &Unpaired, _z0: f64) -> Result<(f64, f64, f64), Error> {
        Err(self.wrong_shape("unpaired answers"))
    }
    /// The refusal of a shape.
    fn wrong_shape(&self, found: &'static str) -> Error {
        Error::WrongShape { name: self.about().name, takes: self.takes(), found }
    }
}

/// A preference loss with its options.
pub struct Loss {
    member: &'static dyn PreferenceLoss,
    settings: Settings,
}

/// The preference loss of this name with these options; refuses unknown names, and options that
/// it does not use.
pub fn by_name(name: &str, options: &Options) -> Result<Loss, Error> {
    let member = ALL.iter().copied().find(|member| member.about().name == name).ok_or_else(|| Error::UnknownName {
        family: "preference loss",
        found: name.to_owned(),
        among: ALL.iter().map(|member| member.about().name).collect(),
    })?;
    Ok(Loss { member, settings: Settings::resolve(member.about(), options)? })
}

impl Loss {
    /// The member's account of itself.
    pub fn about(&self) -> &'static About {
        self.member.about()
    }

    /// The resolved options.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether it looks at the reference's log-probabilities: if not, no reference is needed.
    pub fn uses_reference(&self) -> bool {
        self.member.uses_reference()
    }

    /// The data it is defined on, in words.
    pub fn takes(&self) -> &'static str {
        self.member.takes()
    }

    /// Mean loss of a batch of pairs.
    pub fn loss(&self, pairs: &[Pair]) -> Result<PairsLoss, Error> {
        self.loss_over(pairs, pairs.len() as f64)
    }

    /// Loss of a part of a batch that has `divisor` pairs as a whole.
    pub fn loss_over(&self, pairs: &[Pair], divisor: f64) -> Result<PairsLoss, Error> {
        not_empty(pairs.len(), divisor, "no pairs")?;
        let mut grads = Vec::with_capacity(pairs.len());
        for (row, pair) in pairs.iter().enumerate() {
            has_tokens(row, &[pair.chosen, pair.rejected])?;
            let mut grad = self.member.pair(&self.settings, pair)?;
            grad.d_chosen /= divisor;
            grad.d_rejected /= divisor;
            grads.push(grad);
        }
        let average = |of: fn(&PairGrad) -> f64| mean(grads.iter().map(of)).unwrap_or(f64::NAN);
        Ok(PairsLoss {
            loss: grads.iter().map(|grad| grad.loss).sum::<f64>() / divisor,
            accuracy: average(|grad| correct(grad.margin)),
            margin: average(|grad| grad.margin),
            reward_chosen: average(|grad| grad.reward_chosen),
            reward_rejected: average(|grad| grad.reward_rejected),
            pair_weight: average(|grad| grad.weight),
            pairs: grads,
        })
    }

    /// Mean loss of a batch of rankings, over those with at least one untied pair.
    pub fn rankings(&self, rankings: &[Ranking]) -> Result<GroupLoss, Error> {
        let untied = |ranking: &&Ranking| ranking.ranks.iter().any(|&rank| rank != ranking.ranks[0]);
        self.rankings_over(rankings, rankings.iter().filter(untied).count() as f64)
    }

    /// Loss of a part of a batch that has `divisor` rankings (with an untied pair) as a whole.
    pub fn rankings_over(&self, rankings: &[Ranking], divisor: f64) -> Result<GroupLoss, Error> {
        not_empty(rankings.len(), divisor, "no ranking has two completions of different rank")?;
        let mut out = GroupLoss { loss: 0.0, d_policy: vec![], rewards: vec![], accuracy: 0.0 };
        let (mut right, mut count) = (0.0, 0.0);
        for (row, ranking) in rankings.iter().enumerate() {
            has_tokens(row, &ranking.completions)?;
            let (expected, found) = (ranking.completions.len(), ranking.ranks.len());
            if expected != found {
                return Err(Error::Length { row, what: "ranks (one per completion)", expected, found });
            }
            let (loss, d_policy, rewards) = self.member.ranking(&self.settings, ranking)?;
            for (better, worse) in crate::reward::untied_pairs(&ranking.ranks) {
                right += correct(rewards[better] - rewards[worse]);
                count += 1.0;
            }
            out.loss += loss / divisor;
            out.d_policy.push(d_policy.into_iter().map(|slope| slope / divisor).collect());
            out.rewards.push(rewards);
        }
        out.accuracy = right / count;
        Ok(out)
    }

    /// Mean loss of a batch of unpaired answers, given the reference point z₀ of
    /// [`kto::reference_point`].
    pub fn unpaired(&self, answers: &[Unpaired], z0: f64) -> Result<GroupLoss, Error> {
        self.unpaired_over(answers, z0, answers.len() as f64)
    }

    /// Loss of a part of a batch that has `divisor` answers as a whole.
    pub fn unpaired_over(&self, answers: &[Unpaired], z0: f64, divisor: f64) -> Result<GroupLoss, Error> {
        not_empty(answers.len(), divisor, "no answers")?;
        let (mut loss, mut right) = (0.0, 0.0);
        let (mut d_policy, mut rewards) = (Vec::new(), Vec::new());
        for (row, answer) in answers.iter().enumerate() {
            has_tokens(row, &[answer.completion])?;
            let (own, slope, reward) = self.member.unpaired(&self.settings, answer, z0)?;
            loss += own / divisor;
            d_policy.push(slope / divisor);
            rewards.push(reward);
            right += correct(if answer.desirable { reward } else { -reward });
        }
        let accuracy = right / answers.len() as f64;
        Ok(GroupLoss { loss, d_policy: vec![d_policy], rewards: vec![rewards], accuracy })
    }
}

fn not_empty(rows: usize, divisor: f64, what: &'static str) -> Result<(), Error> {
    if rows == 0 || divisor <= 0.0 { Err(Error::Empty { what }) } else { Ok(()) }
}

fn has_tokens(row: usize, completions: &[Completion]) -> Result<(), Error> {
    let empty = completions.iter().any(|completion| completion.tokens == 0);
    if empty { Err(Error::NoTokens { row }) } else { Ok(()) }
}

/// The implicit reward β·(log π − log π_ref) of a completion, a score like any other; with
/// `length_normalised`, per token.
pub fn implicit_reward(completion: &Completion, beta: f64, length_normalised: bool) -> f64 {
    let tokens = if length_normalised { completion.tokens as f64 } else { 1.0 };
    beta * (completion.policy - completion.reference) / tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::sigmoid;
    use proptest::prelude::*;

    /// `dpo_plain_torch` of `tests/conformance/refs.json`: summed log-probabilities of
    /// `preferences-dpo.jsonl`, completions of 3 and 2 tokens, and 3 and 4.
    fn conformance() -> [Pair; 2] {
        let completion = |policy, reference, tokens| Completion { policy, reference, tokens };
        [
            Pair {
                chosen: completion(-12.274076461791992, -12.350431442260742, 3),
                rejected: completion(-8.228034973144531, -8.364736557006836, 2),
            },
            Pair {
                chosen: completion(-12.539117813110352, -12.245757102966309, 3),
                rejected: completion(-16.594676971435547, -16.948148727416992, 4),
            },
        ]
    }

    #[test]
    fn losses_agree_with_pytorch_and_trl() {
        // refs.json: dpo_sigmoid, dpo_plain_torch.cdpo_ls0.3, dpo_hinge, dpo_robust_ls0.1, dpo_ipo.
        let cases = [
            ("sigmoid", Options::new(), 0.7110903859138489),
            ("sigmoid", Options::new().with("label_smoothing", 0.3), 0.7004826664924622),
            ("hinge", Options::new(), 1.0353589057922363),
            ("robust", Options::new().with("label_smoothing", 0.1), 0.7155102491378784),
            ("ipo", Options::new().with("length_normalised", true), 26.163516998291016),
        ];
        for (name, options, expected) in cases {
            let found = by_name(name, &options).unwrap().loss(&conformance()).unwrap().loss;
            assert!((found - expected).abs() < 2e-6 * expected, "{name}: {found} vs {expected}");
        }
    }

    #[test]
    fn diagnostics_are_the_implicit_rewards() {
        let out = by_name("sigmoid", &Options::new()).unwrap().loss(&conformance()).unwrap();
        // Arithmetic on the fixture: Δ_0 = .0763550 − .1367016 = −.0603466, Δ_1 = −.2933607 −
        // .3534718 = −.6468325; margins β·Δ; both negative, so nothing is right.
        assert!((out.pairs[0].margin + 0.00603466).abs() < 1e-7);
        assert!((out.margin + 0.1 * (0.0603466 + 0.6468325) / 2.0).abs() < 1e-7);
        assert_eq!(out.accuracy, 0.0);
        assert!((out.pairs[1].weight - sigmoid(0.06468325)).abs() < 1e-7);
        // d by log π(chosen) = −β·weight / number of pairs.
        assert!((out.pairs[1].d_chosen + 0.1 * out.pairs[1].weight / 2.0).abs() < 1e-15);
        assert_eq!(out.pairs[1].d_rejected, -out.pairs[1].d_chosen);
        let rewards = conformance().map(|pair| implicit_reward(&pair.chosen, 0.1, false));
        assert!((out.reward_chosen - (rewards[0] + rewards[1]) / 2.0).abs() < 1e-15);
    }

    #[test]
    fn options_that_a_loss_does_not_use_are_refused_by_name() {
        let refused = [
            ("hinge", "label_smoothing"),
            ("ipo", "label_smoothing"),
            ("simpo", "length_normalised"),
            ("orpo", "label_smoothing"),
            ("sigmoid", "gamma"),
            ("kto", "label_smoothing"),
        ];
        for (name, option) in refused {
            let found = by_name(name, &Options::new().with(option, 0.2)).err();
            assert!(
                matches!(&found, Some(Error::UnusedOption { option: o, .. }) if o == option),
                "{name}, {option}: {found:?}"
            );
        }
        let found = by_name("sigmoid", &Options::new().with("label_smoothing", 0.5)).err();
        assert!(matches!(found, Some(Error::BadOption { option: "label_smoothing", .. })));
        assert!(by_name("sigmoid", &Options::new().with("beta", f64::NAN)).is_err());
        assert!(by_name("sigmoid", &Options::new().with("beta", f64::INFINITY)).is_err());
        assert!(by_name("sigmoid", &Options::new().with("beta", true)).is_err());
    }

    #[test]
    fn shapes_and_empty_input_are_refused() {
        let sigmoid = by_name("sigmoid", &Options::new()).unwrap();
        let kto = by_name("kto", &Options::new()).unwrap();
        let listwise = by_name("plackett_luce", &Options::new()).unwrap();
        let pairs = conformance();
        let answers = [Unpaired { completion: pairs[0].chosen, desirable: true }];
        let ranking = Ranking { completions: vec![pairs[0].chosen; 2], ranks: vec![1, 2] };
        assert!(matches!(kto.loss(&pairs), Err(Error::WrongShape { name: "kto", found: "pairs", .. })));
        assert!(matches!(sigmoid.unpaired(&answers, 0.0), Err(Error::WrongShape { .. })));
        assert!(matches!(sigmoid.rankings(std::slice::from_ref(&ranking)), Err(Error::WrongShape { .. })));
        assert!(matches!(listwise.unpaired(&answers, 0.0), Err(Error::WrongShape { .. })));
        assert!(matches!(sigmoid.loss(&[]), Err(Error::Empty { .. })));
        let tied = Ranking { ranks: vec![3, 3], ..ranking.clone() };
        assert!(matches!(listwise.rankings(&[tied]), Err(Error::Empty { .. })));
        let short = Ranking { ranks: vec![3], ..ranking };
        assert!(matches!(listwise.rankings_over(&[short], 1.0), Err(Error::Length { .. })));
        let mut empty = pairs;
        empty[1].rejected.tokens = 0;
        assert!(matches!(sigmoid.loss(&empty), Err(Error::NoTokens { row: 1 })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn parts_of_a_batch_add_up_to_the_whole(shift in -2.0f64..2.0, index in 0usize..7) {
            let mut pairs = conformance();
            pairs[0].chosen.policy += shift;
            let loss = Loss { member: ALL[index], settings: Settings::resolve(ALL[index].about(), &Options::new()).unwrap() };
            let whole = loss.loss(&pairs).unwrap();
            let left = loss.loss_over(&pairs[..1], 2.0).unwrap();
            let right = loss.loss_over(&pairs[1..], 2.0).unwrap();
            prop_assert!((left.loss + right.loss - whole.loss).abs() < 1e-12);
            prop_assert_eq!([left.pairs, right.pairs].concat(), whole.pairs);
        }

        #[test]
        fn only_losses_with_a_reference_depend_on_it(shift in 0.5f64..2.0, index in 0usize..7) {
            let member = ALL[index];
            let settings = Settings::resolve(member.about(), &Options::new()).unwrap();
            let pair = conformance()[1];
            let mut moved = pair;
            moved.rejected.reference -= shift;
            let same = member.pair(&settings, &pair).unwrap() == member.pair(&settings, &moved).unwrap();
            prop_assert_eq!(same, !member.uses_reference());
        }
    }
}
