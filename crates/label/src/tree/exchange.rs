//! Trees as Open-Assistant JSON, in and out.

use record::{Message, Prompt, Role as Speaker, Source};
use serde_json::{Map, Value as Json, json as make_json};

use super::{TreeState, insert_tree, thread_prompt, wrong};
use crate::check::{self, TEXT_BYTES_MAX};
use crate::database::{Row, Transaction, values};
use crate::task::json;
use crate::{Actor, Id, LabelError, NewCandidate, NewPrompt, Project, Result, Role, Store, candidate, project};

/// Messages of a tree at most, and levels: a file may hold anything.
const MESSAGES_MAX: usize = 20_000;
const LEVELS_MAX: usize = 200;

impl Store {
    /// Adds an Open-Assistant tree: its messages, and for every question its replies as candidates.
    pub fn import_tree(&self, actor: Actor, project: Id, tree: &Json) -> Result<Id> {
        actor.require(Role::Manager)?;
        let map = tree.as_object().ok_or_else(|| wrong("tree", "no object", "an Open-Assistant tree"))?;
        let name = map.get("message_tree_id").and_then(Json::as_str).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| wrong("message_tree_id", "nothing", "the tree's name"))?;
        let state: TreeState = match map.get("tree_state").and_then(Json::as_str) {
            Some(state) => state.parse()?,
            None => TreeState::ReadyForExport,
        };
        let root = map.get("prompt").ok_or_else(|| wrong("prompt", "nothing", "the first message"))?;
        let mut left = MESSAGES_MAX;
        check_message(root, "prompt", Speaker::User, LEVELS_MAX, &mut left)?;
        let mut facts = map.clone();
        facts["prompt"] = Json::Null;
        let now = self.now_ms();
        let id = self.write(|transaction| {
            let project = project::project(transaction, project)?;
            let sql = "SELECT COUNT(*) FROM tree WHERE project_id = ?1 AND name = ?2";
            if transaction.number(sql, values![project.id, name])? > 0 {
                return Err(LabelError::Taken { what: "tree", name: name.to_owned() });
            }
            let id = insert_tree(transaction, &project, name, state, &json(&facts), now)?;
            let mut above = Vec::new();
            import_message(transaction, &project, &Import { tree: id, now }, None, 0, root, &mut above)?;
            Ok(id)
        })?;
        self.note_in(actor, Some(project), "tree.import", &format!("tree {id}"), "")?;
        Ok(id)
    }

    /// A project's trees as Open-Assistant JSON. What was imported comes out as it came in, with the
    /// ranks that were found here.
    pub fn export_trees(&self, actor: Actor, project: Id) -> Result<Vec<Json>> {
        actor.require(Role::Manager)?;
        self.read(|transaction| {
            let trees = transaction
                .rows("SELECT id, name, state, facts FROM tree WHERE project_id = ?1 ORDER BY id", values![project])?;
            trees.iter().map(|row| export_tree(transaction, row)).collect()
        })
    }
}

/// Refuses what isn't a tree of messages before anything is written.
fn check_message(value: &Json, at: &str, speaker: Speaker, levels: usize, left: &mut usize) -> Result<()> {
    let map = value.as_object().ok_or_else(|| wrong(at, "no object", "a message"))?;
    if levels == 0 || *left == 0 {
        let expected = format!("at most {MESSAGES_MAX} messages on {LEVELS_MAX} levels");
        return Err(wrong(at, "more messages", &expected));
    }
    *left -= 1;
    let text = map.get("text").and_then(Json::as_str).ok_or_else(|| wrong(&format!("{at}.text"), "no text", "text"))?;
    check::optional_text("text", text, TEXT_BYTES_MAX)?;
    let expected = oasst_role(speaker);
    if map.get("role").and_then(Json::as_str) != Some(expected) {
        let found = map.get("role").map_or("nothing".to_owned(), Json::to_string);
        return Err(wrong(&format!("{at}.role"), &found, expected));
    }
    let other = if speaker == Speaker::User { Speaker::Assistant } else { Speaker::User };
    match map.get("replies") {
        None | Some(Json::Null) => Ok(()),
        Some(Json::Array(replies)) => replies
            .iter()
            .enumerate()
            .try_for_each(|(i, reply)| check_message(reply, &format!("{at}.replies[{i}]"), other, levels - 1, left)),
        Some(_) => Err(wrong(&format!("{at}.replies"), "no list", "a list of messages")),
    }
}

struct Import {
    tree: Id,
    now: i64,
}

