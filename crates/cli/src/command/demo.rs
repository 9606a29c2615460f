//! `helpmate demo`.

mod sft;

use crate::context::Context;
use crate::error::CommandError;
use clap::Subcommand;

/// Run a stage on a real model with data that ships in the binary
#[derive(Subcommand)]
pub enum Demo {
    Sft(sft::Sft),
}

impl Demo {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        match self {
            Demo::Sft(command) => command.run(context),
        }
    }
}
