//! Win rates, with ties.

use crate::{Error, Interval, sign, wilson};

/// How often one side won, and what that is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WinRate {
    /// Comparisons won.
    pub wins: u64,
    /// Comparisons tied.
    pub ties: u64,
    /// Comparisons lost.
    pub losses: u64,
    /// (wins + ½ ties)/n.
    pub ties_half: f64,
    /// The standard error of `ties_half`: sample standard deviation of 1, ½, 0 over √n. NaN for a
    /// single comparison.
    pub standard_error: f64,
    /// wins/(wins + losses) with Wilson's 95 % interval; `None` when everything is tied.
    pub without_ties: Option<Interval>,
    /// The two-sided sign test on wins and losses.
    pub sign_test_p: f64,
}

/// Win rates of `wins`, `ties` and `losses`. Independent comparisons; for clustered ones take
/// [`crate::bootstrap`] on 1, ½, 0.
pub fn win_rate(wins: u64, ties: u64, losses: u64) -> Result<WinRate, Error> {
    let n = wins + ties + losses;
    if n == 0 {
        return Err(Error::TooFew { what: "comparisons", expected: 1, found: 0 });
    }
    let ties_half = (wins as f64 + 0.5 * ties as f64) / n as f64;
    let squares = wins as f64 * (1.0 - ties_half).powi(2)
        + ties as f64 * (0.5 - ties_half).powi(2)
        + losses as f64 * ties_half.powi(2);
    let standard_error = (squares / (n as f64 - 1.0) / n as f64).sqrt();
    let decided = wins + losses;
    let without_ties = (decided > 0).then(|| wilson::proportion(wins, decided, 0.95)).transpose()?;
    let sign_test_p = sign::p_two_sided(wins, losses);
    Ok(WinRate { wins, ties, losses, ties_half, standard_error, without_ties, sign_test_p })
}

/// Win rates of scores: 1 a win, ½ a tie, 0 a loss; anything else is refused.
pub fn of_outcomes(outcomes: &[f64]) -> Result<WinRate, Error> {
    let count = |what: f64| outcomes.iter().filter(|&&outcome| outcome == what).count() as u64;
    let unknown = |outcome: &&f64| ![0.0, 0.5, 1.0].contains(*outcome);
    if let Some(&found) = outcomes.iter().find(unknown) {
        return Err(Error::OutOfRange { what: "an outcome", found, expected: "1, 0.5 or 0" });
    }
    win_rate(count(1.0), count(0.5), count(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mean::standard_error;
    use crate::testing::close;

    #[test]
    fn worked_by_hand() {
        // 1, 1, ½, 0: mean .625; squares 2·.375² + .125² + .625² = .6875; /3/4.
        let found = of_outcomes(&[1.0, 0.0, 0.5, 1.0]).unwrap();
        close(found.ties_half, 0.625, 1e-15);
        close(found.standard_error, (0.6875f64 / 12.0).sqrt(), 1e-15);
        close(found.standard_error, standard_error(&[1.0, 0.0, 0.5, 1.0]), 1e-15);
        assert_eq!(found.without_ties.map(|rate| rate.n), Some(3));
        close(found.sign_test_p, 1.0, 1e-15);
        assert_eq!(win_rate(0, 4, 0).unwrap().without_ties, None);
        assert!(win_rate(0, 0, 0).is_err() && of_outcomes(&[0.7]).is_err());
    }
}
