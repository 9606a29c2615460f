//! Errors in the shape that OpenAI's clients read.

use crate::worker::Refused;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use generate::GenerateError;
use serde_json::json;

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// What is wrong, found and expected.
    pub message: String,
    /// The field of the request.
    pub param: Option<String>,
    /// A name for programs.
    pub code: Option<&'static str>,
}

impl ApiError {
    /// A request that cannot be answered because of one of its fields.
    pub fn field(param: &str, message: impl Into<String>) -> ApiError {
        let (message, param) = (message.into(), Some(param.to_owned()));
        ApiError { status: StatusCode::BAD_REQUEST, message, param, code: None }
    }

    /// Something else.
    pub fn new(status: StatusCode, message: impl Into<String>, code: Option<&'static str>) -> ApiError {
        ApiError { status, message: message.into(), param: None, code }
    }

    /// No key, or one that isn't known.
    pub fn unknown_key(given: bool) -> ApiError {
        let message =
            if given { "the API key is not known here" } else { "no API key: send it as `Authorization: Bearer KEY`" };
        ApiError::new(StatusCode::UNAUTHORIZED, message, Some("invalid_api_key"))
    }

    /// What OpenAI calls the kind of error.
    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// The body.
    pub fn body(&self) -> serde_json::Value {
        json!({"error": {"message": self.message, "type": self.kind(), "param": self.param, "code": self.code}})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let mut add = |name, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                add(header::RETRY_AFTER, "1");
            }
            StatusCode::UNAUTHORIZED => {
                add(header::WWW_AUTHENTICATE, "Bearer");
            }
            _ => {}
        }
        response
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> ApiError {
        match refused {
            Refused::QueueFull { .. } => {
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, refused.to_string(), Some("rate_limit_exceeded"))
            }
            Refused::Stopped => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, refused.to_string(), None),
        }
    }
}

impl From<GenerateError> for ApiError {
    fn from(error: GenerateError) -> ApiError {
        let too_long = |message: String| ApiError {
            code: Some("context_length_exceeded"),
            ..ApiError::field("messages", message)
        };
        match error {
            GenerateError::PromptTooLong { tokens, context, .. } => too_long(format!(
                "the prompt has {tokens} tokens; the model's context is {context}, and at least one must be left to generate"
            )),
            GenerateError::CacheTooSmall { rows, capacity, .. } => too_long(format!(
                "prompt and completion need {rows} tokens; this server holds {capacity} (ask for fewer with max_tokens)"
            )),
            GenerateError::EmptyPrompt { .. } => {
                ApiError::field("prompt", "the prompt is empty, and the tokenizer adds no beginning token")
            }
            GenerateError::Sampling(error) => ApiError::new(StatusCode::BAD_REQUEST, error.to_string(), None),
            GenerateError::Zero { option } => ApiError::field(option, format!("`{option}` must be at least 1")),
            GenerateError::NoTokenizer => ApiError::field("stop", error.to_string()),
        }
    }
}
