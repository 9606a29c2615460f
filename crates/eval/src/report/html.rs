//! The report as one self-contained page.

use super::block::{self, Section};
use super::{Report, Sampled, changes_section, quality, result_of, tokens};
use crate::compare::Verdict;
use crate::estimate::Estimate;
use crate::task;
use chart::{Axis, Dot, DotPlot, Group, escape};
use std::collections::HashSet;

/// The page.
pub fn page(report: &Report) -> String {
    let mut inside = vec![
        summary(report),
        section("Methods", &methods(report)),
        quality::section(report).html(),
        changes_section(report, None, Verdict::Worse).html(),
        changes_section(report, None, Verdict::Better).html(),
        section("Results", &results(report)),
    ];
    inside.extend(report.after_results().iter().map(Section::html));
    inside.extend([
        section("Answers side by side", &samples(&report.samples, true)),
        section("Still makes simple mistakes", &mistakes(report)),
        section("Limits", &list(&report.limits)),
    ]);
    chart::page::page(&report.title(), &inside.concat())
}

fn section(title: &str, inside: &str) -> String {
    format!("<section><h2>{}</h2>\n{inside}</section>\n", escape(title))
}

fn list(lines: &[String]) -> String {
    let lines: String = lines.iter().map(|line| format!("<li>{}</li>\n", escape(line))).collect();
    format!("<ul>{lines}</ul>\n")
}

fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let head: String = header.iter().map(|cell| format!("<th scope=\"col\">{}</th>", escape(cell))).collect();
    let row = |cells: &Vec<String>| format!("<tr>{}</tr>\n", cells.concat());
    let body: String = rows.iter().map(row).collect();
    format!("<div class=\"scroll\"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n")
}

fn cell(text: &str) -> String {
    format!("<td>{}</td>", escape(&block::kept(text)).replace('`', ""))
}

/// The first number of each task, for the first and the last model.
fn summary(report: &Report) -> String {
    let mut tiles = String::new();
    for name in report.tasks() {
        let of = |model: Option<&crate::result::ModelResult>| {
            model.and_then(|m| result_of(m, name)?.estimates.first().cloned())
        };
        let Some(last) = of(report.models.last()) else { continue };
        let beside = report.models.len() > 1 && !report.counts_tokens_apart(name, &last.metric);
        let note = match of(report.models.first()).filter(|_| beside) {
            Some(first) => format!("{}; {}: {}", interval(&last), report.models[0].model.name, short(&first)),
            None => interval(&last),
        };
        let model = report.models.last().map_or("", |model| model.model.name.as_str());
        tiles += &chart::page::tile(&format!("{name}: {}, {model}", last.metric), &short(&last), &note);
    }
    format!("<div class=\"tiles\">{tiles}</div>\n")
}

fn short(estimate: &Estimate) -> String {
    estimate.value.map_or_else(|| "can't say".to_owned(), |value| format!("{value:.3}"))
}

fn interval(estimate: &Estimate) -> String {
    match estimate.interval {
        Some([low, high]) => format!("[{low:.3}, {high:.3}], n = {}", estimate.n),
        None => format!("no interval, n = {}", estimate.n),
    }
}

fn methods(report: &Report) -> String {
    let mut text =
        "<p>Each number is a mean or ratio over items with its 95 % interval (Wilson's for proportions, else a \
        bootstrap) and n items; where several items are of one prompt, context or row, intervals draw these. Differences are \
        paired by item, and each prompt is drawn with all its items in both models.</p>\n"
            .to_owned();
    let header = ["model", "from", "made by", "arithmetic", "chat template", "identity"].map(str::to_owned);
    let row = |model: &crate::result::ModelResult| {
        let facts = &model.model;
        let stage = facts.lineage["stage"].as_str().unwrap_or("unknown");
        let chat = if facts.chat { "yes" } else { "no" };
        let identity: String = facts.identity.chars().take(12).collect();
        [&facts.name, &facts.path, stage, &facts.arithmetic, chat, &identity].map(cell).to_vec()
    };
    text += &table(&header, &report.models.iter().map(row).collect::<Vec<_>>());
    let header = ["task", "measures", "version", "items", "source"].map(str::to_owned);
    let mut rows = Vec::new();
    for name in report.tasks() {
        let Some(result) = report.models.iter().find_map(|model| result_of(model, name)) else { continue };
        let task = task::find(name);
        let (summary, source) = task.map_or(("", ""), |task| (task.summary(), task.source()));
        let sources: Vec<String> = result.sources.iter().map(|(source, n)| format!("{n} by {source}")).collect();
        rows.push([name, summary, &result.version.to_string(), &sources.join(", "), source].map(cell).to_vec());
    }
    text += &table(&header, &rows);
    text + &format!("<p>This report: <code>{}</code></p>\n", escape(&report.command))
}

