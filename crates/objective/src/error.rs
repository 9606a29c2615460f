//! What can be wrong with a request to an objective.

/// A refusal: which name, option or row, what was found and what was expected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// No member of the registry has this name.
    #[error("unknown {family} `{found}`: expected one of {}", among.join(", "))]
    UnknownName {
        /// What was looked for: "preference loss", "algorithm" …
        family: &'static str,
        /// The name given.
        found: String,
        /// The names there are.
        among: Vec<&'static str>,
    },
    /// The member does not use this option, so setting it would do nothing.
    #[error("`{name}` does not use the option `{option}`: it takes {}", if takes.is_empty() { "none".to_owned() } else { takes.join(", ") })]
    UnusedOption {
        /// The member's name.
        name: &'static str,
        /// The option given.
        option: String,
        /// The options it takes.
        takes: Vec<&'static str>,
    },
    /// The option's value is of the wrong type or out of its range.
    #[error("option `{option}` of `{name}` is {found}: expected {expected}")]
    BadOption {
        /// The member's name.
        name: &'static str,
        /// The option's name.
        option: &'static str,
        /// The value given.
        found: String,
        /// What it may be.
        expected: String,
    },
    /// A loss was given data of a shape that it isn't defined on.
    #[error("`{name}` is defined on {takes}, not on {found}")]
    WrongShape {
        /// The loss's name.
        name: &'static str,
        /// The shape it takes.
        takes: &'static str,
        /// The shape it was given.
        found: &'static str,
    },
    /// There is nothing to average over.
    #[error("nothing to average over: {what}")]
    Empty {
        /// What was empty.
        what: &'static str,
    },
    /// Lists that describe the same things differ in length.
    #[error("row {row}: {expected} {what} expected, found {found}")]
    Length {
        /// Which rollout, prompt or pair.
        row: usize,
        /// What was counted.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A completion without tokens has neither a log-probability nor a place for a reward.
    #[error("row {row}: a completion has no tokens")]
    NoTokens {
        /// Which rollout, prompt or pair.
        row: usize,
    },
    /// A number is NaN or infinite where only a finite one makes sense.
    #[error("row {row}: {what} is {found}, expected a finite number")]
    NotFinite {
        /// Which rollout, prompt or pair.
        row: usize,
        /// What the number is.
        what: &'static str,
        /// The number.
        found: f64,
    },
    /// A number lies outside what its meaning allows.
    #[error("{what} is {found}: expected {expected}")]
    OutOfRange {
        /// What the number is.
        what: &'static str,
        /// The number.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// Scores can't be recovered from these outcomes.
    #[error("no finite Bradley–Terry scores: {reason}")]
    NoScores {
        /// Why.
        reason: String,
    },
}
