//! Demonstrations as conversations: `{"messages": [{"role", "content"}, …]}`.

use record::{Demonstration, Kind, Message, Prompt, Record, Role, Row};
use serde_json::Value;

use super::{Format, flat};
use crate::RowError;
use crate::field::{conversation, has_but_lacks, meta, object};

/// A whole conversation; every assistant turn is trained on.
pub struct Messages;

impl Format for Messages {
    fn name(&self) -> &'static str {
        "messages"
    }

    fn summary(&self) -> &'static str {
        "{messages: [{role, content}, …]}: a conversation, every assistant turn a demonstration"
    }

    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Demonstration]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["messages"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"messages": [{"role": "system", "content": "You are terse."}, {"role": "user", "content": "Capital of Chad?"}, {"role": "assistant", "content": "N'Djamena."}, {"role": "user", "content": "Thanks."}, {"role": "assistant", "content": "Any time."}], "source": "human", "id": "m-1"}"#,
        ]
    }

    fn sniff(&self, value: &Value) -> bool {
        const OTHERS: &[&str] = &["completions", "conversations", "chosen", "rejected"];
        has_but_lacks(value, &["messages"], OTHERS)
    }

    fn read(&self, value: &Value) -> Result<Vec<Row>, RowError> {
        let map = object(value)?;
        let messages = conversation(map, "messages")?;
        let record = Record::Demonstration(Demonstration::Conversation { messages });
        let meta = meta(map)?;
        Ok(vec![Row { record, meta }])
    }

    fn write(&self, row: &Row) -> Option<Value> {
        let messages = as_conversation(&row.record)?;
        flat(&Row { record: Record::Demonstration(Demonstration::Conversation { messages }), meta: row.meta.clone() })
    }
}

/// A demonstration as one conversation, if that trains on the same turns and with a template.
pub(super) fn as_conversation(record: &Record) -> Option<Vec<Message>> {
    match record {
        Record::Demonstration(Demonstration::Conversation { messages }) => Some(messages.clone()),
        Record::Demonstration(Demonstration::Completion { prompt: Prompt::Messages(before), completion })
            if before.iter().all(|turn| turn.role != Role::Assistant) =>
        {
            let mut messages = before.clone();
            messages.push(Message::assistant(completion));
            Some(messages)
        }
        _ => None,
    }
}
