//! `report.html` of a training run: one self-contained page, made from the files of the run directory.
//!
//! No script, no fonts, nothing fetched. Light and dark follow the reader's system.
use crate::metrics::read_lines;
use crate::{Lineage, RunError, RunFolder};
use chart::page::{self, facts, tile};
use chart::{Axis, Figure, Look, Series, escape};
use serde_json::{Map, Value};
use std::fmt::Write;
use std::path::Path;

/// Writes `report.html` from what stands in the run directory.
pub fn write(folder: &RunFolder) -> Result<(), RunError> {
    let html = of_folder(folder.path())?;
    Ok(stdx::write_file(&folder.path().join("report.html"), html.as_bytes())?)
}

/// The page of a run directory as it stands, whether the run is over or not.
pub fn of_folder(path: &Path) -> Result<String, RunError> {
    let lineage: Lineage = crate::folder::read_json(&path.join("lineage.json"))?;
    let metrics = read_lines(&path.join("metrics.jsonl"))?;
    let evaluations = read_lines(&path.join("evaluations.jsonl"))?;
    let data = path.join("data.json");
    let data: Value = if data.exists() { crate::folder::read_json(&data)? } else { Value::Null };
    let (_, config) = RunFolder::saved_config(path)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(page(&name, &lineage, &data, &metrics, &evaluations, &config))
}

/// The page as text.
pub fn page(
    name: &str,
    lineage: &Lineage,
    data: &Value,
    metrics: &[Map<String, Value>],
    evaluations: &[Map<String, Value>],
    config: &str,
) -> String {
    let mut html = String::new();
    html.push_str(&outcome(metrics, evaluations));
    html.push_str("<section class=\"charts\">\n");
    for figure in figures(metrics, evaluations) {
        html.push_str(&figure.to_html());
    }
    html.push_str("</section>\n<h2>Where it comes from</h2>\n");
    html.push_str(&facts(&lineage_rows(lineage)));
    html.push_str("<h2>Data</h2>\n");
    html.push_str(&data_table(data));
    let _ = write!(
        html,
        "<h2>Config</h2>\n<details><summary>config.toml</summary><pre>{}</pre></details>\n",
        escape(config)
    );
    page::page(&format!("{} run {name}", lineage.stage), &html)
}

/// The numbers that one looks for first.
fn outcome(metrics: &[Map<String, Value>], evaluations: &[Map<String, Value>]) -> String {
    let number = |line: Option<&Map<String, Value>>, key: &str| line.and_then(|line| line.get(key)?.as_f64());
    let held_out = |line| number(line, "held_out_loss");
    let mut tiles = Vec::new();
    if let (Some(first), Some(last)) = (held_out(evaluations.first()), held_out(evaluations.last())) {
        let n = number(evaluations.last(), "held_out_tokens").unwrap_or(0.0);
        tiles.push((
            "held-out loss, nats a token".to_owned(),
            format!("{first:.4} → {last:.4}"),
            format!("{} targets", grouped(n)),
        ));
    }
    if let (Some(first), Some(last)) = (number(metrics.first(), "loss"), number(metrics.last(), "loss")) {
        tiles.push(("training loss, first and last step".to_owned(), format!("{first:.4} → {last:.4}"), String::new()));
    }
    if let Some(step) = number(metrics.last(), "step") {
        let tokens = number(metrics.last(), "tokens").unwrap_or(0.0);
        let seconds = number(metrics.last(), "seconds").unwrap_or(0.0).max(1e-9);
        let note = format!("{} tokens, {:.0} a second over all steps", grouped(tokens), tokens / seconds);
        tiles.push(("steps".to_owned(), grouped(step), note));
    }
    if tiles.is_empty() {
        return "<p>No step was done yet. <code>--resume</code> continues this run.</p>\n".into();
    }
    let tiles: String = tiles.iter().map(|(label, value, note)| tile(label, value, note)).collect();
    format!("<div class=\"tiles\">{tiles}</div>\n")
}

fn figures(metrics: &[Map<String, Value>], evaluations: &[Map<String, Value>]) -> Vec<Figure> {
    let points = |lines: &[Map<String, Value>], key: &str| -> Vec<(f64, f64)> {
        lines.iter().filter_map(|line| Some((line.get("step")?.as_f64()?, line.get(key)?.as_f64()?))).collect()
    };
    let line = |name: &str, look: Look, colour: usize, points: Vec<(f64, f64)>| Series::new(name, look, colour, points);
    let of_metric = |(colour, key): (usize, &str)| line(key, Look::Line, colour, points(metrics, key));
    let figure = |title: &str, series: Vec<Series>| Figure {
        title: title.into(),
        x: Axis::new("step"),
        y: Axis::default(),
        series,
    };
    let loss = points(metrics, "loss");
    let mut loss_lines = vec![line("each step", Look::Faint, 0, loss.clone())];
    if loss.len() >= 60 {
        loss_lines.push(line("running mean", Look::Line, 0, running_mean(&loss, loss.len() / 20)));
    }
    loss_lines.push(line("held-out", Look::MarkedLine, 1, points(evaluations, "held_out_loss")));
    let mut figures = Vec::new();
    if !points(metrics, "kl_k1").is_empty() {
        let rewards = [(0, "reward"), (1, "gold")].map(of_metric);
        let kl = [(0, "kl_k1"), (1, "kl_k3")].map(of_metric);
        figures.push(figure("Reward, and the one that is only measured", rewards.into()));
        figures.push(figure("KL to the reference, nats a rollout", kl.into()));
    }
    figures.push(figure("Loss, nats a token", loss_lines));
    for (title, key) in [
        ("Gradient norm before clipping", "grad_norm"),
        ("Learning rate", "lr"),
        ("Tokens a second", "tokens_per_second"),
    ] {
        figures.push(figure(title, vec![of_metric((0, key))]));
    }
    figures
}

