//! Prompts alone: `{"prompt": …}`, or bare strings.

use record::{Kind, Meta, Prompt, Record, Row};
use serde_json::Value;

use super::{Format, flat};
use crate::RowError;
use crate::field::{has_but_lacks, meta, object, prompt};

/// What is asked, without an answer.
pub struct PromptAlone;

impl Format for PromptAlone {
    fn name(&self) -> &'static str {
        "prompt"
    }

    fn summary(&self) -> &'static str {
        "{prompt}: a prompt (text or messages); a bare JSON string is one too"
    }

    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Prompt]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["prompt"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"prompt": "Name a river in Peru.", "use_case": "open_qa", "user_id": 17}"#,
            r#"{"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why is the sky blue?"}]}"#,
            r#""Write a line about rain.""#,
        ]
    }

    fn sniff(&self, value: &Value) -> bool {
        const OTHERS: &[&str] = &[
            "completion",
            "completions",
            "messages",
            "conversations",
            "chosen",
            "rejected",
            "label",
            "instruction",
            "message_tree_id",
        ];
        value.is_string() || has_but_lacks(value, &["prompt"], OTHERS)
    }

    fn read(&self, value: &Value) -> Result<Vec<Row>, RowError> {
        let (prompt, meta) = match value {
            Value::String(text) => (Prompt::Text(text.clone()), Meta::default()),
            other => {
                let map = object(other)?;
                (prompt(map, "prompt")?, meta(map)?)
            }
        };
        let record = Record::Prompt(prompt);
        Ok(vec![Row { record, meta }])
    }

    fn write(&self, row: &Row) -> Option<Value> {
        matches!(row.record, Record::Prompt(_)).then(|| flat(row))?
    }
}
