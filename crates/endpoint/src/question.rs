//! One question to a service that speaks JSON, asked again while that may help.
use serde::Serialize;
use std::time::Duration;
use ureq::Agent;

const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// Where and how it is asked.
pub(crate) struct Service<'a> {
    pub agent: &'a Agent,
    pub url: &'a str,
    pub token: Option<&'a str>,
    /// How often at most, the first time included.
    pub attempts: u32,
    /// The first wait between tries; each further one is twice as long.
    pub backoff: Duration,
}

/// Why there is no answer.
pub(crate) enum Failure {
    /// Nobody answers, or not in time.
    Unreachable(String),
    /// An answer that is no success.
    Status(u16),
}

impl Failure {
    fn may_pass(&self) -> bool {
        match self {
            Failure::Unreachable(_) => true,
            Failure::Status(status) => *status == 429 || *status >= 500,
        }
    }
}

impl Service<'_> {
    /// The text of the answer.
    pub fn ask(&self, question: &impl Serialize) -> Result<String, Failure> {
        let mut wait = self.backoff;
        for _ in 1..self.attempts {
            match self.ask_once(question) {
                Err(failure) if failure.may_pass() => std::thread::sleep(wait),
                result => return result,
            }
            wait *= 2;
        }
        self.ask_once(question)
    }

    fn ask_once(&self, question: &impl Serialize) -> Result<String, Failure> {
        let unreachable = |error: ureq::Error| Failure::Unreachable(error.to_string());
        let mut request = self.agent.post(self.url);
        if let Some(token) = self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.send_json(question).map_err(unreachable)?;
        match response.status().as_u16() {
            200 => response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().map_err(unreachable),
            status => Err(Failure::Status(status)),
        }
    }
}

/// What an answer begins with, for messages.
pub(crate) fn beginning(text: &str) -> String {
    format!("{:?}", text.chars().take(80).collect::<String>())
}
