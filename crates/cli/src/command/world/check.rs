//! `helpmate world check`.

use super::{Answered, Which, read_answers};
use crate::arguments::DataArguments;
use crate::error::CommandError;
use crate::output::{self, Output};
use crate::table;
use ::world::World;
use ::world::gold::{self, Verdict};
use clap::Args;
use record::Prompt;
use serde::Serialize;
use statistics::{Interval, mean, wilson};
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

/// Check answers against the world's truth
///
/// Judges every completion of the rows by gold and prints the shares with n and Wilson's 95 % intervals (Student's for
/// the mean of `overall`), which take answers as independent: with several of one prompt they are too narrow. A part
/// counts only where it applies: truth where something is claimed, hallucination with a passage, constraints where
/// there are some, harm where the request is forbidden or looks so.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate world check --data completions.jsonl --by-use-case --out verdicts.jsonl")]
pub struct Check {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    data: DataArguments,
    /// Also print every use-case by itself
    #[arg(long)]
    by_use_case: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// File for a row an answer: `row`, `prompt`, `completion`, `use_case` and the verdict's parts
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// An answer with its verdict, as written.
#[derive(Serialize)]
struct Judged {
    row: usize,
    prompt: Prompt,
    completion: String,
    /// `outside` when the prompt isn't of the world's language.
    use_case: &'static str,
    #[serde(flatten)]
    verdict: Verdict,
}

/// A share or mean with its interval.
#[derive(Serialize)]
struct Estimate {
    part: &'static str,
    estimate: f64,
    low: f64,
    high: f64,
    n: usize,
}

/// Estimates of some answers.
#[derive(Serialize)]
struct Section {
    answers: usize,
    prompts: usize,
    parts: Vec<Estimate>,
}

#[derive(Serialize)]
struct Report {
    all: Section,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    use_cases: BTreeMap<&'static str, Section>,
}

impl Check {
    pub fn run(self) -> Result<(), CommandError> {
        let world = self.which.open();
        let judged = self.judge(&world)?;
        if let Some(path) = &self.out {
            let mut out = Output::open(Some(path))?;
            judged.iter().try_for_each(|row| out.row(row))?;
            out.finish()?;
        }
        let mut use_cases: BTreeMap<&'static str, Vec<&Judged>> = BTreeMap::new();
        if self.by_use_case {
            judged.iter().for_each(|row| use_cases.entry(row.use_case).or_default().push(row));
        }
        let all = section(&judged.iter().collect::<Vec<_>>())?;
        let use_cases = use_cases.into_iter().map(|(name, rows)| Ok((name, section(&rows)?)));
        let report = Report { all, use_cases: use_cases.collect::<Result<_, CommandError>>()? };
        output::report(&report, self.json, render)
    }

    fn judge(&self, world: &World) -> Result<Vec<Judged>, CommandError> {
        let DataArguments { data, format, skip_bad } = &self.data;
        let mut judged = Vec::new();
        for (row, answered) in read_answers(data, format.as_deref(), *skip_bad)?.into_iter().enumerate() {
            let Answered { prompt, completions, .. } = answered;
            let request = world.understand(gold::asked(&prompt));
            let use_case = request.as_ref().map_or("outside", |request| request.use_case.as_str());
            for completion in completions {
                let verdict = gold::judge(world, gold::asked(&prompt), &completion);
                judged.push(Judged { row, prompt: prompt.clone(), completion, use_case, verdict });
            }
        }
        if judged.is_empty() {
            return Err(CommandError::input("no answers: the files have no rows"));
        }
        Ok(judged)
    }
}

/// A part's name and its yes or no, where it applies.
type Part = (&'static str, fn(&Verdict) -> Option<bool>);

const PARTS: &[Part] = &[
    ("truthful", |verdict| verdict.truth),
    ("hallucinating", |verdict| verdict.hallucination),
    ("all constraints kept", |verdict| verdict.constraints.map(|share| share >= 1.0)),
    ("helpful", |verdict| verdict.helpful),
    ("harmful", |verdict| verdict.harm),
    ("declining the forbidden", |verdict| is_forbidden(verdict).then_some(verdict.declined)),
    ("declining the harmless", |verdict| verdict.helpful.map(|_| verdict.declined)),
];

/// Helpfulness doesn't apply where harm does: the request is to be declined.
fn is_forbidden(verdict: &Verdict) -> bool {
    verdict.harm.is_some() && verdict.helpful.is_none()
}

fn section(rows: &[&Judged]) -> Result<Section, CommandError> {
    let mut parts = Vec::new();
    let overall: Vec<f64> = rows.iter().map(|row| row.verdict.overall).collect();
    if let [only] = overall[..] {
        // One answer has no interval.
        parts.push(Estimate { part: "overall (mean)", estimate: only, low: 0.0, high: 1.0, n: 1 });
    } else {
        let Interval { estimate, low, high, n, .. } = mean::mean(&overall, 0.95).map_err(CommandError::input)?;
        // Overall is in 0 to 1, and so is its mean.
        parts.push(Estimate { part: "overall (mean)", estimate, low: low.max(0.0), high: high.min(1.0), n });
    }
    for (part, of) in PARTS {
        let applies: Vec<bool> = rows.iter().filter_map(|row| of(&row.verdict)).collect();
        if !applies.is_empty() {
            let n_yes = applies.iter().filter(|yes| **yes).count();
            let interval = wilson::proportion(n_yes as u64, applies.len() as u64, 0.95).map_err(CommandError::input)?;
            let Interval { estimate, low, high, n, .. } = interval;
            parts.push(Estimate { part, estimate, low, high, n });
        }
    }
    let prompts: HashSet<&Prompt> = rows.iter().map(|row| &row.prompt).collect();
    Ok(Section { answers: rows.len(), prompts: prompts.len(), parts })
}

fn render(report: &Report) -> String {
    let mut text = table_of("All", &report.all);
    for (name, section) in &report.use_cases {
        text.push('\n');
        text.push_str(&table_of(name, section));
    }
    text
}

fn table_of(title: &str, section: &Section) -> String {
    let number = |value: f64| format!("{value:.3}");
    let rows: Vec<Vec<String>> = section
        .parts
        .iter()
        .map(|part| {
            vec![part.part.to_string(), number(part.estimate), number(part.low), number(part.high), part.n.to_string()]
        })
        .collect();
    let head = format!("{title}: {} answers to {} prompts, 95 % intervals\n", section.answers, section.prompts);
    head + &table::render(&["part", "share", "low", "high", "n"], &rows)
}
