//! `helpmate eval`: is it better?

mod compare;
mod duel;
mod judge;
mod report;
mod respondent;
pub mod run;
mod service;
mod tasks;

use crate::context::Context;
use crate::error::CommandError;
use clap::Subcommand;

/// Measure models on tasks, with intervals, and compare them
///
/// Every number comes with its 95 % interval and n. Answers are kept by content, so that the same question is never
/// asked twice.
#[derive(Subcommand)]
pub enum Eval {
    Run(run::Run),
    Compare(compare::Compare),
    Report(report::Report),
    Judge(judge::Judge),
    Duel(duel::Duel),
    Tasks(tasks::Tasks),
}

impl Eval {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        match self {
            Eval::Run(command) => command.run(context),
            Eval::Compare(command) => command.run(),
            Eval::Report(command) => command.run(),
            Eval::Judge(command) => command.run(),
            Eval::Duel(command) => command.run(context),
            Eval::Tasks(command) => command.run(),
        }
    }
}
