//! `helpmate world`: the small world with known truth, as rows, and its gold.

mod base;
mod check;
mod demonstrations;
mod prompts;
mod rankings;
mod text;

use crate::arguments;
use crate::error::CommandError;
use clap::Subcommand;
use record::{Demonstration, Prompt, Record, Role, Row};
use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use world::{PromptRow, Split};

/// Write the texts, prompts and rankings of the small world, and check answers against its truth
///
/// The world is invented and small: some thousand facts about people, towns, things and animals, all in tables, so that
/// truthful, helpful and harmful are facts. The same seed gives the same bytes anywhere.
#[derive(Subcommand)]
pub enum World {
    Text(text::Text),
    Demonstrations(demonstrations::Demonstrations),
    Prompts(prompts::Prompts),
    Rankings(rankings::Rankings),
    Check(check::Check),
    Base(base::Base),
}

impl World {
    pub fn run(self) -> Result<(), CommandError> {
        match self {
            World::Text(command) => command.run(),
            World::Demonstrations(command) => command.run(),
            World::Prompts(command) => command.run(),
            World::Rankings(command) => command.run(),
            World::Check(command) => command.run(),
            World::Base(command) => command.run(),
        }
    }
}

/// `--world`.
#[derive(clap::Args)]
struct Which {
    /// Seed of the world's names and facts; the shipped base models know the default
    #[arg(long, value_name = "SEED", default_value_t = ::world::SHIPPED_SEED)]
    world: u64,
}

impl Which {
    fn open(&self) -> ::world::World {
        ::world::World::new(self.world)
    }
}

/// So many indices are tried for each prompt that is wanted: a split has far more prompts than that.
const TRIES: u64 = 50;

/// Different prompts of a split with their indices; fewer than `n` when the split has no more.
fn distinct_prompts(world: &::world::World, split: Split, n: usize) -> impl Iterator<Item = (u64, PromptRow)> + '_ {
    let mut seen = HashSet::new();
    let all = (0..TRIES * n as u64).map(move |index| (index, world.prompt(split, index)));
    all.filter(move |(_, row)| seen.insert(row.id.clone())).take(n)
}

/// Says when there were fewer than wanted.
fn tell_fewer(found: usize, wanted: usize, what: &str) {
    if found < wanted {
        eprintln!("only {found} different {what} where {wanted} were asked for");
    }
}

/// A prompt and answers to it.
struct Answered {
    prompt: Prompt,
    completions: Vec<String>,
    id: Option<String>,
}

/// Every row's answers. Rows as `helpmate generate` writes them are read here: a model may say nothing, which the formats
/// of training data refuse.
fn read_answers(files: &[PathBuf], format: Option<&str>, skip_bad: bool) -> Result<Vec<Answered>, CommandError> {
    let mut found = Vec::new();
    for file in files {
        if let Some(rows) = format.is_none().then(|| generated(file)).flatten() {
            found.extend(rows);
            continue;
        }
        let dataset = arguments::read(std::slice::from_ref(file), format, skip_bad, &[])?;
        for (row, origin) in &dataset.rows {
            let (prompt, completions) = answers(row).ok_or_else(|| {
                let kind = row.record.kind().as_str();
                CommandError::input(format!("{origin}: found a row of kind {kind}, expected one with completions"))
            })?;
            found.push(Answered { prompt, completions, id: row.meta.id.clone() });
        }
    }
    Ok(found)
}

/// The rows of a JSONL file all of whose rows are a prompt and a completion.
fn generated(file: &Path) -> Option<Vec<Answered>> {
    #[derive(serde::Deserialize)]
    struct Generated {
        prompt: Prompt,
        completion: String,
        id: Option<String>,
    }
    if file.extension().is_none_or(|extension| extension != "jsonl") {
        return None;
    }
    let reader = stdx::jsonl::Reader::<_, Generated>::new(BufReader::new(File::open(file).ok()?));
    let rows = reader.map(|row| row.ok().map(|(_, Generated { prompt, completion, id })| (prompt, completion, id)));
    rows.map(|row| row.map(|(prompt, completion, id)| Answered { prompt, completions: vec![completion], id })).collect()
}

/// Prompt and completions of a row; of a conversation, its last answer.
fn answers(row: &Row) -> Option<(Prompt, Vec<String>)> {
    let prompt = row.record.prompt()?;
    let completions = match &row.record {
        Record::Preference(row) => vec![row.chosen.clone(), row.rejected.clone()],
        Record::Ranking(row) => row.completions.iter().map(|completion| completion.text.clone()).collect(),
        Record::Unpaired(row) => vec![row.completion.clone()],
        Record::Demonstration(Demonstration::Completion { completion, .. }) => vec![completion.clone()],
        Record::Demonstration(Demonstration::Conversation { messages }) => {
            let last = messages.iter().rev().find(|message| message.role == Role::Assistant)?;
            vec![last.content.clone()]
        }
        Record::Text(_) | Record::Prompt(_) => return None,
    };
    Some((prompt, completions))
}
