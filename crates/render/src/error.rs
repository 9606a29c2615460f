//! What can go wrong between text and tokens.
use std::path::PathBuf;

/// An error of this crate: which file or template, what was found, what was expected.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A tokenizer file does not describe a tokenizer.
    #[error("{file}: not a usable tokenizer: {reason}")]
    Tokenizer {
        /// The file, or what stands for it.
        file: String,
        /// Why.
        reason: String,
    },
    /// A field of a tokenizer's side files has the wrong type or value.
    #[error("{file}: field `{field}`: expected {expected}, found {found}")]
    Field {
        /// The file.
        file: String,
        /// The field.
        field: String,
        /// What was found, shortened.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The tokenizer refused a text (a word outside a vocabulary that has no unknown token).
    #[error("the tokenizer cannot encode {text:?}: {reason}")]
    Encode {
        /// The text, shortened.
        text: String,
        /// Why.
        reason: String,
    },
    /// Token ids could not be decoded.
    #[error("the tokenizer cannot decode {token_ids:?}: {reason}")]
    Decode {
        /// The first ids.
        token_ids: Vec<u32>,
        /// Why.
        reason: String,
    },
    /// A chat template does not parse.
    #[error("chat template ({origin}): {reason}")]
    TemplateSyntax {
        /// Where the template came from.
        origin: String,
        /// Why, with the line.
        reason: String,
    },
    /// A chat template failed while it ran.
    #[error("chat template ({origin}) failed: {reason}")]
    TemplateFailed {
        /// Where the template came from.
        origin: String,
        /// Why, with the line.
        reason: String,
    },
    /// A chat template called `raise_exception`.
    #[error("chat template ({origin}) refuses the conversation: {message}")]
    TemplateRefused {
        /// Where the template came from.
        origin: String,
        /// The template's own words.
        message: String,
    },
    /// A chat template transforms or drops content so that a turn's tokens can't be told apart.
    #[error("chat template ({origin}): message {message_idx} ({role}): {reason}")]
    Untraceable {
        /// Where the template came from.
        origin: String,
        /// The message, counted from 0.
        message_idx: usize,
        /// Its role.
        role: String,
        /// Why.
        reason: String,
    },
    /// A conversation has no assistant turn to learn from.
    #[error("a conversation of {n_messages} messages has no assistant turn to train on")]
    NoAssistantTurn {
        /// How many messages it has.
        n_messages: usize,
    },
    /// A completion needs an end token and the tokenizer names none.
    #[error(
        "the tokenizer names no end-of-sequence token (`eos_token` in tokenizer_config.json or `eos_token_id` in config.json)"
    )]
    NoEndToken,
    /// A vocabulary to be trained is too small.
    #[error("vocabulary size: expected at least {smallest} (256 bytes and the special tokens), found {found}")]
    VocabularySize {
        /// What was asked for.
        found: usize,
        /// The least that works.
        smallest: usize,
    },
    /// A GGUF vocabulary uses a tokenizer model that isn't supported.
    #[error(
        "tokenizer model: GGUF vocabularies are \"gpt2\" or \"llama\" (byte-level or SentencePiece-like BPE), found {found:?}"
    )]
    VocabularyModel {
        /// The model's name.
        found: String,
    },
    /// A GGUF vocabulary uses a pre-tokenizer that isn't supported.
    #[error("tokenizer.ggml.pre: {found:?} is not supported; supported are {supported}")]
    PreTokenizer {
        /// The pre-tokenizer's name.
        found: String,
        /// The names that are.
        supported: String,
    },
    /// A GGUF vocabulary contradicts itself.
    #[error("{field}: expected {expected}, found {found}")]
    Vocabulary {
        /// The metadata field.
        field: &'static str,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
}

/// The first characters of a text, for messages.
pub(crate) fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_string(),
    }
}
