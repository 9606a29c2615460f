//! A service that scores texts, for toxicity say.
//!
//! One POST a batch: `{"texts": [string, …]}`. The answer is `{"scores": [number, …]}`, one a text, in their order, each
//! from 0 (not at all) to 1.
use crate::question::{Failure, Service, beginning};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use ureq::Agent;

/// How the service is called.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreSettings {
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
    /// Texts a request at most.
    pub batch: usize,
}

impl ScoreSettings {
    /// A minute of patience, three tries, 64 texts at once.
    pub fn new(url: &str) -> ScoreSettings {
        ScoreSettings {
            url: url.to_owned(),
            token: None,
            timeout: Duration::from_secs(60),
            attempts: 3,
            backoff: Duration::from_millis(500),
            batch: 64,
        }
    }
}

/// Why there are no scores.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
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
    #[error("{url}: {found}, expected {{\"scores\": [number, …]}} with {expected} numbers from 0 to 1")]
    Malformed {
        /// The address.
        url: String,
        /// What came.
        found: String,
        /// Texts asked about.
        expected: usize,
    },
}

impl ScoreError {
    /// Whether the service is missing, rather than wrong.
    pub fn is_missing(&self) -> bool {
        !matches!(self, ScoreError::Malformed { .. })
    }
}

/// The client.
#[derive(Debug)]
pub struct ScoreClient {
    settings: ScoreSettings,
    agent: Agent,
}

#[derive(Serialize)]
struct Question<'a> {
    texts: &'a [&'a str],
}

#[derive(Deserialize)]
struct Answer {
    scores: Vec<f64>,
}

impl ScoreClient {
    /// Nothing is sent yet.
    pub fn new(settings: ScoreSettings) -> ScoreClient {
        let agent = crate::agent::agent(settings.timeout);
        ScoreClient { settings, agent }
    }

    /// Where it asks.
    pub fn url(&self) -> &str {
        &self.settings.url
    }

    /// Texts a request at most.
    pub fn batch(&self) -> usize {
        self.settings.batch.max(1)
    }

    /// The score of every text; a request a batch.
    pub fn scores(&self, texts: &[&str]) -> Result<Vec<f64>, ScoreError> {
        let mut scores = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.batch()) {
            scores.extend(self.ask(batch)?);
        }
        Ok(scores)
    }

    fn ask(&self, texts: &[&str]) -> Result<Vec<f64>, ScoreError> {
        let ScoreSettings { url, token, attempts, backoff, .. } = &self.settings;
        let service =
            Service { agent: &self.agent, url, token: token.as_deref(), attempts: *attempts, backoff: *backoff };
        let text = service.ask(&Question { texts }).map_err(|failure| match failure {
            Failure::Unreachable(reason) => ScoreError::Unreachable { url: url.clone(), reason },
            Failure::Status(status) => ScoreError::Status { url: url.clone(), status },
        })?;
        let malformed = |found: String| ScoreError::Malformed { url: url.clone(), found, expected: texts.len() };
        let answer: Answer =
            serde_json::from_str(&text).map_err(|error| malformed(format!("{error} in {}", beginning(&text))))?;
        if answer.scores.len() != texts.len() {
            return Err(malformed(format!("{} scores", answer.scores.len())));
        }
        match answer.scores.iter().find(|score| !(0.0..=1.0).contains(*score)) {
            Some(score) => Err(malformed(format!("a score of {score}"))),
            None => Ok(answer.scores),
        }
    }
}
