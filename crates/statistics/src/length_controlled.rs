//! A win rate with length held equal (Dubois et al., arXiv 2404.04475, the model without instruction difficulties).
//!
//! P(win) = σ(θ + φ·tanh(Δ/s)), Δ the difference in length and s its standard deviation; the rate is σ(θ): what it would
//! be if both answers were as long. θ and φ maximise the likelihood less a small ridge, which keeps them finite where one
//! side wins everything; AlpacaEval's program penalises by L1 and regularises towards known gamers instead.

use crate::error::{all_finite, at_least, same_length};
use crate::{Error, mean};

/// Weight of θ² + φ² for each comparison.
const RIDGE: f64 = 1e-3;
const STEPS: usize = 50;

/// A fitted model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LengthControlled {
    /// σ(θ): the win rate at equal lengths.
    pub win_rate: f64,
    /// θ.
    pub strength: f64,
    /// φ: above 0 where the longer answer tends to win.
    pub length: f64,
}

/// Fits it to outcomes (1 a win, ½ a tie, 0 a loss, or a mean of such) and differences in length (of the one that wins
/// less the other), any unit.
pub fn fit(outcomes: &[f64], length_differences: &[f64]) -> Result<LengthControlled, Error> {
    same_length("length differences (one per outcome)", outcomes.len(), length_differences.len())?;
    at_least("comparisons for a length-controlled win rate", 2, outcomes.len())?;
    all_finite("a length difference", length_differences)?;
    if let Some(&found) = outcomes.iter().find(|outcome| !(0.0..=1.0).contains(*outcome)) {
        return Err(Error::OutOfRange { what: "an outcome", found, expected: "a number from 0 to 1" });
    }
    let deviation = mean::sample_variance(length_differences).sqrt();
    let scaled = |difference: &f64| if deviation > 0.0 { (difference / deviation).tanh() } else { 0.0 };
    let x: Vec<f64> = length_differences.iter().map(scaled).collect();
    let n = outcomes.len() as f64;
    let (mut theta, mut phi) = (0.0, 0.0);
    for _ in 0..STEPS {
        // Slope and curvature of the mean log-likelihood less the ridge; it is concave, so Newton's steps reach its top.
        let (mut slope, mut curve) = ([-RIDGE * theta, -RIDGE * phi], [RIDGE, 0.0, RIDGE]);
        for (x, outcome) in x.iter().zip(outcomes) {
            let p = sigmoid(theta + phi * x);
            let (error, weight) = ((outcome - p) / n, p * (1.0 - p) / n);
            slope[0] += error;
            slope[1] += error * x;
            curve[0] += weight;
            curve[1] += weight * x;
            curve[2] += weight * x * x;
        }
        let determinant = curve[0] * curve[2] - curve[1] * curve[1];
        theta += ((curve[2] * slope[0] - curve[1] * slope[1]) / determinant).clamp(-2.0, 2.0);
        phi += ((curve[0] * slope[1] - curve[1] * slope[0]) / determinant).clamp(-2.0, 2.0);
    }
    Ok(LengthControlled { win_rate: sigmoid(theta), strength: theta, length: phi })
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::close;

    #[test]
    fn without_a_length_effect_it_is_the_win_rate() {
        // Wins and losses stand equally often at +2 and −2.
        let found = fit(&[1.0, 1.0, 0.5, 1.0, 1.0, 0.5], &[2.0, 2.0, 2.0, -2.0, -2.0, -2.0]).unwrap();
        // 5 of 6 and a ridge of .001: σ(θ) = 5/6 − .001·θ with θ = 1.6.
        close(found.win_rate, 5.0 / 6.0 - 0.001 * found.strength, 1e-9);
        close(found.length, 0.0, 1e-9);
    }

    #[test]
    fn what_length_alone_explains_is_worth_nothing() {
        // The longer answer always wins, and ours is the longer one in four of five comparisons.
        let differences = [50.0, 50.0, 50.0, 50.0, -50.0];
        let found = fit(&[1.0, 1.0, 1.0, 1.0, 0.0], &differences).unwrap();
        assert!(found.length > 3.0, "{found:?}");
        assert!((found.win_rate - 0.5).abs() < 0.2, "the plain rate is 0.8: {found:?}");
        // And the other way round: the mirror image has the mirror's rate.
        let mirrored = fit(&[0.0, 0.0, 0.0, 0.0, 1.0], &differences.map(|d: f64| -d)).unwrap();
        close(mirrored.win_rate, 1.0 - found.win_rate, 1e-9);
    }

    #[test]
    fn one_side_that_wins_everything_stays_finite() {
        let found = fit(&[1.0; 4], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!(found.win_rate > 0.9 && found.win_rate < 1.0 && found.length.is_finite());
        assert!(fit(&[1.0, 0.0], &[0.0, 0.0]).unwrap().win_rate == 0.5);
        assert!(fit(&[1.0], &[1.0]).is_err() && fit(&[2.0, 0.0], &[1.0, 1.0]).is_err());
    }
}
