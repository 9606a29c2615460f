//! How a tree grows: messages are reviewed, replies asked for, and in the end ranked.

use record::{Message, Prompt, Role as Speaker, Source};
use serde_json::{Map, Value as Json};

use super::{TreeState, set_state, thread_prompt, withdraw};
use crate::candidate;
use crate::database::{Transaction, values};
use crate::judgement::{self, TaskRow};
use crate::task::{Extra, insert_with, json};
use crate::{Aggregate, Body, Id, LabelError, NewCandidate, NewPrompt, NewTask, Project, Result, Role, TaskKind};

/// A message to add.
pub(super) struct NewMessage<'a> {
    pub tree: Id,
    pub parent: Option<Id>,
    pub depth: i64,
    pub speaker: Speaker,
    pub text: &'a str,
    pub author: Option<Id>,
}

pub(super) fn insert_message(
    transaction: &mut Transaction<'_>,
    new: &NewMessage<'_>,
    language: Option<&str>,
    now: i64,
) -> Result<Id> {
    let sql = "SELECT COUNT(*) FROM message WHERE tree_id = ?1 AND parent_id = ?2";
    let place = transaction.number(sql, values![new.tree, new.parent.unwrap_or(-1)])?;
    let sql = "INSERT INTO message (tree_id, parent_id, place, depth, role, text, state, author_id, facts, created_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'review', ?7, '', ?8)";
    let (role, author) = (new.speaker.as_str(), new.author);
    let id = transaction.insert(sql, values![new.tree, new.parent, place, new.depth, role, new.text, author, now])?;
    if let Some(language) = language {
        // Kept with the tree's facts: a message written here has no others.
        let row = transaction.row("SELECT facts FROM tree WHERE id = ?1", values![new.tree])?;
        let mut facts: Map<String, Json> =
            row.and_then(|row| serde_json::from_str(&row.text(0)).ok()).unwrap_or_default();
        facts.insert("lang".to_owned(), language.into());
        transaction.change("UPDATE tree SET facts = ?2 WHERE id = ?1", values![new.tree, json(&facts)])?;
    }
    Ok(id)
}

/// A message of a growing tree.
struct Node {
    id: Id,
    tree: Id,
    parent: Option<Id>,
    depth: i64,
    speaker: Speaker,
    text: String,
    author: Option<Id>,
}

fn node(transaction: &mut Transaction<'_>, id: Id) -> Result<Node> {
    let sql = "SELECT tree_id, parent_id, depth, role, text, author_id FROM message WHERE id = ?1";
    let row = transaction.row(sql, values![id])?.ok_or_else(|| LabelError::not_found("message", id))?;
    Ok(Node {
        id,
        tree: row.integer(0),
        parent: row.optional_integer(1),
        depth: row.integer(2),
        speaker: if row.text(3) == "user" { Speaker::User } else { Speaker::Assistant },
        text: row.text(4),
        author: row.optional_integer(5),
    })
}

/// The messages from the first to this one.
fn thread(transaction: &mut Transaction<'_>, id: Id) -> Result<Vec<Message>> {
    let mut turns = Vec::new();
    let mut next = Some(id);
    while let Some(id) = next {
        let node = node(transaction, id)?;
        turns.push(Message { role: node.speaker, content: node.text });
        next = node.parent;
    }
    turns.reverse();
    Ok(turns)
}

