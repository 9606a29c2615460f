//! How right a reward model is: accuracy with its interval, beside the baselines that need no model.
use crate::ranked::Ranked;
use crate::tree;
use objective::reward::{PromptScores, correct, win_probability};
use serde::Serialize;
use statistics::{bootstrap, calibration};
use std::collections::BTreeMap;
use stdx::Seed;

/// Draws of an interval's bootstrap.
const RESAMPLES: usize = 2000;
/// Bins of the reliability diagram.
const CALIBRATION_BINS: usize = 10;

/// `accuracy.json` of a reward-model run. All accuracies are over untied pairs; equal scores count ½.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Whether the rows were held out; if not, these numbers say how well the training rows were learnt.
    pub held_out: bool,
    /// Prompts.
    pub prompts: usize,
    /// Untied pairs.
    pub pairs: usize,
    /// The stage's loss on them.
    pub loss: f64,
    /// Share of pairs whose better completion scores higher.
    pub accuracy: Estimate,
    /// Share of pairs whose better completion has more characters.
    pub length_baseline: Estimate,
    /// Share of pairs whose better completion has more tokens.
    pub length_baseline_tokens: Estimate,
    /// Accuracy by how far apart the scores are, in quarters.
    pub by_score_difference: Vec<Bin>,
    /// Accuracy by characters of the better minus characters of the worse, in quarters.
    pub by_length_difference: Vec<Bin>,
    /// Accuracy by the margin that the rows state, in quarters; empty where they state none.
    pub by_margin: Vec<Bin>,
    /// Accuracy by ranks between the two, in quarters; empty without rankings.
    pub by_rank_distance: Vec<Bin>,
    /// Accuracy by labeler group; empty where rows name none.
    pub by_group: BTreeMap<String, Estimate>,
    /// How far σ(score difference) can be trusted as a probability.
    pub calibration: Option<Calibration>,
    /// What is added to every score.
    pub reward_bias: f64,
    /// Mean score of these completions, bias included.
    pub reward_mean: f64,
    /// Their standard deviation (population).
    pub reward_std: f64,
}

/// A share with its 95 % interval by bootstrap over prompts; no interval below two prompts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// The share; absent without pairs.
    pub estimate: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Pairs.
    pub pairs: usize,
    /// Prompts.
    pub prompts: usize,
}

/// Pairs between two values of what they are sorted by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
    /// Pairs.
    pub pairs: usize,
    /// Share ordered right.
    pub accuracy: f64,
}

/// Calibration of win probabilities.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Mean squared error of the probabilities.
    pub brier: f64,
    /// Expected calibration error, 10 bins.
    pub expected_error: f64,
    /// Bins: lower edge, upper edge, pairs, mean probability, share that came true.
    pub bins: Vec<(f64, f64, usize, f64, f64)>,
}

/// A pair of completions.
struct Pair<'a> {
    row: &'a Ranked,
    difference: f64,
    longer: [f64; 2],
    length_difference: f64,
    rank_distance: f64,
}

/// For characters and for tokens, whether the longer completion of each untied pair is the better one: 1, ½ or 0.
pub fn longer_wins(row: &Ranked) -> [Vec<f64>; 2] {
    let tokens: Vec<usize> = row.tree.branches.iter().map(tree::n_targets).collect();
    [&row.characters, &tokens].map(|lengths| {
        row.pairs().map(|(better, worse)| correct(lengths[better] as f64 - lengths[worse] as f64)).collect()
    })
}

/// The report of rows and their scores; what needs chance draws from streams of `seed`.
pub fn of(rows: &[Ranked], scored: &[PromptScores], seed: Seed) -> Report {
    let pairs: Vec<Pair> = rows.iter().zip(scored).flat_map(|(row, scored)| pairs_of(row, &scored.scores)).collect();
    let right = |pair: &Pair| correct(pair.difference);
    let all: Vec<&Pair> = pairs.iter().collect();
    let mut groups: BTreeMap<String, Vec<&Pair>> = BTreeMap::new();
    for pair in &pairs {
        if let Some(group) = &pair.row.group {
            groups.entry(group.clone()).or_default().push(pair);
        }
    }
    Report {
        prompts: rows.len(),
        pairs: pairs.len(),
        accuracy: estimate(&all, right, seed),
        length_baseline: estimate(&all, |pair| pair.longer[0], seed),
        length_baseline_tokens: estimate(&all, |pair| pair.longer[1], seed),
        by_score_difference: quarters(&all, |pair| Some(pair.difference.abs())),
        by_length_difference: quarters(&all, |pair| Some(pair.length_difference)),
        by_margin: quarters(&all, |pair| pair.row.margin),
        by_rank_distance: quarters(&all, |pair| pair.row.is_ranking.then_some(pair.rank_distance)),
        by_group: groups.into_iter().map(|(group, pairs)| (group, estimate(&pairs, right, seed))).collect(),
        calibration: calibrated(&all, seed),
        ..Report::default()
    }
}

fn pairs_of<'a>(row: &'a Ranked, scores: &[f64]) -> Vec<Pair<'a>> {
    let [by_characters, by_tokens] = longer_wins(row);
    let longer = by_characters.into_iter().zip(by_tokens);
    let pair = |((better, worse), (characters, tokens)): ((usize, usize), (f64, f64))| Pair {
        row,
        difference: scores[better] - scores[worse],
        longer: [characters, tokens],
        length_difference: row.characters[better] as f64 - row.characters[worse] as f64,
        rank_distance: f64::from(row.ranks[worse] - row.ranks[better]),
    };
    row.pairs().zip(longer).map(pair).collect()
}

