//! Estimates of KL(π‖π_ref) from tokens sampled from π.
//!
//! Schulman 2020, "Approximating KL divergence", d = log π − log π_ref. Reported are k1 and k3;
//! the penalty in the reward is k1; as a loss only k2 has the right gradient
//! (the policy loss `kl_k2`).

use crate::numeric::exp_bounded;
use crate::{About, Family};

const SOURCE: &str = "Schulman 2020, Approximating KL divergence";

/// k1's account of itself.
pub static K1: About = About {
    name: "kl_k1",
    family: Family::Control,
    summary: "KL estimate d: unbiased, of high variance, signed",
    formula: "d = log π − log π_ref",
    source: SOURCE,
    convention: "signed and unclamped; this is the penalty in the reward",
    options: &[],
};

/// k2's account of itself.
pub static K2: About = About {
    name: "kl_k2",
    family: Family::Control,
    summary: "KL estimate d²/2: biased, never negative",
    formula: "d²/2",
    source: SOURCE,
    convention: "as a loss (policy loss `kl_k2`) its on-policy gradient is the KL's",
    options: &[],
};

/// k3's account of itself.
pub static K3: About = About {
    name: "kl_k3",
    family: Family::Control,
    summary: "KL estimate e^{−d} − 1 + d: unbiased, of low variance, never negative",
    formula: "e^{−d} − 1 + d",
    source: SOURCE,
    convention: "not clamped (some libraries clamp at ±10); exponents stop at 500 to stay finite",
    options: &[],
};

/// k1 = d.
pub fn k1(logprob: f64, reference_logprob: f64) -> f64 {
    logprob - reference_logprob
}

/// k2 = d²/2.
pub fn k2(logprob: f64, reference_logprob: f64) -> f64 {
    let d = logprob - reference_logprob;
    0.5 * d * d
}

/// k3 = e^{−d} − 1 + d ≥ 0.
pub fn k3(logprob: f64, reference_logprob: f64) -> f64 {
    let d = logprob - reference_logprob;
    // expm1 keeps the digits where d is small and the terms cancel.
    if d.abs() < 1.0 { (-d).exp_m1() + d } else { exp_bounded(-d) - 1.0 + d }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn worked_values() {
        // e³ − 1 − 3 = 16.0855369…
        assert!((k3(-3.0, 0.0) - 16.085536923187668).abs() < 1e-12);
        assert_eq!(k1(-2.0, -1.5), -0.5);
        assert_eq!(k2(-2.0, -1.5), 0.125);
        assert!(k3(-1e4, 0.0).is_finite());
    }

    /// On a distribution small enough to enumerate, E[k1] = E[k3] = KL.
    #[test]
    fn k1_and_k3_are_unbiased() {
        let (policy, reference) = ([0.2f64, 0.5, 0.3], [0.4f64, 0.25, 0.35]);
        let expect = |of: fn(f64, f64) -> f64| -> f64 {
            policy.iter().zip(reference).map(|(p, q)| p * of(p.ln(), q.ln())).sum()
        };
        let kl: f64 = policy.iter().zip(reference).map(|(p, q)| p * (p / q).ln()).sum();
        assert!((expect(k1) - kl).abs() < 1e-12 && (expect(k3) - kl).abs() < 1e-12);
        assert!((expect(k2) - kl).abs() > 1e-3);
    }

    proptest! {
        #[test]
        fn k3_is_never_negative_and_zero_only_at_equality(d in -8.0f64..8.0) {
            prop_assert!(k3(d, 0.0) >= 0.0);
            prop_assert_eq!(k3(d, d), 0.0);
        }
    }
}
