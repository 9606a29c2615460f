//! How often one person may come: a bucket each, refilled steadily.

use label::Id;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

/// Requests that may come at once.
const BURST: f64 = 60.0;
/// Requests a second in the long run; a fast labeler with drafts needs about one.
const PER_SECOND: f64 = 10.0;
/// Buckets kept; full ones are dropped beyond that.
const BUCKETS_MAX: usize = 10_000;

/// Everybody's buckets.
#[derive(Default)]
pub struct Limits(Mutex<HashMap<Id, Bucket>>);

struct Bucket {
    left: f64,
    at: Instant,
}

impl Limits {
    /// Takes one request; `Err` says in how many seconds to come again.
    pub fn take(&self, person: Id, now: Instant) -> Result<(), u64> {
        let mut buckets = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if buckets.len() > BUCKETS_MAX {
            buckets.retain(|_, bucket| bucket.filled(now) < BURST);
        }
        let bucket = buckets.entry(person).or_insert(Bucket { left: BURST, at: now });
        bucket.left = bucket.filled(now);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(((1.0 - bucket.left) / PER_SECOND).ceil() as u64);
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

impl Bucket {
    fn filled(&self, now: Instant) -> f64 {
        (self.left + now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND).min(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_then_a_steady_rate() {
        let (limits, start) = (Limits::default(), Instant::now());
        let passed = (0..100).filter(|_| limits.take(1, start).is_ok()).count();
        assert_eq!(passed, 60);
        assert_eq!(limits.take(1, start), Err(1));
        assert!(limits.take(2, start).is_ok(), "another person has a bucket of their own");
        // Two seconds refill 2 · 10.
        let later = start + Duration::from_secs(2);
        assert_eq!((0..100).filter(|_| limits.take(1, later).is_ok()).count(), 20);
    }
}
