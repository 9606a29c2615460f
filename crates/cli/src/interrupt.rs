//! Ctrl-C: the first one asks the command to finish what it must, the second one ends the process.

use crate::error::CommandError;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT and SIGTERM are noted instead of ending the process at once.
pub fn listen() -> Result<(), CommandError> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("\ninterrupted: finishing what must be finished; once more to stop at once");
    })
    .map_err(|error| CommandError::input(format!("signal handler: {error}")))
}

/// The flag itself, for loops that look at it.
pub fn flag() -> &'static AtomicBool {
    &ASKED
}

/// Whether it came.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
