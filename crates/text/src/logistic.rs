//! Logistic regression on sparse, named features: yes or no, with a probability.
//!
//! A feature is there or not; an example's are scaled to unit length, so that a long text says no more than a short one.
//! The weights minimise the mean cross-entropy + penalty/2 · |w|² (Nesterov's gradient method, a fixed number of steps
//! from 0): convex, so the same examples in any order give the same classifier up to rounding.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

/// Steps of the descent: with unit-length examples the loss is ½-smooth, and so many steps are well past its minimum's
/// third digit.
const STEPS: usize = 300;

/// A trained classifier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logistic {
    /// Added whatever the features.
    pub bias: f64,
    /// A weight a feature.
    pub weights: BTreeMap<String, f64>,
}

/// How it is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogisticOptions {
    /// Features of fewer examples are left out.
    pub examples_min: usize,
    /// Weight of |w|².
    pub penalty: f64,
}

impl Logistic {
    /// Learns from examples: their features, each once, and whether the answer is yes.
    pub fn train(examples: &[(Vec<String>, bool)], options: LogisticOptions) -> Logistic {
        let names = frequent(examples, options.examples_min);
        let numbers: HashMap<&str, usize> = names.iter().enumerate().map(|(i, name)| (*name, i)).collect();
        let rows: Vec<(Vec<usize>, bool)> = examples
            .iter()
            .map(|(features, yes)| (features.iter().filter_map(|name| numbers.get(&name[..]).copied()).collect(), *yes))
            .collect();
        let weights = descend(&rows, names.len(), options.penalty);
        let bias = weights[names.len()];
        Logistic { bias, weights: names.iter().map(|name| (*name).to_owned()).zip(weights).collect() }
    }

    /// The probability of yes. Features that it doesn't know count nothing.
    pub fn probability(&self, features: &[String]) -> f64 {
        let known: Vec<f64> = features.iter().filter_map(|name| self.weights.get(name).copied()).collect();
        sigmoid(self.bias + known.iter().sum::<f64>() * scale(known.len()))
    }
}

/// The features of at least so many examples, in alphabetical order.
fn frequent(examples: &[(Vec<String>, bool)], examples_min: usize) -> Vec<&str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in examples.iter().flat_map(|(features, _)| features) {
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().filter(|(_, n)| *n >= examples_min).map(|(name, _)| name).collect()
}

/// The weights, and the bias behind them.
fn descend(rows: &[(Vec<usize>, bool)], n_features: usize, penalty: f64) -> Vec<f64> {
    // |x|² ≤ 2 with the bias, and the logistic function's slope is at most ¼.
    let rate = 1.0 / (0.5 + penalty);
    let mut weights = vec![0.0; n_features + 1];
    let mut ahead = weights.clone();
    for step in 0..STEPS {
        let slope = slope(rows, &ahead, penalty);
        let momentum = step as f64 / (step as f64 + 3.0);
        for ((weight, ahead), slope) in weights.iter_mut().zip(&mut ahead).zip(slope) {
            let next = *ahead - rate * slope;
            *ahead = next + momentum * (next - *weight);
            *weight = next;
        }
    }
    weights
}

fn slope(rows: &[(Vec<usize>, bool)], weights: &[f64], penalty: f64) -> Vec<f64> {
    let n_features = weights.len() - 1;
    let mut slope: Vec<f64> = weights.iter().map(|weight| penalty * weight).collect();
    slope[n_features] = 0.0; // the bias is free
    for (features, yes) in rows {
        let scale = scale(features.len());
        let logit = weights[n_features] + features.iter().map(|&i| weights[i]).sum::<f64>() * scale;
        let error = (sigmoid(logit) - f64::from(u8::from(*yes))) / rows.len() as f64;
        features.iter().for_each(|&i| slope[i] += error * scale);
        slope[n_features] += error;
    }
    slope
}

fn scale(n_features: usize) -> f64 {
    1.0 / (n_features.max(1) as f64).sqrt()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: LogisticOptions = LogisticOptions { examples_min: 1, penalty: 1e-3 };

    fn example(features: &str, yes: bool) -> (Vec<String>, bool) {
        (features.split_whitespace().map(str::to_owned).collect(), yes)
    }

    #[test]
    fn without_features_it_says_how_often_yes_is_right() {
        let examples = [example("", true), example("", false), example("", true), example("", true)];
        assert!((Logistic::train(&examples, OPTIONS).probability(&[]) - 0.75).abs() < 1e-6);
    }

    #[test]
    fn the_minimum_is_where_the_slope_is_zero() {
        // One feature x, three of four yes with it, one of four without: penalty·w = mean of (yes − p)·x.
        let examples: Vec<_> = (0..8).map(|i| example(if i < 4 { "x" } else { "" }, i < 3 || i == 4)).collect();
        let found = Logistic::train(&examples, OPTIONS);
        let (w, with, without) = (found.weights["x"], found.probability(&["x".into()]), found.probability(&[]));
        let residual = (3.0 - 4.0 * with) / 8.0;
        assert!((OPTIONS.penalty * w - residual).abs() < 1e-4, "{w} {with} {without}");
        assert!(((3.0 - 4.0 * with) + (1.0 - 4.0 * without)).abs() < 1e-3);
        assert!(with > 0.7 && without < 0.3);
    }

    #[test]
    fn rare_features_are_left_out_and_order_does_not_matter() {
        let mut examples = vec![example("a b", true), example("a c", false), example("a", true)];
        let options = LogisticOptions { examples_min: 2, ..OPTIONS };
        let first = Logistic::train(&examples, options);
        assert_eq!(first.weights.keys().collect::<Vec<_>>(), ["a"]);
        examples.reverse();
        let second = Logistic::train(&examples, options);
        assert!((first.bias - second.bias).abs() < 1e-9);
    }
}
