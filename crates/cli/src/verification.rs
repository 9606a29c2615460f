//! The reference numbers, recomputed by the same code that trains and generates.

mod fine_tuning;
mod policy;
mod preference;
mod reward;
mod shipped;
pub mod smollm2;

use crate::error::CommandError;
use kernels::Device;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shipped::Shipped;

/// What is checked on the files that ship: a stage a line.
const PARTS: [Part; 4] = [fine_tuning::checks, reward::checks, preference::checks, policy::checks];
type Part = fn(&Shipped) -> Result<Vec<Check>, CommandError>;

/// Every number of `tests/conformance`.
pub fn tiny(device: &Device) -> Result<Vec<Check>, CommandError> {
    let shipped = Shipped::write(device)?;
    let parts = PARTS.iter().map(|part| part(&shipped)).collect::<Result<Vec<_>, _>>()?;
    Ok(parts.into_iter().flatten().collect())
}

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

    /// A number that may lie around 0, within an absolute tolerance.
    pub fn absolute(name: String, convention: &'static str, found: f64, expected: f64, tolerance: f64) -> Check {
        let error = (found - expected).abs();
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

/// What the reference program had at an optimizer step.
#[derive(Deserialize)]
struct Step {
    loss: f64,
    /// Where it was noted.
    #[serde(default)]
    grad_norm: Option<f64>,
}

/// Losses and gradient norms of a run's first steps. A correct f32 implementation is within 2e-6 at the first loss,
/// 5e-6 at those after it (their weights differ in the last bits already), 1e-5 at norms.
fn steps(name: &str, convention: &'static str, metrics: &[Map<String, Value>], expected: &[Step]) -> Vec<Check> {
    let mut checks = Vec::new();
    for (i, expected) in expected.iter().enumerate() {
        let number =
            |key: &str| metrics.get(i).and_then(|line| line.get(key)).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let tolerance = if i == 0 { 2e-6 } else { 5e-6 };
        let name = |what: &str| format!("{name} step {}: {what}", i + 1);
        checks.push(Check::relative(name("loss"), convention, number("loss"), expected.loss, tolerance));
        if let Some(grad_norm) = expected.grad_norm {
            let convention = "global norm before clipping; relative";
            checks.push(Check::relative(name("grad norm"), convention, number("grad_norm"), grad_norm, 1e-5));
        }
    }
    checks
}

/// Many numbers that must be there and close to theirs.
fn distances(name: &str, convention: &'static str, found: &[f64], expected: &[f64], tolerance: f64) -> Check {
    let errors: Vec<f64> = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).collect();
    let error = if found.len() == expected.len() { largest(&errors) } else { f64::NAN };
    Check::distance(name.to_string(), convention, expected.len(), error, tolerance)
}

/// The largest; a NaN stays (`f64::max` would drop it).
fn largest(errors: &[f64]) -> f64 {
    let larger = |largest: f64, error: &f64| if largest.is_nan() || *error <= largest { largest } else { *error };
    errors.iter().fold(0.0, larger)
}

#[cfg(test)]
mod tests {
    use super::{Check, distances};

    #[test]
    fn what_is_not_a_number_does_not_hold() {
        assert!(!Check::relative(String::new(), "", f64::NAN, 1.0, 1e-3).holds);
        assert!(!Check::distance(String::new(), "", 1, f64::NAN, 1e-3).holds);
        assert!(!distances("", "", &[1.0, f64::NAN, 1.0], &[1.0; 3], 1e-3).holds);
    }

    #[test]
    fn numbers_that_are_missing_do_not_hold() {
        assert!(distances("", "", &[1.0, 2.0], &[1.0, 2.0], 1e-3).holds);
        assert!(!distances("", "", &[1.0], &[1.0, 2.0], 1e-3).holds);
    }

    #[test]
    fn a_tolerance_is_relative_to_what_is_expected() {
        assert!(Check::relative(String::new(), "", 1000.5, 1000.0, 1e-3).holds);
        assert!(!Check::relative(String::new(), "", 0.0015, 0.001, 1e-3).holds);
    }
}
