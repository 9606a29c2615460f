//! Alpaca: `{"instruction", "input", "output"}`.

use record::{Demonstration, Kind, Message, Record, Row};
use serde_json::{Value, json};

use super::{Format, single_turn, with_meta};
use crate::RowError;
use crate::field::{demonstrated, has_but_lacks, meta, object, optional_text, text};

/// An instruction, perhaps with an input, and its output; becomes a conversation of one question
/// and one answer, so that the model's own chat template stands around it.
pub struct Alpaca;

impl Format for Alpaca {
    fn name(&self) -> &'static str {
        "alpaca"
    }

    fn summary(&self) -> &'static str {
        "{instruction, input, output}: a conversation of one turn, input below the instruction"
    }

    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Demonstration]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["instruction", "input", "output"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"instruction": "Translate into French.", "input": "Good night", "output": "Bonne nuit"}"#,
            r#"{"instruction": "Name three colours.", "input": "", "output": "Red, green, blue.", "id": 4}"#,
        ]
    }

    fn sniff(&self, value: &Value) -> bool {
        const OTHERS: &[&str] = &["instances", "messages", "conversations", "chosen"];
        has_but_lacks(value, &["instruction", "output"], OTHERS)
    }

    fn read(&self, value: &Value) -> Result<Vec<Row>, RowError> {
        let map = object(value)?;
        let input = optional_text(map, "input")?.unwrap_or_default();
        let question = question(text(map, "instruction")?, input)?;
        let answer = demonstrated(map, "output")?;
        let messages = vec![Message::user(question), Message::assistant(answer)];
        let record = Record::Demonstration(Demonstration::Conversation { messages });
        let meta = meta(map)?;
        Ok(vec![Row { record, meta }])
    }

    fn write(&self, row: &Row) -> Option<Value> {
        let (question, answer) = single_turn(row)?;
        let fields = json!({"instruction": question, "input": "", "output": answer});
        with_meta(fields, row)
    }
}

/// Instruction and input as one question, an empty line between them.
pub(super) fn question(instruction: &str, input: &str) -> Result<String, RowError> {
    if instruction.trim().is_empty() {
        let found = "an empty text";
        return Err(RowError::new("instruction", found, "an instruction"));
    }
    Ok(match input.trim() {
        "" => instruction.to_owned(),
        _ => format!("{instruction}\n\n{input}"),
    })
}
