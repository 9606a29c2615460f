//! `helpmate data split`.

use crate::arguments::DataArguments;
use crate::error::{CommandError, of_file};
use clap::{Args, ValueEnum};
use corpus::split::{self, SplitBy};
use std::path::PathBuf;
use stdx::Seed;

/// Split rows into parts that no prompt, or no user, straddles
///
/// Where a row goes depends on the seed and its prompt (or user) alone, so sizes are near the fractions, and a data
/// set that grows keeps its old rows where they were.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate data split --data all.jsonl --parts train=0.9 held-out=0.1 --out split/")]
pub struct Split {
    #[command(flatten)]
    data: DataArguments,
    /// Parts and their fractions, which add up to 1
    #[arg(long, value_name = "NAME=FRACTION", num_args = 1.., required = true, value_parser = part)]
    parts: Vec<(String, f64)>,
    /// What stays together
    #[arg(long, value_enum, default_value_t = By::Prompt)]
    by: By,
    /// Seed of the split
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Folder for NAME.jsonl of every part
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    /// Rows of one prompt
    Prompt,
    /// Rows of one user_id, as InstructGPT split
    User,
}

impl Split {
    pub fn run(self) -> Result<(), CommandError> {
        let rows = self.data.read(&[])?.into_rows();
        let by = match self.by {
            By::Prompt => SplitBy::Prompt,
            By::User => SplitBy::User,
        };
        let fractions: Vec<f64> = self.parts.iter().map(|(_, fraction)| *fraction).collect();
        let parts = split::by_fractions(&rows, by, &fractions, Seed(self.seed)).map_err(|error| match error {
            split::SplitError::NoUser { .. } => CommandError::input(error).hint("--by prompt needs no user_id"),
            _ => CommandError::usage(error),
        })?;
        std::fs::create_dir_all(&self.out).map_err(of_file(&self.out))?;
        for (part_idx, (name, _)) in self.parts.iter().enumerate() {
            let chosen: Vec<_> =
                parts.iter().zip(&rows).filter(|(part, _)| **part == part_idx).map(|(_, row)| row).collect();
            let path = self.out.join(format!("{name}.jsonl"));
            stdx::atomic::write_file_with(&path, |out| {
                chosen.iter().try_for_each(|row| stdx::jsonl::write_line(out, row))
            })?;
            eprintln!("{}: {} of {} rows", path.display(), chosen.len(), rows.len());
        }
        Ok(())
    }
}

fn part(text: &str) -> Result<(String, f64), String> {
    let (name, fraction) = text.split_once('=').ok_or("expected NAME=FRACTION")?;
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        return Err(format!("name `{name}`: expected letters, digits, - and _"));
    }
    let fraction = fraction.parse().map_err(|_| format!("fraction `{fraction}`: expected a number"))?;
    Ok((name.to_string(), fraction))
}
