//! `helpmate label export`.

use super::{DatabaseArguments, OPERATOR, find};
use crate::error::{CommandError, of_file};
use crate::output::Output;
use crate::statements;
use ::label::{Aggregate, Content, ExportOptions};
use ::serve::label::file::{FileError, FileKind};
use ::serve::label::trainer::Trainer;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
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
    trainer: Option<TrainerOption>,
    /// Only labelers of a group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Only judgements of a source: human, simulated, model or rule
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Also judgements on gold and qualification items, and the known answers
    #[arg(long)]
    include_gold: bool,
    /// File to write; stdout when absent, without a manifest
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    /// A JSON object a line
    Jsonl,
    /// A table; cells that look like formulas are made text
    Csv,
    /// A typed table, with nested columns; to a file only
    Parquet,
    /// Helpful-Harmless transcripts, of preferences that are conversations
    Hh,
}

/// Another trainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TrainerOption {
    /// Hugging Face TRL
    Trl,
    /// OpenRLHF
    Openrlhf,
    /// LLaMA-Factory
    Llamafactory,
}

impl Export {
    pub fn run(self) -> Result<(), CommandError> {
        let store = self.database.open_existing()?;
        let project = find(&store, &self.project)?;
        if self.content.as_deref() == Some("trees") {
            let trees = store.export_trees(OPERATOR, project.id)?;
            return self.write_lines(&trees);
        }
        let kind = self.kind();
        let options = self.options(kind)?;
        if kind == FileKind::Parquet && self.out.is_none() {
            return Err(CommandError::usage("--format parquet: a table isn't written to stdout").hint("--out FILE"));
        }
        let export = store.export(OPERATOR, project.id, &options)?;
        if export.rows.is_empty() {
            eprintln!("nothing to export yet");
        }
        for (reason, n) in &export.manifest.left_out {
            eprintln!("{n} judgements left out: {reason}");
        }
        let file = kind.write(&export).map_err(CommandError::input)?;
        if file.left_out > 0 {
            eprintln!(
                "{} rows can't be said as transcripts (empty answers, system turns, marks inside) and are left out",
                file.left_out
            );
        }
        let mut out = Output::open(self.out.as_deref())?;
        out.bytes(&file.bytes)?;
        out.finish()?;
        let Some(place) = &self.out else { return Ok(()) };
        write_beside(place, "manifest.json", &serde_json::to_value(&export.manifest).map_err(CommandError::input)?)?;
        if let FileKind::For(trainer) = kind {
            describe(trainer, place, export.manifest.content)?;
        }
        let manifest = &export.manifest;
        eprintln!(
            "{} rows of {} judgements by {} people written to {}",
            file.rows,
            manifest.judgements,
            manifest.labelers,
            place.display()
        );
        Ok(())
    }

    fn kind(&self) -> FileKind {
        match (self.trainer, self.format) {
            (Some(TrainerOption::Trl), _) => FileKind::For(Trainer::Trl),
            (Some(TrainerOption::Openrlhf), _) => FileKind::For(Trainer::Openrlhf),
            (Some(TrainerOption::Llamafactory), _) => FileKind::For(Trainer::Llamafactory),
            (None, FileFormat::Jsonl) => FileKind::Jsonl,
            (None, FileFormat::Csv) => FileKind::Csv,
            (None, FileFormat::Parquet) => FileKind::Parquet,
            (None, FileFormat::Hh) => FileKind::Hh,
        }
    }

    fn options(&self, kind: FileKind) -> Result<ExportOptions, CommandError> {
        let default = match kind {
            FileKind::For(_) | FileKind::Hh => Content::Preferences,
            _ => Content::Rankings,
        };
        let content: Option<Content> =
            self.content.as_deref().map(str::parse).transpose().map_err(|error: ::label::LabelError| {
                CommandError::usage(error).hint("trees are Open-Assistant's, of conversations")
            })?;
        let content = content.unwrap_or(default);
        kind.check(content).map_err(|error| match error {
            FileError::Content { .. } => CommandError::usage(format!("--format {error}")),
            other => CommandError::usage(format!("--for {other}")),
        })?;
        let aggregate: Option<Aggregate> =
            self.aggregate.as_deref().map(str::parse).transpose().map_err(CommandError::usage)?;
        let source = self.source.as_deref().map(|name| statements::source("--source", name));
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

/// What has to stand beside the file, or be said to the trainer.
fn describe(trainer: Trainer, place: &Path, content: Content) -> Result<(), CommandError> {
    if trainer == Trainer::Openrlhf {
        eprintln!(
            "openrlhf: --apply_chat_template, with --chosen_key chosen --rejected_key rejected or --input_key input --output_key output"
        );
    }
    let file = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some((name, entry)) = trainer.dataset_info(&file, content) else { return Ok(()) };
    let info = place.with_file_name("dataset_info.json");
    let mut all: Map<String, Value> = match std::fs::read_to_string(&info) {
        Ok(text) => {
            serde_json::from_str(&text).map_err(|error| CommandError::input(format!("{}: {error}", info.display())))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(of_file(&info)(error)),
    };
    all.insert(name.clone(), entry);
    let text = serde_json::to_string_pretty(&all).map_err(CommandError::input)?;
    stdx::write_file(&info, text.as_bytes())?;
    eprintln!("llamafactory: dataset {name} in {}", info.display());
    Ok(())
}
