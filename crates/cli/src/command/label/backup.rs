//! `helpmate label backup` and `helpmate label restore`.

use super::{DatabaseArguments, OPERATOR};
use crate::error::CommandError;
use crate::output;
use clap::Args;
use std::path::PathBuf;

/// Copy a labeling database while people work in it
///
/// The copy is a SQLite file, of PostgreSQL too: it can be served as it is, and put back with `helpmate label restore`.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate label backup copies/monday.db")]
pub struct Backup {
    /// File to write, which must not be there yet
    place: PathBuf,
    #[command(flatten)]
    database: DatabaseArguments,
}

impl Backup {
    pub fn run(self) -> Result<(), CommandError> {
        self.database.open_existing()?.backup(OPERATOR, &self.place)?;
        output::path(&self.place)
    }
}

/// Fill an empty database from a copy
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate label restore copies/monday.db --db postgres://me@localhost/labels")]
pub struct Restore {
    /// A copy that `helpmate label backup` made
    copy: PathBuf,
    #[command(flatten)]
    database: DatabaseArguments,
}

impl Restore {
    pub fn run(self) -> Result<(), CommandError> {
        let store = self.database.open()?;
        store.restore(OPERATOR, &self.copy)?;
        eprintln!("{} holds what {} holds", store.describe(), self.copy.display());
        Ok(())
    }
}
