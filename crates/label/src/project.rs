//! Projects.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::database::{Row, Transaction, values};
use crate::{Actor, Id, LabelError, Result, Role, Settings, Store, TaskKind, check, default_guide, guide, random};

/// Whether work is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProjectState {
    /// It is.
    Open,
    /// Not now; what is begun can be finished.
    Paused,
    /// Not any more.
    Closed,
}

impl ProjectState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for ProjectState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProjectState {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self> {
        let known = [Self::Open, Self::Paused, Self::Closed].into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| LabelError::invalid("state", format!("{text:?}"), "open, paused or closed"))
    }
}

/// A project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Number.
    pub id: Id,
    /// Random name that stands in exported rows: no two projects anywhere share it.
    pub uid: String,
    /// Name in addresses and on the command line.
    pub name: String,
    /// What stands above its pages.
    pub title: String,
    /// What it asks.
    pub settings: Settings,
    /// Whether work is given out.
    pub state: ProjectState,
    /// When it was made.
    pub created_ms: i64,
    /// The guide's newest version.
    pub guide_version: i64,
}

/// What a project holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectCounts {
    /// Prompts, without erased ones.
    pub prompts: i64,
    /// Their candidates.
    pub candidates: i64,
    /// Tasks, without withdrawn ones.
    pub tasks: i64,
    /// Those that have all their judgements.
    pub tasks_complete: i64,
    /// Tasks that somebody works on now.
    pub tasks_leased: i64,
    /// Judgements in force.
    pub judgements: i64,
    /// Tasks skipped.
    pub skips: i64,
    /// People with a judgement.
    pub people: i64,
}

const COLUMNS: &str = "id, uid, name, settings, state, created_ms, guide_version";

impl Store {
    /// Makes a project with the guide of its phase.
    pub fn create_project(&self, actor: Actor, name: &str, settings: &Settings) -> Result<Project> {
        actor.require(Role::Manager)?;
        check::slug("project", name)?;
        settings.check()?;
        let (text, now) = (settings.to_toml()?, self.now_ms());
        let (uid, key) = (random::name()?, random::secret()?);
        // Streams of this seed decide the orders in which answers are shown.
        let seed = i64::from_le_bytes(random::bytes::<8>()?);
        let id = self.write(|transaction| {
            if transaction.number("SELECT COUNT(*) FROM project WHERE name = ?1", values![name])? > 0 {
                return Err(LabelError::Taken { what: "project", name: name.to_owned() });
            }
            let sql = "INSERT INTO project (uid, name, settings, state, seed, pseudonym_key, guide_version, created_ms) \
                       VALUES (?1, ?2, ?3, 'open', ?4, ?5, 1, ?6)";
            let id = transaction.insert(sql, values![uid, name, text, seed, key, now])?;
            guide::insert(transaction, id, 1, settings.phase, default_guide(settings.phase), None, now)?;
            Ok(id)
        })?;
        self.note_in(actor, Some(id), "project.add", &format!("project {id}"), name)?;
        self.project(id)
    }

    /// All projects, the newest first.
    pub fn projects(&self) -> Result<Vec<Project>> {
        self.read(|transaction| {
            let rows = transaction.rows(&format!("SELECT {COLUMNS} FROM project ORDER BY id DESC"), &[])?;
            rows.iter().map(of_row).collect()
        })
    }

    /// A project by number.
    pub fn project(&self, id: Id) -> Result<Project> {
        self.read(|transaction| project(transaction, id))
    }

    /// A project by name.
    pub fn project_by_name(&self, name: &str) -> Result<Project> {
        self.read(|transaction| {
            let row = transaction.row(&format!("SELECT {COLUMNS} FROM project WHERE name = ?1"), values![name])?;
            row.as_ref().map(of_row).ok_or_else(|| LabelError::not_found("project", name))?
        })
    }

    /// Gives a project other settings; tasks that were made keep their overlap.
    pub fn set_settings(&self, actor: Actor, id: Id, settings: &Settings) -> Result<()> {
        actor.require(Role::Manager)?;
        settings.check()?;
        let text = settings.to_toml()?;
        let sql = "UPDATE project SET settings = ?2 WHERE id = ?1";
        if self.write(|transaction| transaction.change(sql, values![id, &text]))? == 0 {
            return Err(LabelError::not_found("project", id));
        }
        self.note_in(actor, Some(id), "project.settings", &format!("project {id}"), "")
    }