/// Adds a message and all below it.
fn import_message(
    transaction: &mut Transaction<'_>,
    project: &Project,
    import: &Import,
    parent: Option<(Id, Option<Id>)>,
    place: usize,
    value: &Json,
    above: &mut Vec<Message>,
) -> Result<()> {
    let Some(map) = value.as_object() else { return Ok(()) };
    let text = map.get("text").and_then(Json::as_str).unwrap_or_default();
    let speaker = if above.len().is_multiple_of(2) { Speaker::User } else { Speaker::Assistant };
    let mut facts = map.clone();
    let replies = match facts.get_mut("replies") {
        Some(replies @ Json::Array(_)) => replies.take(),
        _ => Json::Array(Vec::new()),
    };
    let flag = |key: &str| map.get(key).and_then(Json::as_bool);
    let state = match () {
        () if flag("deleted") == Some(true) => "deleted",
        () if flag("review_result") == Some(false) => "refused",
        () => "accepted",
    };
    let is_kept = state == "accepted" && !text.trim().is_empty();
    let source = flag("synthetic").map(|synthetic| if synthetic { Source::Model } else { Source::Human });
    let candidate = match parent {
        Some((_, Some(prompt))) if speaker == Speaker::Assistant && is_kept => {
            let origin = map.get("model_name").and_then(Json::as_str).unwrap_or("imported").to_owned();
            let new = NewCandidate { source, origin, ..NewCandidate::new(text) };
            Some(candidate::add(transaction, prompt, &new, import.now)?)
        }
        _ => None,
    };
    let rank = map.get("rank").and_then(Json::as_i64);
    let sql = "INSERT INTO message (tree_id, parent_id, place, depth, role, text, state, rank, candidate_id, facts, \
               created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let (depth, parent_id) = (above.len(), parent.map(|(id, _)| id));
    let id = transaction.insert(
        sql,
        values![
            import.tree,
            parent_id,
            place,
            depth,
            speaker.as_str(),
            text,
            state,
            rank,
            candidate,
            json(&facts),
            import.now
        ],
    )?;
    above.push(Message { role: speaker, content: text.to_owned() });
    let prompt = if speaker == Speaker::User && is_kept {
        let language = map.get("lang").and_then(Json::as_str).map(str::to_owned);
        let new = NewPrompt { source, language, ..NewPrompt::new(Prompt::Messages(above.clone())) };
        Some(thread_prompt(transaction, project, &new, import.now)?)
    } else {
        None
    };
    for (i, reply) in replies.as_array().into_iter().flatten().enumerate() {
        import_message(transaction, project, import, Some((id, prompt)), i, reply, above)?;
    }
    above.pop();
    Ok(())
}

fn export_tree(transaction: &mut Transaction<'_>, row: &Row) -> Result<Json> {
    let sql = "SELECT id, parent_id, role, text, state, rank, facts FROM message WHERE tree_id = ?1 \
               ORDER BY parent_id, place, id";
    let messages = transaction.rows(sql, values![row.integer(0)])?;
    let root = messages.iter().find(|message| message.optional_integer(1).is_none());
    let mut map: Map<String, Json> = serde_json::from_str(&row.text(3)).unwrap_or_default();
    if map.contains_key("tree_state") {
        map["tree_state"] = row.text(2).into();
    }
    map.insert("prompt".to_owned(), root.map_or(Json::Null, |root| export_message(&messages, root)));
    Ok(Json::Object(map))
}

fn export_message(messages: &[Row], message: &Row) -> Json {
    let id = message.integer(0);
    let children = messages.iter().filter(|child| child.optional_integer(1) == Some(id));
    let replies: Vec<Json> = children.map(|child| export_message(messages, child)).collect();
    let mut map: Map<String, Json> = match serde_json::from_str(&message.text(6)) {
        Ok(map) => map,
        Err(_) => own_facts(message),
    };
    if map.contains_key("replies") || !replies.is_empty() {
        map.insert("replies".to_owned(), Json::Array(replies));
    }
    let rank = message.optional_integer(5);
    if rank != map.get("rank").and_then(Json::as_i64) {
        map.insert("rank".to_owned(), rank.into());
    }
    Json::Object(map)
}

/// What is said of a message that was written here.
fn own_facts(message: &Row) -> Map<String, Json> {
    let state = message.text(4);
    let role = if message.text(2) == "user" { "prompter" } else { "assistant" };
    let facts = make_json!({
        "message_id": format!("message-{}", message.integer(0)),
        "parent_id": message.optional_integer(1).map(|id| format!("message-{id}")),
        "text": message.text(3),
        "role": role,
        "review_result": state == "accepted",
        "deleted": state == "deleted",
        "synthetic": false,
        "replies": [],
    });
    let mut map = facts.as_object().cloned().unwrap_or_default();
    if map["parent_id"].is_null() {
        map.shift_remove("parent_id");
    }
    map
}

fn oasst_role(speaker: Speaker) -> &'static str {
    if speaker == Speaker::User { "prompter" } else { "assistant" }
}
