//! Who labels how, and how far people agree: tables with n and intervals, and figures.

use super::super::page::Page;
use super::super::problem::Problem;
use super::super::session::Me;
use super::super::{Pages, when};
use super::{need, project_page};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chart::{Axis, Dot, DotPlot, Figure, Group, Look, Series};
use label::agreement::DayCount;
use label::{AgreementOptions, Id, LabelerReport, Role};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub fn routes() -> Router<Pages> {
    Router::new()
        .route("/label/manage/{id}/labelers", get(labelers))
        .route("/label/manage/{id}/agreement", get(agreement))
        .route("/label/manage/{id}/agreement.json", get(agreement_json))
}

/// Judgements a day, everybody's together; nothing when all are of one day.
pub fn days_chart(days: &[DayCount]) -> String {
    let mut by_day: BTreeMap<i64, f64> = BTreeMap::new();
    for day in days {
        if let Ok(date) = day.day.parse::<jiff::civil::Date>() {
            let number = date.duration_since(jiff::civil::date(1970, 1, 1)).as_hours() / 24;
            *by_day.entry(number).or_default() += day.n as f64;
        }
    }
    let (Some((&first, _)), Some((&last, _))) = (by_day.first_key_value(), by_day.last_key_value()) else {
        return String::new();
    };
    if first == last {
        return String::new();
    }
    let points = (first..=last).map(|day| ((day - last) as f64, by_day.get(&day).copied().unwrap_or(0.0)));
    Figure {
        title: "Judgements a day".to_owned(),
        x: Axis::new("days, 0 the latest"),
        y: Axis::new("judgements").including(0.0),
        series: vec![Series::new("", Look::MarkedLine, 0, points)],
    }
    .to_html()
}

