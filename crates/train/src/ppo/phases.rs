//! Where an iteration's time goes.
use std::time::Instant;

/// Seconds of the phases of one iteration: sampling, scoring by the rewards, observing (reference and value model),
/// learning. What is left of the iteration's `seconds` is bookkeeping.
pub(super) struct Phases {
    /// Of each phase that ended, by its name in `metrics.jsonl`.
    pub seconds: Vec<(&'static str, f64)>,
    clock: Instant,
}

impl Phases {
    /// The first phase begins.
    pub fn begin() -> Phases {
        Phases { seconds: Vec::new(), clock: Instant::now() }
    }

    /// A phase ends, and the next one begins.
    pub fn end(&mut self, name: &'static str) {
        self.seconds.push((name, self.clock.elapsed().as_secs_f64()));
        self.clock = Instant::now();
    }
}
