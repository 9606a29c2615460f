//! Percentile intervals by resampling whole clusters.
//!
//! Answers to one prompt are not independent, so it is prompts (or labelers, or seeds) that are
//! drawn with replacement: Efron & Tibshirani 1993, §8; Cameron, Gelbach & Miller 2008.

use crate::error::{all_finite, at_least, is_level, same_length};
use crate::{Error, Interval, Uniform, below};
use std::collections::BTreeMap;

/// How many resamples an interval usually takes.
pub const RESAMPLES: usize = 10_000;

/// The interval of any statistic over `clusters` clusters: `statistic` is called with the indices
/// of the clusters drawn (first with each once, for the estimate).
///
/// Percentile method: the ends are the quantiles of the resampled statistic. Resamples on which
/// the statistic isn't finite are left out; if that is more than one in ten, the interval is
/// refused.
pub fn clusters(
    clusters: usize,
    resamples: usize,
    level: f64,
    uniform: &mut Uniform<'_>,
    mut statistic: impl FnMut(&[usize]) -> f64,
) -> Result<Interval, Error> {
    is_level(level)?;
    at_least("clusters for a bootstrap", 2, clusters)?;
    at_least("resamples", 100, resamples)?;
    let mut drawn: Vec<usize> = (0..clusters).collect();
    let estimate = statistic(&drawn);
    let mut found = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        drawn.iter_mut().for_each(|index| *index = below(uniform, clusters));
        let value = statistic(&drawn);
        if value.is_finite() {
            found.push(value);
        }
    }
    if !estimate.is_finite() || found.len() * 10 < resamples * 9 {
        let why = "the statistic isn't finite on the sample, or on many of its resamples";
        return Err(Error::Undefined { what: "the bootstrap interval", why });
    }
    found.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    let (low, high) = (quantile(&found, tail), quantile(&found, 1.0 - tail));
    Ok(Interval { estimate, low, high, level, n: clusters })
}

/// The mean of `values`, whose clusters are named by `cluster_of` (any numbers): the interval is
/// over clusters, the estimate over values.
pub fn mean<K: Ord>(
    values: &[f64],
    cluster_of: &[K],
    resamples: usize,
    level: f64,
    uniform: &mut Uniform<'_>,
) -> Result<Interval, Error> {
    same_length("cluster names (one per value)", values.len(), cluster_of.len())?;
    all_finite("a value", values)?;
    // Sums once per cluster: a resample then costs as many additions as there are clusters.
    let mut sums = BTreeMap::<&K, (f64, f64)>::new();
    for (value, cluster) in values.iter().zip(cluster_of) {
        let (sum, count) = sums.entry(cluster).or_default();
        *sum += value;
        *count += 1.0;
    }
    let sums: Vec<(f64, f64)> = sums.into_values().collect();
    clusters(sums.len(), resamples, level, uniform, |drawn| {
        let add = |(sum, count): (f64, f64), &i: &usize| (sum + sums[i].0, count + sums[i].1);
        let (sum, count) = drawn.iter().fold((0.0, 0.0), add);
        sum / count
    })
}

/// The mean difference a − b of paired observations, the interval over clusters.
pub fn paired_difference<K: Ord>(
    a: &[f64],
    b: &[f64],
    cluster_of: &[K],
    resamples: usize,
    level: f64,
    uniform: &mut Uniform<'_>,
) -> Result<Interval, Error> {
    same_length("second observations (one per first)", a.len(), b.len())?;
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    mean(&differences, cluster_of, resamples, level, uniform)
}

/// The p-quantile of sorted values, interpolated linearly (Hyndman & Fan 1996, type 7). NaN for
/// none.
pub fn quantile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = p.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    sorted[low] + (position - low as f64) * (sorted[high] - sorted[low])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, uniform};

    #[test]
    fn the_same_seed_gives_the_same_interval_and_another_does_not() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17)).collect();
        let prompts: Vec<usize> = (0..40).map(|i| i / 3).collect();
        let run = |seed| mean(&values, &prompts, 1000, 0.95, &mut uniform(seed)).unwrap();
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert_eq!(run(1).n, 14);
    }

    #[test]
    fn independent_values_get_about_the_normal_interval() {
        let mut draw = uniform(3);
        let values: Vec<f64> = (0..400).map(|_| draw()).collect();
        let own: Vec<usize> = (0..400).collect();
        let found = mean(&values, &own, 4000, 0.95, &mut draw).unwrap();
        let normal = 1.96 * crate::mean::standard_error(&values);
        close(found.half_width() / normal, 1.0, 0.06);
    }

    /// Four equal answers to each prompt carry no more information than one: the interval over
    /// prompts must be about twice as wide as one that takes them for independent.
    #[test]
    fn repeated_answers_do_not_narrow_the_interval() {
        let mut draw = uniform(4);
        let per_prompt: Vec<f64> = (0..200).map(|_| draw()).collect();
        let values: Vec<f64> = (0..800).map(|i| per_prompt[i / 4]).collect();
        let prompts: Vec<usize> = (0..800).map(|i| i / 4).collect();
        let answers: Vec<usize> = (0..800).collect();
        let right = mean(&values, &prompts, 3000, 0.95, &mut draw).unwrap();
        let wrong = mean(&values, &answers, 3000, 0.95, &mut draw).unwrap();
        close(right.half_width() / wrong.half_width(), 2.0, 0.15);
    }

    #[test]
    fn a_paired_difference_is_narrower_than_its_parts() {
        let mut draw = uniform(5);
        let a: Vec<f64> = (0..200).map(|_| 10.0 * draw()).collect();
        let b: Vec<f64> = a.iter().map(|a| a - 0.3 + 0.2 * draw()).collect();
        let own: Vec<usize> = (0..200).collect();
        let found = paired_difference(&a, &b, &own, 2000, 0.95, &mut draw).unwrap();
        close(found.estimate, 0.2, 0.02);
        assert!(found.half_width() < 0.02 && found.low > 0.0);
    }

    #[test]
    fn what_has_no_interval_is_refused() {
        let mut draw = uniform(6);
        assert!(matches!(mean(&[1.0, 2.0], &[7, 7], 500, 0.95, &mut draw), Err(Error::TooFew { .. })));
        assert!(matches!(mean(&[1.0], &[7, 7], 500, 0.95, &mut draw), Err(Error::Length { .. })));
        let nan = clusters(5, 500, 0.95, &mut draw, |_| f64::NAN);
        assert!(matches!(nan, Err(Error::Undefined { .. })));
    }

    #[test]
    fn quantiles_interpolate() {
        // Type 7 at p = .3 of four values: position .9.
        close(quantile(&[1.0, 2.0, 4.0, 8.0], 0.3), 1.9, 1e-15);
        assert_eq!(quantile(&[5.0], 0.975), 5.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
