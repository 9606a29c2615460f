//! `rule:contains`.
use super::{Check, Rule};

/// 1 where the completion contains TEXT, else 0.
pub struct Contains;

impl Rule for Contains {
    fn name(&self) -> &'static str {
        "contains"
    }

    fn summary(&self) -> &'static str {
        "1 where the completion contains TEXT, else 0"
    }

    fn argument(&self) -> Option<&'static str> {
        Some("TEXT")
    }

    fn parse(&self, argument: &str) -> Result<Check, &'static str> {
        let wanted = argument.to_owned();
        Ok(Box::new(move |_, completion| f64::from(u8::from(completion.contains(&wanted)))))
    }

    fn examples(&self) -> &'static [(&'static str, &'static str, f64)] {
        &[("sun", "the sunny day", 1.0), ("sun", "the Sun", 0.0)]
    }
}
