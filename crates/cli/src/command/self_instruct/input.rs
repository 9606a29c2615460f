//! Rows of Self-Instruct's own files, which are no records yet.

use crate::error::CommandError;
use clap::ValueEnum;
use instruct::recipe::Recipe;
use serde_json::Value;
use std::path::Path;

/// A recipe, as options name it.
#[derive(Clone, Copy, ValueEnum)]
pub enum RecipeOption {
    /// Self-Instruct as published
    Paper,
    /// Stanford Alpaca's simplification
    Alpaca,
}

impl From<RecipeOption> for Recipe {
    fn from(option: RecipeOption) -> Recipe {
        match option {
            RecipeOption::Paper => Recipe::Paper,
            RecipeOption::Alpaca => Recipe::Alpaca,
        }
    }
}

/// How text becomes words for ROUGE.
pub fn words(unicode: bool) -> text::token::Words {
    if unicode { text::token::Words::Unicode } else { text::token::Words::Ascii }
}

/// A file's rows with their lines; an empty file is an error.
pub fn rows(path: &Path) -> Result<Vec<(usize, Value)>, CommandError> {
    let rows = corpus::values(path)?.collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Err(CommandError::input(format!("{}: no rows, expected at least one", path.display())));
    }
    Ok(rows)
}

/// The text of a row: the row itself where it is a string, else the first of the fields that is there.
pub fn text<'a>(path: &Path, (line, row): &'a (usize, Value), fields: &[&str]) -> Result<&'a str, CommandError> {
    let found = match row {
        Value::Object(_) => fields.iter().find_map(|field| row.get(*field)),
        other => Some(other),
    };
    match found {
        Some(Value::String(text)) => Ok(text),
        other => {
            let found = other.map_or("none of them".to_owned(), |value| beginning(&value.to_string()));
            let fields = fields.join("` or `");
            Err(CommandError::input(format!(
                "{}:{line}: found {found}, expected a string, or an object with a string in `{fields}`",
                path.display()
            )))
        }
    }
}

fn beginning(text: &str) -> String {
    if text.chars().count() > 60 { text.chars().take(60).chain(['…']).collect() } else { text.to_owned() }
}
