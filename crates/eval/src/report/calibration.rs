//! How right a reward model is, and how far its probabilities can be trusted: `accuracy.json` of its run.

use super::block::Section;
use super::material::TrainingRun;
use crate::estimate::LEVEL;
use chart::{Axis, Figure, Look, Point, Series};
use serde::{Deserialize, Serialize};
use statistics::wilson;
use std::collections::BTreeMap;

/// What `helpmate rm` measured of the model it made; its page in docs/stages says what each number is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RewardAccuracy {
    /// Whether the rows were held out.
    pub held_out: bool,
    /// Prompts.
    pub prompts: usize,
    /// Untied pairs.
    pub pairs: usize,
    /// Share of pairs whose better completion scores higher.
    pub accuracy: Share,
    /// Share whose better completion is the longer one.
    pub length_baseline: Share,
    /// Accuracy by how far apart the scores are.
    #[serde(default)]
    pub by_score_difference: Vec<Part>,
    /// Accuracy by characters of the better less those of the worse.
    #[serde(default)]
    pub by_length_difference: Vec<Part>,
    /// Accuracy by labeler group.
    #[serde(default)]
    pub by_group: BTreeMap<String, Share>,
    /// How far σ(score difference) can be trusted.
    #[serde(default)]
    pub calibration: Option<Reliability>,
}

/// A share with its interval by bootstrap over prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The share.
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

/// Pairs between two values of what they were sorted by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
    /// Pairs.
    pub pairs: usize,
    /// Share ordered right.
    pub accuracy: f64,
}

/// Calibration in bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Mean squared error of the probabilities.
    pub brier: f64,
    /// Expected calibration error.
    pub expected_error: f64,
    /// Lower edge, upper edge, pairs, mean probability, share that came true.
    pub bins: Vec<(f64, f64, usize, f64, f64)>,
}

impl std::fmt::Display for Share {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let n = format!("n = {} pairs of {} prompts", self.pairs, self.prompts);
        match (self.estimate, self.low, self.high) {
            (Some(value), Some(low), Some(high)) => write!(out, "{value:.3} [{low:.3}, {high:.3}] ({n})"),
            (Some(value), ..) => write!(out, "{value:.3} ({n}: no interval)"),
            _ => write!(out, "can't say ({n})"),
        }
    }
}

/// The section.
pub(super) fn section(runs: &[TrainingRun]) -> Section {
    let mut section = Section::new("The reward model");
    let models: Vec<(&TrainingRun, &RewardAccuracy)> =
        runs.iter().filter_map(|run| Some((run, run.accuracy.as_ref()?))).collect();
    if models.is_empty() {
        section.text(
            "n = 0: no run of `helpmate rm` was given. Give its folder too: `helpmate eval report EVALUATION runs/rm`.",
        );
        return section;
    }
    section.figures([reliability(&models)]);
    for (run, found) in &models {
        section.heading(run.name.clone());
        if !found.held_out {
            section.text("Measured on the rows that it was trained on: this says how well they were learnt, no more.");
        }
        let mut rows = vec![
            vec!["pairs ordered as ranked".to_owned(), found.accuracy.to_string()],
            vec!["the longer one, without any model".to_owned(), found.length_baseline.to_string()],
        ];
        let group = |(name, share): (&String, &Share)| vec![format!("labelers of {name}"), share.to_string()];
        rows.extend(found.by_group.iter().map(group));
        if let Some(Reliability { brier, expected_error, .. }) = &found.calibration {
            let n = found.pairs;
            rows.push(vec![
                "expected calibration error".into(),
                format!("{expected_error:.3} (n = {n} pairs; no interval: the run keeps bins, not pairs)"),
            ]);
            rows.push(vec!["Brier score".into(), format!("{brier:.3} (n = {n} pairs; no interval: as above)")]);
        }
        section.table(&["measure", "value"], rows);
        let parts = [
            ("scores apart by", &found.by_score_difference),
            ("better longer by, characters", &found.by_length_difference),
        ];
        for (name, parts) in parts {
            let row =
                |part: &Part| vec![format!("{:.2} to {:.2}", part.low, part.high), of_pairs(part.accuracy, part.pairs)];
            section.table(&[name, "ordered as ranked"], parts.iter().map(row).collect());
        }
        if found.calibration.is_none() {
            section
                .text("Calibration: n = 0, the run keeps none (its rows were no pairs, or an older version made it).");
        }
    }
    section.note(
        "A pair is two answers to one prompt that a labeler ranked differently. Calibration: σ(difference of scores) as \
         the probability that the first of a pair is preferred, each pair once in an order that was drawn, in bins of \
         equal width. Intervals of whole shares are by bootstrap over prompts; those of bins and quarters are Wilson's and \
         take pairs for independent, so they are too narrow.",
    );
    section
}

