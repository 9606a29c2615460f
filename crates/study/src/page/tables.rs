//! The numbers as tables.
use crate::compare::Estimate;
use crate::report::{Cell, Line, Report, Standing, verdict};
use crate::summary::{number, signed};
use chart::escape;
use std::fmt::Write;

/// Every measure of every model, with its interval.
pub(super) fn levels(report: &Report) -> String {
    let names: String =
        report.models.iter().map(|model| format!("<th scope=\"col\">{}</th>", escape(&model.name))).collect();
    let mut html = format!("<div class=\"scroll\"><table class=\"numbers\"><thead><tr><td></td>{names}</tr></thead>\n");
    let mut standing = None;
    for line in &report.measures {
        if standing != Some(line.standing) {
            standing = Some(line.standing);
            let head = match line.standing {
                Standing::Gold => "Gold",
                Standing::Objective => "The objective trained on, not evidence",
                Standing::Cost => "How far it went, and what it cost",
            };
            let _ = writeln!(html, "<tr class=\"head\"><th colspan=\"{}\">{head}</th></tr>", report.models.len() + 1);
        }
        let cells: String = line.models.iter().map(|cell| format!("<td>{}</td>", level(cell.value))).collect();
        let _ = writeln!(html, "<tr>{}{cells}</tr>", label(line));
    }
    html.push_str("</table></div>\n<details><summary>what each number is</summary><dl>");
    for line in &report.measures {
        let _ = write!(html, "<dt><b>{}</b></dt><dd>{}</dd>", escape(&line.name), escape(&line.meaning));
    }
    html.push_str("</dl></details>\n");
    html
}

fn label(line: &Line) -> String {
    let arrow = match line.better.as_str() {
        "higher" => " ↑",
        "lower" => " ↓",
        _ => "",
    };
    format!("<th scope=\"row\">{}{arrow}</th>", escape(&line.name))
}

fn level(value: Option<Estimate>) -> String {
    let Some(value) = value else { return "–".to_owned() };
    let interval = value
        .interval()
        .map(|(low, high)| format!("<span class=\"interval\">[{}, {}]</span>", number(low), number(high)));
    format!("{}{}", number(value.value), interval.unwrap_or_default())
}

/// The paired differences to the SFT model and to the base.
pub(super) fn differences(report: &Report) -> String {
    let columns: [(&str, &str, Column); 4] = [
        ("ppo", "PPO − SFT", |cell| cell.against_sft),
        ("ppo-ptx", "PPO-ptx − SFT", |cell| cell.against_sft),
        ("sft", "SFT − base", |cell| cell.against_base),
        ("ppo-ptx", "PPO-ptx − base", |cell| cell.against_base),
    ];
    let heads: String = columns.iter().map(|(_, head, _)| format!("<th scope=\"col\">{head}</th>")).collect();
    let mut html = format!(
        "<h3>Differences, paired by question</h3>\n<div class=\"scroll\"><table class=\"numbers\"><thead><tr><td></td>{heads}<th>n</th></tr></thead>\n"
    );
    for line in &report.measures {
        let found = columns.map(|(model, _, of)| line.models.iter().find(|cell| cell.model == model).and_then(of));
        let Some(n) = found.iter().flatten().map(|difference| difference.n).next() else { continue };
        let cells: String = found
            .iter()
            .map(|one| format!("<td>{}</td>", one.map_or("–".into(), |one| difference(line, &one))))
            .collect();
        let _ = writeln!(html, "<tr>{}{cells}<td>{n}</td></tr>", label(line));
    }
    html.push_str("</table></div>\n");
    html
}

fn difference(line: &Line, found: &Estimate) -> String {
    let verdict = verdict(&line.better, found);
    let interval = found.interval().map_or(String::new(), |(low, high)| {
        format!("<span class=\"interval\">[{}, {}]</span>", signed(low), signed(high))
    });
    let class = if matches!(verdict, "better" | "worse") { format!(" class=\"{verdict}\"") } else { String::new() };
    format!("<span{class}>{} {verdict}</span>{interval}", signed(found.value))
}

/// Questions with every model's answer and gold's verdict.
pub(super) fn samples(report: &Report) -> String {
    let mut html = String::new();
    let Some(overall) = report.measures.first() else { return html };
    for answers in &report.samples {
        let Some(first) = answers.first() else { continue };
        let question = first.prompt.as_array().and_then(|turns| turns.last()?.get("content")?.as_str());
        let _ = write!(
            html,
            "<section class=\"sample\"><b>{}</b> <span class=\"note\">{}; {}</span><dl>",
            escape(question.unwrap_or_default()).replace('\n', "<br>"),
            escape(&first.use_case.replace('_', " ")),
            escape(&first.slice)
        );
        for answer in answers {
            let name = report.models.iter().find(|model| model.key == answer.model).map_or("", |model| &model.name);
            let gold = answer.gold.get(&overall.key).and_then(serde_json::Value::as_f64);
            let mark = match gold {
                Some(gold) if gold >= 1.0 => {
                    format!("<span class=\"better\" title=\"{}\">✓</span> ", escape(&overall.name))
                }
                Some(gold) if gold <= 0.0 => {
                    format!("<span class=\"worse\" title=\"not: {}\">✗</span> ", escape(&overall.name))
                }
                _ => String::new(),
            };
            let _ = write!(html, "<dt>{}</dt><dd>{mark}{}</dd>", escape(name), escape(&answer.completion));
        }
        html.push_str("</dl></section>\n");
    }
    html
}

/// What a column shows of a cell.
type Column = fn(&Cell) -> Option<Estimate>;
