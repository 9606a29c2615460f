//! Which format a row is of.
//!
//! The formats claim a row by its fields, and exactly one may. Once one has, the rest of the file
//! must be of the same kinds, so that a demonstration that lacks its completion isn't taken for a
//! prompt.

use record::{Kind, Row};
use serde_json::Value;

use crate::RowError;
use crate::field::keys;
use crate::format::{FORMATS, Format};
use crate::source::Options;

/// Decides which format a value is of.
pub(crate) struct Interpreter {
    format: Option<&'static dyn Format>,
    /// The kinds to keep; none means any.
    pub(crate) kinds: Vec<Kind>,
    /// The kinds to look for: those to keep, else those of the file's first row.
    expected: Vec<Kind>,
}

impl Interpreter {
    pub(crate) fn new(options: &Options) -> Self {
        Self { format: options.format, kinds: options.kinds.clone(), expected: options.kinds.clone() }
    }

    /// The rows in a value.
    pub(crate) fn read(&mut self, value: &Value) -> Result<Vec<Row>, RowError> {
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
            _ => RowError::at("row", Some(value), &expected),
        }
    }
}

/// The formats' names, for messages.
pub(crate) fn names<'a>(formats: impl IntoIterator<Item = &'a &'static dyn Format>) -> String {
    let names: Vec<_> = formats.into_iter().map(|format| format.name()).collect();
    names.join(", ")
}

/// The kinds' names, for messages.
pub(crate) fn kind_names(kinds: &[Kind]) -> String {
    if kinds.is_empty() {
        return "any".to_owned();
    }
    let names: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
    names.join(" or ")
}
