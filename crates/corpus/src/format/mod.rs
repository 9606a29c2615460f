//! The formats that rows come in: one file each, and the list of them.
//!
//! To add one: a file here with a unit struct that implements [`Format`], and a line in
//! [`FORMATS`]. The tests below then check it unasked: its examples are read, claimed by it alone,
//! survive a round trip, and broken ones are errors that name the field.

use std::fmt;

use record::{Kind, Row};
use serde_json::Value;

use crate::RowError;

mod alpaca;
mod demonstration;
mod hh;
mod messages;
mod oasst;
mod preference;
mod prompt;
mod ranking;
mod self_instruct;
mod sharegpt;
mod text;
mod unpaired;

/// Every format, ours first.
pub const FORMATS: &[&dyn Format] = &[
    &text::Text,
    &prompt::PromptAlone,
    &demonstration::PromptCompletion,
    &messages::Messages,
    &preference::ChosenRejected,
    &ranking::Ranked,
    &unpaired::Labelled,
    &alpaca::Alpaca,
    &sharegpt::ShareGpt,
    &hh::HelpfulHarmless,
    &oasst::OpenAssistantTree,
    &self_instruct::SelfInstruct,
];

/// A way to write rows as JSON objects.
pub trait Format: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// One line for help and documentation: what a row looks like and what it becomes.
    fn summary(&self) -> &'static str;

    /// What its rows become.
    fn kinds(&self) -> &'static [Kind];

    /// The fields that it reads, beside the facts that may ride on any row.
    fn fields(&self) -> &'static [&'static str];

    /// Rows as they are found in files, for documentation and tests.
    fn examples(&self) -> &'static [&'static str];

    /// Whether a value looks like one of its rows, by the fields that are there. No two formats
    /// claim the same value.
    fn sniff(&self, value: &Value) -> bool;

    /// The rows in a value: usually one.
    fn read(&self, value: &Value) -> Result<Vec<Row>, RowError>;

    /// The row in this format, or `None` if it can't say the same: what is written reads back as
    /// the row (and, for trees, what else the tree implies).
    fn write(&self, row: &Row) -> Option<Value>;
}

impl fmt::Debug for dyn Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The format of that name.
pub fn find_format(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|f| f.name() == name)
}

/// The row as our own flat object.
fn flat(row: &Row) -> Option<Value> {
    serde_json::to_value(row).ok()
}

/// `fields` followed by the row's facts.
fn with_meta(fields: Value, row: &Row) -> Option<Value> {
    let Value::Object(mut map) = fields else {
        return None;
    };
    if let Ok(Value::Object(meta)) = serde_json::to_value(&row.meta) {
        for (key, value) in meta {
            map.entry(key).or_insert(value);
        }
    }
    Some(Value::Object(map))
}

/// The one question and the one answer of a conversation that has no more, nor a system turn.
fn single_turn(row: &Row) -> Option<(&str, &str)> {
    use record::{Demonstration, Prompt, Record, Role};
    let (question, answer) = match &row.record {
        Record::Demonstration(Demonstration::Conversation { messages }) => match &messages[..] {
            [question, answer] if answer.role == Role::Assistant => (question, &answer.content),
            _ => return None,
        },
        Record::Demonstration(Demonstration::Completion { prompt: Prompt::Messages(messages), completion }) => {
            match &messages[..] {
                [question] => (question, completion),
                _ => return None,
            }
        }
        _ => return None,
    };
    (question.role == Role::User).then_some((&question.content, answer))
}

#[cfg(test)]
mod tests;
