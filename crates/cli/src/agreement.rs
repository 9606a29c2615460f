//! How a report of agreement is printed, of a project's judgements or of rows'.

use crate::table;
use ::label::{AgreementReport, Estimate, LabelerReport};
use serde::Serialize;

/// A report, with everybody's work.
#[derive(Serialize)]
pub struct Report {
    /// What people agree on.
    #[serde(flatten)]
    pub agreement: AgreementReport,
    /// What each of them did.
    pub labelers: Vec<LabelerReport>,
}

/// The report as tables.
pub fn describe(report: &Report) -> String {
    let agreement = &report.agreement;
    let sources: Vec<String> = agreement.sources.iter().map(|(source, n)| format!("{n} {source}")).collect();
    let mut text = format!(
        "{}: {} people, {} tasks with two judgements or more; judgements: {}\n\n",
        agreement.project,
        agreement.n_people,
        agreement.n_tasks_shared,
        if sources.is_empty() { "none".to_owned() } else { sources.join(", ") }
    );
    text += &table::render(&["of", "statistic", "value", "95 % interval", "n", "prompts"], &statistics(agreement));
    text += "\n";
    let labelers: Vec<Vec<String>> = report.labelers.iter().map(labeler).collect();
    text += &table::render(
        &["labeler", "group", "judgements", "skipped", "seconds", "with others", "with gold", "milder by"],
        &labelers,
    );
    let screening = screening(agreement);
    if !screening.is_empty() {
        text += "\n";
        let head = ["screening", "of", "value", "95 % interval", "n", "prompts", "passes"];
        text += &table::render(&head, &screening);
    }
    text
}

fn statistics(agreement: &AgreementReport) -> Vec<Vec<String>> {
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
        rows.extend(
            rankings.labelers.iter().map(|who| row("rankings", &format!("{} with others", who.name), &who.exact)),
        );
    }
    for field in &agreement.fields {
        let is_scale = field.kind == "scale";
        let (alpha, kappa) = if is_scale { (", ordinal", ", quadratic") } else { (", nominal", "") };
        rows.push(row(&field.field, "raw agreement", &field.raw));
        rows.push(row(&field.field, &format!("Krippendorff's alpha{alpha}"), &field.alpha));
        let others = [
            ("Krippendorff's alpha, nominal", &field.alpha_nominal),
            ("Krippendorff's alpha, interval", &field.alpha_interval),
            ("Krippendorff's alpha, ratio", &field.alpha_ratio),
        ];
        rows.extend(others.iter().filter_map(|(name, estimate)| Some(row(&field.field, name, estimate.as_ref()?))));
        rows.push(row(&field.field, &format!("Cohen's kappa{kappa}, mean of pairs"), &field.kappa));
        rows.extend(field.fleiss.iter().map(|estimate| row(&field.field, "Fleiss' kappa", estimate)));
        rows.extend(field.prevalence.iter().map(|estimate| row(&field.field, "share of yes", estimate)));
        rows.extend(
            field.severity.iter().map(|who| row(&field.field, &format!("{} milder by", who.name), &who.difference)),
        );
    }
    let effort = &agreement.effort;
    rows.push(row("effort", "seconds to write, median", &effort.writing_seconds));
    rows.push(row("effort", "seconds to rank, median", &effort.ranking_seconds));
    rows.push(row("effort", "words two writers share", &effort.writing_overlap));
    rows.push(row("effort", "pairs two rankers agree on", &effort.ranking_agreement));
    rows
}

fn screening(agreement: &AgreementReport) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for person in &agreement.screening {
        let passes = person.passes.map_or("-", |passes| if passes { "yes" } else { "no" });
        let measured = [
            ("known answers", &person.gold),
            ("known flags", &person.flags),
            ("known rankings", &person.rankings),
            ("demonstrations, 1 to 7", &person.demonstrations),
        ];
        for (name, estimate) in measured.iter().filter(|(_, estimate)| estimate.value.is_some()) {
            let mut cells = row(&person.name, name, estimate);
            cells.push(passes.to_owned());
            rows.push(cells);
        }
    }
    rows
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
