//! From a model back to its base: the lineages of the runs behind it, as far as their folders are still there.

use crate::result::SubjectFacts;
use run::lineage::Hashed;
use run::{Lineage, SourceNote};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use stdx::jsonl;

/// Runs followed at most.
const LONGEST: usize = 32;

/// The runs behind a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chain {
    /// The newest first.
    pub steps: Vec<Lineage>,
    /// Where it ends, and why.
    pub end: Option<String>,
    /// Where the base was had.
    pub source: Option<String>,
    /// What must not be forgotten about the base.
    pub note: Option<String>,
}

/// Follows a model's lineage. A parent whose content isn't what the run began with is not followed.
pub(super) fn chain(model: &SubjectFacts) -> Chain {
    let mut chain = Chain::default();
    let mut place = PathBuf::from(&model.path);
    let mut next: Option<Lineage> = serde_json::from_value(model.lineage.clone()).ok();
    while let Some(lineage) = next.take() {
        if !lineage.source.source.is_empty() || !lineage.source.note.is_empty() {
            let SourceNote { source, note } = lineage.source.clone();
            (chain.source, chain.note) = (Some(source), Some(note));
        }
        let parent = lineage.parent.clone();
        chain.steps.push(lineage);
        if chain.steps.len() >= LONGEST {
            chain.end = Some(format!("more than {LONGEST} runs"));
            return chain;
        }
        let Some(found) = find(&parent.path, &place) else {
            chain.end = Some(format!("`{}`, which isn't there any more", parent.path.display()));
            return chain;
        };
        if Hashed::of(&found).map_or(true, |now| now.hash != parent.hash) {
            chain.end = Some(format!("`{}`, which holds something else by now", parent.path.display()));
            return chain;
        }
        let run = found.parent().map(|run| run.join("lineage.json")).filter(|path| path.is_file());
        match run.and_then(|path| run::folder::read_json(&path).ok()) {
            Some(lineage) => (next, place) = (Some(lineage), found),
            None => chain.end = Some(format!("`{}`, the base: no run stands beside it", parent.path.display())),
        }
    }
    chain
}

/// Whether every file holds nothing but rows that `helpmate data render` wrote, which name their `template`. A file that
/// isn't there any more, or holds something else by now, says nothing: no.
pub(super) fn all_templates(files: &[Hashed], run: &Path) -> bool {
    let is_templates = |file: &Hashed| {
        let Some(found) = find(&file.path, &run.join("final")).filter(|found| found.is_file()) else { return false };
        Hashed::of(&found).is_ok_and(|now| now.hash == file.hash) && names_templates(&found)
    };
    !files.is_empty() && files.iter().all(is_templates)
}

/// Whether each row is an object with a `template` and the `task` that it is of.
fn names_templates(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut rows = jsonl::Reader::<_, Map<String, Value>>::new(BufReader::new(file)).peekable();
    rows.peek().is_some()
        && rows.all(|row| {
            row.is_ok_and(|(_, row)| {
                ["template", "task"].iter().all(|name| row.get(*name).is_some_and(Value::is_string))
            })
        })
}

/// A parent's path is from where the run was started: here, or some folder above the run.
fn find(path: &Path, from: &Path) -> Option<PathBuf> {
    let above = from.ancestors().skip(1).map(|folder| folder.join(path));
    std::iter::once(path.to_path_buf()).chain(above).find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_templates_are_known_by_their_rows_while_they_hold_what_they_held() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("runs/flan");
        std::fs::create_dir_all(&run).unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            // As a run that was started in the folder tells it.
            Hashed { path: name.into(), ..Hashed::of(&path).unwrap() }
        };
        let row =
            "{\"template\": \"plain\", \"task\": \"boolq\", \"row\": 1, \"prompt\": \"a\", \"completion\": \" b\"}\n";
        let rendered = write("train.jsonl", &row.repeat(3));
        assert!(all_templates(std::slice::from_ref(&rendered), &run));
        let mixed = write("mixed.jsonl", &format!("{row}{{\"prompt\": \"a\", \"completion\": \" b\"}}\n"));
        assert!(!all_templates(&[mixed], &run), "demonstrations among them");
        assert!(!all_templates(&[rendered.clone(), write("empty.jsonl", "")], &run));
        assert!(!all_templates(&[], &run));
        write("train.jsonl", row);
        assert!(!all_templates(&[rendered], &run), "something else by now");
    }
}
