//! Plackett–Luce: strengths of competitors from rankings.

use crate::Error;
use crate::bradley_terry::Strengths;
use crate::error::{at_least, same_length};
use crate::likelihood::{Curvature, check_connected, maximise};

/// One ranking of some of the competitors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranking {
    /// The competitors that were ranked, counted from 0, each once.
    pub items: Vec<usize>,
    /// The rank of each: lower is better, equal is a tie.
    pub ranks: Vec<u32>,
}

impl Ranking {
    /// A ranking without ties from its order, best first.
    pub fn best_first(items: Vec<usize>) -> Ranking {
        let ranks = (0..items.len() as u32).collect();
        Ranking { items, ranks }
    }
}

/// Maximum-likelihood strengths of `n` competitors from full or partial rankings.
///
/// ℓ = Σ over rankings Σ_i [θ_i − log Σ_{j = i or worse than i} e^{θ_j}] (Plackett 1975; Luce
/// 1959). Ties: a competitor competes with itself and with those ranked strictly worse, never with
/// its equals. `ridge` as in [`crate::bradley_terry::fit`].
pub fn fit(n: usize, rankings: &[Ranking], ridge: f64) -> Result<Strengths, Error> {
    if !(ridge.is_finite() && ridge >= 0.0) {
        return Err(Error::OutOfRange { what: "the ridge", found: ridge, expected: "a finite number ≥ 0" });
    }
    at_least("competitors", 2, n)?;
    let choices = choices(n, rankings)?;
    if ridge == 0.0 {
        let mut beats = vec![vec![false; n]; n];
        for (chosen, among) in &choices {
            among.iter().filter(|&other| other != chosen).for_each(|&other| beats[*chosen][other] = true);
        }
        check_connected(&beats)?;
    }
    let fit = maximise("Plackett–Luce", n, 0, ridge, |theta| likelihood(theta, &choices))?;
    Ok(Strengths {
        theta: fit.parameters,
        standard_errors: fit.standard_errors,
        log_likelihood: fit.log_likelihood,
        tie_parameter: None,
    })
}

/// Each choice of a ranking: who was chosen, and among whom.
fn choices(n: usize, rankings: &[Ranking]) -> Result<Vec<(usize, Vec<usize>)>, Error> {
    let mut choices = Vec::new();
    for (row, Ranking { items, ranks }) in rankings.iter().enumerate() {
        same_length("ranks (one per ranked competitor)", items.len(), ranks.len())?;
        if let Some(&found) = items.iter().find(|&&item| item >= n) {
            return Err(Error::NoSuchCompetitor { row, found, count: n });
        }
        for i in 0..items.len() {
            let worse = (0..items.len()).filter(|&j| ranks[j] > ranks[i]).map(|j| items[j]);
            let among: Vec<usize> = std::iter::once(items[i]).chain(worse).collect();
            if among.len() > 1 {
                choices.push((items[i], among));
            }
        }
    }
    Ok(choices)
}

fn likelihood(theta: &[f64], choices: &[(usize, Vec<usize>)]) -> Curvature {
    let mut at = Curvature::new(theta.len());
    for (chosen, among) in choices {
        let highest = among.iter().map(|&i| theta[i]).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = among.iter().map(|&i| (theta[i] - highest).exp()).sum();
        let p = |i: usize| (theta[i] - highest).exp() / total;
        at.value += theta[*chosen] - highest - total.ln();
        at.gradient[*chosen] += 1.0;
        for &i in among {
            at.gradient[i] -= p(i);
            at.information[i][i] += p(i);
            for &j in among {
                at.information[i][j] -= p(i) * p(j);
            }
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bradley_terry::{self, Comparison, Outcome, Ties};
    use crate::testing::{close, uniform};

    #[test]
    fn rankings_of_two_are_bradley_terry() {
        let pairs = [(0, 1), (1, 0), (0, 1), (1, 2), (2, 0), (0, 2), (2, 1), (0, 1)];
        let rankings: Vec<Ranking> = pairs.iter().map(|&(a, b)| Ranking::best_first(vec![a, b])).collect();
        let comparisons: Vec<Comparison> =
            pairs.iter().map(|&(first, second)| Comparison { first, second, outcome: Outcome::First }).collect();
        let listwise = fit(3, &rankings, 0.0).unwrap();
        let pairwise = bradley_terry::fit(3, &comparisons, Ties::Drop, 0.0).unwrap();
        for i in 0..3 {
            close(listwise.theta[i], pairwise.theta[i], 1e-9);
            close(listwise.standard_errors[i], pairwise.standard_errors[i], 1e-9);
        }
        close(listwise.log_likelihood, pairwise.log_likelihood, 1e-12);
    }

    #[test]
    fn strengths_are_found_again_from_simulated_partial_rankings() {
        let truth = [0.8, -0.1, 0.5, -1.2, 0.0];
        let mut draw = uniform(2);
        let mut rankings = Vec::new();
        for _ in 0..2000 {
            // Utilities with Gumbel noise sort as Plackett–Luce draws (Yellott 1977); one is left out.
            let out = crate::below(&mut draw, 5);
            let mut noisy: Vec<(f64, usize)> =
                (0..5).filter(|&i| i != out).map(|i| (truth[i] - (-draw().max(1e-300).ln()).ln(), i)).collect();
            noisy.sort_by(|a, b| b.0.total_cmp(&a.0));
            rankings.push(Ranking::best_first(noisy.into_iter().map(|(_, i)| i).collect()));
        }
        let found = fit(5, &rankings, 0.0).unwrap();
        for (i, truth) in truth.iter().enumerate() {
            assert!((found.theta[i] - truth).abs() < 4.0 * found.standard_errors[i] + 1e-3, "{found:?}");
        }
    }

    #[test]
    fn ties_make_no_choice_between_equals() {
        let tied = Ranking { items: vec![0, 1], ranks: vec![4, 4] };
        assert!(choices(2, std::slice::from_ref(&tied)).unwrap().is_empty());
        assert!(matches!(fit(2, &[tied], 0.0), Err(Error::NotConnected { .. })));
        let short = Ranking { items: vec![0, 1], ranks: vec![4] };
        assert!(matches!(fit(2, &[short], 0.0), Err(Error::Length { .. })));
        let outside = Ranking::best_first(vec![0, 7]);
        assert!(matches!(fit(2, &[outside], 0.0), Err(Error::NoSuchCompetitor { found: 7, .. })));
    }
}
