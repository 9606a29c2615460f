//! The exact sign test.

use crate::special::binomial_cdf;

/// The two-sided p-value that wins and losses come from a fair coin; ties are left out by the
/// caller. 1 without any.
///
/// Twice the smaller tail of the binomial with p = ½, at most 1.
pub fn p_two_sided(wins: u64, losses: u64) -> f64 {
    (2.0 * binomial_cdf(wins.min(losses), wins + losses, 0.5)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::close;

    #[test]
    fn worked_by_hand() {
        // 1 of 5: 2·(1 + 5)/32.
        close(p_two_sided(1, 4), 0.375, 1e-14);
        close(p_two_sided(0, 10), 2.0 / 1024.0, 1e-16);
        assert_eq!((p_two_sided(3, 3), p_two_sided(0, 0)), (1.0, 1.0));
        assert_eq!(p_two_sided(347, 421), p_two_sided(421, 347));
    }
}
