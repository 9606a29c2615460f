//! What all handlers share.

use crate::Log;
use crate::api::error::ApiError;
use crate::chat::Rooms;
use crate::collect::Collector;
use crate::keys::{Caller, Keys};
use crate::metrics::Metrics;
use crate::worker::Worker;
use axum::http::{HeaderMap, header};
use label::Store;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A server's state.
pub struct App {
    /// The models.
    pub worker: Worker,
    /// Who may ask.
    pub keys: Keys,
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// Where prompts go, when clients' traffic is collected.
    pub collector: Option<Collector>,
    /// Where what people say of answers goes.
    pub feedback: Option<Feedback>,
    /// Runs to show.
    pub runs: Option<PathBuf>,
    /// Conversations of the chat page.
    pub rooms: Rooms,
    /// Seed of the chat page's answers; a random one each time when absent.
    pub chat_seed: Option<u64>,
    /// Where what went wrong is told.
    pub log: Log,
}

/// The labeling project that flagged and compared answers go to.
#[derive(Clone)]
pub struct Feedback {
    /// The database.
    pub store: Store,
    /// The project's id.
    pub project: label::Id,
}

impl App {
    /// A server of these models, open to everybody who reaches it, that keeps nothing.
    pub fn new(worker: Worker, metrics: Arc<Metrics>) -> App {
        let (keys, rooms) = (Keys::default(), Rooms::default());
        App {
            worker,
            keys,
            metrics,
            collector: None,
            feedback: None,
            runs: None,
            chat_seed: None,
            rooms,
            log: Arc::new(|_| ()),
        }
    }

    /// Tells what went wrong.
    pub fn log(&self, message: String) {
        (self.log)(message);
    }

    /// Who asks, by the request's `Authorization`.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = given.and_then(|text| text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("bearer ")));
        self.keys.caller(key.map(str::trim)).await.ok_or_else(|| ApiError::unknown_key(given.is_some()))
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
