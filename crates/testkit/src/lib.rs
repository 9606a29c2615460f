//! Tiny models and the byte tokenizer, for tests.
