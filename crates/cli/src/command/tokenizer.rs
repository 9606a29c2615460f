//! `helpmate tokenizer`.

mod train;

use crate::error::CommandError;
use clap::Subcommand;

/// Make tokenizers
#[derive(Subcommand)]
pub enum Tokenizer {
    Train(train::Train),
}

impl Tokenizer {
    pub fn run(self) -> Result<(), CommandError> {
        match self {
            Tokenizer::Train(command) => command.run(),
        }
    }
}
