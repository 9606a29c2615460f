//! How far best-of-n moves a policy.

use crate::{About, Family};

/// Its account of itself.
pub static ABOUT: About = About {
    name: "best_of_n_kl",
    family: Family::Control,
    summary: "KL of best-of-n sampling from the policy it samples",
    formula: "ln n − (n−1)/n",
    source: "Stiennon et al. 2020 (arXiv 2009.01325) appendix G.3",
    convention: "exact for scores without ties over a continuum of answers, an upper bound otherwise",
    options: &[],
};

/// ln n − (n−1)/n, in nats; 0 for n ≤ 1.
pub fn kl(n: usize) -> f64 {
    let n = n.max(1) as f64;
    n.ln() - (n - 1.0) / n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        assert_eq!((kl(0), kl(1)), (0.0, 0.0));
        assert!((kl(4) - (4.0f64.ln() - 0.75)).abs() < 1e-15);
        // The best of n uniform draws has density n·u^{n−1}: ∫ n u^{n−1} ln(n u^{n−1}) du.
        let (n, steps) = (4.0f64, 200_000);
        let integral: f64 = (0..steps)
            .map(|i| (f64::from(i) + 0.5) / f64::from(steps))
            .map(|u| n * u.powf(n - 1.0) * (n * u.powf(n - 1.0)).ln() / f64::from(steps))
            .sum();
        assert!((kl(4) - integral).abs() < 1e-6);
    }
}
