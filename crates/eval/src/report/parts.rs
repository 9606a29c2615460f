//! Numbers by part: categories, use-cases, languages, labelers, what was held out.

use super::block::Section;
use super::{FEW, Report, result_of, tokens};
use crate::estimate::Estimate;
use crate::result::{ItemResult, ModelResult};
use crate::{facet, run, task};
use chart::{Axis, Dot, DotPlot, Group};
use serde::Serialize;
use std::collections::BTreeMap;

/// Parts of one field that are shown; the largest.
const SHOWN: usize = 20;

/// A task's first number by the values of one field.
#[derive(Clone, Debug, Serialize)]
pub struct PartTable {
    /// The task.
    pub task: String,
    /// The field of the rows, or `part` for the task's own parts.
    pub field: String,
    /// Which number.
    pub metric: String,
    /// A line a value, the largest first.
    pub parts: Vec<Part>,
    /// Values that are too many to show.
    pub left_out: usize,
}

/// One value of a field.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// The value.
    pub name: String,
    /// Items of the first model that has some.
    pub n: usize,
    /// A number a model, in the order of the report.
    pub models: Vec<Option<Estimate>>,
}

/// Every task by every field that tells at least two parts apart.
pub(super) fn tables(models: &[ModelResult]) -> Vec<PartTable> {
    let fields = || std::iter::once("part").chain(facet::FIELDS.iter().copied());
    let tasks = task::ALL.iter().filter(|task| models.iter().any(|model| result_of(model, task.name()).is_some()));
    let mut found: Vec<PartTable> = Vec::new();
    for task in tasks {
        let mut known: Vec<Vec<(String, usize)>> = Vec::new();
        for field in fields() {
            let Some(table) = table(*task, field, models) else { continue };
            // A task's own parts are often one of these fields: told once.
            let shape: Vec<(String, usize)> = table.parts.iter().map(|part| (part.name.clone(), part.n)).collect();
            if !known.contains(&shape) {
                known.push(shape);
                found.push(table);
            }
        }
    }
    found
}

fn table(task: &dyn task::Task, field: &str, models: &[ModelResult]) -> Option<PartTable> {
    let value = |item: &ItemResult| if field == "part" { item.slice.clone() } else { item.about.get(field).cloned() };
    let mut of_models: Vec<BTreeMap<String, Vec<&ItemResult>>> = Vec::new();
    for model in models {
        let mut parts: BTreeMap<String, Vec<&ItemResult>> = BTreeMap::new();
        for item in result_of(model, task.name()).into_iter().flat_map(|result| &result.items) {
            if let Some(value) = value(item) {
                parts.entry(value).or_default().push(item);
            }
        }
        of_models.push(parts);
    }
    let mut sizes: BTreeMap<&String, usize> = BTreeMap::new();
    for (name, items) in of_models.iter().flatten() {
        sizes.entry(name).or_insert(items.len());
    }
    if sizes.len() < 2 {
        return None;
    }
    let mut names: Vec<(&String, usize)> = sizes.into_iter().collect();
    names.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let left_out = names.len().saturating_sub(SHOWN);
    let metric = task.metrics().iter().find(|metric| {
        let scores = of_models.iter().flat_map(BTreeMap::values).flatten().flat_map(|item| &item.scores);
        scores.into_iter().any(|score| score.metric == metric.name)
    })?;
    let part = |&(name, n): &(&String, usize)| {
        let of_model = |parts: &BTreeMap<String, Vec<&ItemResult>>| {
            let found = run::estimates(task, parts.get(name)?.iter().copied());
            found.into_iter().find(|estimate| estimate.metric == metric.name)
        };
        Part { name: name.clone(), n, models: of_models.iter().map(of_model).collect() }
    };
    Some(PartTable {
        task: task.name().to_owned(),
        field: field.to_owned(),
        metric: metric.name.to_owned(),
        parts: names.iter().take(SHOWN).map(part).collect(),
        left_out,
    })
}

