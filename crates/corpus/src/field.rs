//! Reading the fields of a JSON row, with errors that name field, found and expected.

use record::{Message, Meta, Prompt, Role, Source};
use serde_json::{Map, Value};

/// Why a value is not a row of a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: found {found}, expected {expected}")]
pub struct RowError {
    /// Which field, with a path into it (`completions[2].rank`); `row` for the whole.
    pub field: String,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: String,
}

impl RowError {
    /// An error at `field`.
    pub fn new(field: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { field: field.into(), found: found.into(), expected: expected.into() }
    }

    /// An error about the value that stands at `field`.
    pub(crate) fn at(field: impl Into<String>, found: Option<&Value>, expected: &str) -> Self {
        Self::new(field, describe(found), expected)
    }

    /// The same error for every row that fails in the same way.
    pub(crate) fn reason(&self) -> String {
        // Positions differ from row to row: `completions[2].rank` counts as `completions[].rank`.
        let mut field = String::new();
        let mut inside = false;
        for letter in self.field.chars() {
            inside = inside && letter != ']';
            if !inside {
                field.push(letter);
            }
            inside = inside || letter == '[';
        }
        format!("{field}: expected {}", self.expected)
    }
}

/// A value in words: its type and its beginning.
fn describe(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(Value::Bool(b)) => format!("{b}"),
        Some(Value::Number(n)) => format!("the number {n}"),
        Some(Value::String(s)) if s.is_empty() => "an empty text".to_owned(),
        Some(Value::String(s)) => format!("{:?}", beginning(s)),
        Some(Value::Array(items)) => format!("a list of {}", items.len()),
        Some(Value::Object(map)) if map.is_empty() => "an empty object".to_owned(),
        Some(Value::Object(map)) => format!("an object with {}", keys(map)),
    }
}

/// The first 40 characters.
fn beginning(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The names of an object's fields, as many as fit an error message.
pub(crate) fn keys(map: &Map<String, Value>) -> String {
    let named: Vec<String> = map.keys().take(8).map(|key| beginning(key)).collect();
    let more = if map.len() > 8 { ", …" } else { "" };
    format!("{}{more}", named.join(", "))
}

/// The row as an object.
pub(crate) fn object(value: &Value) -> Result<&Map<String, Value>, RowError> {
    value.as_object().ok_or_else(|| RowError::at("row", Some(value), "an object"))
}

/// A field that is there and isn't null.
pub(crate) fn present<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|value| !value.is_null())
}

/// Whether `value` is an object with all of `has` and none of `lacks`; null counts as absent.
pub(crate) fn has_but_lacks(value: &Value, has: &[&str], lacks: &[&str]) -> bool {
    value.as_object().is_some_and(|map| {
        has.iter().all(|key| present(map, key).is_some()) && lacks.iter().all(|key| present(map, key).is_none())
    })
}

/// A field of text.
pub(crate) fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Result<&'a str, RowError> {
    let value = present(map, key);
    value.and_then(Value::as_str).ok_or_else(|| RowError::at(key, value, "text"))
}

/// A field of text that may be absent.
pub(crate) fn optional_text<'a>(map: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, RowError> {
    present(map, key).map(|_| text(map, key)).transpose()
}

/// The literal end-of-text marks at the end of imported text, and space after them, taken off.
pub(crate) fn without_end_of_text(text: &str) -> String {
    const END_OF_TEXT: &str = "<|endoftext|>";
    let mut kept = text;
    while let Some(shorter) = kept.trim_end().strip_suffix(END_OF_TEXT) {
        kept = shorter;
    }
    kept.to_owned()
}

/// A prompt: text, or messages of which the last isn't the assistant's.
pub(crate) fn prompt(map: &Map<String, Value>, key: &str) -> Result<Prompt, RowError> {
    match present(map, key) {
        Some(Value::String(text)) => Ok(Prompt::Text(text.clone())),
        Some(value @ Value::Array(_)) => {
            let messages = messages(value, key)?;
            answerable(&messages, key)?;
            Ok(Prompt::Messages(messages))
        }
        other => Err(RowError::at(key, other, "text or a list of messages")),
    }
}

/// Whether the assistant's turn comes next.
pub(crate) fn answerable(messages: &[Message], field: &str) -> Result<(), RowError> {
    match messages.last() {
        Some(last) if last.role != Role::Assistant => Ok(()),
        Some(_) => {
            Err(RowError::new(field, "an assistant's turn at the end", "a conversation that the assistant continues"))
        }
        None => Err(RowError::new(field, "an empty list", "at least one message")),
    }
}

/// An answer: text, or a list of one assistant message; end-of-text marks taken off.
pub(crate) fn answer(map: &Map<String, Value>, key: &str) -> Result<String, RowError> {
    match present(map, key) {
        Some(Value::String(text)) => Ok(without_end_of_text(text)),
        Some(value @ Value::Array(_)) => match messages(value, key)?.as_slice() {
            [only] if only.role == Role::Assistant => Ok(only.content.clone()),
            several => Err(RowError::new(key, format!("a list of {}", several.len()), "text or one assistant message")),
        },
        other => Err(RowError::at(key, other, "text")),
    }
}

