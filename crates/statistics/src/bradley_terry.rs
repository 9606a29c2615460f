//! Bradley–Terry: strengths of competitors from who beat whom.

use crate::error::at_least;
use crate::likelihood::{Curvature, check_connected, maximise};
use crate::{Error, special};

/// One comparison of two competitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// The first competitor, counted from 0.
    pub first: usize,
    /// The second.
    pub second: usize,
    /// Who won.
    pub outcome: Outcome,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The first won.
    First,
    /// The second won.
    Second,
    /// Neither.
    Tie,
}

/// What becomes of ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ties {
    /// They are left out.
    #[default]
    Drop,
    /// Each is half a win for both.
    Half,
    /// They have a probability of their own: P(tie) ∝ ν·e^{(θ_i + θ_j)/2} (Davidson 1970).
    Davidson,
}

/// Fitted strengths.
#[derive(Debug, Clone, PartialEq)]
pub struct Strengths {
    /// θ of each competitor, mean 0: P(i beats j) = σ(θ_i − θ_j).
    pub theta: Vec<f64>,
    /// The standard error of each θ, from the observed information.
    pub standard_errors: Vec<f64>,
    /// The log-likelihood at θ, in nats.
    pub log_likelihood: f64,
    /// Davidson's ν, where ties are modelled: the higher, the more ties between equals.
    pub tie_parameter: Option<f64>,
}

/// Maximum-likelihood strengths of `n` competitors. Bradley & Terry 1952; ties as [`Ties`] says.
///
/// A `ridge` > 0 adds −½·ridge·Σθ²: a prior that keeps strengths finite where no chain of wins
/// connects competitors; with 0 such data is refused.
pub fn fit(n: usize, comparisons: &[Comparison], ties: Ties, ridge: f64) -> Result<Strengths, Error> {
    if !(ridge.is_finite() && ridge >= 0.0) {
        return Err(Error::OutOfRange { what: "the ridge", found: ridge, expected: "a finite number ≥ 0" });
    }
    at_least("competitors", 2, n)?;
    let tally = Tally::new(n, comparisons, ties)?;
    if ridge == 0.0 {
        check_connected(&tally.beats())?;
    }
    // Without a tie Davidson's ν is 0 and the model is the plain one.
    let modelled = ties == Ties::Davidson && tally.ties.iter().flatten().any(|&count| count > 0.0);
    let fit = maximise("Bradley–Terry", n, usize::from(modelled), ridge, |at| {
        if modelled { tally.davidson(at) } else { tally.plain(at) }
    })?;
    let mut theta = fit.parameters;
    let tie_parameter = match ties {
        Ties::Davidson => Some(if modelled { theta[n].exp() } else { 0.0 }),
        _ => None,
    };
    theta.truncate(n);
    let mut standard_errors = fit.standard_errors;
    standard_errors.truncate(n);
    Ok(Strengths { theta, standard_errors, log_likelihood: fit.log_likelihood, tie_parameter })
}

/// Strengths on Elo's scale: 400/ln 10 points per unit, around `center`.
pub fn as_elo(theta: f64, center: f64) -> f64 {
    center + 400.0 / std::f64::consts::LN_10 * theta
}

impl Strengths {
    /// The interval of a strength at a level, by its standard error.
    pub fn interval(&self, competitor: usize, level: f64) -> (f64, f64) {
        let half = special::normal_quantile(0.5 + level / 2.0) * self.standard_errors[competitor];
        (self.theta[competitor] - half, self.theta[competitor] + half)
    }
}

/// Wins and ties per pair of competitors.
struct Tally {
    wins: Vec<Vec<f64>>,
    ties: Vec<Vec<f64>>,
}

