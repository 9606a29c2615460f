//! Tokenizer and chat template: conversations to tokens with a loss mask, and back.
//!
//! [`Renderer`] is what the stages use: it turns records into token ids and says which of them
//! are targets. [`Tokenizer`] is the only type that knows the tokenizer library. Files are read
//! when something is opened and never again; models, tensors and training are unknown here.
mod added;
mod bpe;
mod conversation;
mod error;
mod files;
mod python;
mod renderer;
mod sequence;
mod stream;
mod template;
mod tokenizer;
mod vocabulary;

pub use bpe::train_bpe;
pub use error::RenderError;
pub use files::TokenizerFiles;
pub use renderer::{LossOn, Renderer};
pub use sequence::{Branch, Rendered, Tree};
pub use stream::StreamDecoder;
pub use template::{ChatTemplate, Date, SpecialNames, TemplateMessage, TemplateOrigin};
pub use tokenizer::{Encoding, Specials, Tokenizer};
pub use vocabulary::{GgufTokenizer, GgufVocabulary, TokenKind, tokenizer_from_gguf, vocabulary_to_gguf};
