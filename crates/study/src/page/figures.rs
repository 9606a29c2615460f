//! The numbers as figures.
use crate::compare::Estimate;
use crate::curves::{Curves, over_steps, pairs, smoothed};
use crate::report::{Cell, Line, Report, Standing};
use chart::{Axis, Dot, DotPlot, Figure, Group, Look, Series};

/// The colour of each model, the same in every figure.
fn colour(model: &str) -> usize {
    match model {
        "sft" => 0,
        "ppo" => 1,
        "ppo-ptx" => 2,
        "few-shot" => 4,
        _ => 5,
    }
}

/// Iterations that a running mean of PPO's curves looks back over.
const WINDOW: usize = 8;

/// Gold of every model, its change by reinforcement, and the same by what is held out.
pub(super) fn gold(report: &Report) -> String {
    let gold: Vec<&Line> = report.measures.iter().filter(|line| line.standing == Standing::Gold).collect();
    let everything = |_: &str| true;
    let reinforced = |model: &str| matches!(model, "ppo" | "ppo-ptx");
    let slices: Vec<(String, &[Cell])> = report
        .slices
        .iter()
        .map(|slice| {
            let n = slice.models.iter().filter_map(|cell| Some(cell.value?.n)).max().unwrap_or(0);
            (format!("{} (n = {n})", slice.name), &slice.models[..])
        })
        .collect();
    let lines: Vec<(String, &[Cell])> = gold.iter().map(|&line| (arrow(line), &line.models[..])).collect();
    let overall = gold.first().map_or("", |line| &line.name);
    [
        dots(report, "Every model", &lines, &everything, |cell| cell.value, None),
        dots(report, "Difference to SFT", &lines, &reinforced, |cell| cell.against_sft, Some(0.0)),
        dots(report, &format!("{overall}, by what is held out"), &slices, &everything, |cell| cell.value, None),
        dots(
            report,
            &format!("{overall}, difference to SFT"),
            &slices,
            &reinforced,
            |cell| cell.against_sft,
            Some(0.0),
        ),
    ]
    .iter()
    .map(DotPlot::to_html)
    .collect()
}

fn arrow(line: &Line) -> String {
    match line.better.as_str() {
        "higher" => format!("{} ↑", line.name),
        "lower" => format!("{} ↓", line.name),
        _ => line.name.clone(),
    }
}

fn dots(
    report: &Report,
    title: &str,
    rows: &[(String, &[Cell])],
    shows: &dyn Fn(&str) -> bool,
    of: fn(&Cell) -> Option<Estimate>,
    reference: Option<f64>,
) -> DotPlot {
    let models = || report.models.iter().filter(|model| shows(&model.key));
    let dot = |cell: &Cell| of(cell).map(|found| Dot { value: found.value, interval: found.interval() });
    let group = |(name, cells): &(String, &[Cell])| Group {
        name: name.clone(),
        dots: cells.iter().filter(|cell| shows(&cell.model)).map(dot).collect(),
    };
    DotPlot {
        title: title.to_owned(),
        axis: Axis::new("share of answers, 95 % interval over questions"),
        series: models().map(|model| (model.name.clone(), colour(&model.key))).collect(),
        groups: rows.iter().map(group).collect(),
        reference,
    }
}

/// Proxy and gold through PPO, over iterations and over the distance from where it began.
pub(super) fn policy(curves: &Curves) -> String {
    let runs = [("PPO", &curves.ppo, 1), ("PPO-ptx", &curves.ppo_ptx, 2)];
    let over = |key: &str, title: &str, unit: &str| {
        let series = runs.iter().flat_map(|(name, lines, colour)| {
            let points = over_steps(lines, key);
            let mean = smoothed(&points, WINDOW);
            [Series::new("", Look::Faint, *colour, points), Series::new(*name, Look::Line, *colour, mean)]
        });
        Figure { title: title.into(), x: Axis::new("iteration"), y: Axis::new(unit), series: series.collect() }
    };
    let distance = |key: &str, title: &str, unit: &str| {
        let series = runs.iter().map(|(name, lines, colour)| {
            let points = pairs(lines, "kl_k1", key).into_iter().filter(|(kl, _)| *kl >= 0.0);
            Series::new(*name, Look::Marks, *colour, points.map(|(kl, value)| (kl.sqrt(), value)))
        });
        let x = Axis::new("√KL from SFT, √nats an answer").including(0.0);
        Figure { title: title.into(), x, y: Axis::new(unit), series: series.collect() }
    };
    [
        over("reward", "Proxy reward of the rollouts: the objective, not evidence", "standard deviations"),
        over("gold", "Gold of the same rollouts, only measured", "share right as a whole"),
        over("kl_k1", "KL from SFT", "nats an answer"),
        over("entropy", "Entropy of the next token", "nats"),
        distance("reward", "Proxy reward against distance", "standard deviations"),
        distance("gold", "Gold against distance", "share right as a whole"),
    ]
    .iter()
    .map(Figure::to_html)
    .collect()
}

/// The losses of the supervised stages.
pub(super) fn learning(curves: &Curves) -> String {
    let figure = |title: &str, unit: &str, lines, key| {
        let points = over_steps(lines, key);
        let mean = smoothed(&points, (points.len() / 20).max(1));
        let series =
            vec![Series::new("each step", Look::Faint, 0, points), Series::new("running mean", Look::Line, 0, mean)];
        Figure { title: title.into(), x: Axis::new("step"), y: Axis::new(unit), series }
    };
    [
        figure("SFT: loss on demonstrations", "nats a token", &curves.sft, "loss"),
        figure("Reward model: pairs ordered as ranked", "share", &curves.rm, "accuracy"),
    ]
    .iter()
    .map(Figure::to_html)
    .collect()
}
