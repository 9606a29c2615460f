//! `helpmate data`: look at data, and make other data of it.

mod convert;
mod curate;
pub mod render;
mod show;
mod split;
mod stats;

use crate::context::Context;
use crate::error::CommandError;
use clap::Subcommand;

/// Convert, measure, show, split, render and clean data
///
/// Files are JSONL, `.gz` and `.zst` of it, JSON, or Parquet; the format of the rows is found from their fields.
#[derive(Subcommand)]
pub enum Data {
    Convert(convert::Convert),
    Stats(stats::Stats),
    Show(show::Show),
    Split(split::Split),
    Render(render::Render),
    Curate(curate::Curate),
}

impl Data {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        match self {
            Data::Convert(command) => command.run(),
            Data::Stats(command) => command.run(),
            Data::Show(command) => command.run(context),
            Data::Split(command) => command.run(),
            Data::Render(command) => command.run(),
            Data::Curate(command) => command.run(context),
        }
    }
}
