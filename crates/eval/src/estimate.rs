//! From items' scores to a number with its interval and n.

use crate::metric::{Better, Metric, Scale};
use serde::{Deserialize, Serialize};
use statistics::{bootstrap, wilson};
use stdx::Seed;

/// The level of every interval.
pub const LEVEL: f64 = 0.95;

/// Resamples of a bootstrap.
pub const RESAMPLES: usize = 1000;

/// A number that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The metric.
    pub metric: String,
    /// Its value; absent when no item says anything about it.
    pub value: Option<f64>,
    /// Its 95 % interval; absent when there are too few items to say.
    pub interval: Option<[f64; 2]>,
    /// Items that it rests on.
    pub n: usize,
    /// How the interval was found.
    pub method: Method,
    /// Which way is good.
    pub better: Better,
    /// What became of the mean.
    pub scale: Scale,
    /// It counts tokens: not comparable between tokenizers.
    pub per_token: bool,
}

/// How an interval was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Wilson's, of a proportion.
    Wilson,
    /// Percentiles of the ratio over items drawn with replacement.
    Bootstrap,
    /// Fewer than two items: there is none.
    TooFew,
}

impl Estimate {
    /// Of `(value, weight)` of each item. Yes and no alone get Wilson's interval, anything else a bootstrap over items.
    pub fn new(metric: &Metric, scores: &[(f64, f64)]) -> Estimate {
        let ratio = ratio(scores.iter().copied());
        let value = ratio.is_finite().then(|| metric.scale.apply(ratio));
        let (interval, method) = match value {
            Some(_) if scores.len() >= 2 => interval(metric, scores),
            _ => (None, Method::TooFew),
        };
        let Metric { name, better, scale, per_token, .. } = *metric;
        Estimate { metric: name.to_owned(), value, interval, n: scores.len(), method, better, scale, per_token }
    }
}

impl Estimate {
    /// Of items that hang together, as answers to one prompt do: the interval is over whole clusters, each a list of
    /// indices into `scores`.
    pub fn clustered(metric: &Metric, scores: &[(f64, f64)], clusters: &[Vec<usize>]) -> Estimate {
        if clusters.len() == scores.len() {
            return Estimate::new(metric, scores);
        }
        Estimate::of_clusters(metric, clusters, |drawn| metric.scale.apply(ratio(drawn.iter().map(|&idx| scores[idx]))))
    }

    /// Of any statistic of items that hang together; `statistic` gets indices of items.
    pub fn of_clusters(metric: &Metric, clusters: &[Vec<usize>], statistic: impl Fn(&[usize]) -> f64) -> Estimate {
        let all: Vec<usize> = clusters.iter().flatten().copied().collect();
        let value = Some(statistic(&all)).filter(|value| value.is_finite() && !all.is_empty());
        let mut stream = Seed(0).stream(metric.name, clusters.len() as u64);
        let found = bootstrap::clusters(clusters.len(), RESAMPLES, LEVEL, &mut || stream.uniform(), |drawn| {
            let items: Vec<usize> = drawn.iter().flat_map(|&cluster| clusters[cluster].iter().copied()).collect();
            statistic(&items)
        });
        let interval = value.and_then(|_| found.ok()).map(|found| [found.low, found.high]);
        let method = if interval.is_some() { Method::Bootstrap } else { Method::TooFew };
        let Metric { name, better, scale, per_token, .. } = *metric;
        Estimate { metric: name.to_owned(), value, interval, n: all.len(), method, better, scale, per_token }
    }
}

/// Indices by name: the items of each cluster, in the order in which the clusters first appear.
pub fn clusters<K: Ord>(names: impl Iterator<Item = K>) -> Vec<Vec<usize>> {
    let mut places = std::collections::BTreeMap::new();
    let mut clusters: Vec<Vec<usize>> = Vec::new();
    for (idx, name) in names.enumerate() {
        let place = *places.entry(name).or_insert_with(|| {
            clusters.push(Vec::new());
            clusters.len() - 1
        });
        clusters[place].push(idx);
    }
    clusters
}

impl std::fmt::Display for Estimate {
    /// `0.553 [0.518, 0.587] (n = 805)`, or what can't be said.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.value, self.interval) {
            (Some(value), Some([low, high])) => write!(out, "{value:.4} [{low:.4}, {high:.4}] (n = {})", self.n),
            (Some(value), None) => write!(out, "{value:.4} (n = {}: no interval)", self.n),
            (None, _) => write!(out, "can't say (n = {})", self.n),
        }
    }
}

