//! One dialect over two databases.
//!
//! SQL is written once, for SQLite, with parameters `?1`, `?2`, …; PostgreSQL gets `$1`, `$2`, …
//! What differs beyond that is here and in [`dialect`]: how a transaction begins, which durability
//! it has, and what an error means. Both behave as one writer at a time: SQLite does so itself,
//! on PostgreSQL a write takes an advisory lock first, so that a test that holds on one holds on
//! the other.

pub mod dialect;
mod postgres;
mod sqlite;
mod tls;
mod value;

pub use value::{Row, Value};

use std::path::{Path, PathBuf};

use crate::{LabelError, Result};

/// How sure a write must be before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On the disk: it survives a kill and a power cut. For judgements and everything said by people.
    Full,
    /// It survives a kill; a power cut may take back the last moments. For leases and drafts, which
    /// can be had again.
    Relaxed,
}

/// A database that any thread may use.
pub enum Database {
    /// One file.
    Sqlite(sqlite::Sqlite),
    /// A server.
    Postgres(Box<postgres::Postgres>),
}

/// Which database a text means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A file.
    File(PathBuf),
    /// A server's URL.
    Server(String),
}

impl Address {
    /// Reads `postgres://…`, `postgresql://…`, `sqlite:PATH`, `sqlite://PATH` or a path.
    pub fn parse(text: &str) -> Result<Address> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Address::Server(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite:").map_or(text, |rest| rest.strip_prefix("//").unwrap_or(rest));
        let scheme = path.split_once("://").map(|(scheme, _)| scheme);
        if path.is_empty() || scheme.is_some() {
            let expected = "a file, sqlite:FILE or postgres://USER@HOST/DATABASE";
            return Err(LabelError::invalid("database", format!("{:?}", without_password(text)), expected));
        }
        Ok(Address::File(PathBuf::from(path)))
    }
}

/// A URL without the password in it.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let shown = match authority.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_owned(),
    };
    // Parameters may carry a password too.
    format!("{scheme}://{shown}{}", path.split('?').next().unwrap_or_default())
}

impl Database {
    /// Opens it; a file that isn't there is made.
    pub fn open(address: &Address, busy_ms: u64) -> Result<Database> {
        match address {
            Address::File(path) => sqlite::Sqlite::open(path, busy_ms).map(Database::Sqlite),
            Address::Server(url) => {
                postgres::Postgres::open(url, busy_ms).map(|server| Database::Postgres(Box::new(server)))
            }
        }
    }

    /// Its name for people, without a password.
    pub fn name(&self) -> &str {
        match self {
            Database::Sqlite(database) => database.name(),
            Database::Postgres(database) => database.name(),
        }
    }

    /// Runs `work` in a transaction that sees one state of the database and changes nothing.
    pub fn read<T>(&self, work: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        match self {
            Database::Sqlite(database) => database.read(work),
            Database::Postgres(database) => database.read(work),
        }
    }

    /// Runs `work` in a transaction: all of it happens, or on an error none.
    pub fn write<T>(&self, durability: Durability, work: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        match self {
            Database::Sqlite(database) => database.write(durability, work),
            Database::Postgres(database) => database.write(durability, work),
        }
    }

    /// Runs statements outside of [`dialect`]'s rewriting, for the schema.
    pub fn is_postgres(&self) -> bool {
        matches!(self, Database::Postgres(_))
    }

    /// Copies a SQLite database while it is used. `None` when this one isn't SQLite.
    pub fn copy_file(&self, place: &Path) -> Option<Result<()>> {
        match self {
            Database::Sqlite(database) => Some(database.copy(place)),
            Database::Postgres(_) => None,
        }
    }
}

/// A transaction on either.
pub enum Transaction<'a> {
    /// On SQLite.
    Sqlite(sqlite::Open<'a>),
    /// On PostgreSQL.
    Postgres(postgres::Open<'a>),
}

impl Transaction<'_> {
    /// The rows of a query.
    pub fn rows(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>> {
        match self {
            Transaction::Sqlite(open) => open.rows(sql, parameters),
            Transaction::Postgres(open) => open.rows(sql, parameters),
        }
    }

    /// The first row of a query.
    pub fn row(&mut self, sql: &str, parameters: &[Value]) -> Result<Option<Row>> {
        Ok(self.rows(sql, parameters)?.into_iter().next())
    }

    /// The number in the first row's first column; 0 when there is none.
    pub fn number(&mut self, sql: &str, parameters: &[Value]) -> Result<i64> {
        Ok(self.row(sql, parameters)?.map_or(0, |row| row.integer(0)))
    }

    /// Runs a statement; how many rows it changed.
    pub fn change(&mut self, sql: &str, parameters: &[Value]) -> Result<u64> {
        match self {
            Transaction::Sqlite(open) => open.change(sql, parameters),
            Transaction::Postgres(open) => open.change(sql, parameters),
        }
    }

    /// Inserts a row into a table with an `id`; its id.
    pub fn insert(&mut self, sql: &str, parameters: &[Value]) -> Result<crate::Id> {
        self.number(&format!("{sql} RETURNING id"), parameters)
    }

    /// Runs several statements without parameters, as they stand.
    pub fn script(&mut self, sql: &str) -> Result<()> {
        match self {
            Transaction::Sqlite(open) => open.script(sql),
            Transaction::Postgres(open) => open.script(sql),
        }
    }
}

/// Parameters of a statement, converted.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::database::Value::from($value)),*] };
}
pub(crate) use values;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_file_or_a_server() {
        let file = |text: &str| Address::File(PathBuf::from(text));
        assert_eq!(Address::parse("a/b.db").unwrap(), file("a/b.db"));
        assert_eq!(Address::parse("sqlite:b.db").unwrap(), file("b.db"));
        assert_eq!(Address::parse("sqlite:///abs/b.db").unwrap(), file("/abs/b.db"));
        assert!(matches!(Address::parse("postgresql://u@h/d").unwrap(), Address::Server(_)));
        for wrong in ["", "sqlite:", "mysql://u:secret@h/d"] {
            let error = Address::parse(wrong).unwrap_err().to_string();
            assert!(error.contains("expected a file") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("postgres://me:s3@host:5/db?password=x"), "postgres://me@host:5/db");
        assert_eq!(without_password("postgres://host/db"), "postgres://host/db");
        assert_eq!(without_password("postgres://a:b@c:d@host/db"), "postgres://a@host/db");
    }
}
