//! Reward against how far a policy was moved for it: the curves of Gao, Schulman & Hilton 2022 (arXiv 2210.10760, §3.1)
//! in d = √KL from where the policy began:
//!
//! - best of n: R(d) = d·(α − β·d)
//! - reinforcement: R(d) = d·(α − β·ln d)
//!
//! There R is 0 where the policy began. Rewards here begin anywhere, so a constant is fitted too: R(d) = R₀ + ….

use crate::Error;
use crate::error::{all_finite, at_least};

/// How the policy was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The best of n samples was taken.
    BestOfN,
    /// It was reinforced.
    Reinforcement,
}

/// A fitted curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Which curve.
    pub form: Form,
    /// R₀, the reward at d = 0.
    pub offset: f64,
    /// α, how fast reward rises at first.
    pub alpha: f64,
    /// β, how it bends: above 0 the curve turns down.
    pub beta: f64,
    /// The share of the rewards' variance that the curve explains; `None` when they don't vary.
    pub r_squared: Option<f64>,
    /// Points.
    pub n: usize,
}

impl Form {
    /// What β is multiplied by, with its sign.
    fn bend(self, d: f64) -> f64 {
        match self {
            Form::BestOfN => -d * d,
            // The limit of d·ln d at 0 is 0.
            Form::Reinforcement if d > 0.0 => -d * d.ln(),
            Form::Reinforcement => 0.0,
        }
    }
}

/// The curve with the least squared error through `(d, reward)`, d ≥ 0.
pub fn fit(form: Form, points: &[(f64, f64)]) -> Result<Fit, Error> {
    at_least("points of a curve with three parameters", 3, points.len())?;
    let distances: Vec<f64> = points.iter().map(|point| point.0).collect();
    let rewards: Vec<f64> = points.iter().map(|point| point.1).collect();
    all_finite("a distance", &distances)?;
    all_finite("a reward", &rewards)?;
    if let Some(&found) = distances.iter().find(|d| **d < 0.0) {
        return Err(Error::OutOfRange { what: "a distance", found, expected: "a number ≥ 0" });
    }
    let bends = distances.iter().map(|&d| form.bend(d)).collect();
    let columns = [vec![1.0; points.len()], distances, bends];
    let why = "the points stand at fewer than three distances";
    let [offset, alpha, beta] =
        least_squares(columns, &rewards).ok_or(Error::Undefined { what: "the fitted curve", why })?;
    let mut found = Fit { form, offset, alpha, beta, r_squared: None, n: points.len() };
    let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
    let around: f64 = rewards.iter().map(|reward| (reward - mean).powi(2)).sum();
    let left: f64 = points.iter().map(|&(d, reward)| (reward - found.at(d)).powi(2)).sum();
    found.r_squared = (around > 0.0).then(|| 1.0 - left / around);
    Ok(found)
}

impl Fit {
    /// The curve's reward at a distance.
    pub fn at(&self, d: f64) -> f64 {
        self.offset + self.alpha * d + self.beta * self.form.bend(d)
    }

    /// The distance where the curve is highest: α/(2β), or e^{α/β − 1}. `None` when it doesn't turn down behind a rise.
    pub fn peak(&self) -> Option<f64> {
        let peak = match self.form {
            _ if self.beta <= 0.0 => return None,
            Form::BestOfN => self.alpha / (2.0 * self.beta),
            Form::Reinforcement => (self.alpha / self.beta - 1.0).exp(),
        };
        (peak > 0.0 && peak.is_finite()).then_some(peak)
    }
}

/// The coefficients of three columns by Gram–Schmidt, each column orthogonalised twice; `None` when one of them is made
/// of the others.
fn least_squares(columns: [Vec<f64>; 3], values: &[f64]) -> Option<[f64; 3]> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut triangle = [[0.0; 3]; 3];
    for (k, mut column) in columns.into_iter().enumerate() {
        let length = dot(&column, &column).sqrt();
        for _ in 0..2 {
            for (row, unit) in triangle.iter_mut().zip(&basis) {
                let along = dot(unit, &column);
                row[k] += along;
                column.iter_mut().zip(unit).for_each(|(value, unit)| *value -= along * unit);
            }
        }
        let rest = dot(&column, &column).sqrt();
        if rest.is_nan() || rest <= 1e-10 * length {
            return None;
        }
        column.iter_mut().for_each(|value| *value /= rest);
        triangle[k][k] = rest;
        basis.push(column);
    }
    let mut found = [0.0; 3];
    for k in (0..3).rev() {
        let behind: f64 = (k + 1..3).map(|j| triangle[k][j] * found[j]).sum();
        found[k] = (dot(&basis[k], values) - behind) / triangle[k][k];
    }
    Some(found)
}