    /// Opens, pauses or closes a project.
    pub fn set_project_state(&self, actor: Actor, id: Id, state: ProjectState) -> Result<()> {
        actor.require(Role::Manager)?;
        let sql = "UPDATE project SET state = ?2 WHERE id = ?1";
        if self.write(|transaction| transaction.change(sql, values![id, state.as_str()]))? == 0 {
            return Err(LabelError::not_found("project", id));
        }
        self.note_in(actor, Some(id), "project.state", &format!("project {id}"), state.as_str())
    }

    /// What a project holds.
    pub fn counts(&self, project: Id) -> Result<ProjectCounts> {
        self.read(|transaction| {
            let mut count = |sql: &str| transaction.number(sql, values![project]);
            Ok(ProjectCounts {
                prompts: count("SELECT COUNT(*) FROM prompt WHERE project_id = ?1 AND state = 'open'")?,
                candidates: count(
                    "SELECT COUNT(*) FROM candidate c JOIN prompt p ON p.id = c.prompt_id WHERE p.project_id = ?1",
                )?,
                tasks: count("SELECT COUNT(*) FROM task WHERE project_id = ?1 AND state <> 'withdrawn'")?,
                tasks_complete: count("SELECT COUNT(*) FROM task WHERE project_id = ?1 AND state = 'complete'")?,
                tasks_leased: count(
                    "SELECT COUNT(*) FROM task WHERE project_id = ?1 AND state = 'open' AND n_leased > 0",
                )?,
                judgements: count(
                    "SELECT COUNT(*) FROM judgement j WHERE j.project_id = ?1 \
                     AND NOT EXISTS (SELECT 1 FROM judgement c WHERE c.corrects = j.id)",
                )?,
                skips: count("SELECT COUNT(*) FROM lease WHERE project_id = ?1 AND state = 'skipped'")?,
                people: count("SELECT COUNT(DISTINCT person_id) FROM judgement WHERE project_id = ?1")?,
            })
        })
    }

    /// The kinds of task that a project has, in the order of [`TaskKind::ALL`].
    pub fn task_kinds(&self, project: Id) -> Result<Vec<TaskKind>> {
        let sql = "SELECT DISTINCT kind FROM task WHERE project_id = ?1 AND state <> 'withdrawn'";
        let rows = self.read(|transaction| transaction.rows(sql, values![project]))?;
        let mut kinds = rows.iter().map(|row| row.text(0).parse()).collect::<Result<Vec<TaskKind>>>()?;
        kinds.sort_unstable();
        Ok(kinds)
    }
}

/// A project by number.
pub(crate) fn project(transaction: &mut Transaction<'_>, id: Id) -> Result<Project> {
    let row = transaction.row(&format!("SELECT {COLUMNS} FROM project WHERE id = ?1"), values![id])?;
    row.as_ref().map(of_row).ok_or_else(|| LabelError::not_found("project", id))?
}

/// The seed and the key of pseudonyms, which never leave the store.
pub(crate) fn secrets(transaction: &mut Transaction<'_>, id: Id) -> Result<(stdx::Seed, String)> {
    let row = transaction.row("SELECT seed, pseudonym_key FROM project WHERE id = ?1", values![id])?;
    let row = row.ok_or_else(|| LabelError::not_found("project", id))?;
    Ok((stdx::Seed(row.integer(0) as u64), row.text(1)))
}

fn of_row(row: &Row) -> Result<Project> {
    let settings: Settings = toml::from_str(&row.text(3)).map_err(|error| LabelError::Damaged {
        table: "project",
        id: row.integer(0),
        column: "settings",
        problem: error.to_string(),
    })?;
    Ok(Project {
        id: row.integer(0),
        uid: row.text(1),
        name: row.text(2),
        title: if settings.title.is_empty() { row.text(2) } else { settings.title.clone() },
        settings,
        state: row.text(4).parse()?,
        created_ms: row.integer(5),
        guide_version: row.integer(6),
    })
}
