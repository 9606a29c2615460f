//! `helpmate eval duel`.

use crate::context::Context;
use crate::error::{CommandError, of_file};
use crate::writer::{WriterArguments, of_writing};
use crate::{interrupt, output, table};
use ::eval::duel::{Duel as Outcome, Judged, Pair, Said, question, said};
use clap::Args;
use endpoint::completion::CompletionRequest;
use instruct::writer::{Answers, Budget};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

/// Let a judge model say which of two models answers better
///
/// The files are what `helpmate generate` writes for the same prompts (rows with `prompt` and `completion`; the n-th
/// completion of a prompt meets the other's n-th). Each pair is shown in both orders, because judges have a favourite
/// place. Prints the second's win rate (ties half) with its 95 % interval, strict wins, the rate at equal lengths, how
/// often the order alone decided, and how often the judge kept to no form. Verdicts are kept in the folder: the same
/// command again asks nothing twice. A judge's preference is not a person's.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate eval duel --a before.jsonl --b after.jsonl --model default --chat --out evals/duel"
)]
pub struct Duel {
    /// Answers of the first model
    #[arg(long, value_name = "FILE")]
    a: PathBuf,
    /// Answers of the second model
    #[arg(long, value_name = "FILE")]
    b: PathBuf,
    #[command(flatten)]
    judge: WriterArguments,
    /// Most tokens of a verdict
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_new_tokens: usize,
    /// Folder for verdicts and result
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is written and printed.
#[derive(Serialize)]
struct Report {
    a: PathBuf,
    b: PathBuf,
    judge: String,
    #[serde(flatten)]
    duel: Outcome,
}

impl Duel {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let pairs = pairs(&self.a, &self.b)?;
        interrupt::listen()?;
        std::fs::create_dir_all(&self.out).map_err(of_file(&self.out))?;
        let mut answers = Answers::open(&self.out.join("verdicts.jsonl")).map_err(of_writing)?;
        let mut judge = self.judge.open(context, 1.0, 8, 0)?;
        let request = |first: &str, second: &str, prompt: &str| CompletionRequest {
            prompt: question(prompt, first, second),
            max_tokens: self.max_new_tokens,
            temperature: 0.0,
            top_p: 0.0,
            presence_penalty: 0.0,
            stop: Vec::new(),
        };
        let requests: Vec<_> = (pairs.iter())
            .flat_map(|Pair { prompt, a, b }| [(request(a, b, prompt), 0), (request(b, a, prompt), 0)])
            .collect();
        let mut n = 0;
        let told = answers
            .of(judge.as_mut(), &requests, &Budget::default(), &mut |_| {
                n += 1;
                if n % 50 == 0 {
                    eprintln!("{n} verdicts");
                }
            })
            .map_err(of_writing)?;
        let verdicts: Vec<Option<Said>> = told.iter().map(|answer| said(&answer.text)).collect();
        let judged: Vec<Judged> =
            pairs.iter().zip(verdicts.chunks(2)).map(|(pair, said)| (pair, [said[0], said[1]])).collect();
        let judge = match (&self.judge.endpoint_model, &self.judge.model) {
            (Some(name), _) | (_, Some(name)) => name.clone(),
            _ => String::new(),
        };
        let report = Report { a: self.a.clone(), b: self.b.clone(), judge, duel: Outcome::of(&judged)? };
        let text = serde_json::to_string_pretty(&report).map_err(CommandError::input)? + "\n";
        stdx::write_file(&self.out.join("duel.json"), text.as_bytes())?;
        output::report(&report, self.json, describe)
    }
}

/// The n-th completion of each prompt in one file with the n-th in the other.
fn pairs(a: &Path, b: &Path) -> Result<Vec<Pair>, CommandError> {
    let mut of_b: BTreeMap<String, VecDeque<String>> = BTreeMap::new();
    for (_, prompt, completion) in completions(b)? {
        of_b.entry(prompt).or_default().push_back(completion);
    }
    let mut pairs = Vec::new();
    let mut alone = 0;
    for (_, prompt, a) in completions(a)? {
        match of_b.get_mut(&prompt).and_then(VecDeque::pop_front) {
            Some(b) => pairs.push(Pair { prompt, a, b }),
            None => alone += 1,
        }
    }
    alone += of_b.values().map(VecDeque::len).sum::<usize>();
    if pairs.is_empty() {
        return Err(CommandError::input(format!("{} and {}: no prompt in common", a.display(), b.display()))
            .hint("answer the same prompts with both models: helpmate generate --prompts FILE"));
    }
    if alone > 0 {
        eprintln!("{alone} completions have no counterpart and are left out");
    }
    Ok(pairs)
}

/// Line, prompt and completion of each row.
fn completions(path: &Path) -> Result<Vec<(usize, String, String)>, CommandError> {
    let mut rows = Vec::new();
    for row in corpus::values(path)? {
        let (line, row) = row?;
        let prompt = match &row["prompt"] {
            Value::String(text) => Some(text.clone()),
            Value::Array(messages) => messages
                .iter()
                .map(|message| Some(format!("{}: {}", message["role"].as_str()?, message["content"].as_str()?)))
                .collect::<Option<Vec<_>>>()
                .map(|turns| turns.join("\n")),
            _ => None,
        };
        let (Some(prompt), Some(completion)) = (prompt, row["completion"].as_str()) else {
            return Err(CommandError::input(format!(
                "{}:{line}: found {:.60}, expected `prompt` (text or messages) and `completion` (text)",
                path.display(),
                json!(row).to_string()
            )));
        };
        rows.push((line, prompt, completion.to_owned()));
    }
    Ok(rows)
}

fn describe(report: &Report) -> String {
    let Report { duel, judge, .. } = report;
    let with = |value: f64, interval: Option<[f64; 2]>| match interval {
        Some([low, high]) => format!("{value:.4} [{low:.4}, {high:.4}] (n = {})", duel.n),
        None => format!("{value:.4} (n = {}: no interval)", duel.n),
    };
    let optional = |found: Option<(f64, Option<[f64; 2]>)>| {
        found.map_or_else(|| "can't say".to_owned(), |(value, interval)| with(value, interval))
    };
    let [won, lost, other] = duel.strict;
    let [missing, asked] = duel.off_format;
    let lines = [
        ("win rate of b, ties half", with(duel.win_rate, duel.interval)),
        ("at equal lengths", optional(duel.length_controlled)),
        ("won / undecided / lost", format!("{won} / {other} / {lost} (sign test p = {:.3})", duel.sign_p)),
        ("the first place favoured (½: no bias)", optional(duel.first_favoured)),
        ("both orders agree", duel.consistent.map_or_else(|| "can't say".to_owned(), |share| format!("{share:.4}"))),
        ("verdicts that keep to no form", format!("{missing} of {asked}")),
        ("pairs without a verdict", duel.without_verdict.to_string()),
        ("characters, a and b", format!("{:.0} and {:.0}", duel.characters[0], duel.characters[1])),
    ];
    let rows: Vec<Vec<String>> = lines.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    format!(
        "a: {}\nb: {}\njudged by the model {judge}, in both orders; a judge's preference is not a person's\n\n{}",
        report.a.display(),
        report.b.display(),
        table::render(&["measure", "value"], &rows)
    )
}
