//! Tokenizer and chat template: conversations to tokens with a loss mask.
mod added;
mod error;
mod stream;
mod tokenizer;
pub use error::RenderError;
pub use stream::StreamDecoder;
pub use tokenizer::{Encoding, Specials, Tokenizer};
