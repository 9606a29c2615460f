//! `helpmate label import`.

use super::{DatabaseArguments, OPERATOR, find};
use crate::error::{CommandError, of_file};
use crate::{arguments, statements};
use ::label::{NewCandidate, NewPrompt, Project, Store};
use ::serve::label::import::{ImportRow, read_rows};
use clap::Args;
use record::{Demonstration, Record, Row, Source};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Add prompts, and answers to be judged, to a project
///
/// Every row becomes its prompt; the answers in it (`completions`, `chosen` and `rejected`, a demonstration's answer)
/// become candidates. Which of them a row prefers is left out: that is what people are asked. Files are what the pages
/// take (JSON rows, or plain prompts one a line), and with --format, `.gz`, `.zst` and `.parquet` whatever
/// `helpmate data` reads. --judgements takes in what rows say too, where they say who said it: as judgements of labelers
/// under pseudonyms. --trees takes Open-Assistant trees as conversations.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate label import tone --data completions.jsonl\n  helpmate label import tone --data rankings.jsonl --judgements"
)]
pub struct Import {
    /// Project
    project: String,
    #[command(flatten)]
    database: DatabaseArguments,
    /// Files of rows
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    data: Vec<PathBuf>,
    /// Format of the rows, when it isn't to be found from their fields
    #[arg(long, value_name = "NAME", conflicts_with = "trees")]
    format: Option<String>,
    /// Where the answers came from, hidden from labelers, for rows that don't say
    #[arg(long, value_name = "NAME")]
    origin: Option<String>,
    /// Take Open-Assistant trees, whole
    #[arg(long)]
    trees: bool,
    /// Take rankings, ratings, demonstrations and reviews as judgements of the labelers that rows name
    #[arg(long, conflicts_with_all = ["trees", "format", "origin"])]
    judgements: bool,
    /// What made the judgements whose rows don't say: human, simulated, model or rule
    #[arg(long, value_name = "SOURCE", requires = "judgements")]
    source: Option<String>,
}

impl Import {
    pub fn run(self) -> Result<(), CommandError> {
        let store = self.database.open_existing()?;
        let project = find(&store, &self.project)?;
        if self.trees {
            return self.import_trees(&store, &project);
        }
        if self.judgements {
            return self.import_judgements(&store, &project);
        }
        let mut rows = Vec::new();
        for path in &self.data {
            rows.extend(self.read(path)?);
        }
        let prompts: Vec<NewPrompt> = rows.iter().map(|row| row.prompt.clone()).collect();
        let added = store.add_prompts(OPERATOR, project.id, &prompts)?;
        let mut n_candidates = 0;
        for (row, id) in rows.iter().zip(&added.ids) {
            let Some(id) = id.filter(|_| !row.candidates.is_empty()) else { continue };
            store.add_candidates(OPERATOR, id, &row.candidates)?;
            n_candidates += row.candidates.len();
        }
        eprintln!("{} prompts added, with {n_candidates} answers", added.added.len());
        if added.duplicates > 0 {
            eprintln!(
                "{} rows on prompts that were there, or begin like one that was; their answers joined them",
                added.duplicates
            );
        }
        if added.over_user_limit > 0 {
            let most = project.settings.prompts.per_user_max;
            eprintln!(
                "{} left out: more than {most} prompts of one user (prompts.per_user_max)",
                added.over_user_limit
            );
        }
        Ok(())
    }

    fn read(&self, path: &Path) -> Result<Vec<ImportRow>, CommandError> {
        let name = path.to_string_lossy().to_lowercase();
        let is_plain = [".jsonl", ".ndjson", ".json", ".txt"].iter().any(|end| name.ends_with(end));
        let mut rows = if self.format.is_none() && is_plain {
            let text = std::fs::read_to_string(path).map_err(of_file(path))?;
            read_rows(&text).map_err(|error| {
                CommandError::input(format!("{}: {error}", path.display()))
                    .hint("--format NAME reads rows as `helpmate data` does")
            })?
        } else {
            let dataset = arguments::read(&[path.to_path_buf()], self.format.as_deref(), false, &[])?;
            dataset.into_rows().into_iter().filter_map(of_row).collect()
        };
        if let Some(origin) = &self.origin {
            for candidate in rows.iter_mut().flat_map(|row| &mut row.candidates) {
                if candidate.origin.is_empty() || candidate.origin == "imported" {
                    candidate.origin.clone_from(origin);
                }
            }
        }
        Ok(rows)
    }

    fn import_judgements(&self, store: &Store, project: &Project) -> Result<(), CommandError> {
        let source = self.source.as_deref().map(|name| statements::source("--source", name)).transpose()?;
        let imported = statements::with_statements(&self.data, |read| {
            store.import_judgements(OPERATOR, project.id, &read.all, source)
        })?;
        eprintln!(
            "{} judgements added, of {} new labelers; {} prompts and {} tasks are new",
            imported.judgements, imported.people, imported.prompts, imported.tasks
        );
        if imported.known > 0 {
            eprintln!("{} judgements were there already", imported.known);
        }
        for (reason, n) in &imported.left_out {
            eprintln!("{n} judgements left out: {reason}");
        }
        Ok(())
    }

    fn import_trees(&self, store: &Store, project: &Project) -> Result<(), CommandError> {
        let mut n = 0;
        for path in &self.data {
            for (line, tree) in corpus::values(path)?.enumerate() {
                let tree: Value = tree.map(|(_, value)| value)?;
                store
                    .import_tree(OPERATOR, project.id, &tree)
                    .map_err(|error| CommandError::input(format!("{}:{}: {error}", path.display(), line + 1)))?;
                n += 1;
            }
        }
        eprintln!("{n} trees added");
        Ok(())
    }
}

/// A row's prompt and answers; running text has neither.
fn of_row(row: Row) -> Option<ImportRow> {
    let prompt = row.record.prompt()?;
    let answers: Vec<String> = match row.record {
        Record::Preference(row) => vec![row.chosen, row.rejected],
        Record::Ranking(row) => row.completions.into_iter().map(|completion| completion.text).collect(),
        Record::Unpaired(row) => vec![row.completion],
        Record::Demonstration(Demonstration::Completion { completion, .. }) => vec![completion],
        Record::Demonstration(Demonstration::Conversation { messages }) => {
            let last = messages.into_iter().rev().find(|message| message.role == record::Role::Assistant);
            last.into_iter().map(|message| message.content).collect()
        }
        Record::Text(_) | Record::Prompt(_) => Vec::new(),
    };
    let source: Option<Source> = row.meta.source;
    let candidate = |text: String| NewCandidate { source, origin: "imported".to_owned(), ..NewCandidate::new(text) };
    let new = NewPrompt {
        use_case: row.meta.use_case,
        user_id: row.meta.user_id,
        language: row.meta.language,
        source,
        ..NewPrompt::new(prompt)
    };
    Some(ImportRow { prompt: new, candidates: answers.into_iter().map(candidate).collect() })
}
