//! Learning from rewards: rewards per token, advantages, KL control, policy and value losses.
//!
//! A batch is a list of rollouts, each a list with one entry per sampled token: no padding, so
//! nothing can leak out of it. In the lecture's terms: the state is the prompt and the tokens so
//! far, an observation what fits the context, an action the next token, the reward the score at
//! the end less β·KL on the way.
//!
//! To add a loss: write `policy/NAME.rs` and add its line to [`ALL`], [`VALUE`] or [`ROW`]; an
//! estimator or a piece of KL control gets its line in [`ESTIMATORS`] or [`CONTROL`], an algorithm
//! in [`algorithm::ALL`].

use crate::{About, Error, Objective, Options, Settings};
use formula::{OfTokens, OfValues};

pub mod algorithm;
pub mod best_of_n;
pub mod combine;
pub mod entropy;
mod formula;
pub mod gae;
pub mod grpo;
pub mod kl;
pub mod kl_controller;
mod kl_k2;
mod policy_gradient;
mod ppo_clip;
pub mod q_actor;
pub mod q_critic;
pub mod reinforce;
pub mod rewards;
pub mod rloo;
mod value_clip;
mod value_squared;
pub mod whiten;

/// Every policy loss, in the order that help shows them.
pub const ALL: &[&dyn PolicyLoss] =
    &[&OfTokens(ppo_clip::PpoClip), &OfTokens(policy_gradient::PolicyGradient), &OfTokens(kl_k2::KlK2)];

/// Every value loss.
pub const VALUE: &[&dyn ValueLoss] = &[&OfValues(value_clip::ValueClip), &OfValues(value_squared::ValueSquared)];

/// Losses by a row of numbers, with functions of their own.
pub const ROW: &[&dyn Objective] = &[&entropy::EntropyBonus, &q_critic::QCritic, &q_actor::QActor];

/// Advantage estimators, each with functions of its own.
pub const ESTIMATORS: &[&About] = &[&gae::ABOUT, &reinforce::ABOUT, &rloo::ABOUT, &grpo::ABOUT, &whiten::ABOUT];

/// KL estimators and their control, and the making of rewards.
pub const CONTROL: &[&About] = &[
    &kl::K1,
    &kl::K2,
    &kl::K3,
    &kl_controller::ABOUT,
    &rewards::ABOUT,
    &combine::STANDARDISED,
    &combine::WEIGHTED_SUM,
    &combine::SAFETY_GATE,
    &best_of_n::ABOUT,
];

/// One sampled token as a policy loss sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Token {
    /// log π(token) now: the trained number, in nats.
    pub logprob: f64,
    /// log π_old(token) under the policy that sampled it.
    pub old_logprob: f64,
    /// log π_ref(token).
    pub reference_logprob: f64,
    /// How much better the token was than expected; a constant for the gradient.
    pub advantage: f64,
}

/// One state as a value loss sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueToken {
    /// V(s_t) now: the trained number, read at the hidden state *before* token t.
    pub value: f64,
    /// V_old(s_t) at the time of sampling.
    pub old_value: f64,
    /// The return to regress on; a constant for the gradient.
    pub target: f64,
}

/// A loss over the tokens of a batch of rollouts.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLossGrad {
    /// The loss: Σ over tokens ÷ divisor.
    pub loss: f64,
    /// Its derivative by the trained number of each token, shaped as the rollouts.
    pub gradient: Vec<Vec<f64>>,
    /// Share of tokens whose trained number lies beyond the clip range and which therefore have
    /// no gradient; 0 for a loss without a clip.
    pub clip_fraction: f64,
}

/// A loss by the log-probability of each sampled token.
pub trait PolicyLoss: Objective {
    /// One token's loss and its derivative by `logprob`.
    fn token(&self, settings: &Settings, token: &Token) -> (f64, f64);
    /// Whether clipping holds this token: the gradient is 0 though the advantage isn't.
    fn is_clipped(&self, _settings: &Settings, _token: &Token) -> bool {
        false
    }
}

/// A loss by the value of each state.
pub trait ValueLoss: Objective {
    /// One state's loss and its derivative by `value`.
    fn state(&self, settings: &Settings, state: &ValueToken) -> (f64, f64);
    /// Whether clipping holds this state.
    fn is_clipped(&self, _settings: &Settings, _state: &ValueToken) -> bool {
        false
    }
}

/// A policy loss with its options.
pub struct Loss {
    member: &'static dyn PolicyLoss,
    settings: Settings,
}

/// The policy loss of this name with these options; refuses unknown names, and options that it
/// does not use.
pub fn by_name(name: &str, options: &Options) -> Result<Loss, Error> {
    let member = ALL.iter().copied().find(|member| member.about().name == name);
    let member = member.ok_or_else(|| Error::UnknownName {
        family: "policy loss",
        found: name.to_owned(),
        among: ALL.iter().map(|member| member.about().name).collect(),
    })?;
    Ok(Loss { member, settings: Settings::resolve(member.about(), options)? })
}

