//! How far two rankings of the same things agree.

use crate::Error;
use crate::correlation::average_ranks;
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
    /// The pairs of another two rankings beside these.
    pub fn add(&mut self, other: &PairCounts) {
        self.concordant += other.concordant;
        self.discordant += other.discordant;
        self.tied_both += other.tied_both;
        self.tied_only_a += other.tied_only_a;
        self.tied_only_b += other.tied_only_b;
    }

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

    /// The share of ties among all that both say about the pairs.
    pub fn share_tied(&self) -> f64 {
        (2 * self.tied_both + self.tied_only_a + self.tied_only_b) as f64 / (2 * self.pairs()) as f64
    }

    /// κ = (exact − P(e))/(1 − P(e)) with a chance that knows of ties: P(e) = Σ p² over better, worse
    /// and tied, where better and worse have half of what isn't tied each, as in the campaigns of the
    /// Conference on Machine Translation (Bojar et al. 2013, §3.3). NaN when both only tie.
    pub fn kappa(&self) -> f64 {
        let tied = self.share_tied();
        let ordered = (1.0 - tied) / 2.0;
        let expected = tied * tied + 2.0 * ordered * ordered;
        (self.agree_exact() - expected) / (1.0 - expected)
    }
}

/// Kendall's W of m rankings (`ranks[judge][thing]`, lower is better) of n things, ties sharing the
/// mean of their ranks: W = 12 Σ(R_i − R̄)² / (m²(n³ − n) − m Σ(t³ − t)) (Kendall & Smith 1939, with
/// Kendall's correction).
pub fn kendall_w(ranks: &[Vec<f64>]) -> Result<f64, Error> {
    at_least("rankings", 2, ranks.len())?;
    at_least("ranked things", 2, ranks[0].len())?;
    let m = ranks.len() as f64;
    let mut totals = vec![0.0; ranks[0].len()];
    let mut ties = 0.0;
    for row in ranks {
        same_length("ranks of a judge", totals.len(), row.len())?;
        crate::error::all_finite("a rank", row)?;
        let average = average_ranks(row);
        totals.iter_mut().zip(&average).for_each(|(total, rank)| *total += rank);
        let mut sorted = row.clone();
        sorted.sort_by(f64::total_cmp);
        ties += sorted.chunk_by(|a, b| a == b).map(|tied| (tied.len() as f64).powi(3) - tied.len() as f64).sum::<f64>();
    }
    let n = totals.len() as f64;
    let mean = totals.iter().sum::<f64>() / n;
    let squares: f64 = totals.iter().map(|total| (total - mean).powi(2)).sum();
    let most = m * m * (n.powi(3) - n) - m * ties;
    if most <= 0.0 {
        return Err(Error::Undefined { what: "Kendall's W", why: "everybody ties everything" });
    }
    Ok(12.0 * squares / most)
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

    #[test]
    fn kappa_worked_by_hand() {
        // Ten pairs: six agree in order, one tied by both, one tied by one, two opposite. Of twenty
        // things said three are ties: p = .15, .425, .425; P(e) = .0225 + 2·.180625 = .38375.
        let counts = PairCounts { concordant: 6, discordant: 2, tied_both: 1, tied_only_a: 1, tied_only_b: 0 };
        close(counts.share_tied(), 0.15, 1e-15);
        close(counts.kappa(), (0.7 - 0.38375) / (1.0 - 0.38375), 1e-12);
        assert!(PairCounts { tied_both: 3, ..PairCounts::default() }.kappa().is_nan());
        let mut sum = counts;
        sum.add(&PairCounts { concordant: 1, discordant: 2, tied_both: 3, tied_only_a: 4, tied_only_b: 5 });
        let expected = PairCounts { concordant: 7, discordant: 4, tied_both: 4, tied_only_a: 5, tied_only_b: 5 };
        assert_eq!(sum, expected);
    }

    #[test]
    fn kendalls_w_worked_by_hand() {
        // Three rankings of three: rank sums 4, 5, 9, mean 6, squares 4 + 1 + 9 = 14; 12·14/(9·24).
        let ranks = [vec![1.0, 2.0, 3.0], vec![2.0, 1.0, 3.0], vec![1.0, 2.0, 3.0]];
        close(kendall_w(&ranks).unwrap(), 12.0 * 14.0 / 216.0, 1e-12);
        // Perfect agreement is 1, with ties too: average ranks 1.5, 1.5, 3, sums 3, 3, 6, squares 6;
        // ties = 2·(2³ − 2) = 12: W = 72/(4·24 − 2·12) = 1.
        close(kendall_w(&[vec![1.0, 1.0, 2.0], vec![1.0, 1.0, 5.0]]).unwrap(), 1.0, 1e-15);
        // Opposite rankings cancel.
        close(kendall_w(&[vec![1.0, 2.0, 3.0], vec![3.0, 2.0, 1.0]]).unwrap(), 0.0, 1e-15);
        assert!(kendall_w(&[vec![1.0, 1.0], vec![1.0, 1.0]]).is_err());
        assert!(kendall_w(&[vec![1.0, 2.0]]).is_err() && kendall_w(&[vec![1.0, 2.0], vec![1.0]]).is_err());
    }
}
