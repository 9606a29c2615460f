//! The run directory: made once, continued on request, its checkpoints complete or absent.
use crate::config::ConfigError;
use crate::lineage::{Difference, Lineage};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use stdx::{FileError, PendingFolder, atomic};

/// What can go wrong with a run directory.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system refused; a full disk among others.
    #[error(transparent)]
    File(#[from] FileError),
    /// The config is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `--out` names a folder with something else in it.
    #[error("{}: not empty and not a run (it has {found:?}), expected an empty or absent folder", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// One of the things in it.
        found: String,
    },
    /// `--out` names a run, and nobody said to continue it.
    #[error("{}: there is a run already", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// `--resume` names something that isn't a run.
    #[error("{}: no run to resume (no config.toml)", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// Another process trains into it.
    #[error("{}: another process is writing to this run", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A file of the run can't be understood.
    #[error("{}: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The run was started from something else.
    #[error("{}: {difference}", path.display())]
    Different {
        /// The folder.
        path: PathBuf,
        /// What.
        difference: Difference,
    },
}

impl RunError {
    /// What the person can do, when there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            RunError::Config(error) => error.hint(),
            RunError::Exists { .. } => Some("--resume continues it; or choose another --out".into()),
            RunError::Foreign { .. } | RunError::NoRun { .. } => Some("choose another --out".into()),
            RunError::Different { .. } => {
                Some("resume with what the run began with, or start another run in another --out".into())
            }
            RunError::File(error) if error.source.kind() == std::io::ErrorKind::StorageFull => {
                Some("make room, then continue with --resume: the last checkpoint is whole".into())
            }
            RunError::File(_) | RunError::Locked { .. } | RunError::Damaged { .. } => None,
        }
    }
}

/// A checkpoint that is complete and whose checksums were found right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Optimizer steps done.
    pub step: u64,
    /// Its folder.
    pub path: PathBuf,
}

/// A run directory that this process alone writes to.
pub struct RunFolder {
    path: PathBuf,
    _lock: File,
}

const CONFIG: &str = "config.toml";
const LINEAGE: &str = "lineage.json";
const LOCK: &str = ".lock";

impl RunFolder {
    /// Starts a run in an empty or absent folder.
    pub fn create(path: &Path, config: &str, lineage: &Lineage) -> Result<RunFolder, RunError> {
        check_empty(path)?;
        fs::create_dir_all(path).map_err(FileError::at(path, "create"))?;
        let folder = RunFolder { path: path.to_path_buf(), _lock: lock(path)? };
        folder.write_json(LINEAGE, lineage)?;
        folder.write_config(config)?; // last: a folder with a config is a run
        Ok(folder)
    }

    /// Continues a run; what a killed process left half-written is removed. Whoever holds the lock is the only writer,
    /// so everything half-written is left over, whatever process its name tells of.
    pub fn open(path: &Path) -> Result<RunFolder, RunError> {
        if !path.join(CONFIG).is_file() {
            return Err(RunError::NoRun { path: path.to_path_buf() });
        }
        let folder = RunFolder { path: path.to_path_buf(), _lock: lock(path)? };
        remove_temporaries(path)?;
        remove_temporaries(&folder.checkpoints_path())?;
        Ok(folder)
    }