/// Σ value / Σ weight.
pub fn ratio(scores: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (value, weight) = scores.fold((0.0, 0.0), |(v, w), (value, weight)| (v + value, w + weight));
    value / weight
}

fn interval(metric: &Metric, scores: &[(f64, f64)]) -> (Option<[f64; 2]>, Method) {
    let is_proportion = metric.scale == Scale::Mean && scores.iter().all(|s| s.1 == 1.0 && (s.0 == 0.0 || s.0 == 1.0));
    if is_proportion {
        let successes = scores.iter().filter(|s| s.0 == 1.0).count() as u64;
        let found = wilson::proportion(successes, scores.len() as u64, LEVEL).ok();
        return (found.map(|i| [i.low, i.high]), Method::Wilson);
    }
    // Named by metric, so that one metric's interval doesn't hang on which others are asked for.
    let mut stream = Seed(0).stream(metric.name, scores.len() as u64);
    let found = bootstrap::clusters(scores.len(), RESAMPLES, LEVEL, &mut || stream.uniform(), |drawn| {
        metric.scale.apply(ratio(drawn.iter().map(|&idx| scores[idx])))
    });
    (found.ok().map(|i| [i.low, i.high]), Method::Bootstrap)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCURACY: Metric = Metric::higher("accuracy", "share right");

    fn check(scores: &[(f64, f64)], expected: &str) {
        assert_eq!(Estimate::new(&ACCURACY, scores).to_string(), expected);
    }

    #[test]
    fn proportions_get_wilsons_interval() {
        // 7 of 10: (p + z²/2n ± z√(p(1 − p)/n + z²/4n²))/(1 + z²/n) with z = 1.959964.
        let scores: Vec<(f64, f64)> = (0..10).map(|i| (f64::from(u8::from(i < 7)), 1.0)).collect();
        check(&scores, "0.7000 [0.3968, 0.8922] (n = 10)");
    }

    #[test]
    fn a_number_never_stands_alone() {
        check(&[], "can't say (n = 0)");
        check(&[(1.0, 1.0)], "1.0000 (n = 1: no interval)");
        check(&[(0.0, 0.0), (0.0, 0.0)], "can't say (n = 2)");
    }

    #[test]
    fn weights_make_a_ratio_of_sums() {
        // (1 + 0 + 3)/(1 + 2 + 5): not the mean of 1, 0 and .6.
        let estimate = Estimate::new(&ACCURACY, &[(1.0, 1.0), (0.0, 2.0), (3.0, 5.0)]);
        assert_eq!(estimate.value, Some(0.5));
        assert_eq!(estimate.method, Method::Bootstrap);
        let [low, high] = estimate.interval.unwrap();
        assert!((0.0..0.5).contains(&low) && high > 0.5 && high <= 1.0, "[{low}, {high}]");
    }

    #[test]
    fn what_hangs_together_is_drawn_together() {
        // Two prompts of four judgements each, all yes and all no: eight items, but only two prompts to draw.
        let scores: Vec<(f64, f64)> = (0..8).map(|i| (f64::from(u8::from(i % 2 == 0)), 1.0)).collect();
        let of_prompts = clusters((0..8).map(|i| i % 2));
        assert_eq!(of_prompts, [vec![0, 2, 4, 6], vec![1, 3, 5, 7]]);
        let estimate = Estimate::clustered(&ACCURACY, &scores, &of_prompts);
        assert_eq!((estimate.value, estimate.interval, estimate.n), (Some(0.5), Some([0.0, 1.0]), 8));
        // Items by themselves have Wilson's interval, those of one prompt none.
        let alone = Estimate::clustered(&ACCURACY, &scores, &clusters(0..8));
        assert_eq!(alone, Estimate::new(&ACCURACY, &scores));
        let one = Estimate::clustered(&ACCURACY, &scores, &clusters((0..8).map(|_| 0)));
        assert_eq!(one.to_string(), "0.5000 (n = 8: no interval)");
    }

    #[test]
    fn a_perplexity_is_the_exponential_of_a_ratio() {
        let perplexity = Metric::lower("perplexity", "").exponential();
        let estimate = Estimate::new(&perplexity, &[(2.0, 1.0), (6.0, 3.0)]);
        assert!((estimate.value.unwrap() - 2f64.exp()).abs() < 1e-12);
        // Both items have the same ratio: every resample gives the same number.
        let [low, high] = estimate.interval.unwrap();
        assert!((low - 2f64.exp()).abs() < 1e-9 && (high - 2f64.exp()).abs() < 1e-9);
    }
}
