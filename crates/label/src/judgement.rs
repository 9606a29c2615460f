//! Judgements: what people said. They are only added; a correction is a new one that rules.
//!
//! A submission has a name that the page made. Sent twice (a double click, a lost answer), it
//! counts once. A lease that ran out doesn't lose the work as long as the task still has room.

mod entry;

pub(crate) use entry::{Entry, Kept, Said, TaskRow, task_row};

use entry::count_done;
use record::Source;
use serde::{Deserialize, Serialize};

use crate::database::{Row, Transaction, Value, values};
use crate::prompt::source_named;
use crate::task::json;
use crate::{Actor, Body, Id, LabelError, Project, Purpose, Result, Role, Store, TaskKind};
use crate::{candidate, check, lease, people, project};

/// A judgement in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Number.
    pub id: Id,
    /// Its name everywhere: the project's random name, `-`, the number; of an imported one the name that
    /// it came with. Exported rows carry it as `id`.
    pub uid: String,
    /// On which task.
    pub task: Id,
    /// On which prompt.
    pub prompt: Option<Id>,
    /// By whom.
    pub person: Id,
    /// What was done.
    pub kind: TaskKind,
    /// Why.
    pub purpose: Purpose,
    /// What was said.
    pub body: Body,
    /// A person, or a simulated one.
    pub source: Source,
    /// The answers in the order in which they were shown.
    pub shown: Vec<Id>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// The guide that stood beside it.
    pub guide_version: i64,
    /// The judgement that it corrects.
    pub corrects: Option<Id>,
    /// Whether it rules: no other corrects it.
    pub current: bool,
    /// Whether its words were erased.
    pub erased: bool,
    /// BLAKE3 of the body as it was submitted; it stays when the words are erased.
    pub body_hash: String,
    /// When it was submitted.
    pub created_ms: i64,
}

/// A filled form.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The lease that the form carries.
    pub lease: String,
    /// The form's own name: 1 to 64 letters, digits, `-`, `_`, made with the page.
    pub submission: String,
    /// What was said.
    pub body: Body,
    /// How long it took.
    pub seconds: Option<f64>,
}

/// A judgement from elsewhere: imported, or simulated for a demonstration.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// On which task.
    pub task: Id,
    /// By whom.
    pub person: Id,
    /// Its name among the person's.
    pub submission: String,
    /// What was said.
    pub body: Body,
    /// What said it.
    pub source: Source,
    /// How long it took.
    pub seconds: Option<f64>,
    /// When; now when absent.
    pub at_ms: Option<i64>,
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Submitted {
    /// The judgement.
    pub judgement: Id,
    /// Whether it had been submitted before.
    pub duplicate: bool,
    /// Whether the task has all its judgements now.
    pub task_complete: bool,
}

/// Which judgements to list.
#[derive(Clone, Debug, Default)]
pub struct JudgementQuery {
    /// Only by a person.
    pub person: Option<Id>,
    /// Only on a task.
    pub task: Option<Id>,
    /// Only with a higher number.
    pub after: Id,
    /// At most so many; 0 means 100.
    pub limit: usize,
}

impl Store {
    /// Submits the form of a lease.
    pub fn submit(&self, person: Id, submission: &Submission) -> Result<Submitted> {
        check::submission(&submission.submission)?;
        check_size(&submission.body)?;
        let now = self.now_ms();
        self.write(|transaction| {
            let lease = lease::by_token(transaction, person, &submission.lease)?;
            let said = Said {
                person,
                submission: &submission.submission,
                body: &submission.body,
                source: Source::Human,
                seconds: submission.seconds,
                corrects: None,
            };
            if let Some(done) = said.before(transaction, lease.task)? {
                return Ok(done);
            }
            let task = task_row(transaction, lease.task)?;
            if task.state == "withdrawn" {
                return Err(LabelError::TaskWithdrawn { task: lease.task });
            }
            match lease.state.as_str() {
                "active" => {}
                "submitted" => return Err(LabelError::AlreadyDone { task: lease.task }),
                // Nobody was given the place meanwhile: the work isn't lost.
                _ if task.state == "open" && task.n_done + task.n_leased < task.overlap => {}
                _ => return Err(LabelError::LeaseExpired { task: lease.task }),
            }
            let project = project::project(transaction, lease.project)?;
            let kept = Kept { shown: &lease.shown, guide_version: lease.guide_version, name: None };
            let entry = Entry { project: &project, task: &task, said: &said, kept: &kept, at: now };
            let id = entry.insert(transaction)?;
            let sql = "UPDATE lease SET state = 'submitted', ended_ms = ?2 WHERE id = ?1";
            transaction.change(sql, values![lease.id, now])?;
            let task_complete = count_done(transaction, lease.task, lease.state == "active")?;
            entry.bring_about(transaction)?;
            Ok(Submitted { judgement: id, duplicate: false, task_complete })
        })
    }

