//! What commands may know of the world around them, read once.

use crate::cache::Cache;
use crate::error::CommandError;
use endpoint::ServiceSettings;
use std::path::PathBuf;
use std::time::Duration;

/// The environment of a command.
pub struct Context {
    /// Where models are kept.
    pub cache: Cache,
    /// The hub's address and token.
    pub hub: endpoint::hub::HubSettings,
    /// No network may be used.
    pub offline: bool,
    /// Sent to reward endpoints as `Authorization: Bearer …`.
    pub reward_token: Option<String>,
    /// Sent to scoring services as `Authorization: Bearer …`.
    pub scorer_token: Option<String>,
    /// How long a scoring service may take to answer; the client's own patience when absent.
    pub scorer_timeout: Option<Duration>,
    /// How long a reward endpoint may take to answer; the client's own patience when absent.
    pub reward_timeout: Option<Duration>,
}

impl Context {
    /// Reads the environment's variables.
    pub fn from_environment() -> Result<Context, CommandError> {
        let home = variable("HELPMATE_HOME").map(PathBuf::from);
        let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
        let user = variable("HOME").map(PathBuf::from);
        let root = home
            .or_else(|| cache.map(|folder| folder.join("helpmate")))
            .or_else(|| user.map(|folder| folder.join(".cache/helpmate")))
            .ok_or_else(|| {
                CommandError::usage("neither HELPMATE_HOME nor HOME is set")
                    .hint("set HELPMATE_HOME to a folder for downloaded models")
            })?;
        let mut hub = endpoint::hub::HubSettings::default();
        if let Some(endpoint) = variable("HF_ENDPOINT") {
            hub.endpoint = endpoint.trim_end_matches('/').to_string();
        }
        hub.token = variable("HF_TOKEN");
        hub.certificates = variable("SSL_CERT_FILE").or_else(|| variable("REQUESTS_CA_BUNDLE")).map(PathBuf::from);
        let offline = variable("HF_HUB_OFFLINE").is_some_and(|value| !matches!(value.as_str(), "0" | "false"));
        let reward_timeout = seconds("HELPMATE_REWARD_TIMEOUT")?;
        let reward_token = variable("HELPMATE_REWARD_TOKEN");
        let scorer_timeout = seconds("HELPMATE_SCORER_TIMEOUT")?;
        let scorer_token = variable("HELPMATE_SCORER_TOKEN");
        let cache = Cache::new(root);
        Ok(Context { cache, hub, offline, reward_token, reward_timeout, scorer_token, scorer_timeout })
    }

    /// How the reward endpoint at an address is called.
    pub fn reward_settings(&self, url: &str) -> Result<ServiceSettings, CommandError> {
        self.service(url, self.reward_token.as_ref(), self.reward_timeout)
    }

    /// How the scoring service at an address is called.
    pub fn scorer_settings(&self, url: &str) -> Result<ServiceSettings, CommandError> {
        self.service(url, self.scorer_token.as_ref(), self.scorer_timeout)
    }

    fn service(
        &self,
        url: &str,
        token: Option<&String>,
        timeout: Option<Duration>,
    ) -> Result<ServiceSettings, CommandError> {
        if self.offline {
            return Err(CommandError::missing(format!("{url}: the network is switched off")));
        }
        let defaults = ServiceSettings::new(url);
        Ok(ServiceSettings { token: token.cloned(), timeout: timeout.unwrap_or(defaults.timeout), ..defaults })
    }
}

/// A variable that is a time.
fn seconds(name: &str) -> Result<Option<Duration>, CommandError> {
    let Some(value) = variable(name) else { return Ok(None) };
    let parsed = value.parse().ok().filter(|seconds| *seconds > 0.0).map(Duration::try_from_secs_f64);
    let wrong = || CommandError::usage(format!("{name} is {value:?}, expected seconds, more than 0"));
    parsed.and_then(Result::ok).map(Some).ok_or_else(wrong)
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
