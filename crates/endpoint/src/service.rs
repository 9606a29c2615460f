//! A service that says a number of each of many things, as JSON: asked in batches, again while that may help, and not
//! believed before its answer is checked.
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use ureq::Agent;

const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// How a service is called.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSettings {
    /// Its address.
    pub url: String,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<String>,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// How often it is asked at most, the first time included.
    pub attempts: u32,
    /// The first wait between tries; each further one is twice as long.
    pub backoff: Duration,
    /// Things a request at most.
    pub batch: usize,
}

impl ServiceSettings {
    /// A minute of patience, three tries, 64 things at once.
    pub fn new(url: &str) -> ServiceSettings {
        ServiceSettings {
            url: url.to_owned(),
            token: None,
            timeout: Duration::from_secs(60),
            attempts: 3,
            backoff: Duration::from_millis(500),
            batch: 64,
        }
    }
}

/// Why there are no numbers.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
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
    #[error("{url}: {found}, expected {expected}")]
    Malformed {
        /// The address.
        url: String,
        /// What came.
        found: String,
        /// What should have.
        expected: String,
    },
}

impl ServiceError {
    /// Whether the service is missing, rather than wrong.
    pub fn is_missing(&self) -> bool {
        !matches!(self, ServiceError::Malformed { .. })
    }

    fn may_pass(&self) -> bool {
        match self {
            ServiceError::Unreachable { .. } => true,
            ServiceError::Status { status, .. } => *status == 429 || *status >= 500,
            ServiceError::Malformed { .. } => false,
        }
    }
}

/// What a service's answer holds.
pub(crate) trait Answer: DeserializeOwned {
    /// What the numbers are called, many of them.
    const NAME: &'static str;
    /// One of them.
    const ONE: &'static str;
    /// What is said of their range, where they have one.
    const RANGE: &'static str;
    /// The numbers.
    fn numbers(self) -> Vec<f64>;
    /// Whether one is in its range.
    fn allows(number: f64) -> bool;
}

/// The client that all such services share.
#[derive(Debug)]
pub(crate) struct Service {
    pub settings: ServiceSettings,
    agent: Agent,
}

impl Service {
    /// Nothing is sent yet.
    pub fn new(settings: ServiceSettings) -> Service {
        let agent = crate::agent::agent(settings.timeout);
        Service { settings, agent }
    }

    /// Things a request at most.
    pub fn batch(&self) -> usize {
        self.settings.batch.max(1)
    }

    /// The number of each thing, in their order; a request a batch.
    pub fn numbers<'a, T, Q: Serialize, A: Answer>(
        &self,
        things: &'a [T],
        question: impl Fn(&'a [T]) -> Q,
    ) -> Result<Vec<f64>, ServiceError> {
        let mut numbers = Vec::with_capacity(things.len());
        for batch in things.chunks(self.batch()) {
            let text = self.ask(&question(batch))?;
            numbers.extend(self.read::<A>(&text, batch.len())?);
        }
        Ok(numbers)
    }

    /// The text of the answer.
    fn ask(&self, question: &impl Serialize) -> Result<String, ServiceError> {
        let mut wait = self.settings.backoff;
        for _ in 1..self.settings.attempts {
            match self.ask_once(question) {
                Err(failure) if failure.may_pass() => std::thread::sleep(wait),
                result => return result,
            }
            wait *= 2;
        }
        self.ask_once(question)
    }

    fn ask_once(&self, question: &impl Serialize) -> Result<String, ServiceError> {
        let url = &self.settings.url;
        let unreachable =
            |error: ureq::Error| ServiceError::Unreachable { url: url.clone(), reason: error.to_string() };
        let mut request = self.agent.post(url);
        if let Some(token) = &self.settings.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.send_json(question).map_err(unreachable)?;
        match response.status().as_u16() {
            200 => response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().map_err(unreachable),
            status => Err(ServiceError::Status { url: url.clone(), status }),
        }
    }

    fn read<A: Answer>(&self, text: &str, n: usize) -> Result<Vec<f64>, ServiceError> {
        let malformed = |found: String| {
            let expected = format!("{{\"{}\": [number, …]}} with {n} numbers{}", A::NAME, A::RANGE);
            ServiceError::Malformed { url: self.settings.url.clone(), found, expected }
        };
        let beginning: String = text.chars().take(80).collect();
        let answer: A = serde_json::from_str(text).map_err(|error| malformed(format!("{error} in {beginning:?}")))?;
        let numbers = answer.numbers();
        if numbers.len() != n {
            return Err(malformed(format!("{} {}", numbers.len(), A::NAME)));
        }
        match numbers.iter().find(|number| !A::allows(**number)) {
            Some(number) => Err(malformed(format!("{} of {number}", A::ONE))),
            None => Ok(numbers),
        }
    }
}
