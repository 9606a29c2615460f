//! `rule:exact`.
use super::{Check, Rule};

/// 1 where the completion is TEXT, blanks around it aside, else 0.
pub struct Exact;

impl Rule for Exact {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn summary(&self) -> &'static str {
        "1 where the completion is TEXT, blanks around it aside, else 0"
    }

    fn argument(&self) -> Option<&'static str> {
        Some("TEXT")
    }

    fn parse(&self, argument: &str) -> Result<Check, &'static str> {
        let wanted = argument.trim().to_owned();
        Ok(Box::new(move |_, completion| f64::from(u8::from(completion.trim() == wanted))))
    }

    fn examples(&self) -> &'static [(&'static str, &'static str, f64)] {
        &[("4", " 4\n", 1.0), ("4", "44", 0.0)]
    }
}
