//! The guide that labelers read, in versions: a judgement says which one stood beside it.
//!
//! InstructGPT weighed the same three aims differently in its two phases: while data for training
//! was collected helpfulness came first, in the final evaluation truthfulness and harmlessness did
//! (arXiv 2203.02155, §3.4). Hence a guide has a phase.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::database::{Row, Transaction, values};
use crate::{Actor, Id, LabelError, Result, Role, Store, check};

/// What is collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Data to train on: helpfulness first.
    #[default]
    Training,
    /// Judgements of the final models: truthfulness and harmlessness first.
    Evaluation,
}

impl Phase {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Evaluation => "evaluation",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Phase {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Phase> {
        match text {
            "training" => Ok(Phase::Training),
            "evaluation" => Ok(Phase::Evaluation),
            _ => Err(LabelError::invalid("phase", format!("{text:?}"), "training or evaluation")),
        }
    }
}

/// The guide that a new project gets.
pub fn default_guide(phase: Phase) -> &'static str {
    match phase {
        Phase::Training => include_str!("default/guide-training.md"),
        Phase::Evaluation => include_str!("default/guide-evaluation.md"),
    }
}

/// A version of a project's guide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guide {
    /// Counts from 1.
    pub version: i64,
    /// What it is for.
    pub phase: Phase,
    /// Markdown.
    pub body: String,
    /// When it was written.
    pub created_ms: i64,
    /// Who wrote it; nobody for the default one.
    pub by: Option<String>,
}

/// The longest guide, in bytes.
const BYTES_MAX: usize = 256 << 10;

impl Store {
    /// A version of a project's guide, the newest when none is named.
    pub fn guide(&self, project: Id, version: Option<i64>) -> Result<Guide> {
        self.read(|transaction| {
            let sql = "SELECT g.version, g.phase, g.body, g.created_ms, p.name FROM guide g \
                       LEFT JOIN person p ON p.id = g.author_id \
                       WHERE g.project_id = ?1 AND (g.version = ?2 OR ?2 < 0) ORDER BY g.version DESC LIMIT 1";
            let row = transaction.row(sql, values![project, version.unwrap_or(-1)])?;
            row.as_ref().map(of_row).ok_or_else(|| LabelError::not_found("guide of project", project))?
        })
    }

    /// All versions, the newest first.
    pub fn guides(&self, project: Id) -> Result<Vec<Guide>> {
        self.read(|transaction| {
            let sql = "SELECT g.version, g.phase, g.body, g.created_ms, p.name FROM guide g \
                       LEFT JOIN person p ON p.id = g.author_id WHERE g.project_id = ?1 ORDER BY g.version DESC";
            transaction.rows(sql, values![project])?.iter().map(of_row).collect()
        })
    }

    /// Adds a version: what is labeled from now on is labeled by it.
    pub fn add_guide(&self, actor: Actor, project: Id, phase: Phase, body: &str) -> Result<Guide> {
        actor.require(Role::Manager)?;
        check::text("guide", body, BYTES_MAX)?;
        let now = self.now_ms();
        let version = self.write(|transaction| {
            let version = transaction.number(
                "UPDATE project SET guide_version = guide_version + 1 WHERE id = ?1 RETURNING guide_version",
                values![project],
            )?;
            if version == 0 {
                return Err(LabelError::not_found("project", project));
            }
            insert(transaction, project, version, phase, body, actor.person(), now)?;
            Ok(version)
        })?;
        self.note_in(actor, Some(project), "guide.add", &format!("version {version}"), phase.as_str())?;
        self.guide(project, Some(version))
    }
}

/// Inserts a version.
pub(crate) fn insert(
    transaction: &mut Transaction<'_>,
    project: Id,
    version: i64,
    phase: Phase,
    body: &str,
    author: Option<Id>,
    now: i64,
) -> Result<()> {
    let sql = "INSERT INTO guide (project_id, version, phase, body, author_id, created_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    transaction.change(sql, values![project, version, phase.as_str(), body, author, now])?;
    Ok(())
}

fn of_row(row: &Row) -> Result<Guide> {
    Ok(Guide {
        version: row.integer(0),
        phase: row.text(1).parse()?,
        body: row.text(2),
        created_ms: row.integer(3),
        by: row.optional_text(4),
    })
}
