//! Rows as other trainers read them.
//!
//! TRL: `prompt`, `chosen`, `rejected` (or `prompt`, `completion`), strings or lists of messages.
//! OpenRLHF: conversations in `chosen` and `rejected` with the prompt in front (`--apply_chat_template`),
//! demonstrations as `input` and `output`. LLaMA-Factory: ShareGPT turns in `conversations` with `chosen` and
//! `rejected` as turns, and an entry of `dataset_info.json`.

use label::Content;
use serde_json::{Map, Value, json};

/// Another trainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trainer {
    /// Hugging Face TRL
    Trl,
    /// OpenRLHF
    Openrlhf,
    /// LLaMA-Factory
    Llamafactory,
}

/// Why a trainer can't have rows.
#[derive(Debug, thiserror::Error)]
pub enum TrainerError {
    /// It trains on nothing of the kind.
    #[error("{trainer}: found {found}, expected {expected}")]
    Content {
        /// The trainer.
        trainer: &'static str,
        /// What was exported.
        found: &'static str,
        /// What it reads.
        expected: &'static str,
    },
    /// A row has none of the fields that it reads.
    #[error("row {row}: {trainer} reads no rows with the fields {fields}")]
    Row {
        /// Its number, from 1.
        row: usize,
        /// The trainer.
        trainer: &'static str,
        /// The row's fields.
        fields: String,
    },
}

impl Trainer {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trl => "trl",
            Self::Openrlhf => "openrlhf",
            Self::Llamafactory => "llamafactory",
        }
    }

    /// Refuses what it has no shape for.
    pub fn check(self, content: Content) -> Result<(), TrainerError> {
        let reads = match content {
            Content::Preferences | Content::Demonstrations | Content::Prompts => true,
            Content::Reviews => self == Trainer::Trl,
            Content::Rankings | Content::Ratings => false,
        };
        let expected = match self {
            Trainer::Trl => "preferences, demonstrations, prompts or reviews",
            Trainer::Openrlhf | Trainer::Llamafactory => "preferences, demonstrations or prompts",
        };
        let (trainer, found) = (self.as_str(), content.as_str());
        if reads { Ok(()) } else { Err(TrainerError::Content { trainer, found, expected }) }
    }

    /// The rows as it reads them.
    pub fn rows(self, rows: &[Value]) -> Result<Vec<Value>, TrainerError> {
        rows.iter().enumerate().map(|(i, row)| self.row(row).ok_or_else(|| self.cannot(i, row))).collect()
    }

    fn cannot(self, i: usize, row: &Value) -> TrainerError {
        let keys: Vec<&str> = row.as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
        TrainerError::Row { row: i + 1, trainer: self.as_str(), fields: keys.join(", ") }
    }

    /// LLaMA-Factory's entry in `dataset_info.json` for a file: the data set's name and what it is.
    pub fn dataset_info(self, file: &str, content: Content) -> Option<(String, Value)> {
        if self != Trainer::Llamafactory {
            return None;
        }
        let ranking = content == Content::Preferences;
        let mut columns = json!({"messages": "conversations"});
        if ranking {
            columns["chosen"] = "chosen".into();
            columns["rejected"] = "rejected".into();
        }
        let name = file.split('.').next().unwrap_or("labels").to_owned();
        Some((name, json!({"file_name": file, "formatting": "sharegpt", "ranking": ranking, "columns": columns})))
    }

    fn row(self, row: &Value) -> Option<Value> {
        let fields = row.as_object()?;
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        let prompt = fields.get("prompt")?;
        let pair = text("chosen").zip(text("rejected"));
        let answer = text("completion");
        match self {
            Trainer::Trl => trl(prompt, pair, answer, fields.get("label")),
            Trainer::Openrlhf => open_rlhf(prompt, pair, answer),
            Trainer::Llamafactory => llama_factory(prompt, pair, answer),
        }
    }
}

/// Strings stay strings, conversations become lists of messages on every side.
fn trl(prompt: &Value, pair: Option<(&str, &str)>, answer: Option<&str>, label: Option<&Value>) -> Option<Value> {
    let side = |text: &str| match prompt {
        Value::String(_) => Value::from(text),
        _ => json!([{"role": "assistant", "content": text}]),
    };
    let mut row = json!({ "prompt": prompt });
    match (pair, answer) {
        (Some((chosen, rejected)), _) => {
            row["chosen"] = side(chosen);
            row["rejected"] = side(rejected);
        }
        (None, Some(answer)) => {
            row["completion"] = side(answer);
            if let Some(label) = label {
                row["label"] = label.clone();
            }
        }
        (None, None) => {}
    }
    Some(row)
}

