//! Conversations that grow as trees, by Open-Assistant's rules (arXiv 2304.07327, §3): a first
//! message is reviewed, people write replies and replies to replies, each is reviewed, replies to
//! one message are ranked, and the rankings become one by ranked pairs.
//!
//! Trees are imported and exported as the Open-Assistant JSON; what that holds and this crate
//! doesn't know is kept as it is.

mod exchange;
mod growth;

pub(crate) use growth::advance;

use growth::{NewMessage, ask_review, insert_message};
use record::{Prompt, Role as Speaker};
use serde::{Deserialize, Serialize};
use serde_json::json as make_json;

use crate::check::{self, TEXT_BYTES_MAX};
use crate::database::{Row, Transaction, values};
use crate::prompt::{Place as Added, opening};
use crate::task::json;
use crate::{Actor, Id, LabelError, NewPrompt, Project, Result, Role, Store, TaskKind, project, prompt};

/// How far a tree is; Open-Assistant's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeState {
    /// The first message is being reviewed.
    InitialPromptReview,
    /// Replies are written and reviewed.
    Growing,
    /// Replies are ranked.
    Ranking,
    /// Rankings are there and become one.
    ReadyForScoring,
    /// Done.
    ReadyForExport,
    /// The first message was refused.
    AbortedLowGrade,
    /// A manager stopped it.
    HaltedByModerator,
    /// Ranked, waiting for more rankings (imported trees).
    BacklogRanking,
    /// Waiting to be chosen to grow (imported trees).
    PromptLotteryWaiting,
    /// The rankings could not become one.
    ScoringFailed,
}

impl TreeState {
    const ALL: [TreeState; 10] = [
        Self::InitialPromptReview,
        Self::Growing,
        Self::Ranking,
        Self::ReadyForScoring,
        Self::ReadyForExport,
        Self::AbortedLowGrade,
        Self::HaltedByModerator,
        Self::BacklogRanking,
        Self::PromptLotteryWaiting,
        Self::ScoringFailed,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InitialPromptReview => "initial_prompt_review",
            Self::Growing => "growing",
            Self::Ranking => "ranking",
            Self::ReadyForScoring => "ready_for_scoring",
            Self::ReadyForExport => "ready_for_export",
            Self::AbortedLowGrade => "aborted_low_grade",
            Self::HaltedByModerator => "halted_by_moderator",
            Self::BacklogRanking => "backlog_ranking",
            Self::PromptLotteryWaiting => "prompt_lottery_waiting",
            Self::ScoringFailed => "scoring_failed",
        }
    }
}

impl std::str::FromStr for TreeState {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| LabelError::invalid("tree_state", check::shown(text), "one of Open-Assistant's states"))
    }
}

/// A tree in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TreeSummary {
    /// Number.
    pub id: Id,
    /// Its name in exports.
    pub name: String,
    /// How far it is.
    pub state: TreeState,
    /// Messages.
    pub size: i64,
    /// How its first message begins.
    pub title: String,
}

impl Store {
    /// Begins a conversation with a first message, which is reviewed before anybody replies.
    pub fn start_tree(&self, actor: Actor, project: Id, text: &str, language: Option<&str>) -> Result<Id> {
        actor.require(Role::Manager)?;
        check::text("prompt", text, TEXT_BYTES_MAX)?;
        let (now, name) = (self.now_ms(), format!("tree-{}", crate::random::name()?));
        let id = self.write(|transaction| {
            let project = project::project(transaction, project)?;
            let facts = make_json!({"message_tree_id": name, "tree_state": null, "prompt": null});
            let state = TreeState::InitialPromptReview;
            let tree = insert_tree(transaction, &project, &name, state, &json(&facts), now)?;
            let new = NewMessage { tree, parent: None, depth: 0, speaker: Speaker::User, text, author: actor.person() };
            let root = insert_message(transaction, &new, language, now)?;
            ask_review(transaction, &project, root, now)?;
            Ok(tree)
        })?;
        self.note_in(actor, Some(project), "tree.start", &format!("tree {id}"), "")?;
        Ok(id)
    }

    /// A project's trees, the newest first.
    pub fn trees(&self, project: Id) -> Result<Vec<TreeSummary>> {
        self.read(|transaction| {
            let sql = "SELECT t.id, t.name, t.state, (SELECT COUNT(*) FROM message m WHERE m.tree_id = t.id), \
                       (SELECT m.text FROM message m WHERE m.tree_id = t.id AND m.parent_id IS NULL) \
                       FROM tree t WHERE t.project_id = ?1 ORDER BY t.id DESC";
            let summary = |row: &Row| {
                Ok(TreeSummary {
                    id: row.integer(0),
                    name: row.text(1),
                    state: row.text(2).parse()?,
                    size: row.integer(3),
                    title: opening(&Prompt::Text(row.text(4))),
                })
            };
            transaction.rows(sql, values![project])?.iter().map(summary).collect()
        })
    }

    /// Stops a tree: its tasks are taken back.
    pub fn halt_tree(&self, actor: Actor, tree: Id) -> Result<()> {
        actor.require(Role::Manager)?;
        self.write(|transaction| {
            if transaction.number("SELECT COUNT(*) FROM tree WHERE id = ?1", values![tree])? == 0 {
                return Err(LabelError::not_found("tree", tree));
            }
            withdraw(transaction, tree, &[TaskKind::Review, TaskKind::Continue, TaskKind::Rank])?;
            set_state(transaction, tree, TreeState::HaltedByModerator)
        })?;
        self.note(actor, "tree.halt", &format!("tree {tree}"), "")
    }
}

fn wrong(field: &str, found: &str, expected: &str) -> LabelError {
    LabelError::invalid(field, found, expected)
}

fn insert_tree(
    transaction: &mut Transaction<'_>,
    project: &Project,
    name: &str,
    state: TreeState,
    facts: &str,
    now: i64,
) -> Result<Id> {
    let sql = "INSERT INTO tree (project_id, name, state, facts, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
    transaction.insert(sql, values![project.id, name, state.as_str(), facts, now])
}

/// The prompt of a thread. Threads of a tree share long beginnings: only equal ones are one.
fn thread_prompt(transaction: &mut Transaction<'_>, project: &Project, new: &NewPrompt, now: i64) -> Result<Id> {
    let mut project = project.clone();
    project.settings.prompts.duplicate_prefix = 0;
    project.settings.prompts.per_user_max = u32::MAX;
    match prompt::add(transaction, &project, new, now)? {
        Added::New(id) | Added::Known(id) => Ok(id),
        Added::OverLimit => Err(wrong("prompt", "too many of one user", "fewer")),
    }
}

fn set_state(transaction: &mut Transaction<'_>, tree: Id, state: TreeState) -> Result<()> {
    transaction.change("UPDATE tree SET state = ?2 WHERE id = ?1", values![tree, state.as_str()])?;
    Ok(())
}

fn withdraw(transaction: &mut Transaction<'_>, tree: Id, kinds: &[TaskKind]) -> Result<()> {
    for kind in kinds {
        let sql = "UPDATE task SET state = 'withdrawn' WHERE kind = ?2 AND state = 'open' \
                   AND message_id IN (SELECT id FROM message WHERE tree_id = ?1)";
        transaction.change(sql, values![tree, kind.as_str()])?;
    }
    Ok(())
}
