//! `helpmate stats`.

use crate::error::{CommandError, of_file};
use crate::{output, table};
use ::eval::statistic::{Kind, StatisticError};
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::path::PathBuf;

/// Compute agreement, rankings, strengths or win rates of a file
///
/// The file is a JSON object, a list of them, or a line each. Fields: agreement reads `ratings` (a list a labeler, null
/// where one skipped); rankings `ranks_a`, `ranks_b`; bradley-terry `n`, `winner_loser` (pairs), optional `ties`;
/// plackett-luce `n`, `rankings_best_first`; win-rate `wins`, `ties`, `losses`, or `outcomes` (1, 0.5, 0). Others are
/// passed over.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate stats win-rate --data wins.json --json")]
pub struct Stats {
    /// What to compute
    #[arg(value_enum)]
    kind: KindOption,
    /// File of judgements
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Pulls strengths towards 0, so that they are finite where no chain of wins connects two competitors
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    ridge: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindOption {
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
    fn kind(self) -> Kind {
        match self {
            KindOption::Agreement => Kind::Agreement,
            KindOption::Rankings => Kind::Rankings,
            KindOption::BradleyTerry => Kind::BradleyTerry,
            KindOption::PlackettLuce => Kind::PlackettLuce,
            KindOption::WinRate => Kind::WinRate,
        }
    }
}

impl Stats {
    pub fn run(self) -> Result<(), CommandError> {
        let (entries, is_list) = self.read()?;
        let mut results = Vec::new();
        for (idx, entry) in entries.iter().enumerate() {
            let place = if is_list { format!("entry {}: ", idx + 1) } else { String::new() };
            let result = self.kind.kind().compute(entry, self.ridge);
            results.push(result.map_err(|error| {
                let unconnected = matches!(error, StatisticError::Statistics(::statistics::Error::NotConnected { .. }));
                CommandError::input(format!("{}: {place}{error}", self.data.display()))
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

    /// The entries, and whether the file is a list.
    fn read(&self) -> Result<(Vec<Value>, bool), CommandError> {
        let text = std::fs::read_to_string(&self.data).map_err(of_file(&self.data))?;
        let entries = match serde_json::from_str(&text) {
            Ok(Value::Array(entries)) => (entries, true),
            Ok(one) => (vec![one], false),
            // Not one value: a value a line.
            Err(_) => {
                let mut entries = Vec::new();
                for line in stdx::jsonl::Reader::<_, Value>::new(text.as_bytes()) {
                    let (_, entry) =
                        line.map_err(|error| CommandError::input(format!("{}: {error}", self.data.display())))?;
                    entries.push(entry);
                }
                (entries, true)
            }
        };
        if entries.0.is_empty() {
            return Err(CommandError::input(format!("{}: no entries", self.data.display())));
        }
        Ok(entries)
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
