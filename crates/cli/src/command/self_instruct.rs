//! `helpmate self-instruct`: a model writes its own tasks.

mod filter;
mod input;
mod parse;

use crate::error::CommandError;
use clap::Subcommand;

/// Let a model write its own tasks, and keep the good ones
///
/// Self-Instruct (arXiv 2212.10560): from some seed tasks a model makes further ones; rules and a ROUGE-L filter decide
/// which stay.
#[derive(Subcommand)]
pub enum SelfInstruct {
    Filter(filter::Filter),
    Parse(parse::Parse),
}

impl SelfInstruct {
    pub fn run(self) -> Result<(), CommandError> {
        match self {
            SelfInstruct::Filter(command) => command.run(),
            SelfInstruct::Parse(command) => command.run(),
        }
    }
}
