//! `helpmate eval report`.

use crate::error::CommandError;
use crate::output;
use ::eval::report::{Material, Report as Facts, Role};
use clap::Args;
use std::path::{Path, PathBuf};

/// Write evaluations as a page that a person reads
///
/// A self-contained HTML file, with the same as Markdown and JSON beside it: what was compared and from what, every
/// number with its interval and n, figures, answers side by side, what got worse as plainly as what got better, and the
/// limits that the numbers themselves imply. The first model is what the others are compared with. Folders of training
/// runs add their curves, over-optimisation and the reward model's calibration; folders of duels what a judge model or a
/// reward said; --judgements what people said, by source.
/// A section without data says so. docs/report.md tells of every section. Prints the page's path.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate eval report evals/base evals/sft --out report.html\n  helpmate eval report evals/all runs/rm runs/ppo runs/best-of-32 --judgements rankings.jsonl --card CARD.md"
)]
pub struct Report {
    /// Folders that `helpmate eval run --out` wrote, folders of training runs and duels, and what `helpmate reject` wrote
    #[arg(value_name = "RUN", required = true)]
    folders: Vec<PathBuf>,
    /// Rankings and ratings that say which model wrote what (`helpmate label export`)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    judgements: Vec<PathBuf>,
    /// What a model is, where its run doesn't tell, as NAME=ROLE: base, prompted, template-tuned, sft, ppo, ppo-ptx, other
    #[arg(long, value_name = "NAME=ROLE", num_args = 1..)]
    role: Vec<String>,
    /// The model that win rates are against; the SFT model, else the first, when absent
    #[arg(long, value_name = "NAME", requires = "judgements")]
    baseline: Option<String>,
    /// Groups of labelers that no model was trained on
    #[arg(long, value_name = "NAME", num_args = 1.., requires = "judgements")]
    held_out_group: Vec<String>,
    /// The page; `.md` and `.json` stand beside it
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
    /// Also a model card of one model, as Markdown
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    card: Option<PathBuf>,
    /// The model that the card is of; the last one when absent
    #[arg(long, value_name = "NAME", requires = "card")]
    card_of: Option<String>,
    /// Print the facts as JSON and write nothing
    #[arg(long)]
    json: bool,
}

impl Report {
    pub fn run(self) -> Result<(), CommandError> {
        let mut material = Material {
            judgements: ::eval::report::read_judgements(&self.judgements)?,
            baseline: self.baseline.clone(),
            held_out_groups: self.held_out_group.clone(),
            roles: self.roles()?,
            ..Material::default()
        };
        for folder in &self.folders {
            material.add(folder)?;
        }
        let facts = Facts::new(self.command(), material)?;
        if self.json {
            return output::report(&facts, true, |_| String::new());
        }
        // A card of nobody is told before anything is written.
        let card = self.card.as_deref().map(|path| Ok((path, facts.card(self.card_of.as_deref())?)));
        let card = card.transpose().map_err(|error: ::eval::EvalError| CommandError::from(error))?;
        write(&self.out.with_extension("md"), &facts.to_markdown())?;
        write(&self.out.with_extension("json"), &serde_json::to_string_pretty(&facts).map_err(CommandError::input)?)?;
        if let Some((path, text)) = card {
            write(path, &text)?;
        }
        write(&self.out, &facts.to_html())?;
        output::path(&self.out)
    }

    fn roles(&self) -> Result<Vec<(String, Role)>, CommandError> {
        let of = |given: &String| {
            let (name, role) = given
                .rsplit_once('=')
                .ok_or_else(|| CommandError::usage(format!("--role {given}: expected NAME=ROLE")))?;
            Ok((name.to_owned(), Role::parse(role)?))
        };
        self.role.iter().map(of).collect()
    }

    /// The command that makes this report again.
    fn command(&self) -> String {
        let mut words = vec!["helpmate eval report".to_owned()];
        words.extend(self.folders.iter().map(|folder| folder.display().to_string()));
        words.extend(self.judgements.iter().map(|path| format!("--judgements {}", path.display())));
        words.extend(self.role.iter().map(|role| format!("--role {role}")));
        words.extend(self.baseline.iter().map(|name| format!("--baseline {name}")));
        words.extend(self.held_out_group.iter().map(|name| format!("--held-out-group {name}")));
        words.join(" ")
    }
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    Ok(stdx::write_file(path, text.as_bytes())?)
}
