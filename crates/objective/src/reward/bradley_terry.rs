//! K-wise Bradley–Terry: every pair of a prompt's completions that a person did not tie.

use super::{PromptScores, PromptTerm, RewardLoss, centering, untied_pairs};
use crate::numeric::{sigmoid, softplus};
use crate::options::{Kind, NOT_NEGATIVE};
use crate::{About, Evaluation, Example, Family, Objective, OptionSpec, Settings, Value, Worked};

/// Per prompt the mean over its ordered untied pairs (w better, l worse) of
/// softplus(−(r_w − r_l − m)) + c·(r_w + r_l)², then the mean over prompts.
///
/// Ouyang et al. 2022 (InstructGPT, arXiv 2203.02155), eq. 1; the margin m is Touvron et al. 2023
/// (Llama 2, arXiv 2307.09288), eq. 2. O(K²) per prompt.
pub struct BradleyTerry;

static ABOUT: About = About {
    name: "bradley_terry",
    family: Family::Reward,
    summary: "K-wise Bradley–Terry over every pair that was not tied",
    formula: "mean_prompts mean_{rank w < rank l} [ softplus(−(r_w − r_l − m)) + c·(r_w + r_l)² ]",
    source: "InstructGPT (arXiv 2203.02155) eq. 1; margin: Llama 2 (arXiv 2307.09288) eq. 2; centering: arXiv 2312.09244 eq. 2",
    convention: "ties carry no gradient and, by default, don't count in the divisor; prompts without an untied pair don't count; margins and weights come with the prompts, and a weight multiplies its prompt's loss without changing the divisor",
    options: &[
        OptionSpec {
            name: "reduction",
            kind: Kind::Word(&["per_prompt", "pooled"]),
            default: Value::word("per_prompt"),
            other: Value::word("pooled"),
            help: "mean per prompt, then over prompts; or one mean over all pairs of the batch",
        },
        OptionSpec {
            name: "pairs_divisor",
            kind: Kind::Word(&["kept", "all"]),
            default: Value::word("kept"),
            other: Value::word("all"),
            help: "divide by the untied pairs, or by all K(K−1)/2 pairs of a prompt",
        },
        OptionSpec {
            name: "center_coefficient",
            kind: NOT_NEGATIVE,
            default: Value::Number(0.0),
            other: Value::Number(0.01),
            help: "c, the pull of each pair's scores towards a sum of 0",
        },
    ],
};

/// The pairs that a prompt's loss is divided by.
fn pairs_divisor(settings: &Settings, ranks: &[u32]) -> f64 {
    let kept = untied_pairs(ranks).count();
    match settings.word("pairs_divisor") {
        "all" if kept > 0 => (ranks.len() * (ranks.len() - 1) / 2) as f64,
        _ => kept as f64,
    }
}

impl RewardLoss for BradleyTerry {
    fn divisor(&self, settings: &Settings, ranks: &[u32]) -> f64 {
        let pairs = pairs_divisor(settings, ranks);
        match settings.word("reduction") {
            "pooled" => pairs,
            _ => f64::from(pairs > 0.0),
        }
    }

    fn prompt(&self, settings: &Settings, prompt: &PromptScores) -> PromptTerm {
        let coefficient = settings.number("center_coefficient");
        let mut term = PromptTerm { loss: 0.0, d_scores: vec![0.0; prompt.scores.len()] };
        for (better, worse) in prompt.untied_pairs() {
            let (r_better, r_worse) = (prompt.scores[better], prompt.scores[worse]);
            let difference = r_better - r_worse - prompt.margin;
            let (center, d_center) = centering::term(coefficient, r_better, r_worse);
            let push = sigmoid(-difference);
            term.loss += softplus(-difference) + center;
            term.d_scores[better] += d_center - push;
            term.d_scores[worse] += d_center + push;
        }
        let pairs = pairs_divisor(settings, &prompt.ranks);
        if pairs > 0.0 && settings.word("reduction") == "per_prompt" {
            term.loss /= pairs;
            term.d_scores.iter_mut().for_each(|slope| *slope /= pairs);
        }
        term
    }
}

impl Objective for BradleyTerry {
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
            Worked {
                options: &[
                    ("reduction", Value::word("pooled")),
                    ("pairs_divisor", Value::word("all")),
                    ("center_coefficient", Value::Number(0.01)),
                ],
                trained: TRAINED,
                loss: POOLED_ALL_CENTERED,
            },
        ];
        WORKED
    }
    fn probe(&self, settings: &Settings, trained: &[f64]) -> Evaluation {
        super::probe(self, settings, trained)
    }
}

const BY_DEFAULT: f64 = 0.3773861942816615;
const POOLED_ALL_CENTERED: f64 = 0.4106218753549495;

#[cfg(test)]
mod tests {
    use crate::reward::{PromptScores, by_name, kwise};
    use crate::{Options, Value};

    /// `tiny-reward`'s scores (f32) of `preferences-rm.jsonl`, and PyTorch's losses on them:
    /// `rm_bt.scores_before` (chosen, chosen, rejected, rejected) and `rm_plain_torch` of
    /// `tests/conformance/refs.json`.
    fn pairs(margins: [f64; 2]) -> Vec<PromptScores> {
        let scores = [[0.12277230620384216, 0.12079241871833801], [0.1448642611503601, 0.11207631230354309]];
        let prompt =
            |row: usize| PromptScores { margin: margins[row], ..PromptScores::new(scores[row].to_vec(), vec![1, 2]) };
        vec![prompt(0), prompt(1)]
    }

    #[test]
    fn plain_margin_and_centered_agree_with_pytorch() {
        let plain = kwise(&pairs([0.0, 0.0])).unwrap().loss;
        assert!((plain - 0.6845226287841797).abs() < 1e-6, "{plain}");
        let margin = kwise(&pairs([0.5, 0.0])).unwrap().loss;
        assert!((margin - 0.8248662948608398).abs() < 1e-6, "{margin}");
        let centered = by_name("bradley_terry", &Options::new().with("center_coefficient", 0.01))
            .unwrap()
            .loss(&pairs([0.0, 0.0]))
            .unwrap()
            .loss;
        assert!((centered - 0.6851493120193481).abs() < 1e-6, "{centered}");
    }

    #[test]
    fn all_pairs_as_divisor_scales_by_the_share_that_is_untied() {
        let prompt = PromptScores::new(vec![0.2, 1.1, -0.5], vec![1, 1, 2]);
        let kept = kwise(std::slice::from_ref(&prompt)).unwrap();
        let options = Options::new().with("pairs_divisor", Value::word("all"));
        let all = by_name("bradley_terry", &options).unwrap().loss(&[prompt]).unwrap();
        // Two of three pairs are untied.
        assert!((all.loss - kept.loss * 2.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn a_weight_scales_its_prompt_and_only_that() {
        let mut prompts = pairs([0.0, 0.0]);
        let before = kwise(&prompts).unwrap();
        prompts[0].weight = 0.5;
        let after = kwise(&prompts).unwrap();
        assert!((after.d_scores[0][0] - 0.5 * before.d_scores[0][0]).abs() < 1e-15);
        assert_eq!(after.d_scores[1], before.d_scores[1]);
    }
}
