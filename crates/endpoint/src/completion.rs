//! A language model behind an OpenAI-compatible service.
//!
//! `POST {base}/completions` with a prompt, or `POST {base}/chat/completions` with it as the user's message. Failures
//! that may pass (no answer in time, 429, 5xx, an answer that breaks off) are tried again, with `Retry-After` obeyed.
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use ureq::Agent;

const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// Longest wait between tries, whatever the service asks for.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// What is asked of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompletionRequest {
    /// The text to continue.
    pub prompt: String,
    /// Most tokens of the answer.
    pub max_tokens: usize,
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: f64,
    /// Only the likeliest tokens that reach this probability together; 0 is the likeliest alone.
    pub top_p: f64,
    /// Taken from the logits of tokens that are in the answer already.
    pub presence_penalty: f64,
    /// Texts that end the answer, and aren't part of it.
    pub stop: Vec<String>,
}

/// What it answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompletionAnswer {
    /// The text.
    pub text: String,
    /// Whether the length limit ended it.
    pub cut: bool,
    /// Tokens of the prompt, as the service counts them; 0 where it doesn't say.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
}

/// How the service is called.
#[derive(Clone, Debug, PartialEq)]
pub struct CompletionSettings {
    /// Its address up to and with `/v1`.
    pub base: String,
    /// The model's name there.
    pub model: String,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<String>,
    /// Ask by messages instead of by a prompt to continue.
    pub chat: bool,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// How often a failure that may pass is tried again.
    pub attempts: u32,
    /// The first wait between tries; each further one is twice as long.
    pub backoff: Duration,
}

impl CompletionSettings {
    /// Two minutes of patience, six tries, a second before the second.
    pub fn new(base: &str, model: &str) -> CompletionSettings {
        CompletionSettings {
            base: base.trim_end_matches('/').to_owned(),
            model: model.to_owned(),
            token: None,
            chat: false,
            timeout: Duration::from_secs(120),
            attempts: 6,
            backoff: Duration::from_secs(1),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CompletionError {
    /// Nobody answers, or not in time.
    #[error("{url}: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// An answer that is no success.
    #[error("{url}: status {status}, expected 200: {body}")]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
        /// What the answer begins with.
        body: String,
        /// Seconds the service asks to wait.
        retry_after: Option<u64>,
    },
    /// An answer that makes no sense, or breaks off.
    #[error("{url}: {found}, expected choices[0] with a text")]
    Malformed {
        /// The address.
        url: String,
        /// What came.
        found: String,
    },
}

impl CompletionError {
    /// Whether the service is missing (or won't have us), rather than the request wrong.
    pub fn is_missing(&self) -> bool {
        !matches!(self, CompletionError::Status { status: 400 | 404 | 413 | 422, .. })
    }

    fn may_pass(&self) -> bool {
        match self {
            CompletionError::Unreachable { .. } | CompletionError::Malformed { .. } => true,
            CompletionError::Status { status, .. } => *status == 408 || *status == 429 || *status >= 500,
        }
    }
}

/// The client. Many threads may ask at once.
pub struct CompletionClient {
    settings: CompletionSettings,
    agent: Agent,
}

impl CompletionClient {
    /// Nothing is sent yet.
    pub fn new(settings: CompletionSettings) -> CompletionClient {
        let agent = crate::agent::agent(settings.timeout);
        CompletionClient { settings, agent }
    }

    /// How it asks.
    pub fn settings(&self) -> &CompletionSettings {
        &self.settings
    }

    /// The answer, after as many tries as the settings allow.
    pub fn answer(&self, request: &CompletionRequest) -> Result<CompletionAnswer, CompletionError> {
        let mut wait = self.settings.backoff;
        for _ in 1..self.settings.attempts {
            match self.ask(request) {
                Err(error) if error.may_pass() => {
                    let asked = match &error {
                        CompletionError::Status { retry_after: Some(seconds), .. } => Duration::from_secs(*seconds),
                        _ => Duration::ZERO,
                    };
                    std::thread::sleep(wait.max(asked).min(WAIT_MAX));
                }
                result => return result,
            }
            wait *= 2;
        }
        self.ask(request)
    }

    fn ask(&self, request: &CompletionRequest) -> Result<CompletionAnswer, CompletionError> {
        let path = if self.settings.chat { "chat/completions" } else { "completions" };
        let url = format!("{}/{path}", self.settings.base);
        let unreachable =
            |error: ureq::Error| CompletionError::Unreachable { url: url.clone(), reason: error.to_string() };
        let mut post = self.agent.post(&url);
        if let Some(token) = &self.settings.token {
            post = post.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = post.send_json(self.body(request)).map_err(unreachable)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        if status != 200 {
            let body = beginning(&text.unwrap_or_default());
            return Err(CompletionError::Status { url, status, body, retry_after });
        }
        let text = text.map_err(unreachable)?;
        self.read(&text).map_err(|found| CompletionError::Malformed { url, found })
    }

    fn body(&self, request: &CompletionRequest) -> Value {
        let mut body = json!({
            "model": self.settings.model, "max_tokens": request.max_tokens, "temperature": request.temperature,
            "presence_penalty": request.presence_penalty, "n": 1,
        });
        // Services refuse 0; with a temperature of 0 it means nothing anyway.
        if request.top_p > 0.0 {
            body["top_p"] = json!(request.top_p);
        }
        // The API takes at most four.
        if !request.stop.is_empty() {
            body["stop"] = json!(request.stop.iter().take(4).collect::<Vec<_>>());
        }
        if self.settings.chat {
            body["messages"] = json!([{"role": "user", "content": request.prompt}]);
        } else {
            body["prompt"] = json!(request.prompt);
        }
        body
    }

    fn read(&self, text: &str) -> Result<CompletionAnswer, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("{error} in {}", beginning(text)))?;
        let choice = &value["choices"][0];
        let answer = if self.settings.chat { &choice["message"]["content"] } else { &choice["text"] };
        let answer = answer.as_str().ok_or_else(|| format!("no text in {}", beginning(text)))?;
        let tokens = |key: &str| value["usage"][key].as_u64().unwrap_or(0);
        Ok(CompletionAnswer {
            text: answer.to_owned(),
            cut: choice["finish_reason"] == "length",
            prompt_tokens: tokens("prompt_tokens"),
            completion_tokens: tokens("completion_tokens"),
        })
    }
}

/// What an answer begins with, for messages.
fn beginning(text: &str) -> String {
    format!("{:?}", text.chars().take(120).collect::<String>())
}
