//! Copies of a database while people work in it.
//!
//! SQLite copies its file by the online backup. PostgreSQL is copied, as one state, into a SQLite
//! file with the same tables: a copy is a database that `Store::open` opens as it is, and that can
//! be put back into an empty PostgreSQL by [`Store::restore`].

use std::path::Path;

use crate::database::{Address, Database, Durability, Transaction, values};
use crate::schema::{self, COUNTED, TABLES};
use crate::{Actor, LabelError, Result, Role, Store};

/// Rows read at a time.
const PORTION: usize = 2000;

impl Store {
    /// Copies the whole database to a new file while it is used. An existing file is refused.
    pub fn backup(&self, actor: Actor, place: &Path) -> Result<()> {
        actor.require(Role::Manager)?;
        if place.exists() {
            let found = format!("{} (it exists)", place.display());
            return Err(LabelError::invalid("backup", found, "a file that isn't there yet"));
        }
        copy(self.database(), place, schema::KNOWN)?;
        self.note(actor, "backup", &place.display().to_string(), "")
    }

    /// Fills this database, which must be empty, from a copy that [`Store::backup`] made.
    pub fn restore(&self, actor: Actor, copy: &Path) -> Result<()> {
        actor.require(Role::Manager)?;
        if !copy.is_file() {
            return Err(LabelError::not_found("backup", copy.display()));
        }
        let source = Database::open(&Address::File(copy.to_path_buf()), self.busy_ms())?;
        let found = schema::version(&source)?;
        if found != schema::KNOWN {
            let database = source.name().to_owned();
            return Err(LabelError::Version { database, found, known: schema::KNOWN });
        }
        let n = self.read(|transaction| {
            transaction.number("SELECT (SELECT COUNT(*) FROM person) + (SELECT COUNT(*) FROM project)", &[])
        })?;
        if n > 0 {
            let found = format!("{n} people and projects in {}", self.describe());
            return Err(LabelError::invalid("database", found, "an empty database"));
        }
        source.read(|from| {
            let tables = tables(from)?;
            self.database().write(Durability::Full, |to| transfer(from, to, &tables))
        })?;
        self.note(actor, "restore", &copy.display().to_string(), "")
    }
}

/// Copies a database of a version to a file.
pub fn copy(database: &Database, place: &Path, version: i64) -> Result<()> {
    if let Some(copied) = database.copy_file(place) {
        return copied;
    }
    let mut temporary = place.as_os_str().to_owned();
    temporary.push(format!("{}{}-rows", stdx::atomic::TEMPORARY_MARK, std::process::id()));
    let temporary = std::path::PathBuf::from(temporary);
    let copied = database.read(|from| {
        let target = Database::open(&Address::File(temporary.clone()), 1000)?;
        schema::upgrade(&target, version, None)?;
        let tables = tables(from)?;
        target.write(Durability::Full, |to| transfer(from, to, &tables))?;
        // Into one file that stands alone.
        target.copy_file(place).unwrap_or(Ok(()))
    });
    for suffix in ["", "-wal", "-shm"] {
        let mut name = temporary.as_os_str().to_owned();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
    copied
}

/// The tables that a database has, in an order in which rows may be inserted.
fn tables(transaction: &mut Transaction<'_>) -> Result<Vec<&'static str>> {
    let sql = match transaction {
        Transaction::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table'",
        Transaction::Postgres(_) => {
            "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = current_schema()"
        }
    };
    let found: Vec<String> = transaction.rows(sql, &[])?.iter().map(|row| row.text(0)).collect();
    Ok(TABLES.iter().copied().filter(|table| found.iter().any(|name| name == table)).collect())
}

/// The columns of one of [`TABLES`].
fn columns(transaction: &mut Transaction<'_>, table: &str) -> Result<Vec<String>> {
    let sql = match transaction {
        Transaction::Sqlite(_) => format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"),
        Transaction::Postgres(_) => format!(
            "SELECT CAST(column_name AS TEXT) FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = '{table}' ORDER BY ordinal_position"
        ),
    };
    Ok(transaction.rows(&sql, &[])?.iter().map(|row| row.text(0)).collect())
}

/// Copies all rows.
fn transfer(from: &mut Transaction<'_>, to: &mut Transaction<'_>, tables: &[&str]) -> Result<()> {
    for table in tables {
        let columns = columns(from, table)?;
        let names = columns.join(", ");
        let places: Vec<String> = (1..=columns.len()).map(|i| format!("?{i}")).collect();
        let insert = format!("INSERT INTO {table} ({names}) VALUES ({})", places.join(", "));
        let order = if COUNTED.contains(table) { "id".to_owned() } else { columns[0].clone() + ", " + &columns[1] };
        for portion in 0.. {
            let select = format!("SELECT {names} FROM {table} ORDER BY {order} LIMIT ?1 OFFSET ?2");
            let rows = from.rows(&select, values![PORTION, portion * PORTION])?;
            for row in &rows {
                to.change(&insert, &row.0)?;
            }
            if rows.len() < PORTION {
                break;
            }
        }
        if COUNTED.contains(table) && matches!(to, Transaction::Postgres(_)) {
            // Identities go on after the highest number that was copied.
            let next = to.number(&format!("SELECT COALESCE(MAX(id), 0) + 1 FROM {table}"), &[])?;
            to.script(&format!("ALTER TABLE {table} ALTER COLUMN id RESTART WITH {next};"))?;
        }
    }
    Ok(())
}
