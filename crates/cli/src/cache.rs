//! The folder in which pulled models are kept: one folder a source, whole with checksums or absent.

use crate::error::{CommandError, of_file};
use crate::source::Source;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The cache.
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// At this folder, which need not exist yet.
    pub fn new(root: PathBuf) -> Cache {
        Cache { root }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the models are.
    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// The folder of a source, whether it is there or not; local paths and `default` have none of their own.
    pub fn place(&self, source: &Source) -> Option<PathBuf> {
        source.cache_name().map(|name| self.models().join(name))
    }

    /// The folder of a source when it is there.
    pub fn find(&self, source: &Source) -> Option<PathBuf> {
        self.place(source).filter(|folder| folder.join("config.json").is_file())
    }

    /// Where an unfinished download of a source waits to be continued.
    pub fn unfinished(&self, name: &str) -> Result<PathBuf, CommandError> {
        let folder = self.root.join("unfinished").join(name);
        fs::create_dir_all(&folder).map_err(of_file(&folder))?;
        Ok(folder)
    }

    /// Which source `default` was when it was pulled; it stays that until it is refreshed.
    pub fn default_choice(&self) -> Option<Source> {
        let text = fs::read_to_string(self.default_file()).ok()?;
        Source::parse(text.trim()).ok().filter(|source| *source != Source::Default)
    }

    /// Remembers which source `default` was.
    pub fn choose_default(&self, source: &Source) -> Result<(), CommandError> {
        Ok(stdx::write_file(&self.default_file(), format!("{source}\n").as_bytes())?)
    }

    fn default_file(&self) -> PathBuf {
        self.root.join("default")
    }

    /// Keeps other processes from pulling at the same time, until the returned file is dropped.
    pub fn lock(&self) -> Result<File, CommandError> {
        fs::create_dir_all(self.models()).map_err(of_file(&self.root))?;
        let path = self.root.join("lock");
        let file = File::create(&path).map_err(of_file(&path))?;
        if file.try_lock().is_err() {
            eprintln!("another process is pulling a model; waiting for it");
            file.lock().map_err(of_file(&path))?;
        }
        Ok(file)
    }
}
