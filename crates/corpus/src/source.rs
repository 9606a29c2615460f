//! Files to rows.
//!
//! A file's format is found from its rows. A caller that knows what it needs says so in
//! [`Options::kinds`], a person who knows better names the format.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use record::{Kind, Row};
use serde::Serialize;
use stdx::FileError;
use stdx::jsonl::{LineError, LineProblem};

use crate::RowError;
use crate::detect::{Interpreter, kind_names, names};
use crate::format::{FORMATS, Format, find_format};
use crate::raw::{self, Values};

/// Everything in some files.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// The rows, in the order of the files.
    pub rows: Vec<(Row, Origin)>,
    /// Rows that were skipped, by reason, the most frequent first; empty unless [`Options::skip_bad`].
    pub bad: Vec<BadRows>,
    /// Rows that were read but aren't of [`Options::kinds`] (a tree's rankings, say, where only
    /// its demonstrations are wanted).
    pub left_out: usize,
    /// What was read.
    pub files: Vec<SourceFile>,
}

impl Dataset {
    /// The rows alone.
    pub fn into_rows(self) -> Vec<Row> {
        self.rows.into_iter().map(|(row, _)| row).collect()
    }

    /// How many rows were skipped.
    pub fn bad_count(&self) -> usize {
        self.bad.iter().map(|bad| bad.count).sum()
    }
}

/// A file that was read, for the lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceFile {
    /// Where it was.
    pub path: PathBuf,
    /// BLAKE3 of its bytes as stored.
    pub blake3: String,
    /// Rows taken from it.
    pub rows: usize,
}

/// Rows that were skipped for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRows {
    /// What is wrong with them.
    pub reason: String,
    /// How many.
    pub count: usize,
    /// The first of them.
    pub first: Origin,
}

impl fmt::Display for BadRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, count, first } = self;
        write!(f, "{count} skipped: {reason} (first: {first})")
    }
}

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The format of every row, whatever it looks like.
    pub format: Option<&'static dyn Format>,
    /// The kinds to keep, and to look for; none means any.
    pub kinds: Vec<Kind>,
    /// Count bad rows by reason instead of stopping at the first.
    pub skip_bad: bool,
}

impl Options {
    /// Looks for rows of these kinds.
    pub fn of_kinds(kinds: &[Kind]) -> Self {
        Self { kinds: kinds.to_vec(), ..Self::default() }
    }

    /// Sets the format by name.
    pub fn with_format(mut self, name: &str) -> Result<Self, CorpusError> {
        self.format = Some(find_format(name).ok_or_else(|| {
            let name = name.to_owned();
            CorpusError::UnknownFormat { name }
        })?);
        Ok(self)
    }
}

/// Where a row came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The file.
    pub file: Arc<Path>,
    /// The line, or in a file that isn't of lines the position, from 1.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Why data can't be read.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The system refused, or a compressed file is broken.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line isn't JSON.
    #[error("{}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line and what is wrong with it.
        source: LineError,
    },
    /// A value isn't a row.
    #[error("{origin}: {source}")]
    Row {
        /// File and line.
        origin: Origin,
        /// Field, found and expected.
        source: RowError,
    },
    /// A file that is read as a whole is broken.
    #[error("{}: {problem}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The name doesn't say what the file holds.
    #[error(
        "{}: unknown extension, expected .jsonl, .json, .txt (each also with .gz or .zst) or .parquet",
        path.display()
    )]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in the file.
    #[error("{}: no rows, expected at least one", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Every row was skipped, or none is of the kinds wanted.
    #[error(
        "{}: found no row of the kinds wanted ({wanted}); {skipped} skipped{first}",
        path.display()
    )]
    NoneLeft {
        /// The first file.
        path: PathBuf,
        /// The kinds.
        wanted: String,
        /// How many bad rows.
        skipped: usize,
        /// What was wrong with the first of them.
        first: String,
    },
    /// There is no such format.
    #[error("unknown format {name:?}, expected one of {}", names(FORMATS))]
    UnknownFormat {
        /// What was asked for.
        name: String,
    },
}

