//! What can be wrong with a configuration.
use super::Origin;

/// A wrong configuration, by key.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, or a value of the wrong type.
    #[error("{origin}: {message}")]
    Invalid {
        /// Where it stands.
        origin: Origin,
        /// What the parser says, with line and column for a file.
        message: String,
    },
    /// No stage, or not this one, has such a key.
    #[error("{origin}: unknown key `{key}`")]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A value that makes no sense.
    #[error("`{key}` = {found} ({origin}): expected {expected}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// Its value.
        found: String,
        /// Where it came from.
        origin: Origin,
        /// What would be right.
        expected: &'static str,
    },
    /// Two keys that exclude each other.
    #[error("`{first}` and `{second}` are both given: {why}")]
    Conflict {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// Why not both.
        why: &'static str,
    },
    /// An option that would change nothing.
    #[error("`{key}` ({origin}) would do nothing in {stage}: {why}")]
    NoEffect {
        /// The key.
        key: String,
        /// Where it came from.
        origin: Origin,
        /// The stage.
        stage: &'static str,
        /// Why.
        why: String,
    },
    /// A key without a default.
    #[error("`{key}` is missing")]
    Missing {
        /// The key.
        key: &'static str,
        /// How to give it.
        hint: &'static str,
    },
    /// `--resume` with other values than the run began with.
    #[error("`{key}` is {found} ({origin}), but the run was started with {expected}")]
    Changed {
        /// The key.
        key: String,
        /// Now.
        found: String,
        /// Where the new value came from.
        origin: Origin,
        /// In the run's `config.toml`.
        expected: String,
    },
}

impl ConfigError {
    /// What the person can do, when there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            ConfigError::UnknownKey { nearest, .. } => {
                nearest.as_ref().map(|key| format!("did you mean `{key}`?"))
            }
            ConfigError::NoEffect { .. } => Some("leave it out".into()),
            ConfigError::Conflict { second, .. } => Some(format!("leave out `{second}`")),
            ConfigError::Missing { hint, .. } => Some((*hint).into()),
            ConfigError::Changed { .. } => Some(
                "resume with the values the run began with (only how long it trains and how often it saves may change), \
                 or start another run in another --out"
                    .into(),
            ),
            ConfigError::Invalid { .. } | ConfigError::OutOfRange { .. } => None,
        }
    }
}
