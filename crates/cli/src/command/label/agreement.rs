//! `helpmate label agreement`.

use super::{DatabaseArguments, OPERATOR, find};
use crate::agreement::{Report, describe};
use crate::error::CommandError;
use crate::output;
use ::label::AgreementOptions;
use clap::Args;

/// Print how far people agree, with each other and with known answers
///
/// Raw agreement, Cohen's and Fleiss' κ, Krippendorff's α, Kendall's τ-b and W, tie-aware agreement of rankings, each with
/// a 95 % interval by bootstrap over prompts; each person's work; screening against InstructGPT's cut-offs; what writing
/// costs against ranking.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate label agreement tone --json")]
pub struct Agreement {
    /// Project
    project: String,
    #[command(flatten)]
    database: DatabaseArguments,
    /// Only labelers of a group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Resamples of each interval
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    resamples: u32,
    /// Seed of the resampling
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Agreement {
    pub fn run(self) -> Result<(), CommandError> {
        let store = self.database.open_existing()?;
        let project = find(&store, &self.project)?;
        let (resamples, seed, group) = (self.resamples as usize, self.seed, self.group);
        let options = AgreementOptions { resamples, seed, group, ..AgreementOptions::default() };
        let agreement = store.agreement(OPERATOR, project.id, &options)?;
        let mut labelers = store.labelers(OPERATOR, project.id)?;
        if let Some(group) = &options.group {
            labelers.retain(|labeler| labeler.group == *group);
        }
        output::report(&Report { agreement, labelers }, self.json, describe)
    }
}
