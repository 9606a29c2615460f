//! Why a statistic can't be computed.

/// A refusal: what was found and what was expected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Too few observations.
    #[error("{what}: {found} given, at least {expected} needed")]
    TooFew {
        /// What was counted.
        what: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Lists that belong together differ in length.
    #[error("{what}: {found} given, {expected} expected")]
    Length {
        /// What was counted.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A number lies outside its range, or is NaN.
    #[error("{what} is {found}: expected {expected}")]
    OutOfRange {
        /// What the number is.
        what: &'static str,
        /// The number.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// An index names no competitor.
    #[error("comparison {row} names competitor {found}: there are {count}, counted from 0")]
    NoSuchCompetitor {
        /// Which comparison or ranking.
        row: usize,
        /// The index.
        found: usize,
        /// How many competitors there are.
        count: usize,
    },
    /// The statistic has no value on this data.
    #[error("{what} is undefined: {why}")]
    Undefined {
        /// The statistic.
        what: &'static str,
        /// Why.
        why: &'static str,
    },
    /// Strengths would be infinite.
    #[error(
        "no finite strengths: no chain of wins leads from competitor {from} to competitor {to} (a ridge > 0 would give some)"
    )]
    NotConnected {
        /// Where the chains start.
        from: usize,
        /// What they don't reach.
        to: usize,
    },
    /// An iteration did not settle.
    #[error("{what} did not converge in {iterations} iterations")]
    NoConvergence {
        /// What was fitted.
        what: &'static str,
        /// How many iterations were made.
        iterations: usize,
    },
}

pub(crate) fn at_least(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if found < expected { Err(Error::TooFew { what, expected, found }) } else { Ok(()) }
}

pub(crate) fn same_length(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::Length { what, expected, found }) }
}

pub(crate) fn all_finite(what: &'static str, values: &[f64]) -> Result<(), Error> {
    match values.iter().find(|value| !value.is_finite()) {
        Some(&found) => Err(Error::OutOfRange { what, found, expected: "a finite number" }),
        None => Ok(()),
    }
}

pub(crate) fn is_level(level: f64) -> Result<(), Error> {
    let inside = level > 0.0 && level < 1.0;
    let expected = "a number between 0 and 1, both excluded";
    if inside { Ok(()) } else { Err(Error::OutOfRange { what: "the level", found: level, expected }) }
}
