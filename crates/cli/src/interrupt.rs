//! Ctrl-C: the first one asks the command to finish what it must, the second one ends the process.

use crate::error::CommandError;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Nothing must be finished, so nothing is said.
static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT and SIGTERM are noted instead of ending the process at once. Asking again changes nothing.
pub fn listen() -> Result<(), CommandError> {
    static LISTENING: OnceLock<Result<(), String>> = OnceLock::new();
    let result = LISTENING.get_or_init(|| ctrlc::set_handler(note).map_err(|error| error.to_string()));
    result.clone().map_err(|error| CommandError::input(format!("signal handler: {error}")))
}

/// The same for a command that only looks on: it ends without a word.
pub fn listen_quietly() -> Result<(), CommandError> {
    QUIET.store(true, Ordering::SeqCst);
    listen()
}

fn note() {
    if ASKED.swap(true, Ordering::SeqCst) {
        std::process::exit(130);
    }
    if QUIET.load(Ordering::SeqCst) {
        return;
    }
    eprintln!("\ninterrupted: finishing what must be finished; once more to stop at once");
}

/// The flag itself, for loops that look at it.
pub fn flag() -> &'static AtomicBool {
    &ASKED
}

/// Whether it came.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
