//! What was done: which stage, from what, leaving what. `study.json` in the folder.
//!
//! A stage is skipped only if it was done from the same inputs and what it left is still there, by hash. What is there
//! but changed is an error: nothing is made from files that nobody knows.
use crate::StudyError;
use crate::plan::Plan;
use run::lineage::Hashed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The ledger's file.
pub const FILE: &str = "study.json";

/// What makes a study this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The domain's name.
    pub domain: String,
    /// The base model's hash.
    pub base: String,
    /// Sizes and settings.
    pub plan: Plan,
}

/// A stage that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Hash of what it was made from.
    pub inputs: String,
    /// What it left, by path inside the folder, with its hash.
    pub outputs: BTreeMap<String, String>,
    /// Seconds that it took.
    pub seconds: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    identity: Identity,
    stages: BTreeMap<String, Entry>,
}

/// The ledger of a folder that this process alone works in.
pub struct Ledger {
    folder: PathBuf,
    record: Record,
    _lock: File,
}

impl Ledger {
    /// Begins a study in an empty or absent folder, or goes on with the same one.
    pub fn open(folder: &Path, identity: Identity) -> Result<Ledger, StudyError> {
        let at = |action| stdx::FileError::at(folder, action);
        std::fs::create_dir_all(folder).map_err(at("create"))?;
        let path = folder.join(FILE);
        if !path.exists() && std::fs::read_dir(folder).map_err(at("list"))?.any(|entry| !is_lock(&entry)) {
            return Err(StudyError::Foreign { path: folder.to_path_buf() });
        }
        let lock = folder.join(".lock");
        let lock = File::create(&lock).map_err(stdx::FileError::at(&lock, "create"))?;
        if lock.try_lock().is_err() {
            return Err(StudyError::Busy { path: folder.to_path_buf() });
        }
        let ledger = |record| Ledger { folder: folder.to_path_buf(), record, _lock: lock };
        if !path.exists() {
            let ledger = ledger(Record { identity, stages: BTreeMap::new() });
            ledger.write()?;
            return Ok(ledger);
        }
        let text = std::fs::read_to_string(&path).map_err(stdx::FileError::at(&path, "read"))?;
        let record: Record = serde_json::from_str(&text)
            .map_err(|error| StudyError::Damaged { path: path.clone(), message: error.to_string() })?;
        refuse_other(folder, &record.identity, &identity)?;
        Ok(ledger(record))
    }

    /// Seconds that a stage took, if it was done from these inputs and left what is there.
    pub fn done(&self, stage: &str, inputs: &str) -> Result<Option<f64>, StudyError> {
        let Some(entry) = self.record.stages.get(stage).filter(|entry| entry.inputs == inputs) else {
            return Ok(None);
        };
        for (name, hash) in &entry.outputs {
            let path = self.folder.join(name);
            if !path.exists() {
                return Ok(None);
            }
            if Hashed::of(&path)?.hash != *hash {
                return Err(StudyError::Changed { stage: stage.to_owned(), path });
            }
        }
        Ok(Some(entry.seconds))
    }

    /// Notes that a stage is done.
    pub fn note(&mut self, stage: &str, inputs: String, outputs: &[&str], seconds: f64) -> Result<(), StudyError> {
        let hashed = |name: &&str| Ok(((*name).to_owned(), Hashed::of(&self.folder.join(name))?.hash));
        let outputs = outputs.iter().map(hashed).collect::<Result<_, stdx::FileError>>()?;
        self.record.stages.insert(stage.to_owned(), Entry { inputs, outputs, seconds });
        self.write()
    }

    /// Every stage that was done, by name.
    pub fn stages(&self) -> &BTreeMap<String, Entry> {
        &self.record.stages
    }

    fn write(&self) -> Result<(), StudyError> {
        let path = self.folder.join(FILE);
        let text = serde_json::to_string_pretty(&self.record)
            .map_err(|error| StudyError::Damaged { path: path.clone(), message: error.to_string() })?;
        Ok(stdx::write_file(&path, format!("{text}\n").as_bytes())?)
    }
}

fn is_lock(entry: &std::io::Result<std::fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_name() == ".lock")
}

fn refuse_other(folder: &Path, found: &Identity, expected: &Identity) -> Result<(), StudyError> {
    let other =
        |what, found: String, expected: String| StudyError::Other { path: folder.to_path_buf(), what, found, expected };
    if found.domain != expected.domain {
        return Err(other("the study", found.domain.clone(), expected.domain.clone()));
    }
    if found.base != expected.base {
        return Err(other("the hash of the base model", found.base.clone(), expected.base.clone()));
    }
    if found.plan.seed != expected.plan.seed {
        return Err(other("the seed", found.plan.seed.to_string(), expected.plan.seed.to_string()));
    }
    if found.plan != expected.plan {
        return Err(other("the plan", "another (older version?)".to_owned(), "this version's".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(seed: u64) -> Identity {
        Identity { domain: "d".into(), base: "b".into(), plan: Plan::small_world(seed) }
    }

    #[test]
    fn a_stage_is_skipped_only_if_nothing_changed() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let mut ledger = Ledger::open(&out, identity(1)).unwrap();
        assert_eq!(ledger.done("a", "x").unwrap(), None);
        std::fs::write(out.join("rows"), "1").unwrap();
        ledger.note("a", "x".into(), &["rows"], 2.5).unwrap();
        drop(ledger);
        let ledger = Ledger::open(&out, identity(1)).unwrap();
        assert_eq!(ledger.done("a", "x").unwrap(), Some(2.5));
        assert_eq!(ledger.done("a", "y").unwrap(), None, "other inputs");
        std::fs::write(out.join("rows"), "2").unwrap();
        assert!(matches!(ledger.done("a", "x"), Err(StudyError::Changed { .. })));
        std::fs::remove_file(out.join("rows")).unwrap();
        assert_eq!(ledger.done("a", "x").unwrap(), None, "gone");
    }

    #[test]
    fn another_study_and_foreign_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        drop(Ledger::open(&out, identity(1)).unwrap());
        let error = Ledger::open(&out, identity(2)).err().unwrap().to_string();
        assert!(error.ends_with("the seed is 1 there, expected 2"), "{error}");
        std::fs::write(folder.path().join("letter"), "").unwrap();
        assert!(matches!(Ledger::open(folder.path(), identity(1)), Err(StudyError::Foreign { .. })));
    }

    #[test]
    fn two_processes_do_not_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Ledger::open(folder.path(), identity(1)).unwrap();
        assert!(matches!(Ledger::open(folder.path(), identity(1)), Err(StudyError::Busy { .. })));
    }
}