impl Loss {
    /// The member's account of itself.
    pub fn about(&self) -> &'static About {
        self.member.about()
    }

    /// The resolved options.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Mean loss over the tokens of all rollouts.
    pub fn loss(&self, rollouts: &[Vec<Token>]) -> Result<TokenLossGrad, Error> {
        self.loss_over(rollouts, count(rollouts))
    }

    /// Loss of a part of a batch that has `divisor` tokens as a whole.
    pub fn loss_over(&self, rollouts: &[Vec<Token>], divisor: f64) -> Result<TokenLossGrad, Error> {
        over_tokens(
            rollouts,
            divisor,
            |token| self.member.token(&self.settings, token),
            |token| self.member.is_clipped(&self.settings, token),
        )
    }
}

/// A value loss with its options.
pub struct Value {
    member: &'static dyn ValueLoss,
    settings: Settings,
}

/// The value loss of this name with these options; refuses unknown names, and options that it
/// does not use.
pub fn value_by_name(name: &str, options: &Options) -> Result<Value, Error> {
    let member = VALUE.iter().copied().find(|member| member.about().name == name);
    let member = member.ok_or_else(|| Error::UnknownName {
        family: "value loss",
        found: name.to_owned(),
        among: VALUE.iter().map(|member| member.about().name).collect(),
    })?;
    Ok(Value { member, settings: Settings::resolve(member.about(), options)? })
}

impl Value {
    /// The member's account of itself.
    pub fn about(&self) -> &'static About {
        self.member.about()
    }

    /// The resolved options.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Mean loss over the states of all rollouts.
    pub fn loss(&self, rollouts: &[Vec<ValueToken>]) -> Result<TokenLossGrad, Error> {
        self.loss_over(rollouts, count(rollouts))
    }

    /// Loss of a part of a batch that has `divisor` states as a whole.
    pub fn loss_over(&self, rollouts: &[Vec<ValueToken>], divisor: f64) -> Result<TokenLossGrad, Error> {
        over_tokens(
            rollouts,
            divisor,
            |state| self.member.state(&self.settings, state),
            |state| self.member.is_clipped(&self.settings, state),
        )
    }
}

/// The number of tokens of a batch of rollouts.
pub fn count<T>(rollouts: &[Vec<T>]) -> f64 {
    rollouts.iter().map(Vec::len).sum::<usize>() as f64
}

fn over_tokens<T>(
    rollouts: &[Vec<T>],
    divisor: f64,
    evaluate: impl Fn(&T) -> (f64, f64),
    is_clipped: impl Fn(&T) -> bool,
) -> Result<TokenLossGrad, Error> {
    if count(rollouts) == 0.0 || divisor <= 0.0 {
        return Err(Error::Empty { what: "no tokens in these rollouts" });
    }
    let (mut loss, mut clipped) = (0.0, 0usize);
    let mut one = |token: &T| {
        let (own, slope) = evaluate(token);
        loss += own;
        clipped += usize::from(is_clipped(token));
        slope / divisor
    };
    let gradient = rollouts.iter().map(|rollout| rollout.iter().map(&mut one).collect()).collect();
    Ok(TokenLossGrad { loss: loss / divisor, gradient, clip_fraction: clipped as f64 / count(rollouts) })
}

/// Zips ragged lists into tokens; refuses lists of unequal length, by rollout.
pub fn tokens(
    logprobs: &[Vec<f64>],
    old_logprobs: &[Vec<f64>],
    reference_logprobs: &[Vec<f64>],
    advantages: &[Vec<f64>],
) -> Result<Vec<Vec<Token>>, Error> {
    same_shape(logprobs, old_logprobs, "old log-probabilities")?;
    same_shape(logprobs, reference_logprobs, "reference log-probabilities")?;
    same_shape(logprobs, advantages, "advantages")?;
    let token = |row: usize, t: usize| Token {
        logprob: logprobs[row][t],
        old_logprob: old_logprobs[row][t],
        reference_logprob: reference_logprobs[row][t],
        advantage: advantages[row][t],
    };
    Ok(each(logprobs, token))
}

/// Zips ragged lists into states; refuses lists of unequal length, by rollout.
pub fn states(
    values: &[Vec<f64>],
    old_values: &[Vec<f64>],
    targets: &[Vec<f64>],
) -> Result<Vec<Vec<ValueToken>>, Error> {
    same_shape(values, old_values, "old values")?;
    same_shape(values, targets, "returns")?;
    let state = |row: usize, t: usize| ValueToken {
        value: values[row][t],
        old_value: old_values[row][t],
        target: targets[row][t],
    };
    Ok(each(values, state))
}

fn each<T>(shape: &[Vec<f64>], make: impl Fn(usize, usize) -> T) -> Vec<Vec<T>> {
    let row = |row: usize| (0..shape[row].len()).map(|t| make(row, t)).collect();
    (0..shape.len()).map(row).collect()
}

/// Refuses lists that are not shaped as `expected`: as many rollouts, as many tokens in each.
pub(crate) fn same_shape(expected: &[Vec<f64>], found: &[Vec<f64>], what: &'static str) -> Result<(), Error> {
    let rows = expected.len().min(found.len());
    for row in 0..rows {
        let (expected, found) = (expected[row].len(), found[row].len());
        if expected != found {
            return Err(Error::Length { row, what, expected, found });
        }
    }
    if expected.len() != found.len() {
        let (expected, found) = (expected.len(), found.len());
        return Err(Error::Length { row: rows, what, expected, found });
    }
    Ok(())
}