    /// Adds a judgement from elsewhere; it needs no lease and counts beyond a task's number too.
    pub fn record_judgement(&self, actor: Actor, recorded: &Recorded) -> Result<Submitted> {
        actor.require(Role::Manager)?;
        check::submission(&recorded.submission)?;
        check_size(&recorded.body)?;
        let now = self.now_ms();
        let at = recorded.at_ms.unwrap_or(now);
        self.write(|transaction| {
            let person = people::person(transaction, recorded.person)?.id;
            let said = Said {
                person,
                submission: &recorded.submission,
                body: &recorded.body,
                source: recorded.source,
                seconds: recorded.seconds,
                corrects: None,
            };
            if let Some(done) = said.before(transaction, recorded.task)? {
                return Ok(done);
            }
            let task = task_row(transaction, recorded.task)?;
            let project = project::project(transaction, task.project)?;
            let sql = "SELECT COUNT(*) FROM task_author WHERE task_id = ?1 AND person_id = ?2";
            if transaction.number(sql, values![task.id, person])? > 0 {
                return Err(LabelError::invalid("person", "the author of an answer", "somebody else"));
            }
            let shown: Vec<Id> = candidate::of_task(transaction, task.id)?.iter().map(|c| c.id).collect();
            let kept = Kept { shown: &shown, guide_version: project.guide_version, name: None };
            Entry { project: &project, task: &task, said: &said, kept: &kept, at }.record(transaction)
        })
    }

    /// Corrects a judgement of one's own: a new one rules, the old one stays.
    pub fn correct(
        &self,
        person: Id,
        judgement: Id,
        submission: &str,
        body: &Body,
        seconds: Option<f64>,
    ) -> Result<Submitted> {
        check::submission(submission)?;
        check_size(body)?;
        let now = self.now_ms();
        self.write(|transaction| {
            let sql = "SELECT task_id, shown, guide_version, (SELECT c.id FROM judgement c WHERE c.corrects = j.id) \
                       FROM judgement j WHERE id = ?1 AND person_id = ?2";
            let row = transaction.row(sql, values![judgement, person])?;
            let row = row.ok_or_else(|| LabelError::not_found("judgement", judgement))?;
            let (source, corrects) = (Source::Human, Some(judgement));
            let said = Said { person, submission, body, source, seconds, corrects };
            let task = task_row(transaction, row.integer(0))?;
            if let Some(done) = said.before(transaction, task.id)? {
                return Ok(done);
            }
            if let Some(latest) = row.optional_integer(3) {
                return Err(LabelError::AlreadyCorrected { judgement, latest });
            }
            if matches!(task.purpose, Purpose::Qualification | Purpose::Gold) {
                let expected = "an ordinary task: this one was a test";
                return Err(LabelError::invalid("judgement", format!("judgement {judgement}"), expected));
            }
            let project = project::project(transaction, task.project)?;
            let shown: Vec<Id> = serde_json::from_str(&row.text(1)).unwrap_or_default();
            let kept = Kept { shown: &shown, guide_version: row.integer(2), name: None };
            let entry = Entry { project: &project, task: &task, said: &said, kept: &kept, at: now };
            let id = entry.insert(transaction)?;
            entry.bring_about(transaction)?;
            Ok(Submitted { judgement: id, duplicate: false, task_complete: task.state == "complete" })
        })
    }

    /// A project's judgements by number, corrected ones too.
    pub fn judgements(&self, actor: Actor, project: Id, query: &JudgementQuery) -> Result<Vec<Judgement>> {
        actor.require(Role::Reviewer)?;
        let limit = if query.limit == 0 { 100 } else { query.limit };
        self.read(|transaction| {
            let project = project::project(transaction, project)?;
            let condition = "j.project_id = ?1 AND j.id > ?2 AND (j.person_id = ?3 OR ?3 < 0) \
                             AND (j.task_id = ?4 OR ?4 < 0) ORDER BY j.id LIMIT ?5";
            let (person, task) = (query.person.unwrap_or(-1), query.task.unwrap_or(-1));
            select(transaction, &project, condition, values![project.id, query.after, person, task, limit])
        })
    }

