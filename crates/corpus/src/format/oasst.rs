//! OpenAssistant message trees (arXiv 2304.07327): a prompt with replies, which have replies.
//!
//! A tree becomes
//! - a **demonstration** for every question's best reply: the turns up to the question, then the
//!   reply. Each reply is thus trained on once, however many threads go on below it;
//! - a **ranking** for every question with at least two ranked replies.
//!
//! Ranks among siblings start at 0; replies without one stand outside of the ranking, and the
//! best reply of an unranked family is its first. Deleted messages and those that failed the
//! review are left out with all that follows them.

use record::{Demonstration, Kind, Message, Meta, Prompt, RankedCompletion, Ranking, Record, Role, Row, Source};
use serde_json::{Map, Value, json};

use super::Format;
use crate::RowError;
use crate::field::{has_but_lacks, object, optional_text, present, role, text};

/// A tree of messages a row.
pub struct OpenAssistantTree;

impl Format for OpenAssistantTree {
    fn name(&self) -> &'static str {
        "oasst"
    }

    fn summary(&self) -> &'static str {
        "{message_tree_id, prompt: {text, role, replies: […]}}: demonstrations and rankings"
    }

    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Demonstration, Kind::Ranking]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["prompt"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"message_tree_id": "t", "tree_state": "ready_for_export", "prompt": {"message_id": "t", "text": "Why do leaves fall?", "role": "prompter", "lang": "en", "replies": [
                {"message_id": "a", "text": "They get tired.", "role": "assistant", "lang": "en", "rank": 1, "synthetic": true, "replies": []},
                {"message_id": "b", "text": "To save water in winter.", "role": "assistant", "lang": "en", "rank": 0, "synthetic": false, "replies": [
                    {"message_id": "c", "text": "All trees?", "role": "prompter", "lang": "en", "replies": [
                        {"message_id": "d", "text": "Not conifers, mostly.", "role": "assistant", "lang": "en", "synthetic": false, "replies": []}]}]}]}}"#,
        ]
    }

    fn sniff(&self, value: &Value) -> bool {
        const OTHERS: &[&str] = &["completions", "messages", "chosen"];
        has_but_lacks(value, &["message_tree_id", "prompt"], OTHERS) && !value["prompt"].is_string()
    }

    fn read(&self, value: &Value) -> Result<Vec<Row>, RowError> {
        let map = object(value)?;
        let root = node(present(map, "prompt"), "prompt")?;
        let mut rows = Vec::new();
        if let Some(root) = root {
            if root.role != Role::User {
                let found = "a message of the assistant";
                return Err(RowError::new("prompt", found, "the prompter's"));
            }
            collect(&root, &mut Vec::new(), &mut rows);
        }
        Ok(rows)
    }

    fn write(&self, row: &Row) -> Option<Value> {
        let (prompt, replies) = match &row.record {
            Record::Demonstration(Demonstration::Completion { prompt, completion }) => {
                (prompt, vec![(completion, None)])
            }
            Record::Ranking(ranking) => {
                let completions = ranking.completions.iter();
                let replies = completions.map(|c| (&c.text, Some(c.rank))).collect();
                (&ranking.prompt, replies)
            }
            _ => return None,
        };
        let Prompt::Messages(turns) = prompt else {
            return None;
        };
        if !alternate(turns) || !expressible(row) {
            return None;
        }
        let replies = replies.into_iter().map(|(text, rank)| reply(row, text, rank)).collect();
        Some(thread(row, turns, replies))
    }
}

/// A message that counts, with those of its replies that do.
struct Node<'a> {
    id: Option<&'a str>,
    text: &'a str,
    role: Role,
    language: Option<&'a str>,
    user_id: Option<&'a str>,
    rank: Option<i64>,
    synthetic: Option<bool>,
    replies: Vec<Node<'a>>,
}

/// The message at `field`; `None` if it was deleted or failed the review.
fn node<'a>(value: Option<&'a Value>, field: &str) -> Result<Option<Node<'a>>, RowError> {
    let map = value.and_then(Value::as_object).ok_or_else(|| RowError::at(field, value, "a message"))?;
    if map.get("deleted") == Some(&Value::Bool(true)) || map.get("review_result") == Some(&Value::Bool(false)) {
        return Ok(None);
    }
    let within = |mut error: RowError| {
        error.field = format!("{field}.{}", error.field);
        error
    };
    let speaker = text(map, "role").map_err(within)?;
    let speaker = role(speaker)
        .filter(|&role| role != Role::System)
        .ok_or_else(|| within(RowError::at("role", map.get("role"), "prompter or assistant")))?;
    Ok(Some(Node {
        id: optional_text(map, "message_id").map_err(within)?,
        text: text(map, "text").map_err(within)?,
        role: speaker,
        language: optional_text(map, "lang").map_err(within)?,
        user_id: optional_text(map, "user_id").map_err(within)?,
        rank: rank(map).map_err(within)?,
        synthetic: present(map, "synthetic").and_then(Value::as_bool),
        replies: replies(map, speaker, field)?,
    }))
}

fn rank(map: &Map<String, Value>) -> Result<Option<i64>, RowError> {
    let Some(value) = present(map, "rank") else {
        return Ok(None);
    };
    let number = value.as_i64().map(Some);
    number.ok_or_else(|| RowError::at("rank", Some(value), "a whole number"))
}

