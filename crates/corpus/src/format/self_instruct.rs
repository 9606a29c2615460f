//! Self-Instruct tasks (arXiv 2212.10560): `{"instruction", "instances": [{"input", "output"}]}`.

use record::{Demonstration, Kind, Message, Record, Row};
use serde_json::{Map, Value, json};

use super::alpaca::question;
use super::{Format, single_turn, with_meta};
use crate::RowError;
use crate::field::{demonstrated, has_but_lacks, meta, object, optional_text, present, text};

const CLASSIFICATION: &str = "classification";

/// An instruction with instances; each becomes a conversation of one turn. With several, their
/// ids get `#1`, `#2`, … at the end.
pub struct SelfInstruct;

impl Format for SelfInstruct {
    fn name(&self) -> &'static str {
        "self_instruct"
    }

    fn summary(&self) -> &'static str {
        "{instruction, instances: [{input, output}, …]}: a conversation of one turn an instance"
    }

    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Demonstration]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["instruction", "instances", "is_classification"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"id": "t7", "name": "antonym", "instruction": "Give the opposite.", "instances": [{"input": "hot", "output": "cold"}, {"input": "tall", "output": "short"}], "is_classification": false}"#,
            r#"{"instruction": "Is this spam?", "instances": [{"input": "WIN NOW", "output": "yes"}], "is_classification": true}"#,
        ]
    }

    fn sniff(&self, value: &Value) -> bool {
        const OTHERS: &[&str] = &["messages", "conversations", "chosen"];
        has_but_lacks(value, &["instruction", "instances"], OTHERS)
    }

    fn read(&self, value: &Value) -> Result<Vec<Row>, RowError> {
        let map = object(value)?;
        let instruction = text(map, "instruction")?;
        let mut meta = meta(map)?;
        if is_classification(map)? {
            meta.use_case.get_or_insert_with(|| CLASSIFICATION.into());
        }
        let instances = match present(map, "instances") {
            Some(Value::Array(instances)) if !instances.is_empty() => instances,
            other => {
                let expected = "a list of at least one instance";
                return Err(RowError::at("instances", other, expected));
            }
        };
        let rows = instances.iter().enumerate().map(|(i, instance)| {
            let record = demonstration(instruction, instance).map_err(|error| inside(i, error))?;
            let mut meta = meta.clone();
            if instances.len() > 1 {
                meta.id = meta.id.map(|id| format!("{id}#{}", i + 1));
            }
            Ok(Row { record, meta })
        });
        rows.collect()
    }

    fn write(&self, row: &Row) -> Option<Value> {
        let (question, answer) = single_turn(row)?;
        let classification = row.meta.use_case.as_deref() == Some(CLASSIFICATION);
        let fields = json!({
            "instruction": question,
            "instances": [{"input": "", "output": answer}],
            "is_classification": classification,
        });
        with_meta(fields, row)
    }
}

fn is_classification(map: &Map<String, Value>) -> Result<bool, RowError> {
    let field = "is_classification";
    match present(map, field) {
        None => Ok(false),
        Some(Value::Bool(yes)) => Ok(*yes),
        other => Err(RowError::at(field, other, "true or false")),
    }
}

fn demonstration(instruction: &str, instance: &Value) -> Result<Record, RowError> {
    let map = object(instance)?;
    let input = optional_text(map, "input")?.unwrap_or_default();
    let question = question(instruction, input)?;
    let answer = demonstrated(map, "output")?;
    let messages = vec![Message::user(question), Message::assistant(answer)];
    Ok(Record::Demonstration(Demonstration::Conversation { messages }))
}

/// The error with its instance; one about the instruction is about the task.
fn inside(i: usize, mut error: RowError) -> RowError {
    if error.field != "instruction" {
        error.field = format!("instances[{i}].{}", error.field);
    }
    error
}
