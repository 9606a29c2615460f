//! From what a person calls a reward to something that scores.

use crate::arguments::DtypeOption;
use crate::context::Context;
use crate::error::CommandError;
use crate::loading;
use endpoint::reward::{Item, RewardClient};
use kernels::Device;
use serde_json::json;
use train::scorer::{Asked, Gated, ImplicitReward, RewardModel, RuleScorer, ScoreError, Scorer, Weighted};

/// Tokens run through a reward model at once, unless one row is longer.
const BATCH_TOKENS: usize = 2048;

/// One `[WEIGHT*]R`: its weight (1 when not given) and the scorer.
pub fn open(
    context: &Context,
    text: &str,
    device: &Device,
    dtype: DtypeOption,
) -> Result<(f64, Box<dyn Scorer>), CommandError> {
    let (weight, source) = weighed(text)?;
    if let Some(rule) = source.strip_prefix("rule:") {
        return Ok((weight, Box::new(RuleScorer::new(rule).map_err(CommandError::usage)?)));
    }
    if source.starts_with("http://") || source.starts_with("https://") {
        let client = RewardClient::new(context.reward_settings(source)?);
        return Ok((weight, Box::new(HttpScorer { client })));
    }
    let path = loading::resolve(context, source)?;
    Ok((weight, Box::new(RewardModel::open(device, &path, dtype.precision(device, &path), BATCH_TOKENS)?)))
}

/// Weight and source of `[WEIGHT*]R`.
fn weighed(text: &str) -> Result<(f64, &str), CommandError> {
    let parsed = text.split_once('*').and_then(|(weight, source)| Some((weight.trim().parse::<f64>().ok()?, source)));
    match parsed {
        None => Ok((1.0, text)),
        Some((weight, source)) if weight.is_finite() && weight != 0.0 => Ok((weight, source)),
        Some((weight, _)) => {
            let message = format!("reward {text:?}: a weight of {weight}, expected a finite number other than 0");
            Err(CommandError::usage(message).hint("--gold measures a reward that nothing learns from"))
        }
    }
}

/// The reward that gates others: its threshold decides, so a weight would do nothing.
pub fn open_safety(
    context: &Context,
    text: &str,
    device: &Device,
    dtype: DtypeOption,
) -> Result<Box<dyn Scorer>, CommandError> {
    match open(context, text, device, dtype)? {
        (1.0, safety) => Ok(safety),
        _ => Err(CommandError::usage("the safety reward decides by its threshold: leave out its weight")),
    }
}

/// Several rewards as one: their weighted sum, or with a gate helpfulness where safety reaches its threshold.
pub fn open_all(
    context: &Context,
    texts: &[String],
    gate: Option<(&str, f64)>,
    device: &Device,
    dtype: DtypeOption,
) -> Result<Box<dyn Scorer>, CommandError> {
    let mut parts = Vec::new();
    for text in texts {
        parts.push(open(context, text, device, dtype)?);
    }
    let sum: Box<dyn Scorer> = match parts.pop() {
        Some((1.0, scorer)) if parts.is_empty() => scorer,
        Some(last) => {
            parts.push(last);
            Box::new(Weighted { parts })
        }
        None => return Err(CommandError::usage("no reward is given").hint("--reward R")),
    };
    let Some((safety, threshold)) = gate else {
        return Ok(sum);
    };
    let safety = open_safety(context, safety, device, dtype)?;
    Ok(Box::new(Gated { helpfulness: sum, safety, threshold }))
}

/// DPO's implicit reward of a policy against a reference.
pub fn open_implicit(
    context: &Context,
    policy: &str,
    reference: &str,
    beta: f64,
    device: &Device,
    dtype: DtypeOption,
) -> Result<Box<dyn Scorer>, CommandError> {
    let (policy, reference) = (loading::resolve(context, policy)?, loading::resolve(context, reference)?);
    let precision = dtype.precision(device, &policy);
    Ok(Box::new(ImplicitReward::open(device, &policy, &reference, beta, precision, BATCH_TOKENS)?))
}

/// A service on the network.
struct HttpScorer {
    client: RewardClient,
}

impl Scorer for HttpScorer {
    fn name(&self) -> String {
        self.client.url().to_owned()
    }

    fn score(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<f64>>, ScoreError> {
        let mut items = Vec::new();
        for Asked { prompt, completions } in asked {
            items.extend(completions.iter().map(|completion| Item { prompt: json!(prompt), completion }));
        }
        let rewards = self.client.rewards(&items).map_err(|error| {
            let (message, missing) = (error.to_string(), error.is_missing());
            ScoreError::Endpoint { scorer: "reward endpoint".into(), message, missing }
        })?;
        let mut rewards = rewards.into_iter();
        Ok(asked.iter().map(|asked| rewards.by_ref().take(asked.completions.len()).collect()).collect())
    }
}

impl From<ScoreError> for CommandError {
    fn from(error: ScoreError) -> CommandError {
        match &error {
            ScoreError::Rule(_) => CommandError::usage(error),
            ScoreError::Endpoint { missing: true, .. } => CommandError::missing(error).hint(
                "HELPMATE_REWARD_TIMEOUT sets the seconds that an answer may take (60), HELPMATE_REWARD_TOKEN a bearer's \
                 token; a run that has a checkpoint goes on with --resume",
            ),
            ScoreError::Endpoint { .. } => CommandError::input(error)
                .hint("docs/stages/reward.md has what a service is asked and how it must answer"),
            _ => CommandError::input(error),
        }
    }
}