fn estimate(pairs: &[&Pair], of: impl Fn(&Pair) -> f64, seed: Seed) -> Estimate {
    let values: Vec<f64> = pairs.iter().map(|pair| of(pair)).collect();
    let prompts: Vec<&str> = pairs.iter().map(|pair| pair.row.prompt_key.as_str()).collect();
    let n_prompts = prompts.iter().collect::<std::collections::BTreeSet<_>>().len();
    let mut stream = seed.stream("accuracy interval", 0);
    let interval = bootstrap::mean(&values, &prompts, RESAMPLES, 0.95, &mut || stream.uniform()).ok();
    Estimate {
        estimate: (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64),
        low: interval.map(|interval| interval.low),
        high: interval.map(|interval| interval.high),
        pairs: values.len(),
        prompts: n_prompts,
    }
}

/// Pairs sorted by a number and cut into four parts of about equal size; equal numbers stay together.
fn quarters(pairs: &[&Pair], by: impl Fn(&Pair) -> Option<f64>) -> Vec<Bin> {
    let mut sorted: Vec<(f64, f64)> =
        pairs.iter().filter_map(|pair| Some((by(pair)?, correct(pair.difference)))).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut bins = Vec::new();
    let mut start = 0;
    for quarter in 1..=4 {
        let mut end = sorted.len() * quarter / 4;
        while end > start && end < sorted.len() && sorted[end].0 == sorted[end - 1].0 {
            end += 1;
        }
        if end > start {
            let part = &sorted[start..end];
            let accuracy = part.iter().map(|(_, right)| right).sum::<f64>() / part.len() as f64;
            bins.push(Bin { low: part[0].0, high: part[part.len() - 1].0, pairs: part.len(), accuracy });
            start = end;
        }
    }
    bins
}

/// Each pair once, its order drawn: always the better one first would make every outcome true.
fn calibrated(pairs: &[&Pair], seed: Seed) -> Option<Calibration> {
    let mut stream = seed.stream("order of pairs", 0);
    let (mut probabilities, mut happened) = (Vec::new(), Vec::new());
    for pair in pairs {
        let better_first = stream.below(2) == 0;
        let difference = if better_first { pair.difference } else { -pair.difference };
        probabilities.push(win_probability(difference, 0.0));
        happened.push(better_first);
    }
    let found = calibration::calibration(&probabilities, &happened, CALIBRATION_BINS).ok()?;
    let bins = found.bins.iter().map(|bin| (bin.low, bin.high, bin.n, bin.predicted, bin.observed)).collect();
    Some(Calibration { brier: found.brier, expected_error: found.expected_error, bins })
}

#[cfg(test)]
mod tests {
    use super::*;
    use render::{Branch, Tree};

    /// Completions of 5, 9 and 9 characters and 1, 3 and 2 tokens, ranked 1, 2, 2 by a labeler of group "a".
    fn row(key: &str, margin: Option<f64>) -> Ranked {
        let branch = |n: usize| Branch { token_ids: vec![1; n], mask: vec![true; n] };
        Ranked {
            tree: Tree { shared: vec![0], branches: vec![branch(1), branch(3), branch(2)] },
            ranks: vec![1, 2, 2],
            margin,
            weight: 1.0,
            characters: vec![5, 9, 9],
            prompt_key: key.into(),
            is_ranking: true,
            labeler: None,
            group: (key == "p").then(|| "a".into()),
            mismatched: None,
        }
    }

    #[test]
    fn a_worked_report() {
        let rows = [row("p", None), row("q", None)];
        // differences: .5 and 0 of the first prompt (1 and ½), −1 and −2 of the second (0 and 0)
        let scored = [
            PromptScores::new(vec![0.5, 0.0, 0.5], rows[0].ranks.clone()),
            PromptScores::new(vec![0.0, 1.0, 2.0], rows[1].ranks.clone()),
        ];
        let report = of(&rows, &scored, Seed(1));
        assert_eq!((report.prompts, report.pairs), (2, 4));
        assert_eq!(report.accuracy.estimate, Some(1.5 / 4.0));
        // the longer one never wins
        assert_eq!((report.length_baseline.estimate, report.length_baseline_tokens.estimate), (Some(0.0), Some(0.0)));
        assert_eq!(report.by_group["a"].estimate, Some(0.75));
        assert_eq!((report.by_group["a"].prompts, report.by_group["a"].low), (1, None));
        assert_eq!(report.by_rank_distance.len(), 1, "every pair is one rank apart");
        assert!(report.by_margin.is_empty());
        let edges: Vec<(f64, f64)> = report.by_score_difference.iter().map(|bin| (bin.low, bin.accuracy)).collect();
        assert_eq!(edges, [(0.0, 0.5), (0.5, 1.0), (1.0, 0.0), (2.0, 0.0)]);
        let low = report.accuracy.low.expect("two prompts");
        assert!((0.0..=0.375).contains(&low), "{low}");
    }

    #[test]
    fn calibration_is_of_pairs_in_drawn_order() {
        let rows: Vec<Ranked> = (0..200).map(|i| row(&i.to_string(), None)).collect();
        // every pair is ordered right with odds of e² : 1
        let scored: Vec<PromptScores> =
            rows.iter().map(|row| PromptScores::new(vec![2.0, 0.0, 0.0], row.ranks.clone())).collect();
        let found = of(&rows, &scored, Seed(1)).calibration.expect("pairs");
        // p = .8808 or .1192, always true or always false: each misses by .1192
        assert!(
            (found.expected_error - 0.11920292).abs() < 1e-6 && (found.brier - 0.11920292_f64.powi(2)).abs() < 1e-6
        );
        assert_eq!(found.bins.len(), 2, "{:?}", found.bins);
    }
}