    /// The `config.toml` of the run at `path`, for [`crate::Layers::saved`].
    pub fn saved_config(path: &Path) -> Result<(PathBuf, String), RunError> {
        let file = path.join(CONFIG);
        if !file.is_file() {
            return Err(RunError::NoRun { path: path.to_path_buf() });
        }
        let text = fs::read_to_string(&file).map_err(FileError::at(&file, "read"))?;
        Ok((file, text))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the result will stand.
    pub fn final_path(&self) -> PathBuf {
        self.path.join("final")
    }

    /// What the run was started from.
    pub fn lineage(&self) -> Result<Lineage, RunError> {
        read_json(&self.path.join(LINEAGE))
    }

    /// Refuses to continue with another model, tokenizer or data.
    pub fn check_lineage(&self, now: &Lineage) -> Result<(), RunError> {
        match now.difference(&self.lineage()?) {
            None => Ok(()),
            Some(difference) => Err(RunError::Different { path: self.path.clone(), difference }),
        }
    }

    /// Replaces `config.toml` (a resumed run that trains longer).
    pub fn write_config(&self, config: &str) -> Result<(), RunError> {
        Ok(stdx::write_file(&self.path.join(CONFIG), config.as_bytes())?)
    }

    /// Writes a file of the run as JSON.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), RunError> {
        let path = self.path.join(name);
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|error| RunError::Damaged { path: path.clone(), message: error.to_string() })?;
        text.push('\n');
        Ok(stdx::write_file(&path, text.as_bytes())?)
    }

    /// Writes the checkpoint of `step` whole, then removes all but the newest `keep` (0: keep all) and those in `spare`.
    pub fn save_checkpoint<E: From<RunError>>(
        &self,
        step: u64,
        keep: usize,
        spare: &[u64],
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Checkpoint, E> {
        let path = self.checkpoint_path(step);
        publish(&path, write)?;
        self.remove_old(keep, spare)?;
        Ok(Checkpoint { step, path })
    }

    /// Publishes `final/`, replacing an earlier one whole.
    pub fn publish_final<E: From<RunError>>(&self, write: impl FnOnce(&Path) -> Result<(), E>) -> Result<PathBuf, E> {
        let path = self.final_path();
        publish(&path, write)?;
        Ok(path)
    }

    /// Publishes another folder of the run, replacing an earlier one whole.
    pub fn publish_beside<E: From<RunError>>(
        &self,
        name: &str,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        publish(&self.path.join(name), write)
    }

    /// The newest checkpoint whose checksums are right; each newer one that is passed over becomes a notice.
    pub fn latest_checkpoint(&self) -> Result<(Option<Checkpoint>, Vec<String>), RunError> {
        let mut notices = Vec::new();
        for checkpoint in self.checkpoints()?.into_iter().rev() {
            match atomic::verify_folder(&checkpoint.path) {
                Ok(()) => return Ok((Some(checkpoint), notices)),
                Err(error) => notices.push(format!("damaged checkpoint passed over: {error}")),
            }
        }
        Ok((None, notices))
    }

    /// Every checkpoint, oldest first.
    pub fn checkpoints(&self) -> Result<Vec<Checkpoint>, RunError> {
        let folder = self.checkpoints_path();
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(FileError::at(&folder, "list"))? {
            let path = entry.map_err(FileError::at(&folder, "list"))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let digits = name.and_then(|name| name.strip_prefix("step-"));
            if let Some(step) = digits.and_then(|digits| digits.parse().ok()) {
                found.push(Checkpoint { step, path });
            }
        }
        found.sort_by_key(|checkpoint| checkpoint.step);
        Ok(found)
    }

    /// Where the checkpoint of `step` stands.
    pub fn checkpoint_path(&self, step: u64) -> PathBuf {
        self.checkpoints_path().join(format!("step-{step:06}"))
    }

    fn checkpoints_path(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    fn remove_old(&self, keep: usize, spare: &[u64]) -> Result<(), RunError> {
        let all = self.checkpoints()?;
        let old = if keep == 0 { 0 } else { all.len().saturating_sub(keep) };
        for checkpoint in &all[..old] {
            if !spare.contains(&checkpoint.step) {
                let path = &checkpoint.path;
                fs::remove_dir_all(path).map_err(FileError::at(path, "remove"))?;
            }
        }
        Ok(())
    }
}

/// Reads a JSON file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, RunError> {
    let bytes = fs::read(path).map_err(FileError::at(path, "read"))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| RunError::Damaged { path: path.to_path_buf(), message: error.to_string() })
}

fn publish<E: From<RunError>>(path: &Path, write: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let pending = PendingFolder::new(path).map_err(RunError::from)?;
    write(pending.path())?;
    pending.publish().map_err(RunError::from)?;
    Ok(())
}

fn remove_temporaries(folder: &Path) -> Result<(), RunError> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(FileError::at(folder, "list"))? {
        let path = entry.map_err(FileError::at(folder, "list"))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains(atomic::TEMPORARY_MARK) {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(FileError::at(&path, "remove"))?;
        }
    }
    Ok(())
}

/// Nothing there, or only what a start that was killed at once leaves.
fn check_empty(path: &Path) -> Result<(), RunError> {
    if path.join(CONFIG).is_file() && path.join(LINEAGE).is_file() {
        return Err(RunError::Exists { path: path.to_path_buf() });
    }
    if !path.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(FileError::at(path, "list"))? {
        let name = entry.map_err(FileError::at(path, "list"))?.file_name();
        let name = name.to_string_lossy();
        if name != LINEAGE && name != LOCK && !name.contains(atomic::TEMPORARY_MARK) {
            return Err(RunError::Foreign { path: path.to_path_buf(), found: name.into_owned() });
        }
    }
    Ok(())
}

/// The lock goes with the process, however it ends.
fn lock(path: &Path) -> Result<File, RunError> {
    let file_path = path.join(LOCK);
    let file = File::create(&file_path).map_err(FileError::at(&file_path, "create"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RunError::Locked { path: path.to_path_buf() }),
        Err(TryLockError::Error(source)) => Err(FileError::at(&file_path, "lock")(source).into()),
    }
}
