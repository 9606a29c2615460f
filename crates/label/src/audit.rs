//! Who did what, when. The log is only added to, and holds numbers rather than people's words, so
//! that nothing in it has to be erased.

use serde::{Deserialize, Serialize};

use crate::database::values;
use crate::{Actor, Id, Result, Role, Store};

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Number.
    pub id: Id,
    /// When.
    pub at_ms: i64,
    /// Who, by the name they have now; nobody for the operator.
    pub actor: Option<String>,
    /// What was done, such as `person.add`.
    pub action: String,
    /// To what, such as `person 7`.
    pub object: String,
    /// More.
    pub details: String,
}

/// Which entries to show.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Only of a project.
    pub project: Option<Id>,
    /// Only by a person.
    pub person: Option<Id>,
    /// Only entries with a lower number; the newest come first.
    pub before: Option<Id>,
    /// At most so many; 0 means 100.
    pub limit: usize,
}

impl Store {
    /// The log, the newest first.
    pub fn audit(&self, actor: Actor, query: &AuditQuery) -> Result<Vec<AuditEntry>> {
        actor.require(Role::Manager)?;
        let limit = if query.limit == 0 { 100 } else { query.limit };
        self.read(|transaction| {
            let sql = "SELECT a.id, a.at_ms, p.name, a.action, a.object, a.details FROM audit a \
                       LEFT JOIN person p ON p.id = a.person_id \
                       WHERE a.id < ?1 AND (a.project_id = ?2 OR ?2 < 0) AND (a.person_id = ?3 OR ?3 < 0) \
                       ORDER BY a.id DESC LIMIT ?4";
            let before = query.before.unwrap_or(Id::MAX);
            let (project, person) = (query.project.unwrap_or(-1), query.person.unwrap_or(-1));
            let rows = transaction.rows(sql, values![before, project, person, limit])?;
            let entry = |row: &crate::database::Row| AuditEntry {
                id: row.integer(0),
                at_ms: row.integer(1),
                actor: row.optional_text(2),
                action: row.text(3),
                object: row.text(4),
                details: row.text(5),
            };
            Ok(rows.iter().map(entry).collect())
        })
    }

    /// Adds to the log.
    pub fn note(&self, actor: Actor, action: &str, object: &str, details: &str) -> Result<()> {
        self.note_in(actor, None, action, object, details)
    }

    /// Adds to the log of a project.
    pub fn note_in(&self, actor: Actor, project: Option<Id>, action: &str, object: &str, details: &str) -> Result<()> {
        let now = self.now_ms();
        self.write_relaxed(|transaction| {
            let sql = "INSERT INTO audit (at_ms, person_id, project_id, action, object, details) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            transaction.change(sql, values![now, actor.person(), project, action, object, details])
        })?;
        Ok(())
    }
}
