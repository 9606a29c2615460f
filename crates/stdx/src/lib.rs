//! Seeded random streams, hashing, JSONL and atomic files.
//!
//! What every crate may use and none should write again. It knows nothing of models, records or
//! runs; every error names the path it is about.

pub mod atomic;
pub mod hash;
pub mod jsonl;
pub mod limit;
pub mod seed;

pub use atomic::{PendingFolder, write_file};
pub use limit::Limited;
pub use seed::{Seed, Stream};

use std::io;
use std::path::{Path, PathBuf};

/// An operating-system error together with the path and what was being done to it.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {action}: {source}", path.display())]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// What was tried, as a verb phrase ("open", "write", "rename").
    pub action: &'static str,
    /// What the system answered.
    pub source: io::Error,
}

impl FileError {
    /// A closure for `map_err` that adds path and action.
    pub fn at(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self { path, action, source }
    }
}
