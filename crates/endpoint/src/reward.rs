//! A service that gives rewards.
//!
//! One POST a batch: `{"items": [{"prompt": …, "completion": …}, …]}`, the prompt a string or a list of messages.
//! The answer is `{"rewards": [number, …]}`, one an item, in their order.
use crate::question::{Failure, Service, beginning};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use ureq::Agent;

/// A completion to be rewarded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item<'a> {
    /// What was asked: a string, or messages.
    pub prompt: Value,
    /// The answer.
    pub completion: &'a str,
}

/// How the service is called.
#[derive(Clone, Debug, PartialEq)]
pub struct RewardSettings {
    /// Its address.
    pub url: String,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<String>,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// How often a failure that may pass is tried again.
    pub attempts: u32,
    /// The first wait between tries; each further one is twice as long.
    pub backoff: Duration,
    /// Items a request at most.
    pub batch: usize,
}

impl RewardSettings {
    /// A minute of patience, three tries, 64 items at once.
    pub fn new(url: &str) -> RewardSettings {
        RewardSettings {
            url: url.to_owned(),
            token: None,
            timeout: Duration::from_secs(60),
            attempts: 3,
            backoff: Duration::from_millis(500),
            batch: 64,
        }
    }
}

/// Why there are no rewards.
#[derive(Debug, thiserror::Error)]
pub enum RewardError {
    /// Nobody answers, or not in time.
    #[error("{url}: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// An answer that is no success.
    #[error("{url}: status {status}, expected 200")]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
    },
    /// An answer that makes no sense.
    #[error("{url}: {found}, expected {{\"rewards\": [number, …]}} with {expected} numbers")]
    Malformed {
        /// The address.
        url: String,
        /// What came.
        found: String,
        /// Items asked about.
        expected: usize,
    },
}

impl RewardError {
    /// Whether the service is missing, rather than wrong.
    pub fn is_missing(&self) -> bool {
        !matches!(self, RewardError::Malformed { .. })
    }
}

/// The client.
pub struct RewardClient {
    settings: RewardSettings,
    agent: Agent,
}

#[derive(Serialize)]
struct Question<'a> {
    items: &'a [Item<'a>],
}

#[derive(Deserialize)]
struct Answer {
    rewards: Vec<f64>,
}

impl RewardClient {
    /// Nothing is sent yet.
    pub fn new(settings: RewardSettings) -> RewardClient {
        let agent = crate::agent::agent(settings.timeout);
        RewardClient { settings, agent }
    }

    /// Where it asks.
    pub fn url(&self) -> &str {
        &self.settings.url
    }

    /// The reward of every item, each a finite number.
    pub fn rewards(&self, items: &[Item<'_>]) -> Result<Vec<f64>, RewardError> {
        let mut rewards = Vec::with_capacity(items.len());
        for batch in items.chunks(self.settings.batch.max(1)) {
            rewards.extend(self.ask(batch)?);
        }
        Ok(rewards)
    }

    fn ask(&self, items: &[Item<'_>]) -> Result<Vec<f64>, RewardError> {
        let RewardSettings { url, token, attempts, backoff, .. } = &self.settings;
        let service =
            Service { agent: &self.agent, url, token: token.as_deref(), attempts: *attempts, backoff: *backoff };
        let text = service.ask(&Question { items }).map_err(|failure| match failure {
            Failure::Unreachable(reason) => RewardError::Unreachable { url: url.clone(), reason },
            Failure::Status(status) => RewardError::Status { url: url.clone(), status },
        })?;
        let malformed = |found: String| RewardError::Malformed { url: url.clone(), found, expected: items.len() };
        let answer: Answer =
            serde_json::from_str(&text).map_err(|error| malformed(format!("{error} in {}", beginning(&text))))?;
        match answer.rewards.len() {
            n if n != items.len() => Err(malformed(format!("{n} rewards"))),
            _ if answer.rewards.iter().any(|reward| !reward.is_finite()) => Err(malformed("an infinite reward".into())),
            _ => Ok(answer.rewards),
        }
    }
}
