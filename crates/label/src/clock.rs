//! The time, from the system or from a test.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Where the store has the time from.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Milliseconds since 1970 that stand still; `None` is the system's clock.
    manual: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock::default()
    }

    /// A clock that stands at `start_ms` until it is moved. Clones move together.
    pub fn manual(start_ms: i64) -> Clock {
        Clock { manual: Some(Arc::new(AtomicI64::new(start_ms))) }
    }

    /// Milliseconds since 1970, UTC.
    pub fn now_ms(&self) -> i64 {
        match &self.manual {
            Some(time) => time.load(Ordering::SeqCst),
            None => jiff::Timestamp::now().as_millisecond(),
        }
    }

    /// Moves a manual clock; the system's doesn't move.
    pub fn advance(&self, milliseconds: i64) {
        if let Some(time) = &self.manual {
            time.fetch_add(milliseconds, Ordering::SeqCst);
        }
    }
}

/// A time as RFC 3339 in UTC, to the second.
pub fn rfc3339(time_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(time_ms) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => "unknown".to_owned(),
    }
}

/// The day of a time in UTC, `2026-11-21`.
pub fn day(time_ms: i64) -> String {
    rfc3339(time_ms).split('T').next().unwrap_or_default().to_owned()
}
