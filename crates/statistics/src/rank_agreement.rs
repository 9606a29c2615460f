//! How far two rankings of the same things agree.

use crate::Error;
use crate::error::{at_least, same_length};

/// The pairs of two rankings, counted by whether each side orders them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PairCounts {
    /// Ordered the same way by both.
    pub concordant: u64,
    /// Ordered in opposite ways.
    pub discordant: u64,
    /// Tied by both.
    pub tied_both: u64,
    /// Tied by the first only.
    pub tied_only_a: u64,
    /// Tied by the second only.
    pub tied_only_b: u64,
}

/// Counts the pairs of two rankings (lower is better; only the order counts).
pub fn count(ranks_a: &[f64], ranks_b: &[f64]) -> Result<PairCounts, Error> {
    same_length("second ranks (one per first)", ranks_a.len(), ranks_b.len())?;
    at_least("ranked things", 2, ranks_a.len())?;
    crate::error::all_finite("a rank", ranks_a)?;
    crate::error::all_finite("a rank", ranks_b)?;
    let mut counts = PairCounts::default();
    for i in 0..ranks_a.len() {
        for j in 0..i {
            let (a, b) = (ranks_a[i] - ranks_a[j], ranks_b[i] - ranks_b[j]);
            *match (a == 0.0, b == 0.0) {
                (true, true) => &mut counts.tied_both,
                (true, false) => &mut counts.tied_only_a,
                (false, true) => &mut counts.tied_only_b,
                _ if (a > 0.0) == (b > 0.0) => &mut counts.concordant,
                _ => &mut counts.discordant,
            } += 1;
        }
    }
    Ok(counts)
}

impl PairCounts {
    /// All pairs.
    pub fn pairs(&self) -> u64 {
        self.concordant + self.discordant + self.tied_both + self.tied_only_a + self.tied_only_b
    }

    /// Kendall's τ_b = (C − D)/√((C + D + T_a)(C + D + T_b)), ties by both left out (Kendall 1945).
    pub fn kendall_tau_b(&self) -> Result<f64, Error> {
        let ordered = self.concordant + self.discordant;
        let (by_a, by_b) = (ordered + self.tied_only_b, ordered + self.tied_only_a);
        if by_a == 0 || by_b == 0 {
            return Err(Error::Undefined { what: "Kendall's tau-b", why: "one side ties everything" });
        }
        let difference = self.concordant as f64 - self.discordant as f64;
        Ok(difference / ((by_a as f64).sqrt() * (by_b as f64).sqrt()))
    }

    /// Share of pairs on which both say the same of better, worse and tied.
    pub fn agree_exact(&self) -> f64 {
        (self.concordant + self.tied_both) as f64 / self.pairs() as f64
    }

    /// Share of agreement among pairs that both order. NaN without any.
    pub fn agree_strict(&self) -> f64 {
        self.concordant as f64 / (self.concordant + self.discordant) as f64
    }

    /// Share of agreement, a pair that only one side ties counting ½.
    pub fn agree_ties_half(&self) -> f64 {
        let half = 0.5 * (self.tied_only_a + self.tied_only_b) as f64;
        ((self.concordant + self.tied_both) as f64 + half) / self.pairs() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::close;

    #[test]
    fn worked_by_hand() {
        // Pairs of (1,2,2,3) against (1,1,3,2): 01 tied by b; 02, 03 concordant; 12 tied by a;
        // 13 concordant; 23 discordant.
        let counts = count(&[1.0, 2.0, 2.0, 3.0], &[1.0, 1.0, 3.0, 2.0]).unwrap();
        let expected = PairCounts { concordant: 3, discordant: 1, tied_both: 0, tied_only_a: 1, tied_only_b: 1 };
        assert_eq!(counts, expected);
        close(counts.kendall_tau_b().unwrap(), 2.0 / 5.0, 1e-15);
        close(counts.agree_exact(), 0.5, 1e-15);
        close(counts.agree_strict(), 0.75, 1e-15);
        close(counts.agree_ties_half(), 4.0 / 6.0, 1e-15);
    }

    #[test]
    fn what_has_no_order_is_undefined() {
        let counts = count(&[1.0, 1.0], &[1.0, 2.0]).unwrap();
        assert!(matches!(counts.kendall_tau_b(), Err(Error::Undefined { .. })));
        assert!(counts.agree_strict().is_nan());
        assert!(count(&[1.0], &[1.0]).is_err() && count(&[1.0, 2.0], &[1.0]).is_err());
    }
}
