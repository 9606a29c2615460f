//! A datasheet of sources: which files a corpus is made of, what their owners say about them, and what became of them.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stdx::FileError;

use super::Report;

/// What is said about files, as a TOML file has it: `[[source]]` tables.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    #[serde(default)]
    source: Vec<Source>,
}

/// What is said about a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The file: its name, or the end of its path.
    file: PathBuf,
    /// What it is.
    title: String,
    /// Who made it, and when.
    made_by: Option<String>,
    /// How it was collected.
    collected: Option<String>,
    /// Under which terms it may be used.
    licence: Option<String>,
    /// Where it can be had.
    from: Option<String>,
    /// What one must know to use it.
    note: Option<String>,
}

/// Why what is said about files can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// It isn't what it should be.
    #[error("{}:{line}: {problem}; expected [[source]] tables with file, title, made_by, collected, licence, from, note", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

/// A file of a corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CorpusFile {
    /// Where it was.
    pub path: PathBuf,
    /// BLAKE3 of its bytes as stored.
    pub blake3: String,
    /// Rows that could be read.
    pub rows: usize,
    /// Rows that stayed.
    pub kept: usize,
    /// Rows that couldn't be read.
    pub broken: usize,
}

impl Sources {
    /// Reads a file.
    ///
    /// # Errors
    /// It can't be read, or isn't a list of sources.
    pub fn open(path: &Path) -> Result<Sources, SourcesError> {
        let text = std::fs::read_to_string(path).map_err(FileError::at(path, "read"))?;
        toml::from_str(&text).map_err(|error| SourcesError::Malformed {
            path: path.to_path_buf(),
            line: error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1),
            problem: error.message().to_owned(),
        })
    }

    /// What is said about a file.
    pub fn of(&self, path: &Path) -> Option<&Source> {
        self.source.iter().find(|source| path.ends_with(&source.file))
    }
}

/// The datasheet as Markdown.
pub fn datasheet(files: &[CorpusFile], report: &Report, sources: &Sources) -> String {
    let mut text = String::from("# Datasheet\n");
    for file in files {
        let _ = write!(text, "\n## {}\n\n", line(&file.path.display().to_string()));
        match sources.of(&file.path) {
            Some(source) => describe(&mut text, source),
            None => text.push_str("Nothing is said about where it comes from.\n"),
        }
        let CorpusFile { rows, kept, broken, blake3, .. } = file;
        let _ = write!(text, "\n{rows} rows, {kept} of them kept; {broken} broken. BLAKE3 `{blake3}`.\n");
    }
    let tables = [
        ("Who wrote the rows that stayed", &report.sources),
        ("Languages of all rows", &report.languages),
        ("Use-cases of the rows that stayed", &report.use_cases),
        ("Why rows went", &report.dropped),
        ("Personal data found in all rows", &report.personal_data),
    ];
    for (title, counts) in tables {
        let _ = write!(text, "\n## {title}\n\n");
        text.push_str(if counts.is_empty() { "None.\n" } else { "| | rows |\n|---|---|\n" });
        for (name, n) in counts {
            let _ = writeln!(text, "| {} | {n} |", line(name));
        }
    }
    text
}

fn describe(text: &mut String, source: &Source) {
    let _ = writeln!(text, "{}", line(&source.title));
    let facts = [
        ("Made by", &source.made_by),
        ("Collected", &source.collected),
        ("Licence", &source.licence),
        ("From", &source.from),
        ("Note", &source.note),
    ];
    for (name, fact) in facts {
        let fact = fact.as_deref().map_or_else(|| "not said".to_owned(), line);
        let _ = write!(text, "\n- {name}: {fact}");
    }
    text.push('\n');
}

/// Text as it may stand in a line of Markdown.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> Result<Sources, String> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("sources.toml");
        std::fs::write(&path, text).expect("written");
        Sources::open(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_described_by_the_end_of_its_path() {
        let sources =
            sources("[[source]]\nfile = \"b/x.jsonl\"\ntitle = \"X |\\n of b\"\nlicence = \"MIT\"\n").expect("sources");
        let file = |path: &str| CorpusFile { path: path.into(), blake3: "77".into(), rows: 5, kept: 3, broken: 1 };
        let sheet = datasheet(&[file("a/b/x.jsonl"), file("a/x.jsonl")], &Report::default(), &sources);
        assert!(sheet.contains("## a/b/x.jsonl\n\nX \\| of b\n\n- Made by: not said\n"), "{sheet}");
        assert!(sheet.contains("- Licence: MIT\n") && sheet.contains("5 rows, 3 of them kept; 1 broken"), "{sheet}");
        assert!(sheet.contains("## a/x.jsonl\n\nNothing is said about where it comes from."), "{sheet}");
        assert!(sheet.contains("## Why rows went\n\nNone."), "{sheet}");
    }

    #[test]
    fn what_is_no_list_of_sources_names_its_line() {
        let error = sources("[[source]]\nfile = \"x\"\ntitel = \"X\"\n").expect_err("misspelt");
        assert!(error.contains("sources.toml:3: ") && error.contains("titel"), "{error}");
    }
}
