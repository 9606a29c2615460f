//! `helpmate stats`.

use crate::agreement::{self, Report};
use crate::error::{CommandError, of_file};
use crate::statements::{source, with_statements};
use crate::{output, table};
use ::eval::statistic::{Kind, StatisticError};
use ::label::{AgreementOptions, AgreementReport, Settings, Statement};
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Compute agreement, rankings, strengths or win rates of files
///
/// `judgements` reads rows as `label export` writes them (rankings, ratings, demonstrations, reviews, with who said it) and
/// prints what `label agreement` prints. The other kinds read a JSON object, a list of them, or a line each. Fields:
/// agreement reads `ratings` (a list a labeler, null where one skipped); rankings `ranks_a`, `ranks_b`; both take `prompts`
/// (of each rated thing), over which intervals are; bradley-terry `n`, `winner_loser` (pairs), optional `ties`;
/// plackett-luce `n`, `rankings_best_first`; win-rate `wins`, `ties`, `losses`, or `outcomes` (1, 0.5, 0). Others are
/// passed over.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate stats win-rate --data wins.json --json\n  helpmate stats judgements --data rankings.jsonl ratings.jsonl --gold known.jsonl"
)]
pub struct Stats {
    /// What to compute
    #[arg(value_enum)]
    kind: KindOption,
    /// Files of judgements; one, except for judgements
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    data: Vec<PathBuf>,
    /// Pulls strengths towards 0, so that they are finite where no chain of wins connects two competitors
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    ridge: f64,
    #[command(flatten)]
    judgements: JudgementArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What only rows of judgements have.
#[derive(Args)]
struct JudgementArguments {
    /// Rows with known answers, to compare everybody's with (judgements)
    #[arg(long, value_name = "FILE")]
    gold: Option<PathBuf>,
    /// A project's settings as TOML: its questions and cut-offs; found from the rows when absent (judgements)
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Only judgements of a source: human, simulated, model or rule (judgements)
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Only labelers of a group (judgements)
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Resamples of each interval; 1000 when absent (judgements)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    resamples: Option<u32>,
    /// Seed of the resampling; 0 when absent (judgements)
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindOption {
    /// All of labeling's statistics, of rows that say who judged what
    Judgements,
    /// Krippendorff's α, Fleiss' and Cohen's κ
    Agreement,
    /// Kendall's τ-b, Spearman's ρ and pairwise agreement of two rankings
    #[value(alias = "rank_agreement", alias = "rank-agreement")]
    Rankings,
    /// Strengths from who beat whom
    #[value(alias = "bradley_terry")]
    BradleyTerry,
    /// Strengths from rankings
    #[value(alias = "plackett_luce")]
    PlackettLuce,
    /// Win rates with ties
    #[value(alias = "win_rate", alias = "win-rates")]
    WinRate,
}

impl KindOption {
    /// What computes it; nothing for rows of judgements.
    fn kind(self) -> Option<Kind> {
        match self {
            KindOption::Judgements => None,
            KindOption::Agreement => Some(Kind::Agreement),
            KindOption::Rankings => Some(Kind::Rankings),
            KindOption::BradleyTerry => Some(Kind::BradleyTerry),
            KindOption::PlackettLuce => Some(Kind::PlackettLuce),
            KindOption::WinRate => Some(Kind::WinRate),
        }
    }
}

impl Stats {
    pub fn run(self) -> Result<(), CommandError> {
        let Some(kind) = self.kind.kind() else { return self.judgements.report(&self.data, self.json) };
        self.judgements.refuse()?;
        let [data] = self.data.as_slice() else {
            return Err(
                CommandError::usage("--data: this kind reads one file").hint("`stats judgements` reads several")
            );
        };
        let (entries, is_list) = read(data)?;
        let mut results = Vec::new();
        for (idx, entry) in entries.iter().enumerate() {
            let place = if is_list { format!("entry {}: ", idx + 1) } else { String::new() };
            let result = kind.compute(entry, self.ridge);
            results.push(result.map_err(|error| {
                let unconnected = matches!(error, StatisticError::Statistics(::statistics::Error::NotConnected { .. }));
                CommandError::input(format!("{}: {place}{error}", data.display()))
                    .maybe_hint(unconnected.then(|| "--ridge 0.1 holds strengths finite, and says so".to_owned()))
            })?);
        }
        if !is_list && let Some(only) = results.first() {
            return output::report(only, self.json, describe);
        }
        output::report(&results, self.json, |results| {
            let parts =
                results.iter().enumerate().map(|(idx, result)| format!("entry {}\n{}", idx + 1, describe(result)));
            parts.collect::<Vec<_>>().join("\n")
        })
    }
}

/// The entries, and whether the file is a list.
fn read(data: &Path) -> Result<(Vec<Value>, bool), CommandError> {
    let text = std::fs::read_to_string(data).map_err(of_file(data))?;
    let entries = match serde_json::from_str(&text) {
        Ok(Value::Array(entries)) => (entries, true),
        Ok(one) => (vec![one], false),
        // Not one value: a value a line.
        Err(_) => {
            let mut entries = Vec::new();
            for line in stdx::jsonl::Reader::<_, Value>::new(text.as_bytes()) {
                let (_, entry) = line.map_err(|error| CommandError::input(format!("{}: {error}", data.display())))?;
                entries.push(entry);
            }
            (entries, true)
        }
    };
    if entries.0.is_empty() {
        return Err(CommandError::input(format!("{}: no entries", data.display())));
    }
    Ok(entries)
}

impl JudgementArguments {
    /// An option that would do nothing is refused.
    fn refuse(&self) -> Result<(), CommandError> {
        let given = [
            ("--gold", self.gold.is_some()),
            ("--settings", self.settings.is_some()),
            ("--source", self.source.is_some()),
            ("--group", self.group.is_some()),
            ("--resamples", self.resamples.is_some()),
            ("--seed", self.seed.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => Err(CommandError::usage(format!("{name}: only `stats judgements` takes it"))),
            None => Ok(()),
        }
    }

    fn report(&self, data: &[PathBuf], json: bool) -> Result<(), CommandError> {
        let mut all = with_statements(data, |read| Ok(read.all))?;
        if let Some(gold) = &self.gold {
            // Known answers among the rows give way to those that are named.
            all.retain(|statement| !statement.known);
            let known = with_statements(std::slice::from_ref(gold), |read| Ok(read.all))?;
            all.extend(known.into_iter().map(|statement| Statement { known: true, ..statement }));
        }
        if let Some(name) = &self.source {
            let source = source("--source", name)?;
            all.retain(|statement| statement.known || statement.source == Some(source));
        }
        let settings = match &self.settings {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(of_file(path))?;
                let wrong = |error| CommandError::input(format!("{}: {error}", path.display()));
                Some(Settings::from_toml(&text).map_err(wrong)?)
            }
            None => None,
        };
        let default = AgreementOptions::default();
        let options = AgreementOptions {
            resamples: self.resamples.map_or(default.resamples, |n| n as usize),
            seed: self.seed.unwrap_or(default.seed),
            group: self.group.clone(),
            ..default
        };
        let names: Vec<String> = data.iter().map(|path| path.display().to_string()).collect();
        let (agreement, labelers) = AgreementReport::of_rows(&all, settings.as_ref(), &names.join(", "), &options);
        output::report(&Report { agreement, labelers }, json, agreement::describe)
    }
}

/// A line a number; lists and objects are written out by place and name.
fn describe(result: &Value) -> String {
    let mut rows = Vec::new();
    flatten("", result, &mut rows);
    table::render(&["statistic", "value"], &rows)
}

fn flatten(name: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                flatten(&if name.is_empty() { key.clone() } else { format!("{name}.{key}") }, value, rows);
            }
        }
        // An interval is one value.
        Value::Array(list) if !name.contains("95") || list.iter().any(Value::is_array) => {
            for (idx, value) in list.iter().enumerate() {
                flatten(&format!("{name}[{idx}]"), value, rows);
            }
        }
        Value::Array(list) => {
            let ends: Vec<String> = list.iter().map(number).collect();
            rows.push(vec![name.to_owned(), format!("[{}]", ends.join(", "))]);
        }
        Value::Null => rows.push(vec![name.to_owned(), "can't say".to_owned()]),
        leaf => rows.push(vec![name.to_owned(), number(leaf)]),
    }
}

fn number(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if !value.is_u64() => format!("{number:.6}"),
        _ => value.to_string(),
    }
}
