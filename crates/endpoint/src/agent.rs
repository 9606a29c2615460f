//! How a service is spoken to.
use std::time::Duration;
use ureq::Agent;

/// An agent that names itself, gives up after `timeout`, and hands every status to its caller.
pub(crate) fn agent(timeout: Duration) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("helpmate/", env!("CARGO_PKG_VERSION")))
        .timeout_global(Some(timeout))
        .build()
        .new_agent()
}
