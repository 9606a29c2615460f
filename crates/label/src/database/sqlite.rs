//! SQLite: one file with its write-ahead log, one writing connection, a few that read.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::{Durability, Row, Transaction, Value};
use crate::{LabelError, Result};

/// Connections that read at a time; more callers wait.
const READERS: usize = 8;

/// Marks the file as ours in its header ("HLPM").
const APPLICATION: i64 = 0x484C_504D;

/// A database in a file.
pub struct Sqlite {
    path: PathBuf,
    name: String,
    busy: Duration,
    writer: Mutex<Writer>,
    readers: Mutex<Readers>,
    returned: Condvar,
}

struct Writer {
    connection: Connection,
    durability: Durability,
}

#[derive(Default)]
struct Readers {
    idle: Vec<Connection>,
    lent: usize,
}

impl Sqlite {
    pub fn open(path: &Path, busy_ms: u64) -> Result<Sqlite> {
        let name = format!("SQLite {}", path.display());
        let busy = Duration::from_millis(busy_ms);
        let failed = |action| failure(&name, action);
        let connection = connect(path, busy).map_err(failed("open"))?;
        let found: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed("open"))?;
        let n_tables: i64 =
            connection.query_row("SELECT COUNT(*) FROM sqlite_master", [], |row| row.get(0)).map_err(failed("open"))?;
        if found != APPLICATION {
            if n_tables > 0 {
                let message = "it is a SQLite database of another program".to_owned();
                return Err(LabelError::Database { database: name, action: "use it", message });
            }
            connection.execute_batch(&format!("PRAGMA application_id={APPLICATION}")).map_err(failed("create"))?;
        }
        connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;").map_err(failed("set up"))?;
        let writer = Mutex::new(Writer { connection, durability: Durability::Full });
        let (readers, returned) = (Mutex::default(), Condvar::new());
        Ok(Sqlite { path: path.to_path_buf(), name, busy, writer, readers, returned })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn write<T>(&self, durability: Durability, work: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut writer = lock(&self.writer);
        let failed = |action| failure(&self.name, action);
        if writer.durability != durability {
            // NORMAL in a write-ahead log: no sync at each commit, and never a broken file.
            let mode = if durability == Durability::Full { "FULL" } else { "NORMAL" };
            writer.connection.execute_batch(&format!("PRAGMA synchronous={mode}")).map_err(failed("set up"))?;
            writer.durability = durability;
        }
        let transaction = writer
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed("begin to write"))?;
        // Dropped on an error or a panic, the transaction is rolled back.
        let found = work(&mut Transaction::Sqlite(Open { connection: &transaction, name: &self.name }))?;
        transaction.commit().map_err(failed("commit"))?;
        Ok(found)
    }

    pub fn read<T>(&self, work: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut lent = self.lend()?;
        let failed = |action| failure(&self.name, action);
        let connection = lent.connection.as_mut().expect("a connection is lent");
        let transaction = connection.transaction().map_err(failed("begin to read"))?;
        work(&mut Transaction::Sqlite(Open { connection: &transaction, name: &self.name }))
    }

    /// Copies the whole database while it is used (the online backup), syncs it and names it.
    pub fn copy(&self, place: &Path) -> Result<()> {
        let lent = self.lend()?;
        let connection = lent.connection.as_ref().expect("a connection is lent");
        let mut temporary = place.as_os_str().to_owned();
        temporary.push(format!("{}{}", stdx::atomic::TEMPORARY_MARK, std::process::id()));
        let temporary = PathBuf::from(temporary);
        let copied = (|| {
            let mut target = Connection::open(&temporary)?;
            let backup = rusqlite::backup::Backup::new(connection, &mut target)?;
            // In steps, with the writer let in between; a write meanwhile starts the copy again.
            backup.run_to_completion(256, Duration::from_millis(1), None)?;
            drop(backup);
            // One file that stands alone: no log beside it.
            target.execute_batch("PRAGMA journal_mode=DELETE")?;
            target.close().map_err(|(_, error)| error)
        })();
        let renamed = copied.map_err(failure(&self.name, "back up")).and_then(|()| {
            let file = std::fs::File::open(&temporary).map_err(stdx::FileError::at(place, "open"))?;
            file.sync_all().map_err(stdx::FileError::at(place, "sync"))?;
            std::fs::rename(&temporary, place).map_err(stdx::FileError::at(place, "rename"))?;
            Ok(())
        });
        if renamed.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        renamed
    }

    fn lend(&self) -> Result<Lent<'_>> {
        let mut readers = lock(&self.readers);
        while readers.idle.is_empty() && readers.lent >= READERS {
            readers = self.returned.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
        readers.lent += 1;
        let idle = readers.idle.pop();
        drop(readers);
        let mut lent = Lent { database: self, connection: idle };
        if lent.connection.is_none() {
            let opened = connect(&self.path, self.busy)
                .and_then(|connection| connection.execute_batch("PRAGMA query_only=ON").map(|()| connection));
            lent.connection = Some(opened.map_err(failure(&self.name, "open"))?);
        }
        Ok(lent)
    }
}

/// A connection that goes back when it is dropped.
struct Lent<'a> {
    database: &'a Sqlite,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut readers = lock(&self.database.readers);
        readers.lent -= 1;
        readers.idle.extend(self.connection.take());
        self.database.returned.notify_one();
    }
}

/// A lock whose holder panicked guards nothing that a transaction wouldn't have rolled back.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(path: &Path, busy: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(busy)?;
    connection.execute_batch("PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;")?;
    Ok(connection)
}

/// What an error of SQLite means to the caller.
fn failure(database: &str, action: &'static str) -> impl FnOnce(rusqlite::Error) -> LabelError {
    let database = database.to_owned();
    move |error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LabelError::Busy { database },
        Some(ErrorCode::DiskFull) => LabelError::Full { database },
        _ => LabelError::Database { database, action, message: error.to_string() },
    }
}

/// An open transaction.
pub struct Open<'a> {
    connection: &'a Connection,
    name: &'a str,
}

impl Open<'_> {
    pub fn rows(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>> {
        let query = || -> rusqlite::Result<Vec<Row>> {
            let mut statement = self.connection.prepare(sql)?;
            let n_columns = statement.column_count();
            let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let values = (0..n_columns).map(|column| row.get_ref(column).map(of_column));
                found.push(Row(values.collect::<rusqlite::Result<_>>()?));
            }
            Ok(found)
        };
        query().map_err(failure(self.name, "query"))
    }

    pub fn change(&mut self, sql: &str, parameters: &[Value]) -> Result<u64> {
        let changed = self.connection.execute(sql, rusqlite::params_from_iter(parameters));
        changed.map(|n| n as u64).map_err(failure(self.name, "write"))
    }

    pub fn script(&mut self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(failure(self.name, "change the schema"))
    }
}

fn of_column(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Integer(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}
