//! Rows of judgements from files.

use crate::error::CommandError;
use ::label::{LabelError, Statements};
use record::Source;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where rows stand: a file and a line for each, by their number from 1.
struct Places<'a>(Vec<(&'a Path, usize)>);

impl Places<'_> {
    /// An error about row N says which file and line that is.
    fn locate(&self, error: LabelError) -> CommandError {
        let LabelError::Invalid { field, found, expected } = &error else { return CommandError::from(error) };
        let place = field.strip_prefix("row ").and_then(|rest| rest.split_once(": "));
        let place =
            place.and_then(|(row, field)| Some((self.0.get(row.parse::<usize>().ok()?.checked_sub(1)?)?, field)));
        match place {
            Some(((path, line), field)) => {
                CommandError::input(format!("{}:{line}: {field}: found {found}, expected {expected}", path.display()))
            }
            None => CommandError::from(error),
        }
    }
}

/// Reads files as judgements and does something with them; errors about rows name file and line.
pub fn with_statements<T>(
    files: &[PathBuf],
    work: impl FnOnce(Statements) -> Result<T, LabelError>,
) -> Result<T, CommandError> {
    let (mut rows, mut places) = (Vec::<Value>::new(), Places(Vec::new()));
    for path in files {
        for row in corpus::values(path)? {
            let (line, row) = row?;
            rows.push(row);
            places.0.push((path, line));
        }
    }
    let numbered = rows.iter().enumerate().map(|(i, row)| (i + 1, row));
    let statements = Statements::read(numbered).map_err(|error| places.locate(error))?;
    for (reason, n) in &statements.left_out {
        eprintln!("{n} rows left out: {reason}");
    }
    if statements.all.is_empty() {
        let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        return Err(CommandError::input(format!("{}: no judgement of one person in it", names.join(", ")))
            .hint("rows as `label export` writes them: a prompt, answers with ranks or fields, and a labeler"));
    }
    work(statements).map_err(|error| places.locate(error))
}

/// What an option says made judgements.
pub fn source(option: &str, name: &str) -> Result<Source, CommandError> {
    let known = [Source::Human, Source::Simulated, Source::Model, Source::Rule];
    known
        .into_iter()
        .find(|source| source.as_str() == name)
        .ok_or_else(|| CommandError::usage(format!("{option} {name}: expected human, simulated, model or rule")))
}
