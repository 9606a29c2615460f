//! A service that gives rewards.
//!
//! One POST a batch: `{"items": [{"prompt": …, "completion": …}, …]}`, the prompt a string or a list of messages.
//! The answer is `{"rewards": [number, …]}`, one an item, in their order.
use crate::service::{self, Service, ServiceError, ServiceSettings};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A completion to be rewarded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item<'a> {
    /// What was asked: a string, or messages.
    pub prompt: Value,
    /// The answer.
    pub completion: &'a str,
}

/// The client.
pub struct RewardClient(Service);

#[derive(Serialize)]
struct Question<'a> {
    items: &'a [Item<'a>],
}

#[derive(Deserialize)]
struct Answer {
    rewards: Vec<f64>,
}

impl service::Answer for Answer {
    const NAME: &'static str = "rewards";
    const ONE: &'static str = "a reward";
    const RANGE: &'static str = "";

    fn numbers(self) -> Vec<f64> {
        self.rewards
    }

    fn allows(number: f64) -> bool {
        number.is_finite()
    }
}

impl RewardClient {
    /// Nothing is sent yet.
    pub fn new(settings: ServiceSettings) -> RewardClient {
        RewardClient(Service::new(settings))
    }

    /// Where it asks.
    pub fn url(&self) -> &str {
        &self.0.settings.url
    }

    /// The reward of every item, each a finite number.
    pub fn rewards<'a>(&self, items: &'a [Item<'a>]) -> Result<Vec<f64>, ServiceError> {
        self.0.numbers::<_, _, Answer>(items, |items| Question { items })
    }
}
