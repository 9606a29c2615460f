//! `helpmate self-instruct`: a model writes its own tasks.

mod export;
mod filter;
mod input;
mod parse;
mod report;
mod run;

use crate::context::Context;
use crate::error::CommandError;
use clap::Subcommand;

/// Let a model write its own tasks, and keep the good ones
///
/// Self-Instruct (arXiv 2212.10560): from some seed tasks a model makes further ones; rules and a ROUGE-L filter decide
/// which stay.
#[derive(Subcommand)]
pub enum SelfInstruct {
    Run(Box<run::Run>),
    Filter(filter::Filter),
    Parse(parse::Parse),
    Report(report::Report),
    Export(export::Export),
}

impl SelfInstruct {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        match self {
            SelfInstruct::Run(command) => command.run(context),
            SelfInstruct::Filter(command) => command.run(),
            SelfInstruct::Parse(command) => command.run(),
            SelfInstruct::Report(command) => command.run(),
            SelfInstruct::Export(command) => command.run(),
        }
    }
}
