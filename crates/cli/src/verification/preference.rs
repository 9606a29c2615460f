//! Summed log-probabilities of answers under policy and reference, and two steps of each preference loss.

use super::shipped::Shipped;
use super::{Check, Step, distances, steps};
use crate::command::score;
use crate::error::CommandError;
use model::Workspace;
use render::Rendered;
use run::DpoConfig;
use serde::Deserialize;

#[derive(Deserialize)]
struct References {
    dpo_batch: Batch,
    dpo_plain_torch: Plain,
    dpo_sigmoid: Vec<Step>,
    #[serde(rename = "dpo_robust_ls0.1")]
    dpo_robust: Vec<Step>,
    dpo_hinge: Vec<Step>,
    dpo_ipo: Vec<Step>,
}

/// Chosen answers, then rejected ones.
#[derive(Deserialize)]
struct Batch {
    input_ids: Vec<Vec<u32>>,
    attention_mask: Vec<Vec<u32>>,
    completion_mask: Vec<Vec<u32>>,
}

#[derive(Deserialize)]
struct Plain {
    policy: [Vec<f64>; 2],
    #[serde(rename = "ref")]
    reference: [Vec<f64>; 2],
    #[serde(rename = "cdpo_ls0.3")]
    cdpo: f64,
}

/// The checks.
pub fn checks(shipped: &Shipped) -> Result<Vec<Check>, CommandError> {
    let references: References = shipped.json("refs.json")?;
    let plain = &references.dpo_plain_torch;
    let sums = |model: &str, expected: &[Vec<f64>; 2]| {
        let found = answer_log_probs(shipped, model, &references.dpo_batch)?;
        let convention = "Σ log p over the answer's tokens, EOS included, nats; largest distance";
        let name = format!("DPO log-probabilities, {model}");
        Ok::<Check, CommandError>(distances(&name, convention, &found, &expected.concat(), 1e-5))
    };
    let mut checks = vec![sums("tiny-policy", &plain.policy)?, sums("tiny-reference", &plain.reference)?];
    let cdpo = [Step { loss: plain.cdpo, grad_norm: None }];
    let cases: [(&str, &[&str], &'static str, &[Step]); 5] = [
        ("DPO sigmoid", &[], "−log σ(βΔ), β = .1, Δ of sums; relative", &references.dpo_sigmoid),
        (
            "DPO robust",
            &["dpo.loss=robust", "dpo.label_smoothing=0.1"],
            "((1−ε)(−log σ(βΔ)) − ε(−log σ(−βΔ)))/(1−2ε), ε = .1; relative",
            &references.dpo_robust,
        ),
        ("DPO hinge", &["dpo.loss=hinge"], "max(0, 1 − βΔ); relative", &references.dpo_hinge),
        (
            "DPO IPO, averaged",
            &["dpo.loss=ipo", "dpo.length_normalised=true"],
            "(Δ − 1/(2β))², Δ of means over tokens (by option); relative",
            &references.dpo_ipo,
        ),
        ("cDPO", &["dpo.label_smoothing=0.3"], "−(1−ε) log σ(βΔ) − ε log σ(−βΔ), ε = .3; relative", &cdpo),
    ];
    for (name, settings, convention, expected) in cases {
        let places = [
            ("model.path", "tiny-policy"),
            ("dpo.reference", "tiny-reference"),
            ("data.train", "preferences-dpo.jsonl"),
        ];
        let settings = [settings, &["train.max_steps=2"]].concat();
        let cache = shipped.path("reference-logprobs");
        let stage = |options: train::Options<'_, DpoConfig>, sink: &mut dyn train::Sink| {
            train::preference::run(options, Some(&cache), sink)
        };
        let ran = shipped.run::<DpoConfig>(name, &places, &settings, stage)?;
        checks.extend(steps(name, convention, &ran.metrics, expected));
    }
    Ok(checks)
}

/// Sums over the completions of the batch.
fn answer_log_probs(shipped: &Shipped, model: &str, batch: &Batch) -> Result<Vec<f64>, CommandError> {
    let sequence = |(ids, mask): (&Vec<u32>, &Vec<u32>)| {
        let n = mask.iter().filter(|&&real| real == 1).count();
        Rendered { token_ids: ids[..n].to_vec(), mask: vec![true; n] }
    };
    let sequences: Vec<Rendered> = batch.input_ids.iter().zip(&batch.attention_mask).map(sequence).collect();
    let log_probs = score(&shipped.model(model)?, &sequences, &mut Workspace::default());
    let sum = |(log_probs, mask): (&Vec<Option<f32>>, &Vec<u32>)| {
        let of_answer = log_probs.iter().zip(mask).filter(|(_, mask)| **mask == 1);
        of_answer.map(|(log_prob, _)| f64::from(log_prob.unwrap_or(f32::NAN))).sum()
    };
    Ok(log_probs.iter().zip(&batch.completion_mask).map(sum).collect())
}
