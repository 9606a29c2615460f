//! `rule:regex`.
use super::{Check, Rule};

/// 1 where PATTERN matches somewhere in the completion, else 0.
pub struct Regex;

impl Rule for Regex {
    fn name(&self) -> &'static str {
        "regex"
    }

    fn summary(&self) -> &'static str {
        "1 where PATTERN matches somewhere in the completion, else 0"
    }

    fn argument(&self) -> Option<&'static str> {
        Some("PATTERN")
    }

    fn parse(&self, argument: &str) -> Result<Check, &'static str> {
        let pattern = ::regex::Regex::new(argument).map_err(|_| "a regular expression")?;
        Ok(Box::new(move |_, completion| f64::from(u8::from(pattern.is_match(completion)))))
    }

    fn examples(&self) -> &'static [(&'static str, &'static str, f64)] {
        &[("^[0-9]+$", "42", 1.0), ("^[0-9]+$", "42 apples", 0.0)]
    }
}
