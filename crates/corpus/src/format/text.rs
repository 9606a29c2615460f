//! Running text: `{"text": …}`.

use record::{Kind, Record, Row};
use serde_json::Value;

use super::{Format, flat};
use crate::RowError;
use crate::field::{has_but_lacks, meta, object, text, without_end_of_text};

/// A document a row, for language modelling.
pub struct Text;

impl Format for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn summary(&self) -> &'static str {
        "{text}: a document"
    }

    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Text]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["text"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[r#"{"text": "The kettle sang.\n\nNobody heard it.<|endoftext|>", "language": "en"}"#]
    }

    fn sniff(&self, value: &Value) -> bool {
        const OTHERS: &[&str] = &[
            "prompt",
            "completion",
            "completions",
            "messages",
            "conversations",
            "chosen",
            "rejected",
            "instruction",
            "message_tree_id",
        ];
        has_but_lacks(value, &["text"], OTHERS)
    }

    fn read(&self, value: &Value) -> Result<Vec<Row>, RowError> {
        let map = object(value)?;
        let text = without_end_of_text(text(map, "text")?);
        if text.trim().is_empty() {
            return Err(RowError::new("text", "an empty text", "a document"));
        }
        let (record, meta) = (Record::Text(text), meta(map)?);
        Ok(vec![Row { record, meta }])
    }

    fn write(&self, row: &Row) -> Option<Value> {
        matches!(row.record, Record::Text(_)).then(|| flat(row))?
    }
}