/// The mean of each point and up to `window` before it.
fn running_mean(points: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    let mean = |end: usize| {
        let slice = &points[end.saturating_sub(window)..=end];
        slice.iter().map(|point| point.1).sum::<f64>() / slice.len() as f64
    };
    (0..points.len()).map(|end| (points[end].0, mean(end))).collect()
}

fn lineage_rows(lineage: &Lineage) -> Vec<(String, String)> {
    let mut rows = vec![
        ("model".to_owned(), lineage.parent.path.display().to_string()),
        ("its hash".to_owned(), lineage.parent.hash.clone()),
    ];
    let mut put = |label: &str, value: String| {
        if !value.is_empty() {
            rows.push((label.to_owned(), value));
        }
    };
    put("its source", lineage.source.source.clone());
    put("note", lineage.source.note.clone());
    put("tokenizer", lineage.tokenizer.clone());
    for (label, files) in [("trained on", &lineage.data), ("held out", &lineage.held_out)] {
        for file in files {
            put(label, format!("{} ({})", file.path.display(), &file.hash[..file.hash.len().min(12)]));
        }
    }
    put("seed", lineage.seed.to_string());
    let device = &lineage.device;
    put("computed on", format!("{}, {} threads, {}", device.isa, device.threads, device.precision));
    put("program", format!("helpmate {}", lineage.version));
    put("revision", lineage.git_revision.clone().unwrap_or_default());
    put("command", lineage.command_line.join(" "));
    put("started", lineage.started.clone());
    rows
}

/// Counts of the training rows beside those held out.
fn data_table(data: &Value) -> String {
    let parts: Vec<(&str, &Map<String, Value>)> =
        ["train", "held_out"].into_iter().filter_map(|part| Some((part, data.get(part)?.as_object()?))).collect();
    let Some((_, first)) = parts.first() else {
        return "<p>No record of the data.</p>\n".into();
    };
    let head: String =
        parts.iter().map(|(part, _)| format!("<th scope=\"col\">{}</th>", part.replace('_', " "))).collect();
    let shown = |value: Option<&Value>| match value {
        Some(Value::Object(counts)) => {
            let counts: Vec<String> = counts.iter().map(|(name, n)| format!("{name} {n}")).collect();
            counts.join(", ")
        }
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let row = |key: &String| {
        let cells: String =
            parts.iter().map(|(_, part)| format!("<td>{}</td>", escape(&shown(part.get(key))))).collect();
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", key.replace('_', " "))
    };
    let rows: String = first.keys().map(row).collect();
    format!("<div class=\"scroll\"><table><tr><td></td>{head}</tr>{rows}</table></div>\n")
}

/// A count with a space between thousands.
fn grouped(count: f64) -> String {
    let digits = format!("{count:.0}");
    let separated = |(idx, digit): (usize, char)| {
        let left = digits.len() - idx;
        (idx > 0 && left.is_multiple_of(3)).then_some('\u{2009}').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(separated).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::{DeviceNote, Hashed, SourceNote};
    use serde_json::json;

    fn lineage() -> Lineage {
        Lineage {
            stage: "sft".into(),
            parent: Hashed { path: "a<b".into(), hash: "12".into() },
            source: SourceNote { source: "pypi:x".into(), note: "dequantised Q4_1".into() },
            tokenizer: "t".into(),
            data: vec![],
            held_out: vec![],
            chat_template: None,
            seed: 3,
            device: DeviceNote::default(),
            version: "0".into(),
            git_revision: None,
            command_line: vec!["helpmate".into(), "--set".into(), "x=\"<script>\"".into()],
            started: "now".into(),
        }
    }

    fn lines(values: &[Value]) -> Vec<Map<String, Value>> {
        values.iter().filter_map(|value| value.as_object().cloned()).collect()
    }

    #[test]
    fn a_page_shows_before_and_after_and_escapes_what_it_is_told() {
        let metrics: Vec<Value> =
            (1..=30).map(|step| json!({"step": step, "loss": 3.0 / f64::from(step), "grad_norm": 1.0, "lr": 1e-5, "tokens": 10 * step, "seconds": step, "tokens_per_second": 10.0})).collect();
        let evaluations = [
            json!({"step": 0, "held_out_loss": 3.5, "held_out_tokens": 12}),
            json!({"step": 30, "held_out_loss": 0.25, "held_out_tokens": 12}),
        ];
        let data = json!({"train": {"rows": 3, "sources": {"model": 3}}, "held_out": {"rows": 1}});
        let html = page("run", &lineage(), &data, &lines(&metrics), &lines(&evaluations), "lr = 1 # <x>");
        for part in
            ["3.5000 → 0.2500", "3.0000 → 0.1000", "a&lt;b", "dequantised Q4_1", "model 3", "&lt;x&gt;", "10 a second"]
        {
            assert!(html.contains(part), "{part:?} is missing");
        }
        assert!(!html.contains("<script"), "unescaped");
        assert_eq!(html.matches("<svg").count(), 4);
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(999.0), "999");
        assert_eq!(grouped(1_234_567.0), "1\u{2009}234\u{2009}567");
    }

    #[test]
    fn a_run_without_steps_says_what_to_do() {
        let html = page("run", &lineage(), &Value::Null, &[], &[], "");
        assert!(html.contains("--resume"));
        assert_eq!(html.matches("<svg").count(), 0);
    }
}