/// The section.
pub(super) fn section(report: &Report) -> Section {
    let mut section = Section::new("By part");
    if report.parts.is_empty() {
        section.text(format!(
            "n = 0: no task tells parts apart. Rows that carry {} are told apart by these.",
            facet::FIELDS.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ")
        ));
        return section;
    }
    section.text("The first number of each task, by what its rows say of themselves. Between parts the intervals aren't corrected for how many there are.");
    section.figures(report.parts.iter().map(|table| figure(report, table)));
    for table in &report.parts {
        let field = if table.field == "part" { "part" } else { &table.field };
        section.heading(format!("{}: {} by {}", table.task, table.metric, field.replace('_', " ")));
        let mut head = vec![field.replace('_', " "), "n".to_owned()];
        head.extend(report.models.iter().map(|model| model.model.name.clone()));
        let row = |part: &Part| {
            let few = if part.n < FEW { " (few)" } else { "" };
            let mut cells = vec![part.name.clone(), format!("{}{few}", part.n)];
            let cell =
                |found: &Option<Estimate>| found.as_ref().map_or_else(|| "n = 0".to_owned(), ToString::to_string);
            cells.extend(part.models.iter().map(cell));
            cells
        };
        section.table(&head, table.parts.iter().map(row).collect());
        if report.counts_tokens_apart(&table.task, &table.metric) {
            section.note(format!("{}: {}", table.metric, tokens::why(report, &table.task)));
        }
        let few = table.parts.iter().filter(|part| part.n < FEW).count();
        if few > 0 {
            section.note(format!(
                "{few} of {} parts have fewer than {FEW} items: their differences are mostly chance.",
                table.parts.len()
            ));
        }
        if table.left_out > 0 {
            section.note(format!("{} smaller parts aren't shown.", table.left_out));
        }
    }
    section
}

fn figure(report: &Report, table: &PartTable) -> String {
    let dot = |found: &Option<Estimate>| {
        let found = found.as_ref()?;
        let value = found.value.filter(|_| !found.per_token)?;
        Some(Dot { value, interval: found.interval.map(|[low, high]| (low, high)) })
    };
    let group = |part: &Part| Group {
        name: format!("{} (n = {})", part.name, part.n),
        dots: part.models.iter().map(dot).collect(),
    };
    let series = report.colours().zip(&report.models).map(|(colour, model)| (model.model.name.clone(), colour));
    let plot = DotPlot {
        title: format!("{} by {}", table.task, table.field.replace('_', " ")),
        axis: Axis::new(format!("{}, 95 % interval", table.metric)),
        series: series.collect(),
        groups: table.parts.iter().map(group).collect(),
        reference: None,
    };
    plot.to_html()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn parts_have_their_own_n_and_intervals_and_small_ones_a_warning() {
        let mut model = fixture::model("m", "h", 50, 10);
        assert!(section(&fixture::report(vec![model.clone()])).markdown().contains("n = 0: no task tells parts apart"));
        for (idx, item) in model.tasks[0].items.iter_mut().enumerate() {
            let part = if idx < 10 { "held out" } else { "seen" };
            item.slice = Some(part.to_owned());
            item.about =
                [("use_case".to_owned(), part.to_owned()), ("language".to_owned(), format!("l{}", idx % 25))].into();
        }
        let report = fixture::report(vec![model]);
        let found: Vec<(&str, usize, usize)> =
            report.parts.iter().map(|table| (table.field.as_str(), table.parts.len(), table.left_out)).collect();
        // The use-case is the task's own part; of 25 languages twenty are shown.
        assert_eq!(found, [("part", 2, 0), ("language", 20, 5)]);
        let text = section(&report).markdown();
        // The first ten items are right, the others wrong: 0 of 40, 10 of 10 (Wilson's).
        assert!(text.contains("| seen | 40 | 0.0000 [0.0000, 0.0876] (n = 40) |"), "{text}");
        assert!(text.contains("| held out | 10 (few) | 1.0000 [0.7225, 1.0000] (n = 10) |"), "{text}");
        assert!(
            text.contains("1 of 2 parts have fewer than 30 items") && text.contains("5 smaller parts aren't shown")
        );
    }
}
