//! Candidate answers. Where one came from is never shown to those who judge it.

use record::Source;
use serde::{Deserialize, Serialize};

use crate::check::{self, TEXT_BYTES_MAX};
use crate::database::{Row, Transaction, values};
use crate::prompt::{check_name, source_named, text_hash};
use crate::{Actor, Id, LabelError, Result, Role, Store};

/// An answer to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCandidate {
    /// The answer; it may be empty, a model may say nothing.
    pub text: String,
    /// What wrote it.
    pub source: Option<Source>,
    /// Which model or file it came from; hidden from labelers.
    pub origin: String,
    /// The labeler who wrote it, who will not judge it.
    pub author: Option<Id>,
    /// A reward model's score, say.
    pub score: Option<f64>,
}

impl NewCandidate {
    /// An answer of which nothing else is known.
    pub fn new(text: impl Into<String>) -> NewCandidate {
        NewCandidate { text: text.into(), source: None, origin: String::new(), author: None, score: None }
    }
}

/// An answer in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Number.
    pub id: Id,
    /// What it answers.
    pub prompt: Id,
    /// The answer.
    pub text: String,
    /// What wrote it.
    pub source: Option<Source>,
    /// Which model or file it came from.
    pub origin: String,
    /// The labeler who wrote it.
    pub author: Option<Id>,
    /// A reward model's score, say.
    pub score: Option<f64>,
    /// When it was added.
    pub created_ms: i64,
}

impl Store {
    /// Adds answers to a prompt; one number for each, of the answer that was there when the text is the same.
    pub fn add_candidates(&self, actor: Actor, prompt: Id, candidates: &[NewCandidate]) -> Result<Vec<Id>> {
        actor.require(Role::Manager)?;
        for new in candidates {
            check::optional_text("completion", &new.text, TEXT_BYTES_MAX)?;
            check_name("origin", &new.origin)?;
        }
        let now = self.now_ms();
        self.write(|transaction| {
            let sql = "SELECT COUNT(*) FROM prompt WHERE id = ?1 AND state = 'open'";
            if transaction.number(sql, values![prompt])? == 0 {
                return Err(LabelError::not_found("prompt", prompt));
            }
            candidates.iter().map(|new| add(transaction, prompt, new, now)).collect()
        })
    }

    /// A prompt's answers with their origins, for those who don't judge them.
    pub fn candidates(&self, actor: Actor, prompt: Id) -> Result<Vec<Candidate>> {
        actor.require(Role::Reviewer)?;
        self.read(|transaction| {
            let sql = format!("{SELECT} WHERE prompt_id = ?1 ORDER BY id");
            Ok(transaction.rows(&sql, values![prompt])?.iter().map(of_row).collect())
        })
    }

    /// Gives an answer a score.
    pub fn set_candidate_score(&self, actor: Actor, candidate: Id, score: f64) -> Result<()> {
        actor.require(Role::Manager)?;
        let sql = "UPDATE candidate SET score = ?2 WHERE id = ?1";
        let score = Some(score).filter(|score| score.is_finite());
        if self.write_relaxed(|transaction| transaction.change(sql, values![candidate, score]))? == 0 {
            return Err(LabelError::not_found("candidate", candidate));
        }
        Ok(())
    }
}

const SELECT: &str = "SELECT id, prompt_id, text, source, origin, author_id, score, created_ms FROM candidate";

/// Adds an answer that was checked, or finds the same one.
pub(crate) fn add(transaction: &mut Transaction<'_>, prompt: Id, new: &NewCandidate, now: i64) -> Result<Id> {
    let hash = text_hash(&new.text);
    let sql = "INSERT INTO candidate (prompt_id, text, text_hash, source, origin, author_id, score, created_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (prompt_id, text_hash) DO NOTHING RETURNING id";
    let source = new.source.map(Source::as_str);
    let score = new.score.filter(|score| score.is_finite());
    let inserted =
        transaction.row(sql, values![prompt, &new.text, &hash, source, &new.origin, new.author, score, now])?;
    match inserted {
        Some(row) => Ok(row.integer(0)),
        None => transaction
            .number("SELECT id FROM candidate WHERE prompt_id = ?1 AND text_hash = ?2", values![prompt, hash]),
    }
}

/// The answers of a task, in the order in which they were given to it.
pub(crate) fn of_task(transaction: &mut Transaction<'_>, task: Id) -> Result<Vec<Candidate>> {
    let sql = "SELECT c.id, c.prompt_id, c.text, c.source, c.origin, c.author_id, c.score, c.created_ms \
               FROM task_candidate t JOIN candidate c ON c.id = t.candidate_id WHERE t.task_id = ?1 ORDER BY t.place";
    Ok(transaction.rows(sql, values![task])?.iter().map(of_row).collect())
}

fn of_row(row: &Row) -> Candidate {
    Candidate {
        id: row.integer(0),
        prompt: row.integer(1),
        text: row.text(2),
        source: row.optional_text(3).as_deref().and_then(source_named),
        origin: row.text(4),
        author: row.optional_integer(5),
        score: row.optional_real(6),
        created_ms: row.integer(7),
    }
}
