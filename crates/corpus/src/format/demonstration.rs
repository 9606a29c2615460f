//! Demonstrations as prompt and completion: `{"prompt": …, "completion": …}`.

use record::{Demonstration, Kind, Message, Prompt, Record, Role, Row};
use serde_json::Value;

use super::{Format, flat};
use crate::RowError;
use crate::field::{demonstrated, has_but_lacks, meta, object, prompt};

/// A prompt, as text or messages, and its answer.
pub struct PromptCompletion;

impl Format for PromptCompletion {
    fn name(&self) -> &'static str {
        "demonstration"
    }

    fn summary(&self) -> &'static str {
        "{prompt, completion}: a demonstration; plain text gets no chat template"
    }

    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Demonstration]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["prompt", "completion"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"prompt": "2 + 3 =", "completion": " 5<|endoftext|>", "source": "rule"}"#,
            r#"{"prompt": [{"role": "user", "content": "Hello."}], "completion": [{"role": "assistant", "content": "Hello! What can I do?"}]}"#,
        ]
    }

    fn sniff(&self, value: &Value) -> bool {
        const OTHERS: &[&str] = &["completions", "messages", "chosen", "rejected", "label"];
        has_but_lacks(value, &["prompt", "completion"], OTHERS)
    }

    fn read(&self, value: &Value) -> Result<Vec<Row>, RowError> {
        let map = object(value)?;
        let record = Record::Demonstration(Demonstration::Completion {
            prompt: prompt(map, "prompt")?,
            completion: demonstrated(map, "completion")?,
        });
        let meta = meta(map)?;
        Ok(vec![Row { record, meta }])
    }

    fn write(&self, row: &Row) -> Option<Value> {
        match &row.record {
            Record::Demonstration(Demonstration::Completion { .. }) => flat(row),
            Record::Demonstration(Demonstration::Conversation { messages }) => {
                let (prompt, completion) = only_last_answer(messages)?;
                flat(&Row {
                    record: Record::Demonstration(Demonstration::Completion { prompt, completion }),
                    meta: row.meta.clone(),
                })
            }
            _ => None,
        }
    }
}

/// A conversation as prompt and completion, if the assistant speaks only at its end: an earlier
/// answer would no longer be trained on.
fn only_last_answer(messages: &[Message]) -> Option<(Prompt, String)> {
    let (last, before) = messages.split_last()?;
    let earlier = before.iter().any(|turn| turn.role == Role::Assistant);
    (last.role == Role::Assistant && !earlier && !before.is_empty())
        .then(|| (Prompt::Messages(before.to_vec()), last.content.clone()))
}
