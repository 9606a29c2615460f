//! The tables, by numbered migrations.
//!
//! A database knows its version. An older one that holds something is copied before it is
//! upgraded; a newer one is refused. A migration happens as a whole or not at all.

use std::path::{Path, PathBuf};

use crate::database::{Database, Durability, Transaction, dialect, values};
use crate::{LabelError, Result};

/// The migrations in order; the first makes version 1. One that was published is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("migration/0001_begin.sql"),
    include_str!("migration/0002_trees.sql"),
    include_str!("migration/0003_imported.sql"),
];

/// The newest version.
pub const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Every table in an order in which rows may be inserted: what is pointed to first.
pub const TABLES: &[&str] = &[
    "person",
    "origin",
    "invitation",
    "session",
    "api_token",
    "audit",
    "project",
    "guide",
    "prompt",
    "candidate",
    "tree",
    "message",
    "task",
    "task_candidate",
    "task_author",
    "lease",
    "draft",
    "qualification",
    "judgement",
    "judgement_body",
    "generation",
];

/// Tables whose `id` counts by itself.
pub const COUNTED: &[&str] = &[
    "person",
    "invitation",
    "api_token",
    "audit",
    "project",
    "prompt",
    "candidate",
    "tree",
    "message",
    "task",
    "lease",
    "judgement",
    "generation",
];

/// The version of a database; 0 for an empty one.
pub fn version(database: &Database) -> Result<i64> {
    let exists = if database.is_postgres() {
        "SELECT COUNT(*) FROM information_schema.tables \
         WHERE table_schema = current_schema() AND table_name = 'schema_version'"
    } else {
        "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"
    };
    database.read(|transaction| {
        if transaction.number(exists, &[])? == 0 {
            return Ok(0);
        }
        transaction.number("SELECT COALESCE(MAX(version), 0) FROM schema_version", &[])
    })
}

/// Brings a database to version `to`. Returns where the copy of an older one lies, if one was made.
pub fn upgrade(database: &Database, to: i64, copies: Option<&Path>) -> Result<Option<PathBuf>> {
    let found = version(database)?;
    if found > KNOWN {
        return Err(LabelError::Version { database: database.name().to_owned(), found, known: KNOWN });
    }
    if found >= to {
        return Ok(None);
    }
    let copy = match copies {
        Some(place) if found > 0 => {
            let place = unused(place, found);
            crate::backup::copy(database, &place, found)?;
            Some(place)
        }
        _ => None,
    };
    let postgres = database.is_postgres();
    database.write(Durability::Full, |transaction| {
        // Another process may have been faster: the version counts inside of the transaction.
        transaction.script(&dialect::schema(
            "CREATE TABLE IF NOT EXISTS schema_version (version @int NOT NULL) @strict;",
            postgres,
        ))?;
        let now = transaction.number("SELECT COALESCE(MAX(version), 0) FROM schema_version", &[])?;
        apply(transaction, now, to, postgres)
    })?;
    Ok(copy)
}

/// Runs the migrations after version `from` up to `to`.
fn apply(transaction: &mut Transaction<'_>, from: i64, to: i64, postgres: bool) -> Result<()> {
    for (number, text) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > from && *number <= to) {
        transaction.script(&dialect::schema(text, postgres))?;
        transaction.change("INSERT INTO schema_version (version) VALUES (?1)", values![number])?;
    }
    Ok(())
}

/// A name beside `place` that says which version it is and that nothing has.
fn unused(place: &Path, version: i64) -> PathBuf {
    let name = |attempt: u32| {
        let mut name = place.as_os_str().to_owned();
        name.push(format!(".before-upgrade-from-{version}"));
        if attempt > 0 {
            name.push(format!("-{attempt}"));
        }
        PathBuf::from(name)
    };
    (0..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(u32::MAX))
}

#[cfg(test)]
#[path = "../tests/store/server.rs"]
mod server;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, OpenOptions, Settings, Store};

    /// A database of an older version is upgraded, after a copy of it was made beside `labels.db` of `folder`.
    fn check_upgrade(address: &str, folder: &Path, version: i64) {
        let copies = Some(folder.join("labels.db"));
        let options = OpenOptions { copies, ..OpenOptions::default() };
        let old = Store::open_version(address, &options, version).unwrap();
        let project = old.create_project(Actor::Operator, "kept", &Settings::default()).unwrap();
        assert!(old.upgraded_from().is_none());
        drop(old);
        let new = Store::open(address, &options).unwrap();
        assert_eq!(new.project_by_name("kept").unwrap(), project);
        assert!(new.trees(project.id).unwrap().is_empty());
        let copy = new.upgraded_from().expect("a copy").to_path_buf();
        assert!(copy.display().to_string().ends_with(&format!("labels.db.before-upgrade-from-{version}")));
        let copied = Database::open(&crate::database::Address::File(copy), 100).unwrap();
        assert_eq!(super::version(&copied).unwrap(), version);
        drop(new);
        assert!(Store::open(address, &options).unwrap().upgraded_from().is_none());
    }

    #[test]
    fn older_databases_are_copied_and_upgraded() {
        for version in 1..KNOWN {
            let folder = tempfile::tempdir().expect("temporary folder");
            let address = folder.path().join("labels.db").display().to_string();
            check_upgrade(&address, folder.path(), version);
        }
    }

    #[test]
    fn older_databases_of_postgres_are_copied_and_upgraded() {
        let Some(server) = server::Server::start() else { return };
        for version in 1..KNOWN {
            let folder = tempfile::tempdir().expect("temporary folder");
            check_upgrade(&server.database(&format!("version_{version}")), folder.path(), version);
        }
    }

    #[test]
    fn every_table_of_the_migrations_is_listed() {
        let mut made: Vec<&str> = MIGRATIONS
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(|line| line.strip_prefix("CREATE TABLE ")?.split(' ').next())
            .collect();
        let mut listed = TABLES.to_vec();
        made.sort_unstable();
        listed.sort_unstable();
        assert_eq!(made, listed);
        let all = MIGRATIONS.concat();
        for table in COUNTED {
            let start = all.find(&format!("CREATE TABLE {table} (")).expect("listed");
            assert!(all[start..].lines().nth(1).is_some_and(|line| line.trim() == "id @id,"), "{table}");
        }
        assert_eq!(all.matches("id @id,").count(), COUNTED.len());
    }
}
