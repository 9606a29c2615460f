//! HTTP: the OpenAI-compatible API, the chat page, the labeling pages.
//!
//! Handlers are async and short; models run on a thread of their own, databases on blocking threads. It knows no
//! losses and no optimizers.

pub mod api;
pub mod app;
pub mod candidates;
pub mod chat;
pub mod collect;
pub mod keys;
pub mod label;
pub mod metrics;
mod random;
mod runs;
pub mod server;
mod stream;
pub mod worker;

/// Everything that a server of models answers.
pub fn router(app: std::sync::Arc<app::App>) -> axum::Router {
    api::router().merge(chat::router()).merge(runs::router()).with_state(app)
}

/// Where a server tells what went wrong: a line at a time.
pub type Log = std::sync::Arc<dyn Fn(String) + Send + Sync>;

/// A text without the one character that databases keep in no text; models write it now and then.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "")
}