fn replies<'a>(map: &'a Map<String, Value>, speaker: Role, field: &str) -> Result<Vec<Node<'a>>, RowError> {
    let items = match present(map, "replies") {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        other => {
            let field = format!("{field}.replies");
            return Err(RowError::at(field, other, "a list of messages"));
        }
    };
    let mut nodes = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let field = format!("{field}.replies[{i}]");
        let Some(reply) = node(Some(item), &field)? else {
            continue;
        };
        if reply.role == speaker {
            let found = format!("the {} answering themselves", speaker.as_str());
            return Err(RowError::new(field, found, "turns of both"));
        }
        nodes.push(reply);
    }
    Ok(nodes)
}

/// Adds the rows of the tree under `node`; `before` holds the turns above it.
fn collect(node: &Node<'_>, before: &mut Vec<Message>, rows: &mut Vec<Row>) {
    before.push(Message { role: node.role, content: node.text.to_owned() });
    if node.role == Role::User {
        rows.extend(demonstration(node, before));
        rows.extend(ranking(node, before));
    }
    for reply in &node.replies {
        collect(reply, before, rows);
    }
    before.pop();
}

fn demonstration(question: &Node<'_>, before: &[Message]) -> Option<Row> {
    let unranked_last = |reply: &&Node<'_>| reply.rank.unwrap_or(i64::MAX);
    let best = question.replies.iter().min_by_key(unranked_last)?;
    if best.text.trim().is_empty() {
        return None;
    }
    let source = best.synthetic.map(|synthetic| match synthetic {
        true => Source::Model,
        false => Source::Human,
    });
    Some(Row {
        record: Record::Demonstration(Demonstration::Completion {
            prompt: Prompt::Messages(before.to_vec()),
            completion: best.text.to_owned(),
        }),
        meta: Meta { id: best.id.map(str::to_owned), source, ..shared_meta(question) },
    })
}

/// The volunteers' order of a question's replies: a human judgement whoever wrote them.
fn ranking(question: &Node<'_>, before: &[Message]) -> Option<Row> {
    let ranked = |reply: &Node<'_>| {
        let (text, rank) = (reply.text.to_owned(), reply.rank?);
        Some(RankedCompletion { text, rank })
    };
    let completions: Vec<_> = question.replies.iter().filter_map(ranked).collect();
    (completions.len() >= 2).then(|| Row {
        record: Record::Ranking(Ranking { prompt: Prompt::Messages(before.to_vec()), completions }),
        meta: Meta { id: question.id.map(str::to_owned), source: Some(Source::Human), ..shared_meta(question) },
    })
}

fn shared_meta(question: &Node<'_>) -> Meta {
    Meta {
        language: question.language.map(str::to_owned),
        user_id: question.user_id.map(str::to_owned),
        ..Meta::default()
    }
}

/// Whether the turns go user, assistant, user, …, and end with the user.
fn alternate(turns: &[Message]) -> bool {
    let expected = [Role::User, Role::Assistant].into_iter().cycle();
    let in_turn = turns.iter().zip(expected).all(|(turn, role)| turn.role == role);
    in_turn && turns.len() % 2 == 1
}

/// Whether a tree can carry the row's facts.
fn expressible(row: &Row) -> bool {
    let meta = &row.meta;
    let source = match row.record {
        Record::Ranking(_) => meta.source == Some(Source::Human),
        _ => matches!(meta.source, None | Some(Source::Human | Source::Model)),
    };
    source && meta.use_case.is_none() && meta.labeler.is_none() && meta.group.is_none()
}

fn reply(row: &Row, text: &str, rank: Option<i64>) -> Value {
    let mut reply = json!({"text": text, "role": "assistant", "replies": []});
    match rank {
        Some(rank) => reply["rank"] = rank.into(),
        None => {
            if let Some(id) = &row.meta.id {
                reply["message_id"] = id.as_str().into();
            }
            if let Some(source) = row.meta.source {
                reply["synthetic"] = (source == Source::Model).into();
            }
        }
    }
    reply
}

/// The turns as a thread with `replies` at its end.
fn thread(row: &Row, turns: &[Message], replies: Vec<Value>) -> Value {
    let mut below = replies;
    for (i, turn) in turns.iter().enumerate().rev() {
        let speaker = match turn.role {
            Role::Assistant => "assistant",
            _ => "prompter",
        };
        let mut message = json!({"text": turn.content, "role": speaker, "replies": below});
        if i == turns.len() - 1 {
            let meta = &row.meta;
            let is_ranking = matches!(row.record, Record::Ranking(_));
            let id = meta.id.as_ref().filter(|_| is_ranking);
            let facts = [("message_id", id), ("lang", meta.language.as_ref()), ("user_id", meta.user_id.as_ref())];
            for (key, value) in facts {
                if let Some(value) = value {
                    message[key] = value.as_str().into();
                }
            }
        }
        below = vec![message];
    }
    let tree_id = row.meta.id.clone().unwrap_or_else(|| crate::content_id(row));
    json!({"message_tree_id": tree_id, "prompt": below.pop()})
}
