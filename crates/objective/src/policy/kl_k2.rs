//! KL to the reference as a loss.

use super::Token;
use super::formula::TokenFormula;
use crate::real::Real;
use crate::{About, Family, Settings, Worked};

/// d²/2, d = log π − log π_ref.
///
/// Schulman 2020, "Approximating KL divergence" (k2). Of k1, k2 and k3 only k2 has, on tokens
/// sampled from π itself, the gradient of KL(π‖π_ref): E[d·∇log π]. k1's gradient is 0 on average,
/// k3's is that of the other direction, KL(π_ref‖π).
pub(super) struct KlK2;

static ABOUT: About = About {
    name: "kl_k2",
    family: Family::Policy,
    summary: "KL to the reference as a loss (k2)",
    formula: "mean_tokens d²/2, d = log π − log π_ref",
    source: "Schulman 2020, Approximating KL divergence (k2)",
    convention: "the only one of k1, k2, k3 whose on-policy gradient is that of KL(π‖π_ref)",
    options: &[],
};

impl TokenFormula for KlK2 {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    fn formula<T: Real>(&self, logprob: T, token: &Token, _: &Settings) -> T {
        (logprob - T::from(token.reference_logprob)).squared().times(0.5)
    }
    fn worked(&self) -> &'static [Worked] {
        // d = 0.1, −0.4, −0.15: (0.01 + 0.16 + 0.0225)/6.
        &[Worked { options: &[], trained: &[-0.8, -2.9, -0.55], loss: 0.1925 / 6.0 }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicyLoss;
    use crate::policy::formula::OfTokens;

    /// On a policy small enough to enumerate, E_π[∇k2] = ∇KL(π‖π_ref), and k1 and k3 differ.
    #[test]
    fn its_expected_gradient_is_that_of_the_kl() {
        let logits = [0.3f64, -0.9, 1.1];
        let reference = [0.5f64, 0.2, 0.3];
        let policy = |logits: [f64; 3]| {
            let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
            logits.map(|logit| logit.exp() / total)
        };
        let kl =
            |logits: [f64; 3]| -> f64 { policy(logits).iter().zip(reference).map(|(p, q)| p * (p / q).ln()).sum() };
        let p = policy(logits);
        let settings = Settings::resolve(&ABOUT, &crate::Options::new()).unwrap();
        for by in 0..3 {
            let mut expected_k2 = 0.0;
            let mut expected_k3 = 0.0;
            for action in 0..3 {
                let d_logprob = f64::from(action == by) - p[by];
                let (logprob, reference_logprob) = (p[action].ln(), reference[action].ln());
                let token = Token { logprob, old_logprob: logprob, reference_logprob, advantage: 0.0 };
                let (_, slope) = OfTokens(KlK2).token(&settings, &token);
                expected_k2 += p[action] * slope * d_logprob;
                expected_k3 += p[action] * (1.0 - reference[action] / p[action]) * d_logprob;
            }
            let (mut up, mut down) = (logits, logits);
            up[by] += 1e-5;
            down[by] -= 1e-5;
            let slope = (kl(up) - kl(down)) / 2e-5;
            assert!((expected_k2 - slope).abs() < 1e-8, "{expected_k2} vs {slope}");
            assert!((expected_k3 - slope).abs() > 1e-3);
        }
    }
}
