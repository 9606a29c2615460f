//! `rule:words`.
use super::{Check, Rule};

/// how near the completion is to N words: 1 − |n − N| ÷ N, at least 0.
pub struct Words;

impl Rule for Words {
    fn name(&self) -> &'static str {
        "words"
    }

    fn summary(&self) -> &'static str {
        "how near the completion is to N words: 1 − |n − N| ÷ N, at least 0"
    }

    fn argument(&self) -> Option<&'static str> {
        Some("N")
    }

    fn parse(&self, argument: &str) -> Result<Check, &'static str> {
        let wanted = super::count(argument)?;
        Ok(Box::new(move |_, completion| super::nearness(completion.split_whitespace().count(), wanted)))
    }

    fn examples(&self) -> &'static [(&'static str, &'static str, f64)] {
        &[("4", "one two  three", 0.75), ("4", "a b c d e", 0.75), ("4", "", 0.0)]
    }
}