#[derive(Serialize)]
struct LabelerRow {
    name: String,
    group: String,
    judgements: i64,
    skips: i64,
    time: String,
    with_rest: String,
    with_gold: String,
    severity: String,
    qualified: &'static str,
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

fn labeler_row(report: &LabelerReport) -> LabelerRow {
    LabelerRow {
        name: report.name.clone(),
        group: report.group.clone(),
        judgements: report.judgements as i64,
        skips: report.skips as i64,
        time: report.seconds_median.map_or_else(|| "–".to_owned(), when::duration),
        with_rest: percent(report.with_rest),
        with_gold: percent(report.with_gold),
        severity: report.severity.map_or_else(|| "–".to_owned(), |points| format!("{points:+.2}")),
        qualified: match report.qualified {
            Some(true) => "yes",
            Some(false) => "no",
            None => "–",
        },
    }
}

fn labelers_chart(reports: &[LabelerReport]) -> String {
    let dot = |value: Option<f64>| value.map(|value| Dot { value: 100.0 * value, interval: None });
    let group = |report: &LabelerReport| Group {
        name: report.name.clone(),
        dots: vec![dot(report.with_rest), dot(report.with_gold)],
    };
    DotPlot {
        title: "Agreement of each labeler".to_owned(),
        axis: Axis::new("pairs ordered the same way, %"),
        series: vec![("with the rest".to_owned(), 0), ("with gold".to_owned(), 1)],
        groups: reports.iter().filter(|r| r.with_rest.or(r.with_gold).is_some()).map(group).collect(),
        reference: None,
    }
    .to_html()
}

async fn labelers(State(pages): State<Pages>, me: Me, Path(id): Path<Id>) -> Result<Page, Problem> {
    need(&me, Role::Reviewer)?;
    let actor = me.actor();
    let (project, reports) = pages.work(move |store| Ok((store.project(id)?, store.labelers(actor, id)?))).await?;
    Ok(project_page("manage/labelers.html", &pages, &me, &project, "/labelers")
        .with("labelers", reports.iter().map(labeler_row).collect::<Vec<_>>())
        .with("charts", labelers_chart(&reports)))
}

/// One table of the agreement page.
#[derive(Debug, PartialEq, Serialize)]
struct Section {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// The report's estimates as tables, whatever parts it has: an object of estimates is a table with a row each, a list
/// of such objects (questions, labelers) one with a row for each of them.
fn sections(report: &Value) -> Vec<Section> {
    let mut sections = Vec::new();
    for (name, part) in report.as_object().into_iter().flatten() {
        section(&words(name), part, &mut sections);
    }
    sections
}

fn section(title: &str, part: &Value, sections: &mut Vec<Section>) {
    match part {
        Value::Array(items) => sections.extend(matrix(title, items)),
        Value::Object(fields) => {
            let head = ["", "value", "95 % interval", "prompts", "n"].map(str::to_owned).to_vec();
            let of_estimates = |(_, value): &(&String, &Value)| is_estimate(value);
            let rows: Vec<Vec<String>> =
                fields.iter().filter(of_estimates).map(|(name, value)| row(name, value)).collect();
            if !rows.is_empty() {
                sections.push(Section { title: title.to_owned(), head, rows });
            }
            for (name, value) in fields.iter().filter(|(_, value)| !is_estimate(value)) {
                section(&format!("{title}: {}", words(name).to_lowercase()), value, sections);
            }
        }
        _ => {}
    }
}

fn is_estimate(value: &Value) -> bool {
    value.as_object().is_some_and(|fields| fields.contains_key("value") && fields.contains_key("low"))
}

/// A number, or why there is none.
fn number(estimate: &Value) -> String {
    match estimate["value"].as_f64() {
        Some(value) => format!("{value:.3}"),
        None => estimate["why"].as_str().unwrap_or("undefined").to_owned(),
    }
}

fn interval(estimate: &Value) -> Option<String> {
    let (low, high) = (estimate["low"].as_f64()?, estimate["high"].as_f64()?);
    Some(format!("{low:.3} to {high:.3}"))
}

fn count(estimate: &Value, name: &str) -> String {
    estimate[name].as_u64().map(|n| n.to_string()).unwrap_or_default()
}

fn row(name: &str, estimate: &Value) -> Vec<String> {
    let interval = interval(estimate).unwrap_or_default();
    vec![statistic(name), number(estimate), interval, count(estimate, "n_prompts"), count(estimate, "n")]
}

/// Things with the same estimates each: a row a thing, a column an estimate.
fn matrix(title: &str, items: &[Value]) -> Option<Section> {
    let mut names: Vec<&String> = Vec::new();
    for (name, value) in items.iter().filter_map(Value::as_object).flatten() {
        if is_estimate(value) && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return None;
    }
    let cell = |value: &Value| match (value["value"].as_f64(), interval(value)) {
        (Some(value), Some(interval)) => format!("{value:.3} ({interval})"),
        (Some(value), None) => format!("{value:.3}"),
        (None, _) => "–".to_owned(),
    };
    let verdict = |passes: &Value| match passes.as_bool() {
        Some(true) => "yes",
        Some(false) => "no",
        None => "–",
    };
    let has_verdicts = items.iter().any(|item| item["passes"].is_boolean());
    let rows = items.iter().enumerate().map(|(i, item)| {
        let first = names.iter().map(|name| &item[name.as_str()]).find(|value| is_estimate(value));
        let counts = ["n_prompts", "n"].map(|name| first.map(|value| count(value, name)).unwrap_or_default());
        let cells = names.iter().map(|name| item.get(name.as_str()).map_or_else(String::new, cell));
        let name = name_of(item).unwrap_or_else(|| (i + 1).to_string());
        let passes = has_verdicts.then(|| verdict(&item["passes"]).to_owned());
        std::iter::once(name).chain(cells).chain(passes).chain(counts).collect()
    });
    let head = std::iter::once(String::new()).chain(names.iter().map(|name| statistic(name)));
    let head = head.chain(has_verdicts.then(|| "passes".to_owned()));
    let head = head.chain(["prompts".to_owned(), "n".to_owned()]).collect();
    Some(Section { title: title.to_owned(), head, rows: rows.collect() })
}

/// What a statistic is called.
fn statistic(name: &str) -> String {
    let known = match name {
        "exact" => "agreement, exact (<, =, >)",
        "strict" => "agreement on strict pairs",
        "ties_half" => "agreement, ties count ½",
        "kappa" => "κ",
        "fleiss" => "Fleiss' κ",
        "alpha" => "Krippendorff's α",
        "alpha_nominal" => "Krippendorff's α, nominal",
        "alpha_interval" => "Krippendorff's α, interval",
        "alpha_ratio" => "Krippendorff's α, ratio",
        "gold" => "known answers",
        "flags" => "known flags",
        "rankings" => "known rankings",
        "demonstrations" => "demonstrations, 1 to 7",
        "writing_seconds" => "seconds to write, median",
        "ranking_seconds" => "seconds to rank, median",
        "writing_overlap" => "words that two writers share",
        "ranking_agreement" => "pairs that two rankers agree on",
        "kendall_tau_b" => "Kendall's τ-b",
        "kendall_w" => "Kendall's W",
        "raw" => "raw agreement",
        "prevalence" => "share of yes",
        "ties" => "share of ties",
        other => return other.replace('_', " "),
    };
    known.to_owned()
}

/// What an item is called, where it says so: a question by its label, a person by name, a pair by both.
fn name_of(item: &Value) -> Option<String> {
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    if let (Some(a), Some(b)) = (text("a"), text("b")) {
        return Some(format!("{a} and {b}"));
    }
    ["label", "field"].into_iter().find_map(text).map(words).or_else(|| text("name").map(str::to_owned))
}

fn words(name: &str) -> String {
    super::super::problem::sentence(&name.replace('_', " ")).trim_end_matches('.').to_owned()
}

async fn agreement(State(pages): State<Pages>, me: Me, Path(id): Path<Id>) -> Result<Page, Problem> {
    need(&me, Role::Reviewer)?;
    let actor = me.actor();
    // The page shows no two people's agreement by themselves; the JSON does.
    let options = AgreementOptions { pairs: false, ..AgreementOptions::default() };
    let resamples = options.resamples;
    let (project, report) =
        pages.work(move |store| Ok((store.project(id)?, store.agreement(actor, id, &options)?))).await?;
    let sources: Vec<String> = report.sources.iter().map(|(source, n)| format!("{n} {source}")).collect();
    let report = serde_json::to_value(&report).map_err(|_| Problem::Broken)?;
    Ok(project_page("manage/agreement.html", &pages, &me, &project, "/agreement")
        .with("resamples", resamples)
        .with("sources", sources.join(", "))
        .with("sections", sections(&report)))
}

async fn agreement_json(State(pages): State<Pages>, me: Me, Path(id): Path<Id>) -> Result<Response, Problem> {
    let actor = me.actor();
    let report = pages.work(move |store| Ok(store.agreement(actor, id, &AgreementOptions::default())?)).await?;
    Ok(axum::Json(report).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_estimate_of_a_report_becomes_a_row() {
        let report = json!({
            "n_people": 3,
            "rankings": {
                "exact": {"value": 0.7261, "low": 0.7, "high": 0.75, "n_prompts": 40, "n": 240},
                "kappa": {"value": null, "low": null, "high": null, "n_prompts": 0, "n": 0, "why": "no pairs"},
            },
            "fields": [{"field": "gives_harm", "alpha": {"value": 0.5, "low": 0.4, "high": 0.6, "n_prompts": 2, "n": 4}}],
        });
        let sections = sections(&report);
        assert_eq!(sections.len(), 2);
        assert_eq!(sections[0].rows[0], ["agreement, exact (<, =, >)", "0.726", "0.700 to 0.750", "40", "240"]);
        assert_eq!(sections[0].rows[1][1], "no pairs");
        assert_eq!(sections[1].head, ["", "Krippendorff's α", "prompts", "n"]);
        assert_eq!(sections[1].rows[0], ["Gives harm", "0.500 (0.400 to 0.600)", "2", "4"]);
        let person = json!({"name": "Ann", "passes": false, "gold": {"value": 0.5, "low": null, "high": null, "n_prompts": 1, "n": 2}});
        let section = matrix("Screening", &[person]).expect("a table");
        assert_eq!(
            (section.head[2].as_str(), &section.rows[0][..]),
            ("passes", &["Ann", "0.500", "no", "1", "2"].map(str::to_owned)[..])
        );
    }
}