impl CorpusError {
    /// Where and why, if it is about one row and the rows after it can be read.
    fn bad_row(&self) -> Option<(Origin, String)> {
        match self {
            Self::Row { origin, source } => Some((origin.clone(), source.reason())),
            Self::Line { path, source } => {
                let reason = match &source.problem {
                    LineProblem::Utf8 { .. } => "invalid UTF-8".to_owned(),
                    LineProblem::Json(_) => "invalid JSON".to_owned(),
                    long @ LineProblem::TooLong { .. } => long.to_string(),
                    LineProblem::Io(_) => return None,
                };
                let (file, line) = (Arc::from(path.as_path()), source.line);
                Some((Origin { file, line }, reason))
            }
            _ => None,
        }
    }
}

/// Reads files whole.
///
/// An error is the first bad row's, unless they are skipped; a file without rows, and files in
/// which no row is good, are errors either way.
pub fn read_rows<P: AsRef<Path>>(paths: &[P], options: &Options) -> Result<Dataset, CorpusError> {
    let mut dataset = Dataset::default();
    let mut bad = BTreeMap::new();
    for path in paths {
        let path = path.as_ref();
        let before = dataset.rows.len();
        let mut rows = Rows::open(path, options)?;
        for row in &mut rows {
            match row {
                Ok(row) => dataset.rows.push(row),
                Err(error) => count_bad(&mut bad, error, options.skip_bad)?,
            }
        }
        dataset.left_out += rows.left_out;
        dataset.files.push(SourceFile {
            path: path.to_path_buf(),
            blake3: stdx::hash::file(path)?,
            rows: dataset.rows.len() - before,
        });
    }
    dataset.bad = bad.into_values().collect();
    dataset.bad.sort_by_key(|bad| std::cmp::Reverse(bad.count));
    match (dataset.rows.is_empty(), dataset.files.first()) {
        (true, Some(file)) => Err(CorpusError::NoneLeft {
            path: file.path.clone(),
            wanted: kind_names(&options.kinds),
            skipped: dataset.bad_count(),
            first: dataset
                .bad
                .first()
                .map_or_else(String::new, |bad| format!(", the first at {}: {}", bad.first, bad.reason)),
        }),
        _ => Ok(dataset),
    }
}

/// Counts a bad row by its reason where that is wanted (`skip_bad`) and the error is about one row; any other error is
/// given back.
pub fn count_bad(bad: &mut BTreeMap<String, BadRows>, error: CorpusError, skip_bad: bool) -> Result<(), CorpusError> {
    match error.bad_row() {
        Some((first, reason)) if skip_bad => {
            let entry = bad.entry(reason.clone()).or_insert(BadRows { reason, count: 0, first });
            entry.count += 1;
            Ok(())
        }
        _ => Err(error),
    }
}

/// The rows of one file as a stream. After an error about one row the next can be read.
pub struct Rows {
    path: Arc<Path>,
    values: Values,
    interpreter: Interpreter,
    /// Rows of the last value that haven't been handed out.
    waiting: VecDeque<(Row, Origin)>,
    empty: bool,
    /// Rows read so far that aren't of the kinds wanted.
    pub left_out: usize,
}

impl Rows {
    /// Opens a file.
    pub fn open(path: &Path, options: &Options) -> Result<Self, CorpusError> {
        Ok(Self {
            path: Arc::from(path),
            values: raw::values(path)?,
            interpreter: Interpreter::new(options),
            waiting: VecDeque::new(),
            empty: true,
            left_out: 0,
        })
    }
}

impl Iterator for Rows {
    type Item = Result<(Row, Origin), CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.waiting.pop_front() {
                return Some(Ok(row));
            }
            let value = self.values.next();
            let was_empty = std::mem::replace(&mut self.empty, false);
            let (line, value) = match value {
                Some(Ok(found)) => found,
                Some(Err(error)) => return Some(Err(error)),
                None if was_empty => {
                    let path = self.path.to_path_buf();
                    return Some(Err(CorpusError::Empty { path }));
                }
                None => return None,
            };
            let file = Arc::clone(&self.path);
            let origin = Origin { file, line };
            match self.interpreter.read(&value) {
                Ok(rows) => {
                    let kinds = &self.interpreter.kinds;
                    for row in rows {
                        if kinds.is_empty() || kinds.contains(&row.record.kind()) {
                            self.waiting.push_back((row, origin.clone()));
                        } else {
                            self.left_out += 1;
                        }
                    }
                }
                Err(source) => return Some(Err(CorpusError::Row { origin, source })),
            }
        }
    }
}
