//! `helpmate data stats`.

use crate::arguments::DataArguments;
use crate::error::CommandError;
use crate::output;
use clap::Args;

/// Measure data: rows by kind and source, lengths, duplicates, ties
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate data stats --data data/demonstrations.jsonl")]
pub struct Stats {
    #[command(flatten)]
    data: DataArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Stats {
    pub fn run(self) -> Result<(), CommandError> {
        let rows = self.data.read(&[])?.into_rows();
        let stats = corpus::stats::Stats::of(&rows);
        output::report(&stats, self.json, |stats| format!("{}\n", stats.to_string().trim_end()))
    }
}
