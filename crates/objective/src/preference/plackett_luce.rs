//! DPO over a whole ranking: Plackett–Luce on implicit rewards.

use super::formula::{BETA, LENGTH_NORMALISED};
use super::{Completion, Pair, PairGrad, PreferenceLoss, Ranking, implicit_reward};
use crate::numeric::sigmoid;
use crate::reward::plackett_luce::negative_log_likelihood;
use crate::{About, Error, Evaluation, Example, Family, Objective, Settings, Value, Worked};

/// Σ_i [ log Σ_{j = i or worse than i} e^{r̂_j} − r̂_i ], r̂ = β(log π − log π_ref).
///
/// Rafailov et al. 2023 (arXiv 2305.18290), appendix A.3. All K answers at once; with K = 2 it is
/// `sigmoid`. Ties as in the reward loss of the same name: they carry no gradient.
pub(super) struct PlackettLuceDpo;

static ABOUT: About = About {
    name: "plackett_luce",
    family: Family::Preference,
    summary: "DPO over whole rankings: Plackett–Luce on implicit rewards",
    formula: "Σ_i [ log Σ_{j = i or rank j > rank i} exp(r̂_j) − r̂_i ], r̂ = β(log π − log π_ref)",
    source: "DPO (arXiv 2305.18290) appendix A.3",
    convention: "ties carry no gradient; pairs are accepted as rankings of two",
    options: &[BETA, LENGTH_NORMALISED],
};

fn evaluate(settings: &Settings, completions: &[Completion], ranks: &[u32]) -> (f64, Vec<f64>, Vec<f64>) {
    let (beta, averaged) = (settings.number("beta"), settings.switch("length_normalised"));
    let rewards: Vec<f64> = completions.iter().map(|one| implicit_reward(one, beta, averaged)).collect();
    let (loss, mut slopes, _) = negative_log_likelihood(&rewards, ranks);
    for (slope, completion) in slopes.iter_mut().zip(completions) {
        *slope *= beta / if averaged { completion.tokens as f64 } else { 1.0 };
    }
    (loss, slopes, rewards)
}

impl PreferenceLoss for PlackettLuceDpo {
    fn takes(&self) -> &'static str {
        "rankings"
    }
    fn uses_reference(&self) -> bool {
        true
    }
    fn ranking(&self, settings: &Settings, ranking: &Ranking) -> Result<(f64, Vec<f64>, Vec<f64>), Error> {
        Ok(evaluate(settings, &ranking.completions, &ranking.ranks))
    }
    fn pair(&self, settings: &Settings, pair: &Pair) -> Result<PairGrad, Error> {
        let (loss, slopes, rewards) = evaluate(settings, &[pair.chosen, pair.rejected], &[1, 2]);
        Ok(PairGrad {
            loss,
            d_chosen: slopes[0],
            d_rejected: slopes[1],
            reward_chosen: rewards[0],
            reward_rejected: rewards[1],
            margin: rewards[0] - rewards[1],
            weight: sigmoid(rewards[1] - rewards[0]),
        })
    }
}

impl Objective for PlackettLuceDpo {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    /// Four answers, the middle two tied.
    fn example(&self) -> Example {
        let start = EXAMPLE.iter().map(|completion| completion.reference).collect();
        Example { start, raises: vec![0], lowers: vec![3] }
    }
    fn worked(&self) -> &'static [Worked] {
        &[
            Worked { options: &[], trained: &[-5.2, -8.8, -6.0, -9.9], loss: BY_DEFAULT },
            Worked {
                options: &[("length_normalised", Value::Switch(true)), ("beta", Value::Number(2.0))],
                trained: &[-5.2, -8.8, -6.0, -9.9],
                loss: AVERAGED,
            },
        ]
    }
    fn probe(&self, settings: &Settings, trained: &[f64]) -> Evaluation {
        let mut completions = EXAMPLE;
        completions.iter_mut().zip(trained).for_each(|(one, &policy)| one.policy = policy);
        let (loss, gradient, _) = evaluate(settings, &completions, &[1, 2, 2, 3]);
        Evaluation { loss, gradient }
    }
}

const EXAMPLE: [Completion; 4] = [
    Completion { policy: 0.0, reference: -7.3, tokens: 4 },
    Completion { policy: 0.0, reference: -9.1, tokens: 7 },
    Completion { policy: 0.0, reference: -6.6, tokens: 3 },
    Completion { policy: 0.0, reference: -8.2, tokens: 5 },
];

const BY_DEFAULT: f64 = 2.400712277959683;
const AVERAGED: f64 = 1.4068735026252428;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::preference::by_name;

    #[test]
    fn on_pairs_it_is_dpo() {
        let chosen = Completion { policy: -3.1, reference: -4.0, tokens: 2 };
        let rejected = Completion { policy: -6.2, reference: -5.5, tokens: 3 };
        let pairs = [Pair { chosen, rejected }];
        for averaged in [false, true] {
            let options = Options::new().with("length_normalised", averaged).with("beta", 0.7);
            let listwise = by_name("plackett_luce", &options).unwrap().loss(&pairs).unwrap();
            let dpo = by_name("sigmoid", &options).unwrap().loss(&pairs).unwrap();
            assert!((listwise.loss - dpo.loss).abs() < 1e-14);
            assert!((listwise.pairs[0].d_rejected - dpo.pairs[0].d_rejected).abs() < 1e-14);
            assert!((listwise.margin - dpo.margin).abs() < 1e-14);
        }
    }

    #[test]
    fn rankings_without_an_untied_pair_do_not_count() {
        let completions = EXAMPLE[..2].to_vec();
        let ranked = Ranking { completions: completions.clone(), ranks: vec![5, 2] };
        let tied = Ranking { completions, ranks: vec![1, 1] };
        let loss = by_name("plackett_luce", &Options::new()).unwrap();
        let alone = loss.rankings(std::slice::from_ref(&ranked)).unwrap();
        let both = loss.rankings(&[ranked, tied]).unwrap();
        assert_eq!(alone.loss, both.loss);
        assert_eq!(both.d_policy[1], [0.0, 0.0]);
    }
}
