//! A judgement on its way into the store, and what it brings about there.

use record::Source;

use super::Submitted;
use crate::database::{Transaction, values};
use crate::task::{Extra, json};
use crate::{Body, Id, LabelError, NewCandidate, NewPrompt, NewTask, Project, Purpose, Result, TaskKind};
use crate::{candidate, check, prompt, qualification, random, task, tree};

/// What somebody says.
pub(crate) struct Said<'a> {
    pub person: Id,
    pub submission: &'a str,
    pub body: &'a Body,
    pub source: Source,
    pub seconds: Option<f64>,
    pub corrects: Option<Id>,
}

/// What stood before them, and the name under which it comes from elsewhere.
pub(crate) struct Kept<'a> {
    pub shown: &'a [Id],
    pub guide_version: i64,
    pub name: Option<&'a str>,
}

impl Said<'_> {
    /// What became of it when it was submitted before.
    pub fn before(&self, transaction: &mut Transaction<'_>, task: Id) -> Result<Option<Submitted>> {
        let sql = "SELECT j.id, j.task_id, j.body_hash, t.state FROM judgement j JOIN task t ON t.id = j.task_id \
                   WHERE j.person_id = ?1 AND j.submission = ?2";
        let Some(row) = transaction.row(sql, values![self.person, self.submission])? else { return Ok(None) };
        if row.integer(1) != task || row.text(2) != stdx::hash::bytes(json(self.body).as_bytes()) {
            return Err(LabelError::SubmissionReused { submission: self.submission.to_owned() });
        }
        let (judgement, task_complete) = (row.integer(0), row.text(3) == "complete");
        Ok(Some(Submitted { judgement, duplicate: true, task_complete }))
    }
}

/// A task as submissions see it.
pub(crate) struct TaskRow {
    pub id: Id,
    pub project: Id,
    pub kind: TaskKind,
    pub purpose: Purpose,
    pub state: String,
    pub prompt: Option<Id>,
    pub overlap: i64,
    pub n_done: i64,
    pub n_leased: i64,
    pub message: Option<Id>,
}

pub(crate) fn task_row(transaction: &mut Transaction<'_>, id: Id) -> Result<TaskRow> {
    let sql = "SELECT id, project_id, kind, purpose, state, prompt_id, overlap, n_done, n_leased, message_id \
               FROM task WHERE id = ?1";
    let row = transaction.row(sql, values![id])?.ok_or_else(|| LabelError::not_found("task", id))?;
    Ok(TaskRow {
        id: row.integer(0),
        project: row.integer(1),
        kind: row.text(2).parse()?,
        purpose: row.text(3).parse()?,
        state: row.text(4),
        prompt: row.optional_integer(5),
        overlap: row.integer(6),
        n_done: row.integer(7),
        n_leased: row.integer(8),
        message: row.optional_integer(9),
    })
}

/// A judgement to add: what is said, on what, beside what, and when.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub project: &'a Project,
    pub task: &'a TaskRow,
    pub said: &'a Said<'a>,
    pub kept: &'a Kept<'a>,
    pub at: i64,
}

impl Entry<'_> {
    /// Adds a judgement that nobody took a lease for, as if they had had one.
    pub fn record(&self, transaction: &mut Transaction<'_>) -> Result<Submitted> {
        let Entry { project, task, said, kept, at } = *self;
        let id = self.insert(transaction)?;
        let sql = "INSERT INTO lease (token, task_id, project_id, person_id, state, shown, guide_version, \
                   created_ms, expires_ms, ended_ms) VALUES (?1, ?2, ?3, ?4, 'submitted', ?5, ?6, ?7, ?7, ?7)";
        let (token, shown) = (random::secret()?, json(&kept.shown));
        let parameters = values![token, task.id, project.id, said.person, shown, kept.guide_version, at];
        transaction.change(sql, parameters)?;
        let task_complete = count_done(transaction, task.id, false)?;
        self.bring_about(transaction)?;
        Ok(Submitted { judgement: id, duplicate: false, task_complete })
    }

    /// Checks and adds it.
    pub fn insert(&self, transaction: &mut Transaction<'_>) -> Result<Id> {
        let Entry { project, task, said, kept, at } = *self;
        said.body.check(task.kind, kept.shown, &project.settings)?;
        let body = json(said.body);
        let sql = "INSERT INTO judgement (project_id, task_id, person_id, submission, kind, source, shown, \
                   guide_version, seconds, corrects, body_hash, created_ms, name) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        let id = transaction.insert(
            sql,
            values![
                project.id,
                task.id,
                said.person,
                said.submission,
                task.kind.as_str(),
                said.source.as_str(),
                json(&kept.shown),
                kept.guide_version,
                check::seconds(said.seconds),
                said.corrects,
                stdx::hash::bytes(body.as_bytes()),
                at,
                kept.name
            ],
        )?;
        transaction.change("INSERT INTO judgement_body (judgement_id, body) VALUES (?1, ?2)", values![id, body])?;
        let sql = "DELETE FROM draft WHERE task_id = ?1 AND person_id = ?2";
        transaction.change(sql, values![task.id, said.person])?;
        Ok(id)
    }

    /// Does what it brings about: a written text becomes an answer or a prompt, a conversation goes on.
    pub fn bring_about(&self, transaction: &mut Transaction<'_>) -> Result<()> {
        let Entry { project, task, said, at: now, .. } = *self;
        match (said.body, task.prompt) {
            (Body::Demonstrate { text, .. }, Some(prompt)) => {
                let new = NewCandidate {
                    source: Some(said.source),
                    origin: "demonstration".to_owned(),
                    author: Some(said.person),
                    ..NewCandidate::new(text.as_str())
                };
                let candidate = candidate::add(transaction, prompt, &new, now)?;
                let reviews = project.settings.review.demonstrations;
                if reviews > 0 {
                    let overlap = Some(reviews);
                    let new = NewTask { overlap, ..NewTask::new(TaskKind::Review, Some(prompt), vec![candidate]) };
                    let extra = Extra { author: Some(said.person), ..Extra::default() };
                    task::insert_with(transaction, project, &new, extra, now)?;
                }
            }
            (Body::WritePrompt { prompt: written, use_case, .. }, _) => {
                let new = NewPrompt {
                    use_case: use_case.clone(),
                    source: Some(said.source),
                    author: Some(said.person),
                    ..NewPrompt::new(written.clone())
                };
                prompt::add(transaction, project, &new, now)?;
            }
            (Body::UseCase { use_case, .. }, Some(prompt)) => {
                let sql = "UPDATE prompt SET use_case = ?2 WHERE id = ?1 AND use_case IS NULL";
                transaction.change(sql, values![prompt, use_case])?;
            }
            _ => {}
        }
        // A correction changes what was said, not what it brought about.
        if let Some(message) = task.message.filter(|_| said.corrects.is_none()) {
            tree::advance(transaction, project, task, message, (said.person, said.body), now)?;
        }
        if task.purpose == Purpose::Qualification {
            qualification::decide(transaction, project, said.person, now)?;
        }
        Ok(())
    }
}

/// Counts a judgement; whether the task has all of them.
pub(super) fn count_done(transaction: &mut Transaction<'_>, task: Id, was_leased: bool) -> Result<bool> {
    let sql = "UPDATE task SET n_done = n_done + 1, n_leased = n_leased - ?2, \
               state = CASE WHEN state = 'open' AND n_done + 1 >= overlap THEN 'complete' ELSE state END \
               WHERE id = ?1 RETURNING state";
    let row = transaction.row(sql, values![task, was_leased])?;
    Ok(row.is_some_and(|row| row.text(0) == "complete"))
}