/// A share of pairs with Wilson's interval.
fn of_pairs(share: f64, pairs: usize) -> String {
    let right = (share * pairs as f64).round() as u64;
    match wilson::proportion(right, pairs as u64, LEVEL) {
        Ok(found) => format!("{share:.3} [{:.3}, {:.3}] (n = {pairs})", found.low, found.high),
        Err(_) => "n = 0".to_owned(),
    }
}

fn reliability(models: &[(&TrainingRun, &RewardAccuracy)]) -> String {
    let mut series = vec![Series::new("as stated", Look::Faint, chart::GREY, [(0.0, 0.0), (1.0, 1.0)])];
    for (idx, (run, found)) in models.iter().enumerate() {
        let point = |&(_, _, n, predicted, observed): &(f64, f64, usize, f64, f64)| {
            let found = wilson::proportion((observed * n as f64).round() as u64, n as u64, LEVEL).ok();
            Point { x: predicted, y: observed, interval: found.map(|found| (found.low, found.high)) }
        };
        let bins = found.calibration.iter().flat_map(|found| &found.bins);
        series.push(Series::new(run.name.clone(), Look::MarkedLine, idx % chart::GREY, bins.map(point)));
    }
    if series.iter().skip(1).all(|series| series.points.is_empty()) {
        return String::new();
    }
    let (x, y) = (Axis::new("stated probability that the first is preferred"), Axis::new("share that came true"));
    Figure { title: "Calibration of the reward model".into(), x, y, series }.to_html()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn every_share_has_its_interval_or_says_why_not() {
        let mut run = fixture::run("rm", "rm", &[]);
        assert!(section(&[run.clone()]).markdown().contains("n = 0: no run of `helpmate rm`"));
        let share = |value: f64| serde_json::json!({"estimate": value, "low": value - 0.1, "high": value + 0.1, "pairs": 40, "prompts": 9});
        let accuracy = serde_json::json!({
            "held_out": true, "prompts": 9, "pairs": 40, "accuracy": share(0.7), "length_baseline": share(0.5),
            "by_score_difference": [{"low": 0.0, "high": 0.5, "pairs": 10, "accuracy": 0.7}],
            "by_group": {"pilot": {"estimate": 0.75, "low": null, "high": null, "pairs": 4, "prompts": 1}},
            "calibration": {"brier": 0.21, "expected_error": 0.04, "bins": [[0.4, 0.5, 10, 0.45, 0.5], [0.5, 0.6, 30, 0.55, 0.6]]},
            "reward_mean": 0.1
        });
        run.accuracy = Some(serde_json::from_value(accuracy).unwrap());
        let section = section(&[run]);
        let text = section.markdown();
        assert!(
            text.contains("| pairs ordered as ranked | 0.700 [0.600, 0.800] (n = 40 pairs of 9 prompts) |"),
            "{text}"
        );
        assert!(text.contains("| labelers of pilot | 0.750 (n = 4 pairs of 1 prompts: no interval) |"), "{text}");
        // Wilson's of 7 of 10, as worked in crate::estimate.
        assert!(text.contains("| 0.00 to 0.50 | 0.700 [0.397, 0.892] (n = 10) |"), "{text}");
        assert!(text.contains("| expected calibration error | 0.040 (n = 40 pairs; no interval"), "{text}");
        // Two bins with whiskers, on a diagonal.
        assert_eq!(section.html().matches("class=\"whisker\"").count(), 2);
    }
}
