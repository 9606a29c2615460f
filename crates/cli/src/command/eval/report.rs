//! `helpmate eval report`.

use crate::error::CommandError;
use crate::output;
use ::eval::Evaluation;
use ::eval::report::Report as Facts;
use clap::Args;
use std::path::{Path, PathBuf};

/// Write evaluations as a page that a person reads
///
/// A self-contained HTML file, with the same as Markdown and JSON beside it: what was compared and from what, every
/// number with its interval and n, figures, answers side by side, what got worse as plainly as what got better, and the
/// limits that the numbers themselves imply. The first model is what the others are compared with. Prints the page's path.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate eval report evals/base evals/sft --out report.html")]
pub struct Report {
    /// Folders that `helpmate eval run --out` wrote
    #[arg(value_name = "RUN", required = true)]
    evaluations: Vec<PathBuf>,
    /// The page; `.md` and `.json` stand beside it
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
    /// Print the facts as JSON and write nothing
    #[arg(long)]
    json: bool,
}

impl Report {
    pub fn run(self) -> Result<(), CommandError> {
        let read = |folder: &PathBuf| Evaluation::read(folder);
        let evaluations = self.evaluations.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let folders: Vec<String> = self.evaluations.iter().map(|folder| folder.display().to_string()).collect();
        let facts = Facts::new(format!("helpmate eval report {}", folders.join(" ")), evaluations)?;
        if self.json {
            return output::report(&facts, true, |_| String::new());
        }
        write(&self.out.with_extension("md"), &facts.to_markdown())?;
        write(&self.out.with_extension("json"), &serde_json::to_string_pretty(&facts).map_err(CommandError::input)?)?;
        write(&self.out, &facts.to_html())?;
        output::path(&self.out)
    }
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    Ok(stdx::write_file(path, text.as_bytes())?)
}
