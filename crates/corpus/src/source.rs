//! Files to rows.
//!
//! A file's format is found from its rows: the formats claim rows by their fields, exactly one
//! may, and once one has, the rest of the file must be of the same kinds; so a demonstration that
//! lacks its completion isn't taken for a prompt. A caller that knows what it needs says so in
//! [`Options::kinds`], a person who knows better names the format.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use record::{Kind, Row};
use serde::Serialize;
use serde_json::Value;
use stdx::FileError;
use stdx::jsonl::{LineError, LineProblem};

use crate::field::keys;
use crate::format::{FORMATS, Format, find_format};
use crate::raw::{self, Values};
use crate::{RowError, field};

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
                Err(error) => count_bad(&mut bad, error, options)?,
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

/// Counts a bad row where that is wanted and the error is one.
fn count_bad(bad: &mut BTreeMap<String, BadRows>, error: CorpusError, options: &Options) -> Result<(), CorpusError> {
    match error.bad_row() {
        Some((first, reason)) if options.skip_bad => {
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

/// Decides which format a value is of.
struct Interpreter {
    format: Option<&'static dyn Format>,
    /// The kinds to keep; none means any.
    kinds: Vec<Kind>,
    /// The kinds to look for: those to keep, else those of the file's first row.
    expected: Vec<Kind>,
}

impl Interpreter {
    fn new(options: &Options) -> Self {
        Self { format: options.format, kinds: options.kinds.clone(), expected: options.kinds.clone() }
    }

    fn read(&mut self, value: &Value) -> Result<Vec<Row>, RowError> {
        let format = match self.format {
            Some(format) => format,
            None => self.detect(value)?,
        };
        format.read(value)
    }

    fn detect(&mut self, value: &Value) -> Result<&'static dyn Format, RowError> {
        let claims: Vec<_> = FORMATS.iter().filter(|f| f.sniff(value)).collect();
        let fits = |format: &dyn Format| {
            let any = self.expected.is_empty();
            any || format.kinds().iter().any(|kind| self.expected.contains(kind))
        };
        match claims[..] {
            [&format] if fits(format) => {
                if self.expected.is_empty() {
                    self.expected = format.kinds().to_vec();
                }
                Ok(format)
            }
            [&format] => Err(RowError::new(
                "row",
                format!("a {} row ({})", format.name(), format.summary()),
                format!("{} rows", kind_names(&self.expected)),
            )),
            [] => Err(self.unclaimed(value)),
            [..] => Err(RowError::new(
                "row",
                format!("fields of {}", names(claims)),
                "fields of one format, or one named with --format",
            )),
        }
    }

    fn unclaimed(&self, value: &Value) -> RowError {
        let expected = if self.expected.is_empty() {
            let known = names(FORMATS);
            format!("a row of a known format ({known})")
        } else {
            let suitable = FORMATS.iter().filter(|format| {
                let mut kinds = format.kinds().iter();
                kinds.any(|kind| self.expected.contains(kind))
            });
            let rows: Vec<_> =
                suitable.map(|f| format!("{} {}", f.name(), f.summary().split(':').next().unwrap_or(""))).collect();
            format!("a {} row: {}", kind_names(&self.expected), rows.join(" or "))
        };
        match value.as_object() {
            Some(map) if !map.is_empty() => RowError::new("row", format!("the fields {}", keys(map)), expected),
            _ => field::RowError::at("row", Some(value), &expected),
        }
    }
}

fn names<'a>(formats: impl IntoIterator<Item = &'a &'static dyn Format>) -> String {
    let names: Vec<_> = formats.into_iter().map(|format| format.name()).collect();
    names.join(", ")
}

fn kind_names(kinds: &[Kind]) -> String {
    if kinds.is_empty() {
        return "any".to_owned();
    }
    let names: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
    names.join(" or ")
}
