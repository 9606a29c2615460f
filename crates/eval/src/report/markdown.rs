//! The report as Markdown: the tables, without figures.

use super::{Report, result_of};
use crate::compare::{Difference, Verdict};

/// The text.
pub fn text(report: &Report) -> String {
    let names: Vec<&str> = report.models.iter().map(|model| model.model.name.as_str()).collect();
    let mut text = format!("# Evaluation: {}\n\n`{}`\n\n## Methods\n\n", names.join(", "), report.command);
    text +=
        "Each number is a mean or ratio over items with its 95 % interval and n; differences are paired by item.\n\n";
    text += "| model | from | arithmetic | chat template | identity |\n|---|---|---|---|---|\n";
    for model in &report.models {
        let facts = &model.model;
        let chat = if facts.chat { "yes" } else { "no" };
        text += &format!(
            "| {} | {} | {} | {chat} | {:.12} |\n",
            plain(&facts.name),
            plain(&facts.path),
            facts.arithmetic,
            facts.identity
        );
    }
    text += "\n## Results\n";
    for task in report.tasks() {
        text += &format!("\n### {task}\n\n| metric | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
        let mut metrics: Vec<&str> = Vec::new();
        for estimate in report.models.iter().filter_map(|model| result_of(model, task)).flat_map(|r| &r.estimates) {
            if !metrics.contains(&estimate.metric.as_str()) {
                metrics.push(&estimate.metric);
            }
        }
        for metric in metrics {
            let cells = report.models.iter().map(|model| {
                let found = result_of(model, task).and_then(|r| r.estimates.iter().find(|e| e.metric == metric));
                found.map_or_else(|| "n = 0".to_owned(), ToString::to_string)
            });
            text += &format!("| {metric} | {} |\n", cells.collect::<Vec<_>>().join(" | "));
        }
    }
    for (title, verdict) in [("What got worse", Verdict::Worse), ("What got better", Verdict::Better)] {
        text += &format!("\n## {title}\n\n{}", changes(&report.changes(verdict)));
    }
    text += "\n## Preferred by people\n\nn = 0: these evaluations hold no judgements.\n\n## Limits\n\n";
    text.extend(report.limits.iter().map(|limit| format!("- {limit}\n")));
    text
}

fn changes(found: &[(&str, &Difference)]) -> String {
    if found.is_empty() {
        return "Nothing beyond its 95 % interval.\n".to_owned();
    }
    let mut text = "| metric | model | before | after | difference | n |\n|---|---|---|---|---|---|\n".to_owned();
    for (model, d) in found {
        let [low, high] = d.interval.unwrap_or([f64::NAN; 2]);
        text += &format!(
            "| {}/{} | {} | {:.4} | {:.4} | {:+.4} [{low:+.4}, {high:+.4}] | {} |\n",
            d.task,
            d.metric,
            plain(model),
            d.a,
            d.b,
            d.difference,
            d.n
        );
    }
    text
}

/// Text in a table's cell.
fn plain(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
