//! Elo ratings: one comparison at a time.

use crate::Error;
use crate::bradley_terry::{Comparison, Outcome};

/// How ratings start and move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Elo {
    /// Every competitor's rating before the first comparison.
    pub initial: f64,
    /// How many points a rating moves at most per comparison.
    pub k: f64,
}

impl Default for Elo {
    /// 1000 and 16: a chatbot arena's usual numbers.
    fn default() -> Elo {
        Elo { initial: 1000.0, k: 16.0 }
    }
}

/// The expected score of a rating against another: 1/(1 + 10^{(other − own)/400}) (Elo 1978).
pub fn expected_score(own: f64, other: f64) -> f64 {
    1.0 / (1.0 + 10f64.powf((other - own) / 400.0))
}

/// Ratings of `n` competitors after `comparisons`, in their order (which matters: for ratings that
/// don't depend on it take [`crate::bradley_terry`]). A tie is half a win.
pub fn ratings(n: usize, comparisons: &[Comparison], elo: Elo) -> Result<Vec<f64>, Error> {
    let mut ratings = vec![elo.initial; n];
    for (row, &Comparison { first, second, outcome }) in comparisons.iter().enumerate() {
        if let Some(found) = [first, second].into_iter().find(|&competitor| competitor >= n) {
            return Err(Error::NoSuchCompetitor { row, found, count: n });
        }
        if first == second {
            continue;
        }
        let score = match outcome {
            Outcome::First => 1.0,
            Outcome::Second => 0.0,
            Outcome::Tie => 0.5,
        };
        let move_by = elo.k * (score - expected_score(ratings[first], ratings[second]));
        ratings[first] += move_by;
        ratings[second] -= move_by;
    }
    Ok(ratings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::close;

    #[test]
    fn worked_by_hand() {
        close(expected_score(1400.0, 1000.0), 10.0 / 11.0, 1e-15);
        let win = Comparison { first: 0, second: 1, outcome: Outcome::First };
        let tie = Comparison { outcome: Outcome::Tie, ..win };
        let found = ratings(2, &[win, tie], Elo { initial: 1500.0, k: 32.0 }).unwrap();
        // 1516 : 1484, then a tie pulls them together by 32·(½ − 1/(1 + 10^{−32/400})).
        let pull = 32.0 * (0.5 - 1.0 / (1.0 + 10f64.powf(-0.08)));
        close(found[0], 1516.0 + pull, 1e-12);
        close(found[0] + found[1], 3000.0, 1e-9);
        assert!(ratings(1, &[win], Elo::default()).is_err());
    }
}
