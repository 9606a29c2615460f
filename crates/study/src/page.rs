//! `report.html`: one self-contained page for a person who reads only that.
mod figures;
mod sentences;
mod tables;

use crate::compare::Estimate;
use crate::curves::Curves;
use crate::report::{Cell, Report};
use crate::summary::{grouped, number, signed};
use chart::escape;
use chart::page::{facts, page as whole, tile};
use std::fmt::Write;

const STYLE: &str = include_str!("page/report.css");

/// The page as text.
pub(crate) fn page(report: &Report, curves: &Curves) -> String {
    let mut html = format!("<style>{STYLE}</style>\n");
    let _ = writeln!(html, "<p>{}</p>", escape(&report.summary));
    html.push_str(&tiles(report));
    html.push_str("<h2>What the loop did</h2>\n");
    html.push_str(&sentences::list(report));
    html.push_str(&examples(report));
    html.push_str("<h2>Gold: what is known to be right</h2>\n<section class=\"charts\">\n");
    html.push_str(&figures::gold(report));
    html.push_str("</section>\n<h2>Every number</h2>\n");
    html.push_str(&tables::levels(report));
    html.push_str(&tables::differences(report));
    html.push_str("<h2>Reward, and how far the policy went for it</h2>\n<section class=\"charts\">\n");
    html.push_str(&figures::policy(curves));
    html.push_str("</section>\n<h2>How the stages learned</h2>\n<section class=\"charts\">\n");
    html.push_str(&figures::learning(curves));
    html.push_str("</section>\n");
    html.push_str(&reward_model(report));
    html.push_str("<h2>Questions and answers</h2>\n");
    html.push_str(&tables::samples(report));
    html.push_str("<h2>What these numbers don't say</h2>\n<ul>\n");
    report.limits.iter().for_each(|limit| html.push_str(&format!("<li>{}</li>\n", escape(limit))));
    html.push_str("</ul>\n<h2>Where it comes from, and how to make it again</h2>\n");
    html.push_str(&facts(&origin(report)));
    html.push_str(&plan(report));
    whole("From a base model to an assistant", &html)
}

fn tiles(report: &Report) -> String {
    let Some(overall) = report.measures.first() else { return String::new() };
    let value = |model: &str| {
        let estimate = report.cell(&overall.key, model).and_then(|cell| cell.value);
        estimate.map_or("-".to_owned(), |estimate| number(estimate.value))
    };
    let change = |model: &str, of: fn(&Cell) -> Option<Estimate>| {
        let change = report.cell(&overall.key, model).and_then(of);
        match change.and_then(|change| Some((change.value, change.interval()?))) {
            Some((value, (low, high))) => {
                format!("change {}, 95 % [{}, {}]", signed(value), signed(low), signed(high))
            }
            None => String::new(),
        }
    };
    let answers = if report.plan.samples == 1 { "answer" } else { "answers" };
    let stages = format!("{} questions, {} {answers} each", report.questions, report.plan.samples);
    let tiles = [
        tile(
            &format!("{}: base → SFT", overall.name),
            &format!("{} → {}", value("base"), value("sft")),
            &change("sft", |cell| cell.against_base),
        ),
        tile(
            &format!("{}: SFT → PPO-ptx", overall.name),
            &format!("{} → {}", value("sft"), value("ppo-ptx")),
            &change("ppo-ptx", |cell| cell.against_sft),
        ),
        tile("the whole loop took", &minutes(report.seconds()), &stages),
    ];
    format!("<div class=\"tiles\">{}</div>\n", tiles.concat())
}

fn minutes(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    if whole < 60 { format!("{whole} s") } else { format!("{} min {:02} s", whole / 60, whole % 60) }
}

/// Several answers of each model to one question.
fn examples(report: &Report) -> String {
    let mut html = format!(
        "<h2>{} answers of each model to one question</h2>\n<p class=\"question\">{}</p>\n<div class=\"examples\">\n",
        report.plan.example_answers,
        escape(&report.question)
    );
    // Not every domain's first verdict is that an answer is right.
    let verdict = report.measures.first().map_or("right", |overall| &overall.name);
    for example in &report.examples {
        let name = report.models.iter().find(|model| model.key == example.model).map_or("", |model| &model.name);
        let _ = write!(
            html,
            "<section><h3>{}</h3><p class=\"note\">{} different, {} {}</p><ul>",
            escape(name),
            example.different,
            example.right,
            escape(verdict)
        );
        for (times, answer) in grouped(example) {
            let times = if times > 1 { format!("<b>{times}×</b> ") } else { String::new() };
            let answer = if answer.is_empty() { "<i>nothing</i>".to_owned() } else { escape(answer) };
            let _ = write!(html, "<li>{times}{answer}</li>");
        }
        html.push_str("</ul></section>\n");
    }
    html.push_str("</div>\n");
    html
}

/// The reward model's accuracy beside what needs no model.
fn reward_model(report: &Report) -> String {
    let share = |key: &str| {
        let found = &report.reward_model[key];
        let percent = |key: &str| found[key].as_f64().map(|share| format!("{:.1}", 100.0 * share));
        match (percent("estimate"), percent("low"), percent("high")) {
            (Some(value), Some(low), Some(high)) => format!("{value} % [{low}, {high}]"),
            (Some(value), ..) => format!("{value} %"),
            _ => "-".to_owned(),
        }
    };
    if report.reward_model.is_null() {
        return String::new();
    }
    let rows = [
        ("held-out pairs ordered as ranked", share("accuracy")),
        ("the longer answer wins", share("length_baseline")),
        ("untied pairs", report.reward_model["pairs"].to_string()),
        ("prompts", report.reward_model["prompts"].to_string()),
    ];
    let rows: Vec<(String, String)> = rows.into_iter().map(|(label, value)| (label.to_owned(), value)).collect();
    format!("<h3>The reward model</h3>\n{}", facts(&rows))
}

fn origin(report: &Report) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut put = |label: &str, value: String| {
        if !value.is_empty() {
            rows.push((label.to_owned(), value));
        }
    };
    put("base model", report.base.clone());
    put("note", report.base_note.clone());
    put("its hash", report.base_hash.clone());
    for model in report.models.iter().skip(2) {
        put(
            &model.name,
            format!("{}: {} (its run's lineage.json and report.html stand beside it)", model.what, model.path),
        );
    }
    put("seed", report.plan.seed.to_string());
    put("computed on", report.device.clone());
    put("program", format!("helpmate {}", report.version));
    put("revision", report.git_revision.clone().unwrap_or_default());
    put("made again by", report.reproduce.clone());
    rows
}

fn plan(report: &Report) -> String {
    let stages: Vec<(String, String)> =
        report.stages.iter().map(|(name, seconds)| (name.clone(), format!("{seconds:.1} s"))).collect();
    let plan = serde_json::to_string_pretty(&report.plan).unwrap_or_default();
    format!(
        "<details><summary>seconds of each stage</summary>{}</details>\n<details><summary>sizes and settings</summary><pre>{}</pre></details>\n",
        facts(&stages),
        escape(&plan)
    )
}
