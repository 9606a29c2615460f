//! A number with what it rests on.

use crate::estimate::{LEVEL, RESAMPLES};
use serde::Serialize;
use statistics::bootstrap;
use std::fmt;
use stdx::Seed;

/// A number, its 95 % interval where there is one, and n.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The number.
    pub value: f64,
    /// Its interval; absent with fewer than two of what n counts.
    pub interval: Option<[f64; 2]>,
    /// What was drawn with replacement: prompts, iterations, ….
    pub n: usize,
}

impl Measured {
    /// A statistic of `n` clusters, drawn with replacement; `None` where it isn't finite on all of them.
    pub(super) fn of(name: &str, n: usize, mut statistic: impl FnMut(&[usize]) -> f64) -> Option<Measured> {
        let all: Vec<usize> = (0..n).collect();
        let value = statistic(&all);
        if n == 0 || !value.is_finite() {
            return None;
        }
        let mut stream = Seed(0).stream(name, n as u64);
        let found = bootstrap::clusters(n, RESAMPLES, LEVEL, &mut || stream.uniform(), statistic);
        Some(Measured { value, interval: found.ok().map(|found| [found.low, found.high]), n })
    }

    /// Σ value ÷ Σ weight over clusters of `(value, weight)`.
    pub(super) fn ratio(name: &str, clusters: &[(f64, f64)]) -> Option<Measured> {
        Measured::of(name, clusters.len(), |drawn| crate::estimate::ratio(drawn.iter().map(|&idx| clusters[idx])))
    }

    /// With its sign: a difference.
    pub(super) fn signed(&self) -> String {
        match self.interval {
            Some([low, high]) => format!("{:+.3} [{low:+.3}, {high:+.3}] (n = {})", self.value, self.n),
            None => format!("{:+.3} (n = {}: no interval)", self.value, self.n),
        }
    }

    /// The interval's ends, for a figure.
    pub(super) fn ends(&self) -> Option<(f64, f64)> {
        self.interval.map(|[low, high]| (low, high))
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.interval {
            Some([low, high]) => write!(out, "{:.3} [{low:.3}, {high:.3}] (n = {})", self.value, self.n),
            None => write!(out, "{:.3} (n = {}: no interval)", self.value, self.n),
        }
    }
}

/// The number, or that there is none.
pub(super) fn shown(found: Option<&Measured>) -> String {
    found.map_or_else(|| "n = 0".to_owned(), Measured::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_n_and_an_interval_or_says_that_it_has_none() {
        let one = Measured::ratio("x", &[(1.0, 2.0)]).unwrap();
        assert_eq!(
            (one.to_string(), one.signed()),
            ("0.500 (n = 1: no interval)".into(), "+0.500 (n = 1: no interval)".into())
        );
        // Two clusters: resamples are (1 + 1)/(2 + 2), (1 + 3)/(2 + 3) and (3 + 3)/(3 + 3), the ends both extremes.
        let two = Measured::ratio("x", &[(1.0, 2.0), (3.0, 3.0)]).unwrap();
        assert_eq!(two.to_string(), "0.800 [0.500, 1.000] (n = 2)");
        assert_eq!(Measured::ratio("x", &[]), None);
        assert_eq!(Measured::ratio("x", &[(0.0, 0.0)]), None);
        assert_eq!(shown(None), "n = 0");
    }
}
