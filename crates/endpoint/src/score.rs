//! A service that scores texts, for toxicity say.
//!
//! One POST a batch: `{"texts": [string, …]}`. The answer is `{"scores": [number, …]}`, one a text, in their order, each
//! from 0 (not at all) to 1.
use crate::service::{self, Service, ServiceError, ServiceSettings};
use serde::{Deserialize, Serialize};

/// The client.
#[derive(Debug)]
pub struct ScoreClient(Service);

#[derive(Serialize)]
struct Question<'a> {
    texts: &'a [&'a str],
}

#[derive(Deserialize)]
struct Answer {
    scores: Vec<f64>,
}

impl service::Answer for Answer {
    const NAME: &'static str = "scores";
    const ONE: &'static str = "a score";
    const RANGE: &'static str = " from 0 to 1";

    fn numbers(self) -> Vec<f64> {
        self.scores
    }

    fn allows(number: f64) -> bool {
        (0.0..=1.0).contains(&number)
    }
}

impl ScoreClient {
    /// Nothing is sent yet.
    pub fn new(settings: ServiceSettings) -> ScoreClient {
        ScoreClient(Service::new(settings))
    }

    /// Where it asks.
    pub fn url(&self) -> &str {
        &self.0.settings.url
    }

    /// Texts a request at most.
    pub fn batch(&self) -> usize {
        self.0.batch()
    }

    /// The score of every text.
    pub fn scores(&self, texts: &[&str]) -> Result<Vec<f64>, ServiceError> {
        self.0.numbers::<_, _, Answer>(texts, |texts| Question { texts })
    }
}
