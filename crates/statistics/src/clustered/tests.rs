//! That sums say what the ratings themselves say, recomputed from the clusters drawn.

use super::*;
use crate::agreement::{cohen_kappa, fleiss_kappa};
use crate::bootstrap::quantile;
use crate::krippendorff::alpha_of_units;
use crate::testing::uniform;

/// Who gave a thing which rating.
type Rated = Vec<(u8, f64)>;

/// Clusters of zero to three things, rated by some of five labelers on a scale of few values, so
/// that there are gaps, ties, things without a second rating and values that few resamples have.
fn clusters(uniform: &mut dyn FnMut() -> f64, n: usize, values: &[f64]) -> Vec<Vec<Rated>> {
    let mut below = |n: usize| (uniform() * n as f64) as usize;
    let mut thing = |_| -> Rated {
        let truth = below(values.len());
        let labelers: Vec<u8> = (0..5).filter(|_| below(10) < 7).collect();
        labelers
            .into_iter()
            .map(|labeler| (labeler, values[if below(3) > 0 { truth } else { below(values.len()) }]))
            .collect()
    };
    (0..n).map(|i| (0..i % 4).map(&mut thing).collect()).collect()
}

fn draw(uniform: &mut dyn FnMut() -> f64, n: usize) -> Vec<usize> {
    (0..n).map(|_| (uniform() * n as f64) as usize).collect()
}

#[track_caller]
fn same(found: f64, plain: f64, what: &str) {
    let equal = (found - plain).abs() <= 1e-12 || (found.is_nan() && plain.is_nan());
    assert!(equal, "{what}: {found} vs {plain}");
}

/// The mean of Cohen's κ, of the ratings themselves.
fn plain_kappa(things: &[&Rated], weights: Weights) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for one in 0..5 {
        for other in one + 1..5 {
            let by = |thing: &Rated, who: u8| thing.iter().find(|(labeler, _)| *labeler == who).map(|rated| rated.1);
            let both = things.iter().filter_map(|thing| Some((by(thing, one)?, by(thing, other)?)));
            let (a, b): (Vec<f64>, Vec<f64>) = both.unzip();
            if let Ok(kappa) = cohen_kappa(&a, &b, weights) {
                sum += kappa * a.len() as f64;
                n += a.len() as f64;
            }
        }
    }
    sum / n
}

/// Fleiss' κ of the things that have the most frequent number of ratings.
fn plain_fleiss(things: &[Vec<f64>]) -> f64 {
    let with = |size: usize| things.iter().filter(move |thing| thing.len() == size);
    let size = (2..=5).max_by_key(|&size| with(size).count()).unwrap();
    let by_place: Vec<Vec<f64>> = (0..size).map(|i| with(size).map(|thing| thing[i]).collect()).collect();
    fleiss_kappa(&by_place).unwrap_or(f64::NAN)
}

#[test]
fn sums_say_what_the_ratings_of_the_clusters_drawn_say() {
    let mut uniform = uniform(7);
    for values in [&[0.0, 1.0][..], &[1.0, 2.0, 4.0, 7.0], &[-1.0, 0.0, 1.0]] {
        for n in [3, 9, 30] {
            let clusters = clusters(&mut uniform, n, values);
            let only = |things: &Vec<Rated>| -> Vec<Vec<f64>> {
                things.iter().map(|thing| thing.iter().map(|rated| rated.1).collect()).collect()
            };
            let ratings: Vec<Vec<Vec<f64>>> = clusters.iter().map(only).collect();
            let coincidences = Coincidences::new(&ratings).unwrap();
            let contingencies = Contingencies::new(&clusters).unwrap();
            let assignments = Assignments::new(&ratings).unwrap();
            for _ in 0..40 {
                let drawn = draw(&mut uniform, n);
                let things: Vec<&Rated> = drawn.iter().flat_map(|&i| &clusters[i]).collect();
                let ratings: Vec<Vec<f64>> = drawn.iter().flat_map(|&i| ratings[i].iter().cloned()).collect();
                for scale in [Scale::Nominal, Scale::Ordinal, Scale::Interval, Scale::Ratio] {
                    let plain = alpha_of_units(ratings.iter().map(Vec::as_slice), scale).unwrap_or(f64::NAN);
                    same(coincidences.alpha(&drawn, scale).unwrap_or(f64::NAN), plain, &format!("{scale:?} α"));
                }
                for weights in [Weights::Unweighted, Weights::Linear, Weights::Quadratic] {
                    let plain = plain_kappa(&things, weights);
                    same(contingencies.mean_kappa(&drawn, weights), plain, &format!("{weights:?} κ"));
                }
                same(assignments.fleiss(&drawn), plain_fleiss(&ratings), "Fleiss' κ");
            }
        }
    }
}

#[test]
fn quantiles_of_the_clusters_drawn() {
    let mut uniform = uniform(11);
    let clusters: Vec<Vec<f64>> = (0..12).map(|i| (0..i % 5).map(|_| (uniform() * 6.0).floor()).collect()).collect();
    let sorted = Sorted::new(&clusters);
    for _ in 0..60 {
        let drawn = draw(&mut uniform, clusters.len());
        let mut plain: Vec<f64> = drawn.iter().flat_map(|&i| clusters[i].iter().copied()).collect();
        plain.sort_by(f64::total_cmp);
        for p in [0.0, 0.025, 0.5, 1.0] {
            same(sorted.quantile(&drawn, p), quantile(&plain, p), "the quantile");
        }
    }
    assert!(sorted.quantile(&[0], 0.5).is_nan() && sorted.quantile(&[], 0.5).is_nan());
}

#[test]
fn what_is_no_number_is_refused() {
    let ratings = vec![vec![vec![1.0, f64::NAN]]];
    assert!(matches!(Coincidences::new(&ratings), Err(Error::OutOfRange { .. })));
    assert!(matches!(Assignments::new(&ratings), Err(Error::OutOfRange { .. })));
    let rated = vec![vec![vec![(1, f64::INFINITY), (2, 1.0)]]];
    assert!(matches!(Contingencies::new(&rated), Err(Error::OutOfRange { .. })));
    let nothing = Coincidences::new(&[vec![vec![1.0]], vec![]]).unwrap();
    assert!(matches!(nothing.alpha(&[0, 1], Scale::Nominal), Err(Error::TooFew { .. })));
}
