//! `helpmate eval compare`.

use crate::error::{CommandError, Kind};
use crate::{output, table};
use ::eval::compare::Verdict;
use ::eval::result::ModelResult;
use ::eval::{Comparison, Difference, Evaluation};
use clap::Args;
use std::path::Path;

/// Compare two evaluations item by item; exit 4 when something got worse
///
/// A and B are folders that `helpmate eval run --out` wrote, each with one model, or FOLDER@NAME for one of several. A
/// metric regresses when the 95 % interval of its paired difference B − A lies on its bad side. Prompts are drawn with
/// replacement, each with all its rows in both: several rows of one prompt don't narrow the interval. The sign test is over
/// prompts too, Holm-corrected over everything compared. `detectable` is the difference that as many prompts would show
/// four times in five, `n for 3 points` how many prompts a difference of .03 would take.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate eval compare evals/base evals/sft --metric instructions/prompt_strict")]
pub struct Compare {
    /// What it is compared with
    a: String,
    /// What is compared
    b: String,
    /// Metrics (NAME or TASK/NAME) that count; all when absent
    #[arg(long, value_name = "NAME", num_args = 1..)]
    metric: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub fn run(self) -> Result<(), CommandError> {
        let (a, b) = (read(&self.a)?, read(&self.b)?);
        let comparison = Comparison::new(&a, &b, &self.metric)?;
        output::report(&comparison, self.json, describe)?;
        for line in &comparison.left_out {
            eprintln!("left out: {line}");
        }
        if comparison.has_regression() {
            let worse = comparison.differences.iter().filter(|d| d.verdict == Verdict::Worse);
            let worse: Vec<String> = worse.map(|d| format!("{}/{} ({})", d.task, d.metric, change(d))).collect();
            return Err(CommandError::new(Kind::Regression, format!("worse than {}: {}", self.a, worse.join(", "))));
        }
        Ok(())
    }
}

/// The one model of an evaluation, or the one that is named.
fn read(given: &str) -> Result<ModelResult, CommandError> {
    let (folder, name) = match given.rsplit_once('@') {
        Some((folder, name)) if !Path::new(given).exists() => (folder, Some(name)),
        _ => (given, None),
    };
    if Path::new(folder).join("config.json").is_file() {
        return Err(CommandError::usage(format!("{folder} is a model, expected an evaluation"))
            .hint(format!("evaluate it first: helpmate eval run TASK --model {folder} --out DIR")));
    }
    let evaluation = Evaluation::read(Path::new(folder))?;
    let names: Vec<String> = evaluation.models.iter().map(|model| model.model.name.clone()).collect();
    let mut models = evaluation.models;
    models.retain(|model| name.is_none_or(|name| model.model.name == name));
    match (models.pop(), models.is_empty()) {
        (Some(model), true) => Ok(model),
        _ => Err(CommandError::usage(format!("{given}: expected one model, found {}", names.join(", ")))
            .hint(format!("name it: {folder}@NAME"))),
    }
}

fn change(difference: &Difference) -> String {
    match difference.interval {
        Some([low, high]) => format!("{:+.4} [{low:+.4}, {high:+.4}]", difference.difference),
        None => "can't say".to_owned(),
    }
}

fn describe(comparison: &Comparison) -> String {
    let row = |d: &Difference| {
        let verdict = match d.verdict {
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::Different => "different",
            Verdict::NoDifference => "no difference",
            Verdict::CantSay => "can't say",
        };
        let number = |value: f64| if value.is_finite() { format!("{value:.4}") } else { "-".to_owned() };
        let detectable = d.detectable.map_or_else(|| "-".to_owned(), |d| format!("{d:.4}"));
        let [better, same, worse] = d.signs;
        vec![
            format!("{}/{}", d.task, d.metric),
            number(d.a),
            number(d.b),
            change(d),
            d.told_n(),
            format!("{better}/{same}/{worse}"),
            format!("{:.3}", d.sign_p_holm),
            detectable,
            d.n_for_points.map_or_else(|| "-".to_owned(), |n| n.to_string()),
            verdict.to_owned(),
        ]
    };
    let header = [
        "metric",
        &comparison.a,
        &comparison.b,
        "difference",
        "n",
        "better/same/worse",
        "p (Holm)",
        "detectable",
        "n for 3 points",
        "verdict",
    ];
    let rows: Vec<Vec<String>> = comparison.differences.iter().map(row).collect();
    let unpaired: usize = comparison.differences.iter().map(|d| d.n_unpaired).max().unwrap_or(0);
    let mut text = table::render(&header, &rows);
    if unpaired > 0 {
        text += &format!("up to {unpaired} items of a metric have no partner and are left out\n");
    }
    text
}