/// A list of messages. The turn's speaker stands under `role` or `from`, its text under
/// `content`, `value` or `text`; the speakers' names in use elsewhere are understood.
pub(crate) fn messages(value: &Value, field: &str) -> Result<Vec<Message>, RowError> {
    let items = value.as_array().ok_or_else(|| RowError::at(field, Some(value), "a list of messages"))?;
    let turns = items.iter().enumerate();
    turns.map(|(i, item)| message(item, &format!("{field}[{i}]"))).collect()
}

fn message(value: &Value, field: &str) -> Result<Message, RowError> {
    let map = value.as_object().ok_or_else(|| RowError::at(field, Some(value), "an object with role and content"))?;
    let first_of = |names: &[&'static str]| {
        let found = names.iter().find(|name| present(map, name).is_some());
        *found.unwrap_or(&names[0])
    };
    let within = |mut error: RowError| {
        error.field = format!("{field}.{}", error.field);
        error
    };
    let role_key = first_of(&["role", "from"]);
    let name = text(map, role_key).map_err(within)?;
    let role = role(name).ok_or_else(|| {
        let expected = "system, user or assistant";
        within(RowError::at(role_key, map.get(role_key), expected))
    })?;
    let content = text(map, first_of(&["content", "value", "text"])).map_err(within)?;
    let content = match role {
        Role::Assistant => without_end_of_text(content),
        Role::System | Role::User => content.to_owned(),
    };
    Ok(Message { role, content })
}

/// Who speaks, by the names that data sets use.
pub(crate) fn role(name: &str) -> Option<Role> {
    match name {
        "system" => Some(Role::System),
        "user" | "human" | "prompter" => Some(Role::User),
        "assistant" | "gpt" | "chatgpt" | "bot" | "model" => Some(Role::Assistant),
        _ => None,
    }
}

/// A conversation to train on: the assistant speaks, and never says nothing.
pub(crate) fn conversation(map: &Map<String, Value>, key: &str) -> Result<Vec<Message>, RowError> {
    let value = present(map, key).ok_or_else(|| RowError::at(key, None, "a list of messages"))?;
    let messages = messages(value, key)?;
    let mut answers = messages.iter().enumerate().filter(|(_, turn)| turn.role == Role::Assistant).peekable();
    if answers.peek().is_none() {
        let found = format!("{} turns, none of the assistant's", messages.len());
        return Err(RowError::new(key, found, "at least one assistant turn"));
    }
    match answers.find(|(_, turn)| turn.content.trim().is_empty()) {
        Some((i, _)) => Err(RowError::new(format!("{key}[{i}]"), "an empty assistant turn", "an answer")),
        None => Ok(messages),
    }
}

/// A demonstration's answer, which may not be empty.
pub(crate) fn demonstrated(map: &Map<String, Value>, key: &str) -> Result<String, RowError> {
    let answer = answer(map, key)?;
    if answer.trim().is_empty() {
        return Err(RowError::new(key, "an empty text", "an answer"));
    }
    Ok(answer)
}

/// The facts that may ride on any row.
pub(crate) fn meta(map: &Map<String, Value>) -> Result<Meta, RowError> {
    Ok(Meta {
        id: name(map, "id")?,
        source: source(map)?,
        use_case: name(map, "use_case")?,
        user_id: name(map, "user_id")?,
        language: name(map, "language")?,
        labeler: name(map, "labeler")?,
        group: name(map, "group")?,
    })
}

fn source(map: &Map<String, Value>) -> Result<Option<Source>, RowError> {
    const ALL: [Source; 4] = [Source::Human, Source::Model, Source::Rule, Source::Simulated];
    let Some(value) = present(map, "source") else {
        return Ok(None);
    };
    let known = ALL.into_iter().find(|known| Some(known.as_str()) == value.as_str());
    let expected = "human, model, rule or simulated";
    known.map(Some).ok_or_else(|| RowError::at("source", Some(value), expected))
}

/// An optional name: text, or a whole number as many data sets number their rows.
fn name(map: &Map<String, Value>, key: &str) -> Result<Option<String>, RowError> {
    match present(map, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(n)) if n.is_i64() || n.is_u64() => Ok(Some(n.to_string())),
        other => Err(RowError::at(key, other, "text or a whole number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_text_marks_go_and_other_text_stays() {
        let check = |text: &str, expected: &str| assert_eq!(without_end_of_text(text), expected);
        check(" a b<|endoftext|>", " a b");
        check("a \n<|endoftext|>\n", "a \n");
        check("a<|endoftext|><|endoftext|>", "a");
        check("a<|endoftext|>b \n", "a<|endoftext|>b \n");
        check("<|endoftext|>", "");
    }

    #[test]
    fn a_reason_is_shared_by_rows_that_fail_alike() {
        let error = |i| RowError::new(format!("completions[{i}].rank"), format!("{i}"), "a rank");
        assert_eq!(error(2).reason(), error(31).reason());
        assert_eq!(error(2).reason(), "completions[].rank: expected a rank");
    }

    #[test]
    fn long_finds_are_cut_between_characters() {
        let value = Value::from("é".repeat(99));
        let error = RowError::at("x", Some(&value), "less");
        assert_eq!(error.found.chars().filter(|&c| c == 'é').count(), 40);
    }
}
