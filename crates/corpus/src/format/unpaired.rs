//! Unpaired judgements (KTO): `{"prompt", "completion", "label": true}`.

use record::{Kind, Record, Row, Unpaired};
use serde_json::Value;

use super::{Format, flat};
use crate::RowError;
use crate::field::{answer, has_but_lacks, meta, object, present, prompt};

/// An answer with a thumb up or down.
pub struct Labelled;

impl Format for Labelled {
    fn name(&self) -> &'static str {
        "unpaired"
    }

    fn summary(&self) -> &'static str {
        "{prompt, completion, label}: label true is a thumb up"
    }

    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Unpaired]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["prompt", "completion", "label"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"prompt": "Spell cat.", "completion": " c-a-t", "label": true}"#,
            r#"{"prompt": "Spell dog.", "completion": " d-g", "label": false, "source": "human"}"#,
        ]
    }

    fn sniff(&self, value: &Value) -> bool {
        const OTHERS: &[&str] = &["completions", "messages", "chosen", "rejected"];
        has_but_lacks(value, &["prompt", "completion", "label"], OTHERS)
    }

    fn read(&self, value: &Value) -> Result<Vec<Row>, RowError> {
        let map = object(value)?;
        let label = present(map, "label");
        let record = Record::Unpaired(Unpaired {
            prompt: prompt(map, "prompt")?,
            completion: answer(map, "completion")?,
            label: label.and_then(Value::as_bool).ok_or_else(|| RowError::at("label", label, "true or false"))?,
        });
        let meta = meta(map)?;
        Ok(vec![Row { record, meta }])
    }

    fn write(&self, row: &Row) -> Option<Value> {
        matches!(row.record, Record::Unpaired(_)).then(|| flat(row))?
    }
}
