//! `helpmate label agreement`.

use super::{DatabaseArguments, OPERATOR, find};
use crate::error::CommandError;
use crate::{output, table};
use ::label::{AgreementOptions, AgreementReport, Estimate, LabelerReport};
use clap::Args;
use serde::Serialize;

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

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    agreement: AgreementReport,
    labelers: Vec<LabelerReport>,
}

impl Agreement {
    pub fn run(self) -> Result<(), CommandError> {
        let store = self.database.open_existing()?;
        let project = find(&store, &self.project)?;
        let options = AgreementOptions { resamples: self.resamples as usize, seed: self.seed, group: self.group };
        let agreement = store.agreement(OPERATOR, project.id, &options)?;
        let mut labelers = store.labelers(OPERATOR, project.id)?;
        if let Some(group) = &options.group {
            labelers.retain(|labeler| labeler.group == *group);
        }
        output::report(&Report { agreement, labelers }, self.json, describe)
    }
}

fn describe(report: &Report) -> String {
    let agreement = &report.agreement;
    let sources: Vec<String> = agreement.sources.iter().map(|(source, n)| format!("{n} {source}")).collect();
    let mut text = format!(
        "{}: {} people, {} tasks with two judgements or more; judgements: {}\n",
        agreement.project,
        agreement.n_people,
        agreement.n_tasks_shared,
        if sources.is_empty() { "none".to_owned() } else { sources.join(", ") }
    );
    let mut rows = Vec::new();
    if let Some(rankings) = &agreement.rankings {
        let all = [
            ("exact agreement", &rankings.exact),
            ("of pairs that both order", &rankings.strict),
            ("ties count half", &rankings.ties_half),
            ("kappa, chance knows ties", &rankings.kappa),
            ("Kendall's tau-b", &rankings.kendall_tau_b),
            ("Kendall's W", &rankings.kendall_w),
            ("Krippendorff's alpha, ordinal", &rankings.alpha),
            ("share of ties", &rankings.ties),
        ];
        rows.extend(all.map(|(name, estimate)| row("rankings", name, estimate)));
    }
    for field in &agreement.fields {
        rows.push(row(&field.field, "raw agreement", &field.raw));
        rows.push(row(&field.field, "Krippendorff's alpha", &field.alpha));
        rows.push(row(&field.field, "Cohen's kappa, mean of pairs", &field.kappa));
        rows.extend(field.fleiss.iter().map(|estimate| row(&field.field, "Fleiss' kappa", estimate)));
        rows.extend(field.prevalence.iter().map(|estimate| row(&field.field, "share of yes", estimate)));
    }
    let effort = &agreement.effort;
    rows.push(row("effort", "seconds to write, median", &effort.writing_seconds));
    rows.push(row("effort", "seconds to rank, median", &effort.ranking_seconds));
    rows.push(row("effort", "words two writers share", &effort.writing_overlap));
    text += "\n";
    text += &table::render(&["of", "statistic", "value", "95 % interval", "n", "prompts"], &rows);
    text += "\n";
    let labelers: Vec<Vec<String>> = report.labelers.iter().map(labeler).collect();
    text += &table::render(
        &["labeler", "group", "judgements", "skipped", "seconds", "with others", "with gold", "milder by"],
        &labelers,
    );
    if !agreement.screening.is_empty() {
        let rows = agreement.screening.iter().map(|person| {
            let passes = person.passes.map_or("-", |passes| if passes { "yes" } else { "no" });
            vec![
                person.name.clone(),
                number(person.flags),
                number(person.rankings),
                number(person.demonstrations),
                passes.to_owned(),
            ]
        });
        text += "\n";
        text +=
            &table::render(&["screening", "flags", "rankings", "demonstrations", "passes"], &rows.collect::<Vec<_>>());
    }
    text
}

fn row(of: &str, name: &str, estimate: &Estimate) -> Vec<String> {
    let interval = match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => format!("[{low:.3}, {high:.3}]"),
        _ => "-".to_owned(),
    };
    let (n, prompts) = (estimate.n.to_string(), estimate.n_prompts.to_string());
    vec![of.to_owned(), name.to_owned(), number(estimate.value), interval, n, prompts]
}

fn labeler(report: &LabelerReport) -> Vec<String> {
    vec![
        report.name.clone(),
        if report.group.is_empty() { "-".to_owned() } else { report.group.clone() },
        report.judgements.to_string(),
        report.skips.to_string(),
        report.seconds_median.map_or("-".to_owned(), |seconds| format!("{seconds:.0}")),
        number(report.with_rest),
        number(report.with_gold),
        number(report.severity),
    ]
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}
