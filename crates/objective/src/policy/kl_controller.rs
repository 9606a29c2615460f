//! A KL coefficient that steers towards a target.

use crate::{About, Error, Family};

/// Its account of itself.
pub static ABOUT: About = About {
    name: "adaptive_kl",
    family: Family::Control,
    summary: "KL coefficient that follows a target",
    formula: "e = clip(KL/target − 1, −0.2, 0.2); β ← β(1 + e·n/horizon)",
    source: "Ziegler et al. 2019 (arXiv 1909.08593) §2.2",
    convention: "KL is the mean over rollouts of Σ_t k1; n is the number of rollouts of the step",
    options: &[],
};

const ERROR_MAX: f64 = 0.2;

/// The coefficient and what it steers towards. A run's checkpoint stores its three numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveKl {
    /// β, the coefficient now.
    pub beta: f64,
    /// The KL per rollout to hold, in nats.
    pub target: f64,
    /// Over how many rollouts a steady error of 1 would change β by its own size.
    pub horizon: f64,
}

impl AdaptiveKl {
    /// A controller; every number must be above 0.
    pub fn new(beta: f64, target: f64, horizon: f64) -> Result<AdaptiveKl, Error> {
        for (what, found) in [("beta", beta), ("the target KL", target), ("the horizon", horizon)] {
            if !(found.is_finite() && found > 0.0) {
                return Err(Error::OutOfRange { what, found, expected: "a finite number > 0" });
            }
        }
        Ok(AdaptiveKl { beta, target, horizon })
    }

    /// Takes in the KL of a step with `rollouts` rollouts. A KL that is NaN changes nothing and is
    /// refused.
    pub fn update(&mut self, kl: f64, rollouts: usize) -> Result<(), Error> {
        if !kl.is_finite() {
            return Err(Error::NotFinite { row: 0, what: "the KL of a step", found: kl });
        }
        let error = (kl / self.target - 1.0).clamp(-ERROR_MAX, ERROR_MAX);
        self.beta *= 1.0 + error * rollouts as f64 / self.horizon;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        let mut controller = AdaptiveKl::new(0.2, 6.0, 10_000.0).unwrap();
        // KL 6.6: e = .1; β = .2·(1 + .1·512/10000).
        controller.update(6.6, 512).unwrap();
        assert!((controller.beta - 0.2 * 1.00512).abs() < 1e-12);
        // KL 60: e is limited to .2. KL below target: β falls.
        let before = controller.beta;
        controller.update(60.0, 512).unwrap();
        assert!((controller.beta / before - 1.01024).abs() < 1e-12);
        let before = controller.beta;
        controller.update(-1.0, 512).unwrap();
        assert!((controller.beta / before - (1.0 - 0.2 * 0.0512)).abs() < 1e-12);
        assert!(controller.update(f64::NAN, 512).is_err());
        assert!(AdaptiveKl::new(0.2, 0.0, 1.0).is_err());
    }
}