/// Asks people to review a message.
pub(super) fn ask_review(transaction: &mut Transaction<'_>, project: &Project, message: Id, now: i64) -> Result<()> {
    let node = node(transaction, message)?;
    // A reply is reviewed as an answer to what stands above it, a question as itself.
    let (prompt, candidates) = match (node.speaker, node.parent) {
        (Speaker::Assistant, Some(parent)) => {
            let turns = Prompt::Messages(thread(transaction, parent)?);
            let prompt = thread_prompt(transaction, project, &NewPrompt::new(turns), now)?;
            let new = NewCandidate {
                source: Some(Source::Human),
                origin: "written in a conversation".to_owned(),
                author: node.author,
                ..NewCandidate::new(node.text.as_str())
            };
            let candidate = candidate::add(transaction, prompt, &new, now)?;
            let sql = "UPDATE message SET candidate_id = ?2 WHERE id = ?1";
            transaction.change(sql, values![message, candidate])?;
            (prompt, vec![candidate])
        }
        _ => {
            let turns = Prompt::Messages(thread(transaction, message)?);
            (thread_prompt(transaction, project, &NewPrompt::new(turns), now)?, Vec::new())
        }
    };
    let overlap = Some(project.settings.tree.reviews);
    let new = NewTask { overlap, ..NewTask::new(TaskKind::Review, Some(prompt), candidates) };
    let extra = Extra { message: Some(message), author: node.author, role: Some(Role::Labeler), ..Extra::default() };
    insert_with(transaction, project, &new, extra, now)?;
    Ok(())
}

/// What a judgement on a message of a tree brings about.
pub(crate) fn advance(
    transaction: &mut Transaction<'_>,
    project: &Project,
    task: &TaskRow,
    message: Id,
    (person, body): (Id, &Body),
    now: i64,
) -> Result<()> {
    let at = node(transaction, message)?;
    match body {
        Body::Continue { text } => {
            let speaker = if at.speaker == Speaker::User { Speaker::Assistant } else { Speaker::User };
            let (tree, depth) = (at.tree, at.depth + 1);
            let new = NewMessage { tree, parent: Some(message), depth, speaker, text, author: Some(person) };
            let child = insert_message(transaction, &new, None, now)?;
            ask_review(transaction, project, child, now)?;
        }
        Body::Review { .. } => decide_review(transaction, project, task, &at, now)?,
        _ => {}
    }
    settle(transaction, project, at.tree, now)
}

/// Accepts or refuses a message when its reviews are there, and asks for replies to it.
fn decide_review(
    transaction: &mut Transaction<'_>,
    project: &Project,
    task: &TaskRow,
    at: &Node,
    now: i64,
) -> Result<()> {
    let current = "j.task_id = ?1 AND NOT EXISTS (SELECT 1 FROM judgement c WHERE c.corrects = j.id)";
    let reviews = judgement::select(transaction, project, current, values![task.id])?;
    if (reviews.len() as i64) < task.overlap {
        return Ok(());
    }
    let accepted = reviews.iter().filter(|review| matches!(review.body, Body::Review { accept: true, .. })).count();
    let settings = &project.settings.tree;
    let is_accepted = accepted as f64 >= settings.accept_share * reviews.len() as f64;
    let state = if is_accepted { "accepted" } else { "refused" };
    let sql = "UPDATE message SET state = ?2 WHERE id = ?1 AND state = 'review'";
    if transaction.change(sql, values![at.id, state])? == 0 {
        return Ok(());
    }
    if at.parent.is_none() {
        let next = if is_accepted { TreeState::Growing } else { TreeState::AbortedLowGrade };
        set_state(transaction, at.tree, next)?;
    }
    let may_grow = at.depth < i64::from(settings.depth_max) && !is_full(transaction, project, at.tree)?;
    if is_accepted && may_grow {
        let turns = Prompt::Messages(thread(transaction, at.id)?);
        let prompt = thread_prompt(transaction, project, &NewPrompt::new(turns), now)?;
        let overlap = Some(settings.children_max);
        let new = NewTask { overlap, ..NewTask::new(TaskKind::Continue, Some(prompt), Vec::new()) };
        // Nobody answers themselves.
        let extra = Extra { message: Some(at.id), author: at.author, ..Extra::default() };
        insert_with(transaction, project, &new, extra, now)?;
    }
    Ok(())
}

/// Whether a tree has all its messages: those that were refused don't count.
fn is_full(transaction: &mut Transaction<'_>, project: &Project, tree: Id) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM message WHERE tree_id = ?1 AND state IN ('accepted', 'review')";
    Ok(transaction.number(sql, values![tree])? >= i64::from(project.settings.tree.size))
}

fn open_tasks(transaction: &mut Transaction<'_>, tree: Id, kind: TaskKind) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM task WHERE kind = ?2 AND state = 'open' \
               AND message_id IN (SELECT id FROM message WHERE tree_id = ?1)";
    transaction.number(sql, values![tree, kind.as_str()])
}

