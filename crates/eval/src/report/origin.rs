//! From a model back to its base: the lineages of the runs behind it, as far as their folders are still there.

use crate::result::SubjectFacts;
use run::lineage::Hashed;
use run::{Lineage, SourceNote};
use std::path::{Path, PathBuf};

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

/// A parent's path is from where the run was started: here, or some folder above the run.
fn find(path: &Path, from: &Path) -> Option<PathBuf> {
    let above = from.ancestors().skip(1).map(|folder| folder.join(path));
    std::iter::once(path.to_path_buf()).chain(above).find(|path| path.exists())
}