fn open_rlhf(prompt: &Value, pair: Option<(&str, &str)>, answer: Option<&str>) -> Option<Value> {
    let turns = messages(prompt)?;
    let with = |text: &str| {
        let mut turns = turns.clone();
        turns.push(json!({"role": "assistant", "content": text}));
        turns
    };
    Some(match (pair, answer) {
        (Some((chosen, rejected)), _) => json!({"chosen": with(chosen), "rejected": with(rejected)}),
        (None, Some(answer)) => json!({"input": turns, "output": answer}),
        (None, None) => json!({ "input": turns }),
    })
}

fn llama_factory(prompt: &Value, pair: Option<(&str, &str)>, answer: Option<&str>) -> Option<Value> {
    let turn = |from: &str, text: &str| json!({"from": from, "value": text});
    let mut turns = Vec::new();
    for message in messages(prompt)? {
        let from = match message["role"].as_str()? {
            "user" => "human",
            "assistant" => "gpt",
            other => other,
        };
        turns.push(turn(from, message["content"].as_str()?));
    }
    Some(match (pair, answer) {
        (Some((chosen, rejected)), _) => {
            json!({"conversations": turns, "chosen": turn("gpt", chosen), "rejected": turn("gpt", rejected)})
        }
        (None, Some(answer)) => {
            turns.push(turn("gpt", answer));
            json!({ "conversations": turns })
        }
        (None, None) => json!({ "conversations": turns }),
    })
}

/// A prompt as messages; plain text is the user's turn.
fn messages(prompt: &Value) -> Option<Vec<Value>> {
    match prompt {
        Value::String(text) => Some(vec![json!({"role": "user", "content": text})]),
        Value::Array(turns) => Some(turns.clone()),
        _ => None,
    }
}

/// A row whose plain prompt is put into a user's turn.
pub fn as_conversation(row: &Value) -> Value {
    let mut row = row.clone();
    let turns = row.get("prompt").and_then(messages);
    if let (Some(turns), Some(fields)) = (turns, row.as_object_mut()) {
        fields.insert("prompt".to_owned(), Value::Array(turns));
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(trainer: Trainer, row: Value, expected: Value) {
        assert_eq!(trainer.rows(&[row]).expect("rows"), [expected], "{trainer:?}");
    }

    #[test]
    fn each_trainer_gets_its_own_shape() {
        let plain = json!({"prompt": "p", "chosen": "c", "rejected": "r", "id": "x-1", "labeler": "l"});
        check(Trainer::Trl, plain.clone(), json!({"prompt": "p", "chosen": "c", "rejected": "r"}));
        let user = json!({"role": "user", "content": "p"});
        let said = |text: &str| json!({"role": "assistant", "content": text});
        check(
            Trainer::Openrlhf,
            plain.clone(),
            json!({"chosen": [user.clone(), said("c")], "rejected": [user.clone(), said("r")]}),
        );
        check(
            Trainer::Llamafactory,
            plain,
            json!({
                "conversations": [{"from": "human", "value": "p"}],
                "chosen": {"from": "gpt", "value": "c"}, "rejected": {"from": "gpt", "value": "r"},
            }),
        );
        let asked = json!({"prompt": [user.clone()], "completion": "a", "label": true});
        check(Trainer::Trl, asked.clone(), json!({"prompt": [user.clone()], "completion": [said("a")], "label": true}));
        check(Trainer::Openrlhf, asked, json!({"input": [user], "output": "a"}));
    }

    #[test]
    fn rows_that_say_nothing_to_it_are_refused() {
        let error = Trainer::Trl.rows(&[json!({"completions": []})]).expect_err("no prompt").to_string();
        assert_eq!(error, "row 1: trl reads no rows with the fields completions");
        let error = Trainer::Openrlhf.check(Content::Reviews).expect_err("no shape").to_string();
        assert_eq!(error, "openrlhf: found reviews, expected preferences, demonstrations or prompts");
    }
}