impl Tally {
    fn new(n: usize, comparisons: &[Comparison], ties: Ties) -> Result<Tally, Error> {
        let mut tally = Tally { wins: vec![vec![0.0; n]; n], ties: vec![vec![0.0; n]; n] };
        for (row, &Comparison { first, second, outcome }) in comparisons.iter().enumerate() {
            if let Some(found) = [first, second].into_iter().find(|&competitor| competitor >= n) {
                return Err(Error::NoSuchCompetitor { row, found, count: n });
            }
            match (outcome, ties) {
                // Against itself a competitor tells nothing.
                _ if first == second => {}
                (Outcome::First, _) => tally.wins[first][second] += 1.0,
                (Outcome::Second, _) => tally.wins[second][first] += 1.0,
                (Outcome::Tie, Ties::Drop) => {}
                (Outcome::Tie, Ties::Half) => {
                    tally.wins[first][second] += 0.5;
                    tally.wins[second][first] += 0.5;
                }
                (Outcome::Tie, Ties::Davidson) => tally.ties[first.min(second)][first.max(second)] += 1.0,
            }
        }
        Ok(tally)
    }

    fn beats(&self) -> Vec<Vec<bool>> {
        let n = self.wins.len();
        let tied = |i: usize, j: usize| self.ties[i.min(j)][i.max(j)] > 0.0;
        (0..n).map(|i| (0..n).map(|j| self.wins[i][j] > 0.0 || tied(i, j)).collect()).collect()
    }

    fn plain(&self, theta: &[f64]) -> Curvature {
        let n = theta.len();
        let mut at = Curvature::new(n);
        for i in 0..n {
            for j in 0..i {
                let (won, lost) = (self.wins[i][j], self.wins[j][i]);
                let d = theta[i] - theta[j];
                let p = 1.0 / (1.0 + (-d).exp());
                at.value -= won * softplus(-d) + lost * softplus(d);
                let slope = won - (won + lost) * p;
                let curve = (won + lost) * p * (1.0 - p);
                at.gradient[i] += slope;
                at.gradient[j] -= slope;
                at.information[i][i] += curve;
                at.information[j][j] += curve;
                at.information[i][j] -= curve;
                at.information[j][i] -= curve;
            }
        }
        at
    }

