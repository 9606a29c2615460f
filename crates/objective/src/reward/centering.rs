//! Centering: a pull of each pair's scores towards a sum of 0.

/// c·(r_w + r_l)² of one pair and its derivative, the same by both scores.
///
/// Bradley–Terry fixes scores only up to a constant; this picks the constant (Eisenstein et al.
/// 2023, arXiv 2312.09244, eq. 2).
pub(super) fn term(coefficient: f64, better: f64, worse: f64) -> (f64, f64) {
    let sum = better + worse;
    (coefficient * sum * sum, 2.0 * coefficient * sum)
}
