//! How far stated probabilities can be trusted.

use crate::Error;
use crate::error::{at_least, same_length};

/// One bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// The bin's lower edge.
    pub low: f64,
    /// The bin's upper edge.
    pub high: f64,
    /// How many predictions fell into it.
    pub n: usize,
    /// Their mean probability.
    pub predicted: f64,
    /// The share of them that came true.
    pub observed: f64,
}

/// Calibration of probabilities against what happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Mean squared error (p − y)² (Brier 1950).
    pub brier: f64,
    /// Expected calibration error: Σ_bins n/N·|predicted − observed|.
    pub expected_error: f64,
    /// The bins that hold anything, of equal width.
    pub bins: Vec<Bin>,
}

/// Calibration of `probabilities` (0 to 1) of events with these outcomes, in `bins` bins of equal
/// width. A pairwise model predicts σ(r_a − r_b) of "a is preferred": give each pair once, its
/// order drawn, not always the chosen first.
pub fn calibration(probabilities: &[f64], happened: &[bool], bins: usize) -> Result<Calibration, Error> {
    same_length("outcomes (one per probability)", probabilities.len(), happened.len())?;
    at_least("predictions", 1, probabilities.len())?;
    at_least("bins", 1, bins)?;
    if let Some(&found) = probabilities.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(Error::OutOfRange { what: "a probability", found, expected: "a number from 0 to 1" });
    }
    let total = probabilities.len() as f64;
    let mut sums = vec![(0usize, 0.0, 0.0); bins];
    let mut brier = 0.0;
    for (&p, &happened) in probabilities.iter().zip(happened) {
        let outcome = f64::from(happened);
        brier += (p - outcome) * (p - outcome) / total;
        let (n, predicted, observed) = &mut sums[((p * bins as f64) as usize).min(bins - 1)];
        *n += 1;
        *predicted += p;
        *observed += outcome;
    }
    let edge = |index: usize| index as f64 / bins as f64;
    let bin = |(index, &(n, predicted, observed)): (usize, &(usize, f64, f64))| {
        let (low, high, count) = (edge(index), edge(index + 1), n as f64);
        (n > 0).then(|| Bin { low, high, n, predicted: predicted / count, observed: observed / count })
    };
    let bins: Vec<Bin> = sums.iter().enumerate().filter_map(bin).collect();
    let expected_error = bins.iter().map(|bin| bin.n as f64 / total * (bin.predicted - bin.observed).abs()).sum();
    Ok(Calibration { brier, expected_error, bins })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::close;

    #[test]
    fn worked_by_hand() {
        // Lower bin: .2 and .4, one of two true; upper bin: .9, true.
        let found = calibration(&[0.2, 0.9, 0.4], &[false, true, true], 2).unwrap();
        close(found.brier, (0.04 + 0.01 + 0.36) / 3.0, 1e-15);
        close(found.expected_error, (2.0 * 0.2 + 0.1) / 3.0, 1e-15);
        assert_eq!(found.bins.iter().map(|bin| bin.n).collect::<Vec<_>>(), [2, 1]);
        // 1 belongs to the last bin, and empty bins are left out.
        assert_eq!(calibration(&[1.0], &[true], 10).unwrap().bins[0].low, 0.9);
        assert!(calibration(&[1.1], &[true], 10).is_err());
        assert!(calibration(&[], &[], 10).is_err());
    }
}
