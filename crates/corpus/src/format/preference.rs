//! Preferences: `{"prompt", "chosen", "rejected"}`, or `chosen` and `rejected` as whole
//! conversations.

use record::{Kind, Message, Preference, Prompt, Record, Role, Row};
use serde_json::{Map, Value};

use super::{Format, flat};
use crate::RowError;
use crate::field::{answer, has_but_lacks, messages, meta, object, present, prompt};

/// A better and a worse answer to one prompt.
pub struct ChosenRejected;

impl Format for ChosenRejected {
    fn name(&self) -> &'static str {
        "preference"
    }

    fn summary(&self) -> &'static str {
        "{prompt, chosen, rejected}, optional margin; or chosen and rejected as whole conversations"
    }

    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Preference]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["prompt", "chosen", "rejected", "margin"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"prompt": "Name a prime.", "chosen": " 7", "rejected": " 9", "margin": 0.5, "source": "rule"}"#,
            r#"{"chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}], "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "What."}]}"#,
            r#"{"prompt": [{"role": "user", "content": "Hi"}], "chosen": [{"role": "assistant", "content": "Hello!"}], "rejected": [{"role": "assistant", "content": "What."}]}"#,
        ]
    }

    fn sniff(&self, value: &Value) -> bool {
        const OTHERS: &[&str] = &["completions"];
        has_but_lacks(value, &["chosen", "rejected"], OTHERS)
            && (has_but_lacks(value, &["prompt"], &[]) || value["chosen"].is_array())
    }

    fn read(&self, value: &Value) -> Result<Vec<Row>, RowError> {
        let map = object(value)?;
        let (prompt, chosen, rejected) = match whole_conversations(map)? {
            Some(found) => found,
            None => (prompt(map, "prompt")?, answer(map, "chosen")?, answer(map, "rejected")?),
        };
        let margin = margin(map)?;
        let preference = Preference { prompt, chosen, rejected, margin };
        let (record, meta) = (preferred(preference)?, meta(map)?);
        Ok(vec![Row { record, meta }])
    }

    fn write(&self, row: &Row) -> Option<Value> {
        matches!(row.record, Record::Preference(_)).then(|| flat(row))?
    }
}

/// Refuses a preference between equal answers: it says nothing and hides an error in the data.
pub(super) fn preferred(preference: Preference) -> Result<Record, RowError> {
    if preference.chosen == preference.rejected {
        let found = "the same text as chosen";
        return Err(RowError::new("rejected", found, "another answer"));
    }
    Ok(Record::Preference(preference))
}

fn margin(map: &Map<String, Value>) -> Result<Option<f64>, RowError> {
    let Some(value) = present(map, "margin") else {
        return Ok(None);
    };
    let finite = value.as_f64().filter(|number| number.is_finite());
    finite.map(Some).ok_or_else(|| RowError::at("margin", Some(value), "a finite number"))
}

/// Prompt and answers if both sides are whole conversations, that is lists which hold more than
/// the answer, or come without a prompt.
fn whole_conversations(map: &Map<String, Value>) -> Result<Option<(Prompt, String, String)>, RowError> {
    let side = |key: &'static str| present(map, key).filter(|value| value.is_array());
    let has_prompt = present(map, "prompt").is_some();
    let (chosen, rejected) = match (side("chosen"), side("rejected")) {
        (Some(chosen), Some(rejected)) => (chosen, rejected),
        _ if has_prompt => return Ok(None),
        (chosen, _) => {
            let key = if chosen.is_none() { "chosen" } else { "rejected" };
            let expected = "a list of messages, or a prompt beside it";
            return Err(RowError::at(key, map.get(key), expected));
        }
    };
    let (chosen, rejected) = (messages(chosen, "chosen")?, messages(rejected, "rejected")?);
    if has_prompt && chosen.len() == 1 && rejected.len() == 1 {
        return Ok(None);
    }
    divide(chosen, rejected).map(Some)
}

/// Two conversations that differ in their last turn, as a prompt and two answers.
pub(super) fn divide(
    mut chosen: Vec<Message>,
    mut rejected: Vec<Message>,
) -> Result<(Prompt, String, String), RowError> {
    let better = last_answer(&mut chosen, "chosen")?;
    let worse = last_answer(&mut rejected, "rejected")?;
    if chosen != rejected {
        let same = chosen.iter().zip(&rejected).take_while(|(a, b)| a == b);
        return Err(RowError::new(
            "rejected",
            format!("another conversation from turn {} on", same.count() + 1),
            "the chosen one's turns up to the last answer",
        ));
    }
    crate::field::answerable(&chosen, "chosen")?;
    Ok((Prompt::Messages(chosen), better, worse))
}

fn last_answer(messages: &mut Vec<Message>, field: &str) -> Result<String, RowError> {
    match messages.pop() {
        Some(turn) if turn.role == Role::Assistant => Ok(turn.content),
        Some(turn) => Err(RowError::new(
            field,
            format!("a last turn of the {}", turn.role.as_str()),
            "an assistant turn at the end",
        )),
        None => Err(RowError::new(field, "an empty list", "a conversation")),
    }
}