fn results(report: &Report) -> String {
    let mut text = String::new();
    for name in report.tasks() {
        text += &format!("<h3>{}</h3>\n", escape(name));
        let of_models: Vec<_> = report.models.iter().map(|model| result_of(model, name)).collect();
        let metrics = metrics(report, name);
        let find = |model: usize, metric: &str| {
            of_models[model].and_then(|result| result.estimates.iter().find(|estimate| estimate.metric == metric))
        };
        text += &figures(report, name, &metrics);
        let mut header = vec!["metric".to_owned()];
        header.extend(report.models.iter().map(|model| model.model.name.clone()));
        let row = |metric: &String| {
            let cells = (0..report.models.len()).map(|model| match find(model, metric) {
                Some(estimate) => cell(&estimate.to_string()),
                None => cell("n = 0"),
            });
            let name = escape(&tokens::marked(report, name, metric));
            std::iter::once(format!("<th scope=\"row\">{name}</th>")).chain(cells).collect()
        };
        text += &table(&header, &metrics.iter().map(row).collect::<Vec<_>>());
        let apart = report.apart(name, metrics.iter().map(String::as_str));
        if !apart.is_empty() {
            let why = tokens::why(report, name);
            text += &format!("<p class=\"note\">{}: {}</p>\n", escape(&apart.join(", ")), escape(&why));
        }
        let notes: Vec<String> = of_models.iter().flatten().flat_map(|result| result.notes.clone()).collect();
        let mut seen = HashSet::new();
        for note in notes.iter().filter(|note| seen.insert((*note).clone())) {
            text += &format!("<p class=\"note\">{}</p>\n", escape(note));
        }
    }
    text
}

/// Every metric that some model has, in the task's order.
fn metrics(report: &Report, task: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for estimate in report.models.iter().filter_map(|model| result_of(model, task)).flat_map(|result| &result.estimates)
    {
        if !found.contains(&estimate.metric) {
            found.push(estimate.metric.clone());
        }
    }
    found
}

/// Dots of the metrics between 0 and 1, which fit one axis.
fn figures(report: &Report, task: &str, metrics: &[String]) -> String {
    let dot = |model: &crate::result::ModelResult, metric: &str| {
        let estimate = result_of(model, task)?.estimates.iter().find(|estimate| estimate.metric == metric)?;
        // Counts of tokens have no place beside shares.
        let value = estimate.value.filter(|_| !estimate.per_token).filter(|value| (0.0..=1.0).contains(value))?;
        Some(Dot { value, interval: estimate.interval.map(|[low, high]| (low, high)) })
    };
    let group = |metric: &String| Group {
        name: metric.clone(),
        dots: report.models.iter().map(|model| dot(model, metric)).collect(),
    };
    let groups: Vec<Group> = metrics.iter().map(group).filter(|group| group.dots.iter().any(Option::is_some)).collect();
    let series =
        report.colours().zip(&report.models).map(|(colour, model)| (model.model.name.clone(), colour)).collect();
    let plot = DotPlot {
        title: format!("{task}, with 95 % intervals"),
        axis: Axis::new("value"),
        series,
        groups,
        reference: None,
    };
    format!("<div class=\"charts\">{}</div>\n", plot.to_html())
}

fn mistakes(report: &Report) -> String {
    if report.mistakes.is_empty() {
        return "<p>n = 0: no answers to <code>instructions</code> that break one.</p>".to_owned();
    }
    let model = report.models.last().map_or("", |model| model.model.name.as_str());
    let head = format!("<p>Requests that {} does not meet even when read loosely.</p>\n", escape(model));
    head + &samples(&report.mistakes, false)
}

/// Prompts with their answers; words that the first model's answer hasn't are marked.
fn samples(samples: &[Sampled], compared: bool) -> String {
    if samples.is_empty() {
        return "<p>n = 0: no task with written answers.</p>".to_owned();
    }
    let one = |sample: &Sampled| {
        let mut text = format!(
            "<h3>{} <span class=\"note\">{}</span></h3>\n<pre style=\"white-space: pre-wrap\">{}</pre>\n",
            escape(&sample.task),
            escape(&sample.id),
            escape(&tail(&sample.prompt))
        );
        let words = |answers: &[String]| -> HashSet<String> {
            answers.iter().flat_map(|answer| answer.split_whitespace()).map(str::to_lowercase).collect()
        };
        let of_first = sample.answers.first().map(|(_, answers)| words(answers)).unwrap_or_default();
        let mut rows = Vec::new();
        for (idx, (model, answers)) in sample.answers.iter().enumerate() {
            let mark = compared && idx > 0;
            let shown: Vec<String> =
                answers.iter().map(|answer| if mark { marked(answer, &of_first) } else { escape(answer) }).collect();
            rows.push(vec![
                format!("<th scope=\"row\">{}</th>", escape(model)),
                format!("<td style=\"white-space: pre-wrap\">{}</td>", shown.join("<hr>")),
            ]);
        }
        text += &table(&["model".to_owned(), "answer".to_owned()], &rows);
        text
    };
    samples.iter().map(one).collect()
}

fn marked(answer: &str, known: &HashSet<String>) -> String {
    let mut text = String::new();
    for word in answer.split_inclusive(char::is_whitespace) {
        let is_new = !word.trim().is_empty() && !known.contains(&word.trim().to_lowercase());
        text += &if is_new { format!("<mark>{}</mark>", escape(word)) } else { escape(word) };
    }
    text
}

/// The end of a long prompt, where the question is.
fn tail(prompt: &str) -> String {
    const LONGEST: usize = 600;
    let skipped = prompt.chars().count().saturating_sub(LONGEST);
    if skipped == 0 { prompt.to_owned() } else { format!("… {}", prompt.chars().skip(skipped).collect::<String>()) }
}
