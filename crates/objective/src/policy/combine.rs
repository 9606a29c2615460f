//! Several scores into one.

use crate::numeric::logit;
use crate::{About, Error, Family};

/// Standardisation's account of itself.
pub static STANDARDISED: About = About {
    name: "standardised_score",
    family: Family::Control,
    summary: "A score by the reward model's stored mean and deviation",
    formula: "(s − mean)/std",
    source: "Ziegler et al. 2019 (arXiv 1909.08593) §2",
    convention: "mean and deviation come from the reward model's reference set, not from the batch",
    options: &[],
};

/// The weighted sum's account of itself.
pub static WEIGHTED_SUM: About = About {
    name: "weighted_sum",
    family: Family::Control,
    summary: "Several scores by weight",
    formula: "Σ_k w_k·s_k",
    source: "standard",
    convention: "weights are not normalised",
    options: &[],
};

/// The safety gate's account of itself.
pub static SAFETY_GATE: About = About {
    name: "safety_gate",
    family: Family::Control,
    summary: "Helpfulness unless the prompt or the answer is unsafe, then safety",
    formula: "R = R_s if the prompt is tagged or R_s < threshold, else R_h; then logit, standardised over the batch",
    source: "Llama 2 (arXiv 2307.09288) §3.2.3",
    convention: "R_s and R_h are probabilities in (0, 1): σ of the models' scores; threshold .15",
    options: &[],
};

/// (s − mean)/std. A deviation that isn't above 0 is refused.
pub fn standardised(score: f64, mean: f64, std: f64) -> Result<f64, Error> {
    if !(std.is_finite() && std > 0.0) {
        let expected = "a finite number > 0";
        return Err(Error::OutOfRange { what: "the reward model's standard deviation", found: std, expected });
    }
    Ok((score - mean) / std)
}

/// Σ w·s. As many weights as scores.
pub fn weighted_sum(scores: &[f64], weights: &[f64]) -> Result<f64, Error> {
    let (expected, found) = (scores.len(), weights.len());
    if expected != found {
        return Err(Error::Length { row: 0, what: "weights (one per reward)", expected, found });
    }
    Ok(scores.iter().zip(weights).map(|(score, weight)| score * weight).sum())
}

/// Llama 2's threshold below which safety wins.
pub const SAFETY_THRESHOLD: f64 = 0.15;

/// Llama 2's R_c: safety where the prompt is tagged as unsafe-inviting or safety is below
/// `threshold`, helpfulness elsewhere. All are probabilities.
pub fn safety_gate(helpfulness: f64, safety: f64, prompt_is_tagged: bool, threshold: f64) -> f64 {
    if prompt_is_tagged || safety < threshold { safety } else { helpfulness }
}

/// Llama 2's R̃_c = whiten(logit(R_c)) over a batch of gated probabilities: the logit spreads the
/// ends that the sigmoid pressed together; population variance as in [`super::whiten`].
/// Probabilities of exactly 0 or 1 are refused.
pub fn gated_rewards(gated: &[f64]) -> Result<Vec<f64>, Error> {
    for &found in gated {
        if !(found > 0.0 && found < 1.0) {
            let expected = "a number between 0 and 1, both excluded";
            return Err(Error::OutOfRange { what: "a gated reward", found, expected });
        }
    }
    let logits: Vec<f64> = gated.iter().map(|&probability| logit(probability)).collect();
    Ok(super::whiten::advantages(&[logits]).concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        assert_eq!(standardised(2.5, 0.5, 4.0).unwrap(), 0.5);
        assert!(standardised(2.5, 0.5, 0.0).is_err());
        assert!((weighted_sum(&[1.0, -2.0], &[0.5, 0.25]).unwrap()).abs() < 1e-15);
        assert!(weighted_sum(&[1.0], &[]).is_err());
    }

    #[test]
    fn safety_wins_where_it_should() {
        assert_eq!(safety_gate(0.9, 0.14, false, SAFETY_THRESHOLD), 0.14);
        assert_eq!(safety_gate(0.9, 0.15, false, SAFETY_THRESHOLD), 0.9);
        assert_eq!(safety_gate(0.9, 0.8, true, SAFETY_THRESHOLD), 0.8);
    }

    #[test]
    fn gated_rewards_are_white_logits() {
        // logits ln 4, −ln 4 and 0: mean 0, population variance 2·ln²4/3.
        let found = gated_rewards(&[0.8, 0.2, 0.5]).unwrap();
        assert!((found[0] - 1.5f64.sqrt()).abs() < 1e-7 && found[2].abs() < 1e-12);
        assert!(gated_rewards(&[1.0]).is_err());
    }
}
