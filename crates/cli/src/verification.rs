//! The reference numbers, recomputed by the same code that trains and generates.

pub mod smollm2;
pub mod tiny;

use serde::Serialize;

/// A reference number and what we get.
#[derive(Debug, Serialize)]
pub struct Check {
    /// Which number.
    pub name: String,
    /// How it is defined.
    pub convention: &'static str,
    /// What the reference program got.
    pub expected: String,
    /// What we get.
    pub found: String,
    /// How far apart, absolute or relative as the convention says.
    pub error: Option<f64>,
    /// How far apart they may be.
    pub tolerance: Option<f64>,
    /// Whether it holds.
    pub holds: bool,
}

impl Check {
    /// A number within a relative tolerance.
    pub fn relative(name: String, convention: &'static str, found: f64, expected: f64, tolerance: f64) -> Check {
        let error = (found - expected).abs() / expected.abs();
        Check::of(name, convention, format!("{found:.7}"), format!("{expected:.7}"), error, tolerance)
    }

    /// The largest or mean distance of many numbers from theirs.
    pub fn distance(name: String, convention: &'static str, n: usize, error: f64, tolerance: f64) -> Check {
        Check::of(name, convention, format!("{n} numbers"), format!("{n} numbers"), error, tolerance)
    }

    /// Texts that must be equal.
    pub fn text(name: String, convention: &'static str, found: &str, expected: &str) -> Check {
        let short = |text: &str| {
            let start: String = text.chars().take(24).collect();
            if start.len() < text.len() { format!("{start:?}…") } else { format!("{start:?}") }
        };
        Check {
            name,
            convention,
            expected: short(expected),
            found: short(found),
            error: None,
            tolerance: None,
            holds: found == expected,
        }
    }

    fn of(
        name: String,
        convention: &'static str,
        found: String,
        expected: String,
        error: f64,
        tolerance: f64,
    ) -> Check {
        // Not `error > tolerance`: a NaN must not hold.
        let holds = error <= tolerance;
        Check { name, convention, expected, found, error: Some(error), tolerance: Some(tolerance), holds }
    }
}

#[cfg(test)]
mod tests {
    use super::Check;

    #[test]
    fn what_is_not_a_number_does_not_hold() {
        assert!(!Check::relative(String::new(), "", f64::NAN, 1.0, 1e-3).holds);
        assert!(!Check::distance(String::new(), "", 1, f64::NAN, 1e-3).holds);
    }

    #[test]
    fn a_tolerance_is_relative_to_what_is_expected() {
        assert!(Check::relative(String::new(), "", 1000.5, 1000.0, 1e-3).holds);
        assert!(!Check::relative(String::new(), "", 0.0015, 0.001, 1e-3).holds);
    }
}
