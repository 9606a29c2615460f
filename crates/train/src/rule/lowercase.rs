//! `rule:lowercase`.
use super::{Check, Rule};

/// share of the letters that are lower case; 0 without letters.
pub struct Lowercase;

impl Rule for Lowercase {
    fn name(&self) -> &'static str {
        "lowercase"
    }

    fn summary(&self) -> &'static str {
        "share of the letters that are lower case; 0 without letters"
    }

    fn argument(&self) -> Option<&'static str> {
        None
    }

    fn parse(&self, _: &str) -> Result<Check, &'static str> {
        let share = |text: &str| {
            let letters = text.chars().filter(|letter| letter.is_lowercase() || letter.is_uppercase()).count();
            text.chars().filter(|letter| letter.is_lowercase()).count() as f64 / letters.max(1) as f64
        };
        Ok(Box::new(move |_, completion| share(completion)))
    }

    fn examples(&self) -> &'static [(&'static str, &'static str, f64)] {
        &[("", "ab cD.", 0.75), ("", "123", 0.0)]
    }
}
