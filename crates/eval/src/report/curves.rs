//! How training went: the curves of each run that was given.

use super::block::Section;
use super::material::{TrainingRun, over_steps};
use super::tokens;
use chart::{Axis, COLOURS, Figure, Look, Series};

/// A number of `metrics.jsonl`, and how it is shown.
const CURVES: &[(&str, &str, &str)] = &[
    ("loss", "Loss", "nats a target; PPO: its own loss"),
    ("accuracy", "Pairs ordered as ranked", "share"),
    ("reward", "Reward that is maximised", "reward"),
    ("gold", "Gold reward, only measured", "gold"),
    ("kl_k1", "KL from the reference", "nats an answer"),
    ("entropy", "Entropy of the next token", "nats"),
    ("length", "Length of answers", "tokens"),
];

/// The section.
pub(super) fn section(runs: &[TrainingRun]) -> Section {
    let mut section = Section::new("How training went");
    if runs.is_empty() {
        section.text(
            "n = 0: no training runs were given. `helpmate eval report EVALUATION runs/sft runs/rm runs/ppo` shows the \
             curves of these.",
        );
        return section;
    }
    section.figures(figures(runs));
    let row = |run: &TrainingRun| {
        let cells = ["loss", "reward", "kl_k1"].map(|key| change(&run.over_steps(key)));
        let held_out = change(&over_steps(&run.evaluations, "held_out_loss"));
        let steps = run.metrics.len().to_string();
        let [loss, reward, kl] = cells;
        vec![run.name.clone(), run.lineage.stage.clone(), steps, loss, held_out, reward, kl]
    };
    section
        .table(&["run", "stage", "n steps", "loss", "held-out loss", "reward", "KL"], runs.iter().map(row).collect());
    if runs.iter().any(|run| run.lineage.tokenizer != runs[0].lineage.tokenizer) {
        let named = runs.iter().map(|run| (run.lineage.tokenizer.as_str(), run.name.as_str()));
        section.note(format!("Loss and entropy are {}", tokens::of(named)));
    }
    section.note(
        "First → last tenth of the steps (of the evaluations, for held-out loss), means. No intervals: the steps of one \
         run follow from each other, and how another seed would go isn't in them. Lines are running means over a \
         twentieth of the steps, with each step faintly behind.",
    );
    section
}

/// A figure a number, with a line a run; the losses of unlike stages stand apart.
fn figures(runs: &[TrainingRun]) -> Vec<String> {
    let mut figures = Vec::new();
    for (key, title, unit) in CURVES {
        let groups: Vec<Option<&str>> = match *key {
            "loss" => {
                let mut stages: Vec<&str> = runs.iter().map(|run| run.lineage.stage.as_str()).collect();
                stages.dedup();
                stages.sort_unstable();
                stages.dedup();
                stages.into_iter().map(Some).collect()
            }
            _ => vec![None],
        };
        for stage in groups {
            let shown = |run: &&TrainingRun| stage.is_none_or(|stage| run.lineage.stage == stage);
            let shown: Vec<(usize, &TrainingRun)> = runs.iter().enumerate().filter(|(_, run)| shown(run)).collect();
            let title = stage.map_or_else(|| (*title).to_owned(), |stage| format!("{title}: {stage}"));
            let unit = if stage == Some("ppo") { "PPO's own loss" } else { unit.split(';').next().unwrap_or(unit) };
            figures.push(figure(&title, unit, key, &shown));
        }
    }
    figures
}

fn figure(title: &str, unit: &str, key: &str, runs: &[(usize, &TrainingRun)]) -> String {
    let mut series = Vec::new();
    for (idx, run) in runs {
        let points = run.over_steps(key);
        let mean = running_mean(&points, (points.len() / 20).max(1));
        let colour = idx % COLOURS;
        if points.len() >= 40 {
            series.push(Series::new("", Look::Faint, colour, points));
        }
        series.push(Series::new(run.name.clone(), Look::Line, colour, mean));
        if key == "loss" {
            let held_out = over_steps(&run.evaluations, "held_out_loss");
            let name = format!("{}, held out", run.name);
            series.push(Series::new(name, Look::MarkedLine, (colour + 3) % COLOURS, held_out));
        }
    }
    let (x, y) = (Axis::new("step"), Axis::new(unit));
    Figure { title: title.to_owned(), x, y, series }.to_html()
}

/// The mean of each point and up to `window` − 1 before it.
fn running_mean(points: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    let mean = |end: usize| {
        let slice = &points[(end + 1).saturating_sub(window)..=end];
        slice.iter().map(|point| point.1).sum::<f64>() / slice.len() as f64
    };
    (0..points.len()).map(|end| (points[end].0, mean(end))).collect()
}

/// Means of the first and the last tenth.
fn change(points: &[(f64, f64)]) -> String {
    let tenth = points.len().div_ceil(10);
    let mean = |part: &[(f64, f64)]| part.iter().map(|point| point.1).sum::<f64>() / part.len() as f64;
    match points {
        [] => "–".to_owned(),
        [only] => format!("{:.3}", only.1),
        _ => format!("{:.3} → {:.3}", mean(&points[..tenth]), mean(&points[points.len() - tenth..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_run_has_its_curves_and_a_line_in_the_table() {
        // Twenty steps: tenths are the means of 1 and 2, 19 and 20.
        let lines: Vec<String> =
            (1..=20).map(|step| format!("{{\"step\": {step}, \"loss\": {step}, \"reward\": {}}}", -step)).collect();
        let runs = [fixture::run("ppo", "long", &lines), fixture::run("sft", "short", &lines[..1])];
        let section = section(&runs);
        let text = section.markdown();
        assert!(text.contains("| long | ppo | 20 | 1.500 → 19.500 | – | -1.500 → -19.500 | – |"), "{text}");
        assert!(text.contains("| short | sft | 1 | 1.000 |"), "{text}");
        // Losses of PPO and SFT, and the rewards.
        assert_eq!(section.html().matches("<figure>").count(), 3, "{}", section.html());
        assert!(super::section(&[]).markdown().contains("n = 0: no training runs"));
    }

    #[test]
    fn a_running_mean_looks_back_only() {
        assert_eq!(running_mean(&[(1.0, 1.0), (2.0, 3.0), (3.0, 8.0)], 2), [(1.0, 1.0), (2.0, 2.0), (3.0, 5.5)]);
    }
}
