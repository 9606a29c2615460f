//! PPO from four fixed rollouts: what is computed about each token, and three steps of PPO with pretraining text.

use super::shipped::{Ran, Shipped};
use super::{Check, distances};
use crate::error::CommandError;
use objective::policy::whiten;
use run::PpoConfig;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use train::ppo::Rewards;

#[derive(Deserialize)]
struct References {
    prompts: Vec<Vec<u32>>,
    responses: Vec<Vec<u32>>,
    scores: Vec<f64>,
    ptx_ids: Vec<Vec<u32>>,
    old_logprobs: Vec<Vec<f64>>,
    ref_logprobs: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
    rewards: Vec<Vec<f64>>,
    adv: Vec<Vec<f64>>,
    adv_white: Vec<Vec<f64>>,
    returns: Vec<Vec<f64>>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    pg: f64,
    vf: f64,
    ptx: f64,
    policy_gradnorm_ppo: f64,
    policy_gradnorm_ppo_plus_ptx: f64,
}

/// The checks.
pub fn checks(shipped: &Shipped) -> Result<Vec<Check>, CommandError> {
    let references: References = shipped.json("ppo.json")?;
    let ran = run(shipped, &references)?;
    let mut checks = of_tokens(&ran, &references)?;
    let updates = ran.lines("updates.jsonl")?;
    let nothing = Map::new();
    for (i, expected) in references.steps.iter().enumerate() {
        checks.extend(of_step(i, updates.get(i).unwrap_or(&nothing), expected));
    }
    Ok(checks)
}

/// One iteration of three passes over the rollouts.
fn run(shipped: &Shipped, references: &References) -> Result<Ran, CommandError> {
    let rollouts = references.prompts.iter().zip(&references.responses).zip(&references.scores);
    let rows = rollouts.map(|((prompt, response), score)| {
        json!({"prompt_ids": prompt, "response_ids": response, "score": score}).to_string()
    });
    shipped.put("rollouts.jsonl", rows.collect::<Vec<_>>().join("\n").as_bytes())?;
    // token i of the shipped tokenizer is the word "t<i>"
    let words = |ids: &Vec<u32>| ids.iter().map(|id| format!("t{id}")).collect::<Vec<_>>().join(" ");
    let texts = references.ptx_ids.iter().map(|ids| json!({"text": words(ids)}).to_string());
    shipped.put("text.jsonl", texts.collect::<Vec<_>>().join("\n").as_bytes())?;
    let places = [
        ("model.path", "tiny-policy"),
        ("ppo.reference", "tiny-reference"),
        ("ppo.value", "tiny-reward"),
        ("ppo.rollouts", "rollouts.jsonl"),
        ("ppo.ptx", "text.jsonl"),
    ];
    let settings = [
        "ppo.temperature=0.7",
        "ppo.beta=0.05",
        "ppo.ptx_ratio=0.5", // two rows of text beside four rollouts
        "ppo.epochs=3",
        "train.max_steps=1",
        "optimizer.max_grad_norm=0",
    ];
    shipped
        .run::<PpoConfig>("PPO", &places, &settings, |options, sink| train::ppo::run(options, Rewards::default(), sink))
}

fn of_tokens(ran: &Ran, references: &References) -> Result<Vec<Check>, CommandError> {
    let samples = ran.lines("samples.jsonl")?;
    let column = |name: &str| -> Vec<Vec<f64>> {
        let numbers = |line: &Map<String, Value>| {
            let list = line.get(name).and_then(Value::as_array).into_iter().flatten();
            list.map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
        };
        samples.iter().take(references.responses.len()).map(numbers).collect()
    };
    // a padded row of the reference has zeros behind its response
    let real = |padded: &[Vec<f64>]| -> Vec<f64> {
        let rows = padded.iter().zip(&references.responses);
        rows.flat_map(|(row, response)| row[..response.len().min(row.len())].to_vec()).collect()
    };
    let advantages = column("advantages");
    let white = whiten::advantages(&advantages);
    let check = |name: &str, convention, found: Vec<Vec<f64>>, expected: &[Vec<f64>]| {
        distances(&format!("PPO {name}"), convention, &found.concat(), &real(expected), 1e-5)
    };
    Ok(vec![
        check(
            "old log-probabilities",
            "log π(token | before) at T = .7, nats; largest distance",
            column("old_logprobs"),
            &references.old_logprobs,
        ),
        check(
            "reference log-probabilities",
            "log π_ref(token | before) at T = .7, nats; largest distance",
            column("reference_logprobs"),
            &references.ref_logprobs,
        ),
        check(
            "values",
            "V at the hidden state before the token; largest distance",
            column("values"),
            &references.values,
        ),
        check(
            "rewards",
            "−β(log π − log π_ref), the score on the last token, −1 without EOS; largest distance",
            column("rewards"),
            &references.rewards,
        ),
        check("advantages", "GAE, γ = 1, λ = .95; largest distance", advantages, &references.adv),
        check(
            "whitened advantages",
            "(A − μ)·rsqrt(σ² + 1e-8), population variance; largest distance",
            white,
            &references.adv_white,
        ),
        check("returns", "advantage + value; largest distance", column("returns"), &references.returns),
    ])
}

fn of_step(i: usize, found: &Map<String, Value>, expected: &Step) -> Vec<Check> {
    let number = |name: &str| found.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let name = |what: &str| format!("PPO+ptx step {}: {what}", i + 1);
    // whitened advantages make the policy loss 0 at first, so its error is absolute
    let policy_convention = "mean of max(−Aρ, −A·clip(ρ, 1 ± .2)); absolute";
    let mut checks =
        vec![Check::absolute(name("policy loss"), policy_convention, number("policy_loss"), expected.pg, 1e-6)];
    for (what, key, convention, expected, tolerance) in [
        ("value loss", "value_loss", "½·mean max((v−R)², (clip(v, v_old ± .2)−R)²); relative", expected.vf, 5e-6),
        (
            "ptx loss",
            "ptx_loss",
            "mean −log p of the text at T = 1, before its factor 27.8; relative",
            expected.ptx,
            5e-6,
        ),
        (
            "grad norm, PPO",
            "grad_norm_ppo",
            "policy's gradient before the text's is added; relative",
            expected.policy_gradnorm_ppo,
            1e-5,
        ),
        (
            "grad norm, PPO + ptx",
            "grad_norm_total",
            "policy's gradient + 27.8 × the text's; relative",
            expected.policy_gradnorm_ppo_plus_ptx,
            1e-5,
        ),
    ] {
        checks.push(Check::relative(name(what), convention, number(key), expected, tolerance));
    }
    checks
}
