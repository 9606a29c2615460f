//! Helpful–Harmless transcripts (arXiv 2204.05862): `chosen` and `rejected` as text with
//! `\n\nHuman:` and `\n\nAssistant:` before the turns.

use record::{Kind, Message, Preference, Prompt, Record, Role, Row};
use serde_json::{Map, Value, json};

use super::preference::{divide, preferred};
use super::{Format, with_meta};
use crate::RowError;
use crate::field::{has_but_lacks, meta, object, text, without_end_of_text};

const HUMAN: &str = "\n\nHuman:";
const ASSISTANT: &str = "\n\nAssistant:";

/// Two transcripts that differ in their last reply. The prompt is what they share up to it; the
/// space around a turn is not part of it.
pub struct HelpfulHarmless;

impl Format for HelpfulHarmless {
    fn name(&self) -> &'static str {
        "hh"
    }

    fn summary(&self) -> &'static str {
        "{chosen, rejected}: transcripts with \\n\\nHuman: and \\n\\nAssistant:, a preference"
    }

    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Preference]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["chosen", "rejected"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"chosen": "\n\nHuman: Can cats swim?\n\nAssistant: Most can.\n\nHuman: Do they like it?\n\nAssistant: Few do.", "rejected": "\n\nHuman: Can cats swim?\n\nAssistant: Most can.\n\nHuman: Do they like it?\n\nAssistant: Cats love water."}"#,
        ]
    }

    fn sniff(&self, value: &Value) -> bool {
        has_but_lacks(value, &["chosen", "rejected"], &["prompt"]) && !value["chosen"].is_array()
    }

    fn read(&self, value: &Value) -> Result<Vec<Row>, RowError> {
        let map = object(value)?;
        let (chosen, rejected) = (side(map, "chosen")?, side(map, "rejected")?);
        let (prompt, chosen, rejected) = divide(chosen, rejected)?;
        for (field, reply) in [("chosen", &chosen), ("rejected", &rejected)] {
            if reply.is_empty() {
                let found = "an empty last reply";
                return Err(RowError::new(field, found, "a reply"));
            }
        }
        let record = preferred(Preference { prompt, chosen, rejected, margin: None })?;
        let meta = meta(map)?;
        Ok(vec![Row { record, meta }])
    }

    fn write(&self, row: &Row) -> Option<Value> {
        let Record::Preference(preference) = &row.record else {
            return None;
        };
        let Prompt::Messages(turns) = &preference.prompt else {
            return None;
        };
        if preference.margin.is_some() {
            return None;
        }
        let before = transcript(turns)?;
        let with = |reply: &str| {
            let reply = Message::assistant(reply);
            Some(before.clone() + &transcript(std::slice::from_ref(&reply))?)
        };
        let (chosen, rejected) = (with(&preference.chosen)?, with(&preference.rejected)?);
        with_meta(json!({"chosen": chosen, "rejected": rejected}), row)
    }
}

fn side(map: &Map<String, Value>, key: &str) -> Result<Vec<Message>, RowError> {
    turns(text(map, key)?).ok_or_else(|| {
        let expected = "a transcript that begins with \"\\n\\nHuman:\"";
        RowError::at(key, map.get(key), expected)
    })
}

/// The turns of a transcript, trimmed; `None` if it doesn't begin with the human's.
fn turns(transcript: &str) -> Option<Vec<Message>> {
    let mut rest = transcript.strip_prefix(HUMAN)?;
    let mut role = Role::User;
    let mut turns = Vec::new();
    loop {
        let next = [(HUMAN, Role::User), (ASSISTANT, Role::Assistant)]
            .into_iter()
            .filter_map(|(mark, role)| Some((rest.find(mark)?, mark, role)))
            .min_by_key(|found| found.0);
        let content = rest[..next.map_or(rest.len(), |found| found.0)].trim();
        let content = match role {
            Role::Assistant => without_end_of_text(content).trim_end().to_owned(),
            _ => content.to_owned(),
        };
        turns.push(Message { role, content });
        let Some((start, mark, speaker)) = next else {
            return Some(turns);
        };
        rest = &rest[start + mark.len()..];
        role = speaker;
    }
}

/// Turns as a transcript, if it reads back as them.
fn transcript(messages: &[Message]) -> Option<String> {
    let mut text = String::new();
    for Message { role, content } in messages {
        let mark = match role {
            Role::User => HUMAN,
            Role::Assistant => ASSISTANT,
            Role::System => return None,
        };
        let marked = content.contains(HUMAN) || content.contains(ASSISTANT);
        if marked || content.trim() != content || content.is_empty() {
            return None;
        }
        text.push_str(mark);
        text.push(' ');
        text.push_str(content);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chosen: &str, rejected: &str, expected: &str) {
        let value = json!({"chosen": chosen, "rejected": rejected});
        let found = match HelpfulHarmless.read(&value) {
            Ok(rows) => serde_json::to_string(&rows[0]).expect("serializable"),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn rows_that_are_no_preference_say_why() {
        check(
            "\n\nHuman: a\n\nAssistant: b",
            "\n\nHuman: A\n\nAssistant: c",
            "rejected: found another conversation from turn 1 on, expected the chosen one's turns up to the last answer",
        );
        check(
            "\n\nHuman: a\n\nAssistant: b",
            "\n\nHuman: a\n\nAssistant:  \n",
            "rejected: found an empty last reply, expected a reply",
        );
        check(
            "\n\nHuman: a\n\nAssistant: b",
            "\n\nHuman: a\n\nAssistant: b ",
            "rejected: found the same text as chosen, expected another answer",
        );
        check(
            "\n\nHuman: a\n\nAssistant: b\n\nHuman: c",
            "\n\nHuman: a\n\nAssistant: b",
            "chosen: found a last turn of the user, expected an assistant turn at the end",
        );
        check(
            "Human: a",
            "\n\nHuman: a\n\nAssistant: b",
            "chosen: found \"Human: a\", expected a transcript that begins with \"\\n\\nHuman:\"",
        );
        check(
            "\n\nHuman: a\n\nAssistant: b\n\nAssistant: c",
            "\n\nHuman: a\n\nAssistant: b\n\nAssistant: d",
            "chosen: found an assistant's turn at the end, expected a conversation that the assistant continues",
        );
    }

    #[test]
    fn marks_inside_a_line_are_text() {
        check(
            "\n\nHuman: what does Human: mean?\n\nAssistant: x\n\ny",
            "\n\nHuman: what does Human: mean?\n\nAssistant: z",
            r#"{"prompt":[{"role":"user","content":"what does Human: mean?"}],"chosen":"x\n\ny","rejected":"z"}"#,
        );
    }
}
