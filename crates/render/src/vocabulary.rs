//! GGUF vocabularies to `tokenizer.json` and back.
//!
//! A GGUF file carries the tokens, their kinds and scores or merges, and the *name* of a
//! pre-tokenizer whose regular expressions stand nowhere in the file. This crate knows the names
//! below and refuses others: a wrong pre-tokenizer gives wrong tokens and no error.
//!
//! Reading and writing the file is the `model` crate's and the caller's; here vocabulary fields
//! become JSON and JSON becomes vocabulary fields.
mod export;
mod import;
mod pre_tokenizer;

use serde_json::Value;

pub use export::vocabulary_to_gguf;
pub use import::tokenizer_from_gguf;

/// The `tokenizer.*` metadata of a GGUF file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GgufVocabulary {
    /// `tokenizer.ggml.model`: "gpt2" (byte-level BPE) or "llama" (SentencePiece BPE).
    pub model: String,
    /// `tokenizer.ggml.pre`
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`, by id.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.token_type`, by id; may be empty (all normal). See [`TokenKind`].
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.merges`: two tokens with a blank between, best first; "gpt2" only.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.scores`, by id; "llama" only.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.bos_token_id`
    pub bos_id: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`
    pub eos_id: Option<u32>,
    /// `tokenizer.ggml.padding_token_id`
    pub pad_id: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`
    pub unk_id: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`
    pub add_eos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`
    pub add_space_prefix: Option<bool>,
    /// `tokenizer.chat_template`
    pub chat_template: Option<String>,
}

impl GgufVocabulary {
    /// Fills up with unused tokens, for an embedding with more rows than there are tokens.
    pub fn pad_to(&mut self, n_tokens: usize) {
        for id in self.tokens.len()..n_tokens {
            self.tokens.push(format!("[PAD{id}]"));
            self.token_types.push(TokenKind::Unused as i32);
            if self.model == "llama" {
                self.scores.push(0.0);
            }
        }
    }

    fn kind(&self, id: usize) -> TokenKind {
        self.token_types.get(id).map_or(TokenKind::Normal, |&number| TokenKind::from_number(number))
    }
}

/// What a token is, with the number GGUF gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Part of text.
    Normal = 1,
    /// Stands for what the vocabulary lacks.
    Unknown = 2,
    /// A special token.
    Control = 3,
    /// Added by the model's makers, not special.
    UserDefined = 4,
    /// Fills a gap.
    Unused = 5,
    /// A byte, for characters that the vocabulary lacks.
    Byte = 6,
}

impl TokenKind {
    fn from_number(number: i32) -> Self {
        match number {
            2 => TokenKind::Unknown,
            3 => TokenKind::Control,
            4 => TokenKind::UserDefined,
            5 => TokenKind::Unused,
            6 => TokenKind::Byte,
            _ => TokenKind::Normal,
        }
    }
}

/// The two JSON files that a GGUF vocabulary becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct GgufTokenizer {
    /// tokenizer.json
    pub tokenizer: Value,
    /// tokenizer_config.json, with the chat template if there is one.
    pub tokenizer_config: Value,
}

#[cfg(test)]
mod tests;