    /// A person's own judgements, the newest first.
    pub fn own_judgements(&self, person: Id, project: Id, limit: usize) -> Result<Vec<Judgement>> {
        self.read(|transaction| {
            let project = project::project(transaction, project)?;
            let condition = "j.project_id = ?1 AND j.person_id = ?2 ORDER BY j.id DESC LIMIT ?3";
            select(transaction, &project, condition, values![project.id, person, limit])
        })
    }

    /// A judgement by number: one's own, or any for a reviewer.
    pub fn judgement(&self, actor: Actor, id: Id) -> Result<Judgement> {
        let found = self.read(|transaction| {
            let sql = "SELECT project_id FROM judgement WHERE id = ?1";
            let row = transaction.row(sql, values![id])?.ok_or_else(|| LabelError::not_found("judgement", id))?;
            let project = project::project(transaction, row.integer(0))?;
            Ok(select(transaction, &project, "j.id = ?1", values![id])?.pop())
        })?;
        let found = found.ok_or_else(|| LabelError::not_found("judgement", id))?;
        // Whether others have one of this number isn't told.
        actor.require_self_or(found.person, Role::Reviewer).map_err(|_| LabelError::not_found("judgement", id))?;
        Ok(found)
    }

    /// A judgement by the name that exported rows carry, with its project.
    pub fn judgement_by_uid(&self, actor: Actor, uid: &str) -> Result<(Project, Judgement)> {
        let unknown = || LabelError::not_found("judgement", uid);
        // Where it was said comes before where it was brought.
        let own = uid.rsplit_once('-').and_then(|(project, id)| Some((project, id.parse::<Id>().ok()?)));
        if let Some((project, id)) = own
            && let Ok(judgement) = self.judgement(actor, id)
            && judgement.uid == uid
            && let Some(project) = self.projects()?.into_iter().find(|known| known.uid == project)
        {
            return Ok((project, judgement));
        }
        let sql = "SELECT id, project_id FROM judgement WHERE name = ?1 ORDER BY id LIMIT 1";
        let row = self.read(|transaction| transaction.row(sql, values![uid]))?.ok_or_else(unknown)?;
        let judgement = self.judgement(actor, row.integer(0)).map_err(|_| unknown())?;
        Ok((self.project(row.integer(1))?, judgement))
    }
}

/// Words are checked field by field; this bounds all of them together.
pub(crate) fn check_size(body: &Body) -> Result<()> {
    let text = json(body);
    check::optional_text("submission", &text, 4 * check::TEXT_BYTES_MAX)?;
    if text.contains("\\u0000") {
        return Err(LabelError::invalid("submission", "a NUL character", "text"));
    }
    Ok(())
}

/// A stored body.
pub(crate) fn parse(text: &str, id: Id) -> Result<Body> {
    serde_json::from_str(text).map_err(|error| LabelError::Damaged {
        table: "judgement",
        id,
        column: "body",
        problem: error.to_string(),
    })
}

/// Judgements of a project under a condition on `j` (judgement) and `t` (task).
pub(crate) fn select(
    transaction: &mut Transaction<'_>,
    project: &Project,
    condition: &str,
    parameters: &[Value],
) -> Result<Vec<Judgement>> {
    let sql = format!(
        "SELECT j.id, j.task_id, t.prompt_id, j.person_id, j.kind, t.purpose, b.body, j.source, j.shown, j.seconds, \
         j.guide_version, j.corrects, c.id, b.erased_ms, j.body_hash, j.created_ms, j.name FROM judgement j \
         JOIN task t ON t.id = j.task_id JOIN judgement_body b ON b.judgement_id = j.id \
         LEFT JOIN judgement c ON c.corrects = j.id WHERE {condition}"
    );
    transaction.rows(&sql, parameters)?.iter().map(|row| of_row(project, row)).collect()
}

fn of_row(project: &Project, row: &Row) -> Result<Judgement> {
    let id = row.integer(0);
    Ok(Judgement {
        id,
        uid: row.optional_text(16).unwrap_or_else(|| format!("{}-{id}", project.uid)),
        task: row.integer(1),
        prompt: row.optional_integer(2),
        person: row.integer(3),
        kind: row.text(4).parse()?,
        purpose: row.text(5).parse()?,
        body: parse(&row.text(6), id)?,
        source: source_named(&row.text(7)).unwrap_or(Source::Human),
        shown: serde_json::from_str(&row.text(8)).unwrap_or_default(),
        seconds: row.optional_real(9),
        guide_version: row.integer(10),
        corrects: row.optional_integer(11),
        current: row.optional_integer(12).is_none(),
        erased: row.optional_integer(13).is_some(),
        body_hash: row.text(14),
        created_ms: row.integer(15),
    })
}
