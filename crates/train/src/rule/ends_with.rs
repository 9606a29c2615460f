//! `rule:ends_with`.
use super::{Check, Rule};

/// 1 where the completion ends in TEXT, blanks at the end aside, else 0.
pub struct EndsWith;

impl Rule for EndsWith {
    fn name(&self) -> &'static str {
        "ends_with"
    }

    fn summary(&self) -> &'static str {
        "1 where the completion ends in TEXT, blanks at the end aside, else 0"
    }

    fn argument(&self) -> Option<&'static str> {
        Some("TEXT")
    }

    fn parse(&self, argument: &str) -> Result<Check, &'static str> {
        let wanted = argument.to_owned();
        Ok(Box::new(move |_, completion| f64::from(u8::from(completion.trim_end().ends_with(&wanted)))))
    }

    fn examples(&self) -> &'static [(&'static str, &'static str, f64)] {
        &[("!", "yes! ", 1.0), ("!", "yes!?", 0.0)]
    }
}