    /// Three outcomes with log-weights θ_i, θ_j and log ν + (θ_i + θ_j)/2: a log-linear model, whose
    /// information is the covariance of the outcomes' features.
    fn davidson(&self, parameters: &[f64]) -> Curvature {
        let n = parameters.len() - 1;
        let mut at = Curvature::new(n + 1);
        for i in 0..n {
            for j in 0..i {
                let counts = [self.wins[i][j], self.wins[j][i], self.ties[j][i]];
                let total: f64 = counts.iter().sum();
                if total == 0.0 {
                    continue;
                }
                // Outcome → its features on (θ_i, θ_j, log ν).
                let features = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 1.0]];
                let index = [i, j, n];
                let weight = features.map(|f| (0..3).map(|k| f[k] * parameters[index[k]]).sum::<f64>());
                let highest = weight.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let log_sum = highest + weight.iter().map(|w| (w - highest).exp()).sum::<f64>().ln();
                let p = weight.map(|w| (w - log_sum).exp());
                at.value += (0..3).map(|o| counts[o] * (weight[o] - log_sum)).sum::<f64>();
                let mean = |k: usize| (0..3).map(|o| p[o] * features[o][k]).sum::<f64>();
                for k in 0..3 {
                    at.gradient[index[k]] += (0..3).map(|o| counts[o] * features[o][k]).sum::<f64>() - total * mean(k);
                    for l in 0..3 {
                        let second: f64 = (0..3).map(|o| p[o] * features[o][k] * features[o][l]).sum();
                        at.information[index[k]][index[l]] += total * (second - mean(k) * mean(l));
                    }
                }
            }
        }
        at
    }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, uniform};

    fn games(first: usize, second: usize, won: usize, lost: usize, tied: usize) -> Vec<Comparison> {
        let some = |outcome, count| vec![Comparison { first, second, outcome }; count];
        [some(Outcome::First, won), some(Outcome::Second, lost), some(Outcome::Tie, tied)].concat()
    }

    #[test]
    fn two_competitors_worked_by_hand() {
        // 7 : 2, ties dropped: θ_0 − θ_1 = ln 3.5; information of the difference n·p·(1 − p), so
        // se(θ_0) = ½/√(9·(7/9)(2/9)).
        let found = fit(2, &games(0, 1, 7, 2, 4), Ties::Drop, 0.0).unwrap();
        close(found.theta[0] - found.theta[1], 3.5f64.ln(), 1e-12);
        close(found.theta[0] + found.theta[1], 0.0, 1e-12);
        close(found.standard_errors[0], 0.5 / (14.0f64 / 9.0).sqrt(), 1e-9);
        close(found.log_likelihood, 7.0 * (7.0f64 / 9.0).ln() + 2.0 * (2.0f64 / 9.0).ln(), 1e-12);
        // Ties as halves: 9 : 4.
        let found = fit(2, &games(0, 1, 7, 2, 4), Ties::Half, 0.0).unwrap();
        close(found.theta[0] - found.theta[1], 2.25f64.ln(), 1e-12);
        // Davidson: shares are met exactly, so θ_0 − θ_1 = ln(7/2) and ν = 4/√(7·2).
        let found = fit(2, &games(0, 1, 7, 2, 4), Ties::Davidson, 0.0).unwrap();
        close(found.theta[0] - found.theta[1], 3.5f64.ln(), 1e-9);
        close(found.tie_parameter.unwrap(), 4.0 / 14.0f64.sqrt(), 1e-9);
        let (low, high) = found.interval(0, 0.95);
        assert!(low < found.theta[0] && found.theta[0] < high);
    }

    #[test]
    fn davidson_without_ties_is_the_plain_model() {
        let data = [games(0, 1, 5, 3, 0), games(1, 2, 4, 6, 0), games(2, 0, 2, 3, 0)].concat();
        let plain = fit(3, &data, Ties::Drop, 0.0).unwrap();
        let davidson = fit(3, &data, Ties::Davidson, 0.0).unwrap();
        assert_eq!((davidson.theta, davidson.tie_parameter), (plain.theta, Some(0.0)));
    }

    #[test]
    fn strengths_are_found_again_from_simulated_games() {
        let truth = [1.2, 0.3, -0.4, -1.1];
        let mut draw = uniform(1);
        let mut data = Vec::new();
        for _ in 0..6000 {
            let (first, second) = (crate::below(&mut draw, 4), crate::below(&mut draw, 4));
            let tie = (0.5f64 * (truth[first] + truth[second])).exp() * 0.8;
            let (a, b) = (truth[first].exp(), truth[second].exp());
            let at = draw() * (a + b + tie);
            let outcome = if at < a {
                Outcome::First
            } else if at < a + b {
                Outcome::Second
            } else {
                Outcome::Tie
            };
            data.push(Comparison { first, second, outcome });
        }
        let found = fit(4, &data, Ties::Davidson, 0.0).unwrap();
        for (i, truth) in truth.iter().enumerate() {
            assert!((found.theta[i] - truth).abs() < 4.0 * found.standard_errors[i], "{found:?}");
        }
        close(found.tie_parameter.unwrap(), 0.8, 0.1);
    }

    #[test]
    fn data_without_a_maximum_is_refused_and_a_ridge_gives_one() {
        let unbeaten = games(0, 1, 3, 0, 0);
        let found = fit(2, &unbeaten, Ties::Drop, 0.0);
        assert_eq!(found, Err(Error::NotConnected { from: 1, to: 0 }));
        let ridged = fit(2, &unbeaten, Ties::Drop, 0.1).unwrap();
        // Gradient 0: 3·σ(−d) = .1·d/2, d = θ_0 − θ_1.
        let d = ridged.theta[0] - ridged.theta[1];
        close(3.0 / (1.0 + d.exp()), 0.05 * d, 1e-8);
        // A tie connects under Davidson, but not when dropped.
        let tied = games(0, 1, 3, 0, 2);
        assert!(fit(2, &tied, Ties::Half, 0.0).is_ok());
        assert!(fit(2, &tied, Ties::Drop, 0.0).is_err());
        let apart = [games(0, 1, 1, 1, 0), games(2, 3, 1, 1, 0)].concat();
        assert_eq!(fit(4, &apart, Ties::Drop, 0.0), Err(Error::NotConnected { from: 0, to: 2 }));
        let outside = fit(2, &games(0, 5, 1, 1, 0), Ties::Drop, 0.0);
        assert_eq!(outside, Err(Error::NoSuchCompetitor { row: 0, found: 5, count: 2 }));
    }

    #[test]
    fn elo_scale() {
        // 10 : 1 odds are 400 points.
        close(as_elo(10.0f64.ln(), 1000.0), 1400.0, 1e-9);
    }
}