/// Moves a tree on when nothing more is to be done in its state.
fn settle(transaction: &mut Transaction<'_>, project: &Project, tree: Id, now: i64) -> Result<()> {
    let row = transaction.row("SELECT state FROM tree WHERE id = ?1", values![tree])?;
    let state: TreeState = row.map(|row| row.text(0)).unwrap_or_default().parse()?;
    if state == TreeState::Growing {
        if is_full(transaction, project, tree)? {
            withdraw(transaction, tree, &[TaskKind::Continue])?;
        }
        let waiting =
            open_tasks(transaction, tree, TaskKind::Continue)? + open_tasks(transaction, tree, TaskKind::Review)?;
        if waiting > 0 {
            return Ok(());
        }
        let asked = ask_rankings(transaction, project, tree, now)?;
        let next = if asked > 0 { TreeState::Ranking } else { TreeState::ReadyForExport };
        return set_state(transaction, tree, next);
    }
    if state == TreeState::Ranking && open_tasks(transaction, tree, TaskKind::Rank)? == 0 {
        set_state(transaction, tree, TreeState::ReadyForScoring)?;
        let next = match score(transaction, project, tree) {
            Ok(()) => TreeState::ReadyForExport,
            Err(LabelError::Statistics(_)) => TreeState::ScoringFailed,
            Err(other) => return Err(other),
        };
        return set_state(transaction, tree, next);
    }
    Ok(())
}

/// Asks for rankings of the replies to each question that has several; how many.
fn ask_rankings(transaction: &mut Transaction<'_>, project: &Project, tree: Id, now: i64) -> Result<usize> {
    let sql = "SELECT m.parent_id, m.candidate_id, c.prompt_id FROM message m JOIN candidate c ON c.id = m.candidate_id \
               WHERE m.tree_id = ?1 AND m.state = 'accepted' AND m.role = 'assistant' ORDER BY m.parent_id, m.place";
    let replies = transaction.rows(sql, values![tree])?;
    let mut asked = 0;
    for family in replies.chunk_by(|a, b| a.integer(0) == b.integer(0)) {
        let mut candidates: Vec<Id> = family.iter().map(|row| row.integer(1)).collect();
        candidates.dedup();
        candidates.truncate(project.settings.ranking.k_max);
        if candidates.len() < project.settings.ranking.k_min {
            continue;
        }
        let overlap = Some(project.settings.tree.rankings);
        let new = NewTask { overlap, ..NewTask::new(TaskKind::Rank, Some(family[0].integer(2)), candidates) };
        let extra = Extra { message: Some(family[0].integer(0)), ..Extra::default() };
        insert_with(transaction, project, &new, extra, now)?;
        asked += 1;
    }
    Ok(asked)
}

/// Makes one ranking of each family's rankings; ranks among siblings start at 0, as Open-Assistant's do.
fn score(transaction: &mut Transaction<'_>, project: &Project, tree: Id) -> Result<()> {
    let sql = "SELECT id, message_id FROM task WHERE kind = 'rank' AND state = 'complete' \
               AND message_id IN (SELECT id FROM message WHERE tree_id = ?1)";
    for row in transaction.rows(sql, values![tree])? {
        let (task, question) = (row.integer(0), row.integer(1));
        let candidates: Vec<Id> = candidate::of_task(transaction, task)?.iter().map(|c| c.id).collect();
        let current = "j.task_id = ?1 AND NOT EXISTS (SELECT 1 FROM judgement c WHERE c.corrects = j.id)";
        let judgements = judgement::select(transaction, project, current, values![task])?;
        let rankings: Vec<_> = judgements.iter().map(|judgement| judgement.body.places(&candidates)).collect();
        for place in Aggregate::RankedPairs.rank(&candidates, &rankings)? {
            let sql = "UPDATE message SET rank = ?3 WHERE parent_id = ?1 AND candidate_id = ?2";
            transaction.change(sql, values![question, place.candidate, place.rank - 1])?;
        }
    }
    Ok(())
}
