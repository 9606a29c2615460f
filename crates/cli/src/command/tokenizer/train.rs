//! `helpmate tokenizer train`.

use crate::arguments::DataArguments;
use crate::error::{CommandError, of_file};
use clap::Args;
use record::{Demonstration, Prompt, Record, Row};
use serde_json::json;
use std::path::PathBuf;

/// Train a byte-level BPE tokenizer on text
///
/// Writes tokenizer.json and tokenizer_config.json. Special tokens get the first ids, the 256 bytes the next, then
/// the merges; every text can be encoded and decoded back.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate tokenizer train --data data/plain.txt --vocab-size 2048 --out tokenizer/")]
pub struct Train {
    #[command(flatten)]
    data: DataArguments,
    /// Number of tokens, special ones and bytes included
    #[arg(long, value_name = "N")]
    vocab_size: usize,
    /// Special tokens; the first is EOS
    #[arg(long, value_name = "TOKEN", num_args = 1.., default_values = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])]
    specials: Vec<String>,
    /// Folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Train {
    pub fn run(self) -> Result<(), CommandError> {
        let rows = self.data.read(&[])?.into_rows();
        if rows.is_empty() {
            return Err(CommandError::input("no rows to train on"));
        }
        let texts = rows.iter().flat_map(texts);
        let tokenizer = render::train_bpe(texts.map(str::to_string), self.vocab_size, &self.specials).map_err(
            |error| match error {
                render::RenderError::VocabularySize { .. } => CommandError::usage(format!("--vocab-size: {error}")),
                other => CommandError::from(other),
            },
        )?;
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": self.specials.first(),
            "clean_up_tokenization_spaces": false,
        });
        std::fs::create_dir_all(&self.out).map_err(of_file(&self.out))?;
        stdx::write_file(&self.out.join("tokenizer.json"), tokenizer.to_json().as_bytes())?;
        stdx::write_file(&self.out.join("tokenizer_config.json"), format!("{config:#}\n").as_bytes())?;
        eprintln!("{} tokens written to {}", tokenizer.vocab_size(), self.out.display());
        Ok(())
    }
}

/// Every text of a row.
fn texts(row: &Row) -> Vec<&str> {
    let mut found = Vec::new();
    match &row.record {
        Record::Text(text) => found.push(text.as_str()),
        Record::Prompt(of) => found.extend(prompt_texts(of)),
        Record::Demonstration(Demonstration::Completion { prompt: of, completion }) => {
            found.extend(prompt_texts(of));
            found.push(completion);
        }
        Record::Demonstration(Demonstration::Conversation { messages }) => {
            found.extend(messages.iter().map(|message| message.content.as_str()));
        }
        Record::Preference(of) => {
            found.extend(prompt_texts(&of.prompt));
            found.extend([of.chosen.as_str(), of.rejected.as_str()]);
        }
        Record::Ranking(of) => {
            found.extend(prompt_texts(&of.prompt));
            found.extend(of.completions.iter().map(|answer| answer.text.as_str()));
        }
        Record::Unpaired(of) => {
            found.extend(prompt_texts(&of.prompt));
            found.push(&of.completion);
        }
    }
    found
}

fn prompt_texts(prompt: &Prompt) -> Vec<&str> {
    match prompt {
        Prompt::Text(text) => vec![text.as_str()],
        Prompt::Messages(messages) => messages.iter().map(|message| message.content.as_str()).collect(),
    }
}
