//! The store: a database with a clock.

use std::path::PathBuf;
use std::sync::Arc;

use crate::database::{Address, Database, Durability, Transaction};
use crate::{Clock, PasswordCost, Result, schema};

/// How to open a store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// What a password costs to check.
    pub password_cost: PasswordCost,
    /// The time.
    pub clock: Clock,
    /// How long a write waits for another program's, in milliseconds.
    pub busy_ms: u64,
    /// Where the copy goes that is made before an upgrade; beside the file (for a server: in the
    /// working folder) when absent.
    pub copies: Option<PathBuf>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { password_cost: PasswordCost::Standard, clock: Clock::system(), busy_ms: 5000, copies: None }
    }
}

/// A labeling database. Clones share it; any thread may call it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    clock: Clock,
    password_cost: PasswordCost,
    busy_ms: u64,
    upgraded: Option<PathBuf>,
}

impl Store {
    /// Opens a database (`FILE`, `sqlite:FILE`, `postgres://…`), makes it when it isn't there, and
    /// upgrades an older one after copying it.
    pub fn open(address: &str, options: &OpenOptions) -> Result<Store> {
        Store::open_version(address, options, schema::KNOWN)
    }

    /// Opens a database and brings it to a version; tests make old ones so.
    pub(crate) fn open_version(address: &str, options: &OpenOptions, version: i64) -> Result<Store> {
        let address = Address::parse(address)?;
        let database = Database::open(&address, options.busy_ms)?;
        let copies = options.copies.clone().unwrap_or_else(|| match &address {
            Address::File(path) => path.clone(),
            Address::Server(_) => PathBuf::from("labels.db"),
        });
        let upgraded = schema::upgrade(&database, version, Some(&copies))?;
        let (clock, password_cost, busy_ms) = (options.clock.clone(), options.password_cost, options.busy_ms);
        Ok(Store { inner: Arc::new(Inner { database, clock, password_cost, busy_ms, upgraded }) })
    }

    /// Which database it is, for people; never with a password.
    pub fn describe(&self) -> &str {
        self.inner.database.name()
    }

    /// Where the copy lies that was made because opening upgraded an older database.
    pub fn upgraded_from(&self) -> Option<&std::path::Path> {
        self.inner.upgraded.as_deref()
    }

    /// The time.
    pub fn now_ms(&self) -> i64 {
        self.inner.clock.now_ms()
    }

    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    pub(crate) fn password_cost(&self) -> PasswordCost {
        self.inner.password_cost
    }

    pub(crate) fn busy_ms(&self) -> u64 {
        self.inner.busy_ms
    }

    pub(crate) fn read<T>(&self, work: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        self.inner.database.read(work)
    }

    /// A durable write.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        self.inner.database.write(Durability::Full, work)
    }

    /// A write that a power cut may take back.
    pub(crate) fn write_relaxed<T>(&self, work: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        self.inner.database.write(Durability::Relaxed, work)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.describe())
    }
}
