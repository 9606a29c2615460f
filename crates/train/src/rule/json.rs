//! `rule:json`.
use super::{Check, Rule};

/// 1 where the completion is JSON, else 0.
pub struct Json;

impl Rule for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn summary(&self) -> &'static str {
        "1 where the completion is JSON, else 0"
    }

    fn argument(&self) -> Option<&'static str> {
        None
    }

    fn parse(&self, _: &str) -> Result<Check, &'static str> {
        let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text.trim()).is_ok();
        Ok(Box::new(move |_, completion| f64::from(u8::from(is_json(completion)))))
    }

    fn examples(&self) -> &'static [(&'static str, &'static str, f64)] {
        &[("", " {\"a\": [1]}", 1.0), ("", "{\"a\": 1} and more", 0.0)]
    }
}
