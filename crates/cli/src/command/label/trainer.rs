//! Rows as other trainers read them.
//!
//! TRL: `prompt`, `chosen`, `rejected` (or `prompt`, `completion`), strings or lists of messages.
//! OpenRLHF: conversations in `chosen` and `rejected` with the prompt in front (`--apply_chat_template`),
//! demonstrations as `input` and `output`. LLaMA-Factory: ShareGPT turns in `conversations` with `chosen` and
//! `rejected` as turns, and an entry of `dataset_info.json`.

use crate::error::{CommandError, of_file};
use ::label::Content;
use clap::ValueEnum;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Another trainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Trainer {
    /// Hugging Face TRL
    Trl,
    /// OpenRLHF
    Openrlhf,
    /// LLaMA-Factory
    Llamafactory,
}

impl Trainer {
    /// Whether it has a shape for this.
    pub fn reads(self, content: Content) -> bool {
        match content {
            Content::Preferences | Content::Demonstrations | Content::Prompts => true,
            Content::Reviews => self == Trainer::Trl,
            Content::Rankings | Content::Ratings => false,
        }
    }

    /// The rows as it reads them.
    pub fn rows(self, rows: &[Value]) -> Result<Vec<Value>, CommandError> {
        rows.iter().enumerate().map(|(i, row)| self.row(row).ok_or_else(|| self.cannot(i, row))).collect()
    }

    fn cannot(self, i: usize, row: &Value) -> CommandError {
        let keys: Vec<&String> = row.as_object().into_iter().flat_map(Map::keys).collect();
        CommandError::usage(format!("row {}: {self:?} reads no rows with the fields {keys:?}", i + 1))
            .hint("--content preferences, demonstrations or prompts; trl also takes reviews")
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

    /// What has to stand beside the file.
    pub fn describe(self, place: &Path, content: Content) -> Result<(), CommandError> {
        match self {
            Trainer::Trl => Ok(()),
            Trainer::Openrlhf => {
                eprintln!(
                    "openrlhf: --apply_chat_template, with --chosen_key chosen --rejected_key rejected or --input_key input --output_key output"
                );
                Ok(())
            }
            Trainer::Llamafactory => {
                let file = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let name = file.split('.').next().unwrap_or("labels").to_owned();
                let ranking = content == Content::Preferences;
                let mut columns = json!({"messages": "conversations"});
                if ranking {
                    columns["chosen"] = "chosen".into();
                    columns["rejected"] = "rejected".into();
                }
                let entry = json!({
                    "file_name": file, "formatting": "sharegpt", "ranking": ranking, "columns": columns,
                });
                let info = place.with_file_name("dataset_info.json");
                let mut all: Map<String, Value> = match std::fs::read_to_string(&info) {
                    Ok(text) => serde_json::from_str(&text)
                        .map_err(|error| CommandError::input(format!("{}: {error}", info.display())))?,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
                    Err(error) => return Err(of_file(&info)(error)),
                };
                all.insert(name.clone(), entry);
                let text = serde_json::to_string_pretty(&all).map_err(CommandError::input)?;
                stdx::write_file(&info, text.as_bytes())?;
                eprintln!("llamafactory: dataset {name} in {}", info.display());
                Ok(())
            }
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
        assert!(error.contains("row 1") && error.contains("completions"), "{error}");
    }
}
