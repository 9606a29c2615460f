//! `rule:length`.
use super::{Check, Rule};

/// how near the completion is to N characters: 1 − |n − N| ÷ N, at least 0.
pub struct Length;

impl Rule for Length {
    fn name(&self) -> &'static str {
        "length"
    }

    fn summary(&self) -> &'static str {
        "how near the completion is to N characters: 1 − |n − N| ÷ N, at least 0"
    }

    fn argument(&self) -> Option<&'static str> {
        Some("N")
    }

    fn parse(&self, argument: &str) -> Result<Check, &'static str> {
        let wanted = super::count(argument)?;
        Ok(Box::new(move |_, completion| super::nearness(completion.chars().count(), wanted)))
    }

    fn examples(&self) -> &'static [(&'static str, &'static str, f64)] {
        &[("4", "äöü", 0.75), ("4", "four", 1.0), ("4", "far too long", 0.0)]
    }
}
