//! Quality by model: the first number of each task, by what was done to the model and by its size.

use super::block::Section;
use super::role::Role;
use super::{Report, result_of, tokens};
use crate::estimate::Estimate;
use crate::result::ModelResult;
use chart::{Axis, Dot, DotPlot, Figure, Group, Look, Point, Series};

/// The section: a table with a row a model, and figures.
pub(super) fn section(report: &Report) -> Section {
    let mut section = Section::new("Quality by model");
    if report.models.is_empty() {
        section.text("n = 0: no evaluation was given. `helpmate eval run TASK --model M --out DIR` makes one.");
        return section;
    }
    let tasks = report.tasks();
    section.text(
        "The first number of each task, in the order in which a model comes to be: base, with worked examples, \
         template-tuned (FLAN, T0), SFT, PPO, PPO-ptx.",
    );
    let order = order(report);
    section.figures(figures(report, &tasks, &order));
    let row = |&idx: &usize| {
        let model = &report.models[idx];
        let found = |task: &&str| main(model, task).map_or_else(|| "n = 0".to_owned(), ToString::to_string);
        let mut cells = vec![model.model.name.clone(), report.roles[idx].name().to_owned(), size(model)];
        cells.extend(tasks.iter().map(found));
        cells
    };
    let mut head = vec!["model".to_owned(), "what it is".to_owned(), "parameters".to_owned()];
    head.extend(tasks.iter().map(|task| {
        let metric = report.models.iter().find_map(|model| main(model, task)).map_or("", |found| &found.metric);
        format!("{task}: {metric}")
    }));
    section.table(&head, order.iter().map(row).collect());
    let of_tokens = tasks.iter().filter(|task| report.counts_tokens_apart(task, &first_metric(report, task)));
    for task in of_tokens {
        section.note(format!("{task}: {}", tokens::why(report, task)));
    }
    section
}

/// Small models first, each size in the order in which a model comes to be.
fn order(report: &Report) -> Vec<usize> {
    let mut order: Vec<usize> = (0..report.models.len()).collect();
    order.sort_by_key(|&idx| (report.models[idx].model.parameters, report.roles[idx]));
    order
}

fn first_metric(report: &Report, task: &str) -> String {
    report.models.iter().find_map(|model| main(model, task)).map_or_else(String::new, |found| found.metric.clone())
}

/// The first number of a task.
fn main<'a>(model: &'a ModelResult, task: &str) -> Option<&'a Estimate> {
    result_of(model, task)?.estimates.first()
}

fn size(model: &ModelResult) -> String {
    match model.model.parameters {
        None => "not told".to_owned(),
        Some(n) if n < 1_000_000 => format!("{:.0} thousand", n as f64 / 1e3),
        Some(n) => format!("{:.1} million", n as f64 / 1e6),
    }
}

/// Over size where there are several, with a line a role; else dots.
fn figures(report: &Report, tasks: &[&str], order: &[usize]) -> Vec<String> {
    // Numbers that count tokens have no common axis where the tokens differ.
    let comparable = |task: &&&str| !report.counts_tokens_apart(task, &first_metric(report, task));
    let tasks: Vec<&str> = tasks.iter().filter(comparable).copied().collect();
    let mut sizes: Vec<u64> = report.models.iter().filter_map(|model| model.model.parameters).collect();
    sizes.sort_unstable();
    sizes.dedup();
    if sizes.len() > 1 {
        return tasks.iter().map(|task| by_size(report, task)).collect();
    }
    let dot = |model: &ModelResult, task: &str| {
        let found = main(model, task)?;
        let value = found.value.filter(|value| (0.0..=1.0).contains(value))?;
        Some(Dot { value, interval: found.interval.map(|[low, high]| (low, high)) })
    };
    let group = |task: &&str| {
        let metric = report.models.iter().find_map(|model| main(model, task)).map_or("", |found| &found.metric);
        let dots = order.iter().map(|&idx| dot(&report.models[idx], task)).collect();
        Group { name: format!("{task}: {metric}"), dots }
    };
    let colours: Vec<usize> = report.colours().collect();
    let series = order.iter().map(|&idx| (report.models[idx].model.name.clone(), colours[idx]));
    let plot = DotPlot {
        title: "First number of each task, with 95 % intervals".into(),
        axis: Axis::new("share of items"),
        series: series.collect(),
        groups: tasks.iter().map(group).collect(),
        reference: None,
    };
    vec![plot.to_html()]
}

/// A task's first number against parameters, on a logarithmic axis.
fn by_size(report: &Report, task: &str) -> String {
    let mut roles: Vec<Role> = report.roles.clone();
    roles.sort_unstable();
    roles.dedup();
    let mut metric = String::new();
    let mut series = Vec::new();
    for role in roles {
        let mut points = Vec::new();
        for (model, own) in report.models.iter().zip(&report.roles) {
            let (Some(size), Some(found)) = (model.model.parameters, main(model, task)) else { continue };
            if let (true, Some(value)) = (*own == role, found.value) {
                metric.clone_from(&found.metric);
                points.push(Point {
                    x: size as f64,
                    y: value,
                    interval: found.interval.map(|[low, high]| (low, high)),
                });
            }
        }
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        series.push(Series::new(role.name(), Look::MarkedLine, role.colour(), points));
    }
    let x = Axis::new("parameters").log();
    Figure { title: format!("{task} by size of the model"), x, y: Axis::new(metric), series }.to_html()
}

#[cfg(test)]
mod tests {
    use crate::report::fixture;

    #[test]
    fn models_stand_in_the_order_in_which_they_come_to_be() {
        let mut models = vec![
            fixture::model("rl", "h", 40, 30),
            fixture::model("mixed", "h", 40, 31),
            fixture::model("start", "h", 40, 9),
            fixture::model("flan", "h", 40, 12),
            fixture::model("tuned", "h", 40, 20),
        ];
        models[0].model.lineage = serde_json::json!({"stage": "ppo"});
        models[1].model.lineage = serde_json::json!({"stage": "ppo"});
        models[1].model.mix = Some(27.8);
        models[2].model.lineage = serde_json::Value::Null;
        models[3].model.templates = true;
        let report = fixture::report(models.clone());
        let text = super::section(&report).markdown();
        let at = |line: &str| text.find(line).unwrap_or_else(|| panic!("{line} in {text}"));
        let columns = [
            "| start | base | not told | 0.2250 [",
            "| flan | template-tuned (FLAN/T0) | not told | 0.3000 [",
            "| tuned | SFT |",
            "| rl | PPO |",
            "| mixed | PPO-ptx |",
        ];
        assert!(columns.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{text}");
        // The figure has the same order, and a colour each.
        let html = super::section(&report).html();
        assert_eq!(html.matches("<figure>").count(), 1);
        let key = |name: &str| html.find(&format!(">{name}</text>")).unwrap_or_else(|| panic!("{name} in {html}"));
        let names = ["start", "flan", "tuned", "rl", "mixed"];
        assert!(names.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        assert!(html.contains("class=\"c6\""), "the template-tuned one's");
        // Two sizes: the same number over parameters, and small models first.
        models[0].model.parameters = Some(2_000_000);
        models[2].model.parameters = Some(8_000_000);
        models[2].model.primer = "Q: A:".into();
        let section = super::section(&fixture::report(models));
        assert!(section.html().contains("instructions by size of the model"));
        let text = section.markdown();
        let rl = text.find("| rl | PPO | 2.0 million |").unwrap();
        assert!(rl < text.find("| start | base with worked examples | 8.0 million |").unwrap(), "{text}");
    }
}
