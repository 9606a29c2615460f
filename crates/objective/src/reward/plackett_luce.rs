//! Plackett–Luce: the probability of a whole ranking, chosen from the best down.

use super::{PromptScores, PromptTerm, RewardLoss};
use crate::numeric::log_sum_exp;
use crate::options::Kind;
use crate::{About, Evaluation, Example, Family, Objective, OptionSpec, Settings, Value, Worked};

/// −log P(ranking) = Σ_i [ log Σ_{j = i or worse than i} e^{r_j} − r_i ].
///
/// Plackett 1975, Luce 1959; as a loss for language models: Rafailov et al. 2023 (arXiv
/// 2305.18290), appendix A.3. Without ties this is the textbook likelihood. **Ties:** a completion
/// competes with itself and with those ranked strictly worse, never with its equals, so that a tie
/// carries no gradient, as in the pairwise loss; with K = 2 the two losses are the same. O(K²).
pub struct PlackettLuce;

static ABOUT: About = About {
    name: "plackett_luce",
    family: Family::Reward,
    summary: "Plackett–Luce likelihood of the whole ranking",
    formula: "mean_prompts Σ_i [ log Σ_{j = i or rank j > rank i} exp(r_j) − r_i ]",
    source: "Plackett 1975; Luce 1959; DPO (arXiv 2305.18290) appendix A.3",
    convention: "a completion competes with itself and with those ranked strictly worse: a tie carries no gradient; margins are not used",
    options: &[OptionSpec {
        name: "stages",
        kind: Kind::Word(&["sum", "mean"]),
        default: Value::word("sum"),
        other: Value::word("mean"),
        help: "sum over the choices of a ranking (its likelihood), or their mean",
    }],
};

/// Negative log-likelihood of a ranking, its derivative by each score, and the number of choices
/// (completions that have a strictly worse one).
pub fn negative_log_likelihood(scores: &[f64], ranks: &[u32]) -> (f64, Vec<f64>, usize) {
    let (mut loss, mut d_scores, mut choices) = (0.0, vec![0.0; scores.len()], 0);
    for chosen in 0..scores.len() {
        let against = (0..scores.len()).filter(|&j| j == chosen || ranks[j] > ranks[chosen]);
        if against.clone().count() < 2 {
            continue;
        }
        let total = log_sum_exp(against.clone().map(|j| scores[j]));
        loss += total - scores[chosen];
        d_scores[chosen] -= 1.0;
        against.for_each(|j| d_scores[j] += (scores[j] - total).exp());
        choices += 1;
    }
    (loss, d_scores, choices)
}

impl RewardLoss for PlackettLuce {
    fn divisor(&self, _settings: &Settings, ranks: &[u32]) -> f64 {
        f64::from(ranks.iter().any(|&rank| rank != ranks[0]))
    }

    fn prompt(&self, settings: &Settings, prompt: &PromptScores) -> PromptTerm {
        let (mut loss, mut d_scores, choices) = negative_log_likelihood(&prompt.scores, &prompt.ranks);
        if choices > 0 && settings.word("stages") == "mean" {
            loss /= choices as f64;
            d_scores.iter_mut().for_each(|slope| *slope /= choices as f64);
        }
        PromptTerm { loss, d_scores }
    }
}

impl Objective for PlackettLuce {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn example(&self) -> Example {
        super::example()
    }
    fn worked(&self) -> &'static [Worked] {
        const TRAINED: &[f64] = &[0.9, -0.4, 1.3, 0.2, -0.7, 0.6];
        const WORKED: &[Worked] = &[
            Worked { options: &[], trained: TRAINED, loss: BY_DEFAULT },
            Worked { options: &[("stages", Value::word("mean"))], trained: TRAINED, loss: STAGES_MEAN },
        ];
        WORKED
    }
    fn probe(&self, settings: &Settings, trained: &[f64]) -> Evaluation {
        super::probe(self, settings, trained)
    }
}

const BY_DEFAULT: f64 = 1.060568973141352;
const STAGES_MEAN: f64 = 0.43385914232478134;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::reward::{by_name, kwise};

    #[test]
    fn with_two_completions_it_is_bradley_terry() {
        let prompt = [PromptScores::new(vec![0.4, -1.1], vec![2, 1])];
        let listwise = by_name("plackett_luce", &Options::new()).unwrap().loss(&prompt).unwrap();
        let pairwise = kwise(&prompt).unwrap();
        assert!((listwise.loss - pairwise.loss).abs() < 1e-15);
        assert!((listwise.d_scores[0][0] - pairwise.d_scores[0][0]).abs() < 1e-15);
    }

    #[test]
    fn probabilities_of_all_rankings_add_up_to_one() {
        let scores = [0.3, -0.8, 1.4, 0.1];
        let mut total = 0.0;
        let mut orders = 0;
        for code in 0..256u32 {
            let ranks = [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6 & 3];
            if (0..4).all(|rank| ranks.contains(&rank)) {
                total += (-negative_log_likelihood(&scores, &ranks).0).exp();
                orders += 1;
            }
        }
        assert_eq!(orders, 24);
        assert!((total - 1.0).abs() < 1e-12);
    }
}
