//! ShareGPT: `{"conversations": [{"from", "value"}, …]}`.

use record::{Demonstration, Kind, Record, Role, Row};
use serde_json::{Value, json};

use super::messages::as_conversation;
use super::{Format, with_meta};
use crate::RowError;
use crate::field::{conversation, has_but_lacks, meta, object};

/// A conversation between `human` and `gpt`.
pub struct ShareGpt;

impl Format for ShareGpt {
    fn name(&self) -> &'static str {
        "sharegpt"
    }

    fn summary(&self) -> &'static str {
        "{conversations: [{from: human|gpt|system, value}, …]}: a conversation"
    }

    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Demonstration]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["conversations"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"id": "s1", "conversations": [{"from": "human", "value": "Is a whale a fish?"}, {"from": "gpt", "value": "No, a mammal."}]}"#,
        ]
    }

    fn sniff(&self, value: &Value) -> bool {
        has_but_lacks(value, &["conversations"], &["messages", "chosen"])
    }

    fn read(&self, value: &Value) -> Result<Vec<Row>, RowError> {
        let map = object(value)?;
        let messages = conversation(map, "conversations")?;
        let record = Record::Demonstration(Demonstration::Conversation { messages });
        let meta = meta(map)?;
        Ok(vec![Row { record, meta }])
    }

    fn write(&self, row: &Row) -> Option<Value> {
        let turns: Vec<Value> = as_conversation(&row.record)?
            .into_iter()
            .map(|turn| {
                let from = match turn.role {
                    Role::System => "system",
                    Role::User => "human",
                    Role::Assistant => "gpt",
                };
                json!({"from": from, "value": turn.content})
            })
            .collect();
        with_meta(json!({"conversations": turns}), row)
    }
}
