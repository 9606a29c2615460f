//! `helpmate label export`.

use super::{DatabaseArguments, OPERATOR, find, trainer};
use crate::error::CommandError;
use crate::output::Output;
use ::label::{Aggregate, Content, ExportOptions, csv};
use clap::{Args, ValueEnum};
use record::Source;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Write judgements as rows that trainers read
///
/// Every person's ranking is a row of its own, with its source, a pseudonym of the labeler and an `id` that
/// `helpmate trace` follows; `helpmate rm --data` takes the file as it is. Beside the file a manifest says what it is,
/// with counts and hashes. --for writes what another trainer reads.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate label export tone --out rankings.jsonl\n  helpmate label export tone --for trl --out preferences.jsonl"
)]
pub struct Export {
    /// Project
    project: String,
    #[command(flatten)]
    database: DatabaseArguments,
    /// What to export: rankings, preferences, demonstrations, ratings, prompts, reviews or trees; rankings when absent
    /// (with --for: preferences)
    #[arg(long, value_name = "WHAT")]
    content: Option<String>,
    /// One ranking a task instead of one a person: majority, ranked_pairs or bradley_terry
    #[arg(long, value_name = "HOW")]
    aggregate: Option<String>,
    /// How rows are written
    #[arg(long, value_enum, default_value_t = FileFormat::Jsonl)]
    format: FileFormat,
    /// The trainer that reads them
    #[arg(long = "for", value_enum, value_name = "TRAINER", conflicts_with = "format")]
    trainer: Option<trainer::Trainer>,
    /// Only labelers of a group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Only judgements of a source: human or simulated
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Also judgements on gold and qualification items
    #[arg(long)]
    include_gold: bool,
    /// File to write; stdout when absent, without a manifest
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// A JSON object a line
    Jsonl,
    /// A table; cells that look like formulas are made text
    Csv,
    /// Helpful-Harmless transcripts, of preferences that are conversations
    Hh,
}

impl Export {
    pub fn run(self) -> Result<(), CommandError> {
        let store = self.database.open_existing()?;
        let project = find(&store, &self.project)?;
        if self.content.as_deref() == Some("trees") {
            let trees = store.export_trees(OPERATOR, project.id)?;
            return self.write_lines(&trees);
        }
        let (export, rows) = {
            let export = store.export(OPERATOR, project.id, &self.options()?)?;
            let rows = match (self.trainer, self.format) {
                (Some(trainer), _) => trainer.rows(&export.rows)?,
                (None, FileFormat::Hh) => transcripts(&export.rows)?,
                (None, _) => export.rows.clone(),
            };
            (export, rows)
        };
        if rows.is_empty() {
            eprintln!("nothing to export yet");
        }
        for (reason, n) in &export.manifest.left_out {
            eprintln!("{n} judgements left out: {reason}");
        }
        match self.format {
            FileFormat::Csv => self.write(&csv::to_csv(&rows))?,
            _ => self.write_lines(&rows)?,
        }
        let Some(place) = &self.out else { return Ok(()) };
        write_beside(place, "manifest.json", &serde_json::to_value(&export.manifest).map_err(CommandError::input)?)?;
        if let Some(trainer) = self.trainer {
            trainer.describe(place, export.manifest.content)?;
        }
        let manifest = &export.manifest;
        eprintln!(
            "{} rows of {} judgements by {} people written to {}",
            rows.len(),
            manifest.judgements,
            manifest.labelers,
            place.display()
        );
        Ok(())
    }

    fn options(&self) -> Result<ExportOptions, CommandError> {
        let default = match (self.trainer, self.format) {
            (Some(_), _) | (None, FileFormat::Hh) => Content::Preferences,
            (None, _) => Content::Rankings,
        };
        let content: Option<Content> =
            self.content.as_deref().map(str::parse).transpose().map_err(|error: ::label::LabelError| {
                CommandError::usage(error).hint("trees are Open-Assistant's, of conversations")
            })?;
        let content = content.unwrap_or(default);
        if let Some(trainer) = self.trainer.filter(|trainer| !trainer.reads(content)) {
            let message = format!("--for {trainer:?}: it reads no {}", content.as_str()).to_lowercase();
            return Err(CommandError::usage(message).hint("preferences, demonstrations or prompts; trl also reviews"));
        }
        let aggregate: Option<Aggregate> =
            self.aggregate.as_deref().map(str::parse).transpose().map_err(CommandError::usage)?;
        let source = self.source.as_deref().map(|name| {
            let known = [Source::Human, Source::Simulated, Source::Model, Source::Rule];
            let found = known.into_iter().find(|source| source.as_str() == name);
            found.ok_or_else(|| CommandError::usage(format!("--source {name}: expected human or simulated")))
        });
        Ok(ExportOptions {
            aggregate,
            include_gold: self.include_gold,
            source: source.transpose()?,
            group: self.group.clone(),
            ..ExportOptions::of(content)
        })
    }

    fn write_lines(&self, rows: &[Value]) -> Result<(), CommandError> {
        let mut out = Output::open(self.out.as_deref())?;
        rows.iter().try_for_each(|row| out.row(row))?;
        out.finish()
    }

    fn write(&self, text: &str) -> Result<(), CommandError> {
        let mut out = Output::open(self.out.as_deref())?;
        out.text(text)?;
        out.finish()
    }
}

/// `rankings.jsonl` has `rankings.jsonl.manifest.json` beside it.
fn write_beside(place: &Path, suffix: &str, value: &Value) -> Result<(), CommandError> {
    let mut name = place.as_os_str().to_owned();
    name.push(format!(".{suffix}"));
    let mut out = Output::open(Some(Path::new(&name)))?;
    out.text(&serde_json::to_string_pretty(value).map_err(CommandError::input)?)?;
    out.text("\n")?;
    out.finish()
}

/// Preferences as Helpful-Harmless transcripts; plain prompts become the human's turn.
fn transcripts(rows: &[Value]) -> Result<Vec<Value>, CommandError> {
    let unknown = || CommandError::usage("format hh").hint("`--content preferences` is what it can say");
    let preference = corpus::find_format("preference").ok_or_else(unknown)?;
    let target = corpus::find_format("hh").ok_or_else(unknown)?;
    let mut found = Vec::new();
    let mut left_out = 0;
    for row in rows {
        let mut row = trainer::as_conversation(row);
        // In a transcript the space around a turn isn't part of it.
        for side in ["chosen", "rejected"] {
            if let Some(text) = row[side].as_str().map(|text| text.trim().to_owned()) {
                row[side] = text.into();
            }
        }
        let read = preference.read(&row).map_err(CommandError::input)?;
        let written: Option<Vec<Value>> = read.iter().map(|row| target.write(row)).collect();
        match written {
            Some(written) => found.extend(written),
            None => left_out += 1,
        }
    }
    if left_out > 0 {
        eprintln!(
            "{left_out} rows can't be said as transcripts (empty answers, system turns, marks inside) and are left out"
        );
    }
    Ok(found)
}
