//! Reading a request's fields: each with the right type and range; what isn't known is refused.

use super::error::ApiError;
use axum::http::StatusCode;
use serde_json::{Map, Value};

/// Fields that change nothing here: they say who asks, or how a company's service is to run.
const WITHOUT_EFFECT: [&str; 9] = [
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "parallel_tool_calls",
    "verbosity",
];

/// The fields of a request that aren't read yet.
pub struct Fields {
    map: Map<String, Value>,
}

impl Fields {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Fields, ApiError> {
        let bad = |message: String| ApiError::new(StatusCode::BAD_REQUEST, message, None);
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Fields { map }),
            Ok(_) => Err(bad("the body is no JSON object".into())),
            Err(error) => Err(bad(format!("the body is not JSON: {error}"))),
        }
    }

    /// A field's value; `null` is as good as absent.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// A field, read by `read`, which answers nothing for what it cannot use.
    pub fn optional<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match read(&value) {
            Some(read) => Ok(Some(read)),
            None => Err(ApiError::field(name, format!("`{name}` is {}, expected {expected}", shown(&value)))),
        }
    }

    /// A number within a range.
    pub fn number(&mut self, name: &str, low: f64, high: f64) -> Result<Option<f64>, ApiError> {
        let expected = format!("a number from {low} to {high}");
        self.optional(name, &expected, |value| value.as_f64().filter(|x| (low..=high).contains(x)))
    }

    /// A whole number within a range.
    pub fn count(&mut self, name: &str, low: usize, high: usize) -> Result<Option<usize>, ApiError> {
        let expected = format!("a whole number from {low} to {high}");
        self.optional(name, &expected, |value| {
            value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (low..=high).contains(n))
        })
    }

    /// True or false; false when absent.
    pub fn flag(&mut self, name: &str) -> Result<bool, ApiError> {
        Ok(self.optional(name, "true or false", Value::as_bool)?.unwrap_or(false))
    }

    /// Refuses a field that asks for something that isn't there, unless its value asks for nothing.
    pub fn refuse_unless(&mut self, name: &str, nothing: &[Value]) -> Result<(), ApiError> {
        match self.value(name) {
            Some(value) if !nothing.contains(&value) => {
                Err(ApiError::field(name, format!("`{name}` is {}: this server does not do that", shown(&value))))
            }
            _ => Ok(()),
        }
    }

    /// Refuses what is left.
    pub fn finish(mut self) -> Result<(), ApiError> {
        self.map.retain(|name, value| !value.is_null() && !WITHOUT_EFFECT.contains(&name.as_str()));
        match self.map.keys().next() {
            Some(name) => Err(ApiError::field(name, format!("`{name}` is not known, or not supported here"))),
            None => Ok(()),
        }
    }
}

/// What a value begins with.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
