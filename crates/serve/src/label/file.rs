//! What leaves as a file: rows as they are, as a table, as transcripts, or as another trainer reads them.

use super::trainer::{Trainer, TrainerError};
use label::{Content, Export};
use serde_json::Value;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A JSON object a line.
    Jsonl,
    /// A table of text; cells that look like formulas are made text.
    Csv,
    /// A typed table.
    Parquet,
    /// Helpful-Harmless transcripts, of preferences that are conversations.
    Hh,
    /// What another trainer reads.
    For(Trainer),
}

/// A file that isn't written yet.
#[derive(Debug)]
pub struct File {
    /// What stands in it.
    pub bytes: Vec<u8>,
    /// Rows in it.
    pub rows: usize,
    /// Rows that its kind can't say.
    pub left_out: usize,
}

/// Why an export can't be written so.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A trainer has no shape for it.
    #[error(transparent)]
    Trainer(#[from] TrainerError),
    /// The kind of file holds something else.
    #[error("{kind}: found {found}, expected preferences")]
    Content {
        /// The kind of file.
        kind: &'static str,
        /// What was exported.
        found: &'static str,
    },
    /// The rows make no table.
    #[error("parquet: {0}")]
    Table(String),
    /// A row isn't what its format says.
    #[error("{0}")]
    Row(String),
}

impl FileKind {
    /// All of them.
    pub const ALL: [FileKind; 7] = [
        FileKind::Jsonl,
        FileKind::Csv,
        FileKind::Parquet,
        FileKind::Hh,
        FileKind::For(Trainer::Trl),
        FileKind::For(Trainer::Openrlhf),
        FileKind::For(Trainer::Llamafactory),
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Hh => "hh",
            Self::For(trainer) => trainer.as_str(),
        }
    }

    /// What a file's name ends in.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            _ => "jsonl",
        }
    }

    /// Its type on the web.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
            _ => "application/jsonl; charset=utf-8",
        }
    }

    /// Refuses what it can't hold.
    pub fn check(self, content: Content) -> Result<(), FileError> {
        match self {
            Self::Hh if content != Content::Preferences => {
                Err(FileError::Content { kind: "hh", found: content.as_str() })
            }
            Self::For(trainer) => Ok(trainer.check(content)?),
            _ => Ok(()),
        }
    }

    /// The file of an export.
    pub fn write(self, export: &Export) -> Result<File, FileError> {
        self.check(export.manifest.content)?;
        let (rows, left_out) = match self {
            Self::For(trainer) => (trainer.rows(&export.rows)?, 0),
            Self::Hh => transcripts(&export.rows)?,
            _ => (export.rows.clone(), 0),
        };
        let bytes = match self {
            Self::Csv => label::csv::to_csv(&rows).into_bytes(),
            Self::Parquet => corpus::table::bytes(&rows).map_err(FileError::Table)?,
            _ => rows.iter().map(|row| format!("{row}\n")).collect::<String>().into_bytes(),
        };
        Ok(File { bytes, rows: rows.len(), left_out })
    }
}

/// Preferences as Helpful-Harmless transcripts, and how many can't be said so (empty answers, system turns, marks
/// inside); plain prompts become the human's turn.
fn transcripts(rows: &[Value]) -> Result<(Vec<Value>, usize), FileError> {
    let formats = corpus::find_format("preference").zip(corpus::find_format("hh"));
    let (preference, target) = formats.ok_or_else(|| FileError::Row("format hh: unknown".to_owned()))?;
    let mut found = Vec::new();
    let mut left_out = 0;
    for row in rows {
        let mut row = super::trainer::as_conversation(row);
        // In a transcript the space around a turn isn't part of it.
        for side in ["chosen", "rejected"] {
            if let Some(text) = row[side].as_str().map(|text| text.trim().to_owned()) {
                row[side] = text.into();
            }
        }
        let read = preference.read(&row).map_err(|error| FileError::Row(error.to_string()))?;
        let written: Option<Vec<Value>> = read.iter().map(|row| target.write(row)).collect();
        match written {
            Some(written) => found.extend(written),
            None => left_out += 1,
        }
    }
    Ok((found, left_out))
}
