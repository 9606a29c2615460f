//! The report as Markdown: the tables, without figures.

use super::block::Section;
use super::{Report, changes_section, quality, result_of, tokens};
use crate::compare::Verdict;

/// The text.
pub fn text(report: &Report) -> String {
    let names: Vec<&str> = report.models.iter().map(|model| model.model.name.as_str()).collect();
    let mut text = format!("# {}\n\n`{}`\n\n## Methods\n\n", report.title(), report.command);
    text += "Each number is a mean or ratio over items with its 95 % interval and n; where several items are of one prompt, intervals \
         draw prompts. Differences are paired by item.\n\n";
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
    text += &quality::section(report).markdown();
    for verdict in [Verdict::Worse, Verdict::Better] {
        text += &changes_section(report, None, verdict).markdown();
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
        for &metric in &metrics {
            let cells = report.models.iter().map(|model| {
                let found = result_of(model, task).and_then(|r| r.estimates.iter().find(|e| e.metric == metric));
                found.map_or_else(|| "n = 0".to_owned(), ToString::to_string)
            });
            let name = tokens::marked(report, task, metric);
            text += &format!("| {name} | {} |\n", cells.collect::<Vec<_>>().join(" | "));
        }
        let apart = report.apart(task, metrics.iter().copied());
        if !apart.is_empty() {
            text += &format!("\n{}: {}\n", apart.join(", "), tokens::why(report, task));
        }
    }
    text.extend(report.after_results().iter().map(Section::markdown));
    text += "\n## Limits\n\n";
    text.extend(report.limits.iter().map(|limit| format!("- {limit}\n")));
    text
}

/// Text in a table's cell.
fn plain(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