/// KL of "the best of n" from what is sampled: ln n − (n − 1)/n nats, whatever the reward (Stiennon et al. 2020, app. G).
pub fn best_of_n_kl(n: usize) -> f64 {
    (n as f64).ln() - (n as f64 - 1.0) / n as f64
}

/// Proxy and gold reward of the best of n by proxy, exactly over all draws of n of these samples without replacement;
/// each sample is `(proxy, gold)`. Of equal proxies any is the best. `None` with fewer than n samples, or n = 0.
pub fn best_of_n(samples: &[(f64, f64)], n: usize) -> Option<(f64, f64)> {
    let total = samples.len();
    if n == 0 || n > total {
        return None;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    // The i-th best (from 0) is the best of n when it is drawn and the other n − 1 stand behind it:
    // C(total − 1 − i, n − 1)/C(total, n).
    let mut weight = n as f64 / total as f64;
    let (mut proxy, mut gold) = (0.0, 0.0);
    let mut start = 0;
    while start < total {
        let same = sorted[start..].iter().take_while(|sample| sample.0 == sorted[start].0).count();
        let mut share = 0.0;
        for i in start..start + same {
            share += weight;
            weight *= total.saturating_sub(i + n) as f64 / (total - 1 - i).max(1) as f64;
        }
        let mean = sorted[start..start + same].iter().map(|sample| sample.1).sum::<f64>() / same as f64;
        proxy += share * sorted[start].0;
        gold += share * mean;
        start += same;
    }
    Some((proxy, gold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, uniform};

    #[test]
    fn curves_are_found_again() {
        for form in [Form::BestOfN, Form::Reinforcement] {
            let truth = Fit { form, offset: 0.3, alpha: 0.9, beta: 0.35, r_squared: None, n: 0 };
            let points: Vec<(f64, f64)> = [0.0, 0.4, 1.1, 2.0, 3.7].map(|d| (d, truth.at(d))).to_vec();
            let found = fit(form, &points).unwrap();
            close(found.offset, 0.3, 1e-12);
            close(found.alpha, 0.9, 1e-12);
            close(found.beta, 0.35, 1e-12);
            close(found.r_squared.unwrap(), 1.0, 1e-12);
        }
    }

    #[test]
    fn worked_by_hand() {
        // R = 1 + 2·(.9 − .35·2) = 1.4; R = 1 + 2·(.9 − .35·ln 2) = 2.31479…
        let of = |form| Fit { form, offset: 1.0, alpha: 0.9, beta: 0.35, r_squared: None, n: 0 };
        close(of(Form::BestOfN).at(2.0), 1.4, 1e-12);
        close(of(Form::Reinforcement).at(2.0), 1.0 + 2.0 * (0.9 - 0.35 * std::f64::consts::LN_2), 1e-12);
        // Slopes α − 2βd and α − β·ln d − β are 0 at 9/7 and e^{.9/.35 − 1}.
        close(of(Form::BestOfN).peak().unwrap(), 9.0 / 7.0, 1e-12);
        close(of(Form::Reinforcement).peak().unwrap(), 1.571_428_571_428_571_4f64.exp(), 1e-12);
        // Straight and upward bends have no top, nor has what only falls.
        for (alpha, beta) in [(1.0, 0.0), (1.0, -0.2), (-1.0, 0.5)] {
            assert_eq!(Fit { alpha, beta, ..of(Form::BestOfN) }.peak(), None, "{alpha} {beta}");
        }
    }

    /// A least-squares parabola through four points that lie on none: normal equations by hand.
    #[test]
    fn the_error_is_the_least() {
        // d = 0, 1, 2, 3 and R = 0, 1, 1, 0: R = 1.5·d − .5·d² exactly; moved to 0, 1, 1, .4 the fit is the projection.
        let found = fit(Form::BestOfN, &[(0.0, 0.0), (1.0, 1.0), (2.0, 1.0), (3.0, 0.4)]).unwrap();
        // Residuals of a quadratic over four even steps are along (−1, 3, −3, 1)/√20: the change .4 leaves .02·(−1, 3, −3, 1).
        let residual = |d: f64, reward: f64| reward - found.at(d);
        close(residual(0.0, 0.0), -0.02, 1e-12);
        close(residual(1.0, 1.0), 0.06, 1e-12);
        close(residual(3.0, 0.4), 0.02, 1e-12);
        // Σ residual² = .008; the mean is .6, Σ (R − .6)² = .36 + .16 + .16 + .04 = .72.
        close(found.r_squared.unwrap(), 1.0 - 0.008 / 0.72, 1e-12);
    }

    #[test]
    fn what_has_no_curve_is_refused() {
        assert!(matches!(fit(Form::BestOfN, &[(0.0, 1.0), (1.0, 2.0)]), Err(Error::TooFew { .. })));
        let twice = [(0.5, 1.0), (0.5, 2.0), (1.5, 2.0), (1.5, 0.0)];
        assert!(matches!(fit(Form::BestOfN, &twice), Err(Error::Undefined { .. })));
        assert!(matches!(fit(Form::BestOfN, &[(-0.1, 1.0), (1.0, 2.0), (2.0, 2.0)]), Err(Error::OutOfRange { .. })));
        assert!(matches!(
            fit(Form::BestOfN, &[(0.1, f64::NAN), (1.0, 2.0), (2.0, 2.0)]),
            Err(Error::OutOfRange { .. })
        ));
        assert_eq!(fit(Form::BestOfN, &[(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)]).unwrap().r_squared, None);
    }

    #[test]
    fn the_best_of_two_of_three_by_hand() {
        // Pairs of (5, .1), (3, .9), (1, .4): the best is the first in two of three, the second in one.
        let samples = [(3.0, 0.9), (1.0, 0.4), (5.0, 0.1)];
        let (proxy, gold) = best_of_n(&samples, 2).unwrap();
        close(proxy, (2.0 * 5.0 + 3.0) / 3.0, 1e-15);
        close(gold, (2.0 * 0.1 + 0.9) / 3.0, 1e-15);
        // Of one: the mean. Of all: the best. Of more than there are: nothing.
        close(best_of_n(&samples, 1).unwrap().1, 1.4 / 3.0, 1e-15);
        assert_eq!(best_of_n(&samples, 3), Some((5.0, 0.1)));
        assert_eq!((best_of_n(&samples, 4), best_of_n(&samples, 0), best_of_n(&[], 1)), (None, None, None));
        // Of equals any: pairs of (2, 0), (2, 1), (0, .3) have a 2 on top each time, one as often as the other.
        let (proxy, gold) = best_of_n(&[(2.0, 0.0), (0.0, 0.3), (2.0, 1.0)], 2).unwrap();
        close(proxy, 2.0, 1e-15);
        close(gold, 0.5, 1e-15);
        close(best_of_n_kl(1), 0.0, 1e-15);
        close(best_of_n_kl(4), 4f64.ln() - 0.75, 1e-15);
    }

    /// Against drawing: 20,000 draws of 5 of 12.
    #[test]
    fn exact_and_drawn_agree() {
        let mut draw = uniform(11);
        let samples: Vec<(f64, f64)> = (0..12).map(|_| (draw(), draw())).collect();
        let (mut proxy, mut gold) = (0.0, 0.0);
        for _ in 0..20_000 {
            let mut left = samples.clone();
            let chosen = (0..5).map(|_| left.swap_remove(crate::below(&mut draw, left.len())));
            let best = chosen.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            proxy += best.0 / 20_000.0;
            gold += best.1 / 20_000.0;
        }
        let exact = best_of_n(&samples, 5).unwrap();
        // Standard errors are about .29/√20000 = .002.
        close(exact.0, proxy, 0.01);
        close(exact.1, gold, 0.01);
    }
}
