//! `helpmate data convert`.

use crate::arguments::DataArguments;
use crate::error::CommandError;
use crate::output::Output;
use clap::Args;
use std::path::PathBuf;

/// Convert rows from one format to another
///
/// What the target format can't say is left out and counted. Any row becomes its prompt, a ranking all of its ordered
/// pairs, a preference a good and a bad answer.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate data convert --data alpaca.json --to messages --plain-as-user --out demonstrations.jsonl"
)]
pub struct Convert {
    #[command(flatten)]
    data: DataArguments,
    /// Format to write
    #[arg(long, value_name = "NAME")]
    to: String,
    /// File to write (.jsonl, .gz, .zst or .parquet); stdout when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Let plain-text prompts become a user's turn where the target has turns
    #[arg(long)]
    plain_as_user: bool,
}

impl Convert {
    pub fn run(self) -> Result<(), CommandError> {
        let target = corpus::find_format(&self.to)
            .ok_or_else(|| CommandError::from(corpus::CorpusError::UnknownFormat { name: self.to.clone() }))?;
        let rows = self.data.read(&[])?.into_rows();
        let converted = corpus::convert::convert(&rows, target, self.plain_as_user);
        for (kind, count) in &converted.inexpressible {
            eprintln!("{count} rows of kind {} can't be said in format {} and are left out", kind.as_str(), self.to);
        }
        if converted.values.is_empty() && !rows.is_empty() {
            return Err(CommandError::input(format!("none of {} rows can be said in format {}", rows.len(), self.to))
                .maybe_hint(
                    (!self.plain_as_user)
                        .then(|| "--plain-as-user lets plain prompts become a user's turn".to_string()),
                ));
        }
        if let Some(path) = &self.out {
            corpus::convert::write_values(path, &converted.values)?;
            eprintln!("{} rows written to {}", converted.values.len(), path.display());
            return Ok(());
        }
        let mut out = Output::open(None)?;
        for value in &converted.values {
            out.row(value)?;
        }
        out.finish()
    }
}
