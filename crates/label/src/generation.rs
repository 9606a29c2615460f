//! Requests for candidates: which model should answer a project's prompts. The store keeps them;
//! whoever runs the models claims them and tells how far it is.

use serde::{Deserialize, Serialize};

use crate::database::{Row, values};
use crate::task::json;
use crate::{Actor, Id, LabelError, Result, Role, Store, check, project};

/// A worker that says nothing for so long is taken for dead, and its request given out anew.
const SILENT_MS: i64 = 10 * 60_000;

/// What to generate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationRequest {
    /// Name of a model that the server has.
    pub model: String,
    /// Answers a prompt should have from it.
    pub k: usize,
    /// Tokens at most.
    pub max_new_tokens: usize,
    /// Divides the logits.
    pub temperature: f64,
    /// Only the likeliest tokens that together reach this probability.
    pub top_p: f64,
    /// Of the random streams.
    pub seed: u64,
}

/// A request and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Generation {
    /// Number.
    pub id: Id,
    /// For which project.
    pub project: Id,
    /// What to generate.
    pub request: GenerationRequest,
    /// "waiting", "running", "done" or "failed".
    pub state: String,
    /// Prompts done.
    pub done: i64,
    /// Prompts in all; 0 while it waits.
    pub total: i64,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_ms: i64,
}

const SELECT: &str = "SELECT id, project_id, request, state, done, total, error, created_ms FROM generation";

impl Store {
    /// Asks for candidates.
    pub fn add_generation(&self, actor: Actor, project: Id, request: &GenerationRequest) -> Result<Id> {
        actor.require(Role::Manager)?;
        check::text("model", &request.model, 400)?;
        let refuse = |field, found: String, expected: &str| Err(LabelError::invalid(field, found, expected));
        if !(1..=9).contains(&request.k) {
            return refuse("k", request.k.to_string(), "1 to 9");
        }
        if !(1..=100_000).contains(&request.max_new_tokens) {
            return refuse("max_new_tokens", request.max_new_tokens.to_string(), "1 to 100000");
        }
        if !(0.0..=10.0).contains(&request.temperature) {
            return refuse("temperature", request.temperature.to_string(), "0 to 10");
        }
        if !(request.top_p > 0.0 && request.top_p <= 1.0) {
            return refuse("top_p", request.top_p.to_string(), "more than 0, at most 1");
        }
        let now = self.now_ms();
        let id = self.write(|transaction| {
            project::project(transaction, project)?;
            let sql = "INSERT INTO generation (project_id, request, state, done, total, heard_ms, created_ms) \
                       VALUES (?1, ?2, 'waiting', 0, 0, ?3, ?3)";
            transaction.insert(sql, values![project, json(request), now])
        })?;
        self.note_in(actor, Some(project), "generation.add", &format!("generation {id}"), &request.model)?;
        Ok(id)
    }

    /// A project's requests, the newest first.
    pub fn generations(&self, project: Id) -> Result<Vec<Generation>> {
        self.read(|transaction| {
            let sql = format!("{SELECT} WHERE project_id = ?1 ORDER BY id DESC");
            transaction.rows(&sql, values![project])?.iter().map(of_row).collect()
        })
    }

    /// Takes the oldest request that waits, or whose worker fell silent.
    pub fn claim_generation(&self) -> Result<Option<Generation>> {
        let now = self.now_ms();
        let sql =
            format!("{SELECT} WHERE state = 'waiting' OR (state = 'running' AND heard_ms <= ?1) ORDER BY id LIMIT 1");
        let waiting = |row: Option<Row>| row.as_ref().map(of_row).transpose();
        // Most of the time there is none, and looking needs no lock.
        if self.read(|transaction| transaction.row(&sql, values![now - SILENT_MS]))?.is_none() {
            return Ok(None);
        }
        self.write(|transaction| {
            let found = waiting(transaction.row(&sql, values![now - SILENT_MS])?)?;
            if let Some(generation) = &found {
                let sql = "UPDATE generation SET state = 'running', heard_ms = ?2 WHERE id = ?1";
                transaction.change(sql, values![generation.id, now])?;
            }
            Ok(found.map(|generation| Generation { state: "running".to_owned(), ..generation }))
        })
    }

    /// Tells how far a request is.
    pub fn generation_progress(&self, id: Id, done: i64, total: i64) -> Result<()> {
        let now = self.now_ms();
        let sql = "UPDATE generation SET done = ?2, total = ?3, heard_ms = ?4 WHERE id = ?1";
        self.write_relaxed(|transaction| transaction.change(sql, values![id, done, total, now]))?;
        Ok(())
    }

    /// Ends a request, well or with an error.
    pub fn finish_generation(&self, id: Id, error: Option<&str>) -> Result<()> {
        let (now, state) = (self.now_ms(), if error.is_some() { "failed" } else { "done" });
        let sql = "UPDATE generation SET state = ?2, error = ?3, heard_ms = ?4 WHERE id = ?1";
        self.write(|transaction| transaction.change(sql, values![id, state, error, now]))?;
        Ok(())
    }
}

fn of_row(row: &Row) -> Result<Generation> {
    let id = row.integer(0);
    let request = serde_json::from_str(&row.text(2)).map_err(|error| LabelError::Damaged {
        table: "generation",
        id,
        column: "request",
        problem: error.to_string(),
    })?;
    Ok(Generation {
        id,
        project: row.integer(1),
        request,
        state: row.text(3),
        done: row.integer(4),
        total: row.integer(5),
        error: row.optional_text(6),
        created_ms: row.integer(7),
    })
}
