//! KTO: answers judged one by one, against a common reference point.

use super::formula::{BETA, LENGTH_NORMALISED};
use super::{Completion, Pair, PreferenceLoss, Unpaired, implicit_reward};
use crate::numeric::{mean, sigmoid};
use crate::options::POSITIVE;
use crate::{About, Error, Evaluation, Example, Family, Objective, OptionSpec, Settings, Value, Worked};

/// λ_D·(1 − σ(β(ρ − z₀))) for a desirable answer, λ_U·(1 − σ(β(z₀ − ρ))) for an undesirable one,
/// with ρ = log π − log π_ref and z₀ the batch's KL estimate of [`reference_point`].
///
/// Ethayarajh et al. 2024 (arXiv 2402.01306), eq. 7 in its first version. No gradient flows through z₀.
pub struct Kto;

static ABOUT: About = About {
    name: "kto",
    family: Family::Preference,
    summary: "KTO: answers judged one by one, against the batch's KL",
    formula: "λ_D (1 − σ(β(ρ − z₀))) if desirable, else λ_U (1 − σ(β(z₀ − ρ))); ρ = log π − log π_ref",
    source: "KTO (arXiv 2402.01306v1) eq. 7",
    convention: "z₀ = max(0, mean of log π − log π_ref over completions paired with other prompts of the batch), a constant for the gradient",
    options: &[
        BETA,
        OptionSpec {
            name: "desirable_weight",
            kind: POSITIVE,
            default: Value::Number(1.0),
            other: Value::Number(1.3),
            help: "λ_D, the weight of desirable answers",
        },
        OptionSpec {
            name: "undesirable_weight",
            kind: POSITIVE,
            default: Value::Number(1.0),
            other: Value::Number(1.3),
            help: "λ_U, the weight of undesirable answers",
        },
        LENGTH_NORMALISED,
    ],
};

/// z₀: the mean of log π − log π_ref over completions that belong to *other* prompts of the batch
/// (each prompt with its neighbour's completion), not below 0. It estimates KL(π‖π_ref) up to the
/// mismatch (arXiv 2402.01306, §4.1). `length_normalised` as in the loss.
pub fn reference_point(mismatched: &[Completion], length_normalised: bool) -> Result<f64, Error> {
    let ratios = mismatched.iter().map(|other| implicit_reward(other, 1.0, length_normalised));
    let mean = mean(ratios).ok_or(Error::Empty { what: "no mismatched completions for KTO's KL" })?;
    Ok(if mean < 0.0 { 0.0 } else { mean })
}

/// A comparison as two answers judged by themselves: the chosen one desirable, the other not.
pub fn unpair(pair: &Pair) -> [Unpaired; 2] {
    [Unpaired { completion: pair.chosen, desirable: true }, Unpaired { completion: pair.rejected, desirable: false }]
}

impl Kto {
    fn evaluate(settings: &Settings, answer: &Unpaired, z0: f64) -> (f64, f64, f64) {
        let beta = settings.number("beta");
        let averaged = settings.switch("length_normalised");
        let reward = implicit_reward(&answer.completion, beta, averaged);
        let (weight, sign) = match answer.desirable {
            true => (settings.number("desirable_weight"), 1.0),
            false => (settings.number("undesirable_weight"), -1.0),
        };
        let logit = sign * (reward - beta * z0);
        let per_token = if averaged { answer.completion.tokens as f64 } else { 1.0 };
        // d(1 − σ(x)) = −σ(x)σ(−x) dx.
        let slope = -weight * sigmoid(logit) * sigmoid(-logit) * sign * beta / per_token;
        (weight * sigmoid(-logit), slope, reward)
    }
}

impl PreferenceLoss for Kto {
    fn takes(&self) -> &'static str {
        "unpaired answers"
    }
    fn uses_reference(&self) -> bool {
        true
    }
    fn unpaired(&self, settings: &Settings, answer: &Unpaired, z0: f64) -> Result<(f64, f64, f64), Error> {
        Ok(Kto::evaluate(settings, answer, z0))
    }
}

impl Objective for Kto {
    fn about(&self) -> &'static About {
        &ABOUT
    }
    /// A desirable answer (4 tokens, log ref −7.3), an undesirable one (7 tokens, log ref −9.1),
    /// z₀ = 0.4.
    fn example(&self) -> Example {
        Example { start: vec![-7.3, -9.1], raises: vec![0], lowers: vec![1] }
    }
    fn worked(&self) -> &'static [Worked] {
        &[Worked { options: &[("desirable_weight", Value::Number(1.3))], trained: &[-5.2, -10.9], loss: WEIGHTED }]
    }
    fn probe(&self, settings: &Settings, trained: &[f64]) -> Evaluation {
        let answers = [(-7.3, 4, true), (-9.1, 7, false)];
        let mut evaluation = Evaluation { loss: 0.0, gradient: Vec::new() };
        for (&policy, (reference, tokens, desirable)) in trained.iter().zip(answers) {
            let completion = Completion { policy, reference, tokens };
            let (loss, slope, _) = Kto::evaluate(settings, &Unpaired { completion, desirable }, 0.4);
            evaluation.loss += loss / 2.0;
            evaluation.gradient.push(slope / 2.0);
        }
        evaluation
    }
}

const WEIGHTED: f64 = 0.5200517209430644;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::preference::by_name;

    fn answer(policy: f64, desirable: bool) -> Unpaired {
        Unpaired { completion: Completion { policy, reference: -4.0, tokens: 3 }, desirable }
    }

    #[test]
    fn the_reference_point_is_a_mean_that_is_never_negative() {
        let mismatched = [answer(-3.0, true).completion, answer(-4.6, true).completion];
        // Ratios +1.0 and −0.6.
        assert!((reference_point(&mismatched, false).unwrap() - 0.2).abs() < 1e-12);
        assert!((reference_point(&mismatched, true).unwrap() - 0.2 / 3.0).abs() < 1e-12);
        assert_eq!(reference_point(&mismatched[1..], false).unwrap(), 0.0);
        assert!(matches!(reference_point(&[], false), Err(Error::Empty { .. })));
    }

    #[test]
    fn a_pair_is_a_desirable_and_an_undesirable_answer() {
        let (good, bad) = (answer(-3.0, true), answer(-4.6, false));
        let pair = Pair { chosen: good.completion, rejected: bad.completion };
        assert_eq!(unpair(&pair), [good, bad]);
    }

    #[test]
    fn at_the_reference_point_every_answer_costs_half_its_weight() {
        let kto = by_name("kto", &Options::new().with("undesirable_weight", 1.5)).unwrap();
        let out = kto.unpaired(&[answer(-3.3, true), answer(-3.3, false)], 0.7).unwrap();
        assert!((out.loss - (0.5 + 0.75) / 2.0).abs() < 1e-12);
        // Both rewards are +0.07: right about the desirable answer only.
        assert_eq!(out.accuracy, 0.5);
        assert!(out.d_policy[0][0] < 0.0 && out.d_policy[0][1] > 0.0);
    }
}
