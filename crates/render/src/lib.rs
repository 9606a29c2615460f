//! Tokenizer and chat template: conversations to tokens with a loss mask.
