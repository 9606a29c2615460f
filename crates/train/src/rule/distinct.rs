//! `rule:distinct`.
use super::{Check, Rule};

/// different words ÷ words: 1 without any repetition, 0 without words.
pub struct Distinct;

impl Rule for Distinct {
    fn name(&self) -> &'static str {
        "distinct"
    }

    fn summary(&self) -> &'static str {
        "different words ÷ words: 1 without any repetition, 0 without words"
    }

    fn argument(&self) -> Option<&'static str> {
        None
    }

    fn parse(&self, _: &str) -> Result<Check, &'static str> {
        let share = |text: &str| {
            let words: Vec<&str> = text.split_whitespace().collect();
            let different: std::collections::HashSet<&&str> = words.iter().collect();
            different.len() as f64 / words.len().max(1) as f64
        };
        Ok(Box::new(move |_, completion| share(completion)))
    }

    fn examples(&self) -> &'static [(&'static str, &'static str, f64)] {
        &[("", "a b a a", 0.5), ("", "a b", 1.0), ("", "", 0.0)]
    }
}
