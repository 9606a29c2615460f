//! Files and folders that are complete or absent.
//!
//! A file is written under a temporary name beside its place, synced and renamed. A folder is
//! filled under a temporary name, gets a `manifest.json` with a checksum of each file, is synced
//! and renamed last. Whatever fails (a full disk, a kill), nothing partial stands under the final
//! name; leftovers carry [`TEMPORARY_MARK`] and [`remove_leftovers`] takes them away.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::{FileError, hash};

/// What the names of unfinished files and folders contain. The process id follows it.
pub const TEMPORARY_MARK: &str = ".helpmate-tmp-";

/// The name of the file with the checksums.
pub const MANIFEST: &str = "manifest.json";

/// Writes `bytes` to `path`: afterwards the file holds all of them, or what it held before.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_file_with(path, |out| out.write_all(bytes))
}

/// Like [`write_file`], for contents that are produced piece by piece.
pub fn write_file_with(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), FileError> {
    let temporary = temporary_name(path);
    let written = fill_and_sync(path, &temporary, fill)
        .and_then(|()| fs::rename(&temporary, path).map_err(FileError::at(path, "rename")));
    if written.is_err() {
        // The first error is the one to tell; a leftover is removed by the next start.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_parent(path)
}

fn fill_and_sync(
    path: &Path,
    temporary: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), FileError> {
    let file = File::create(temporary).map_err(FileError::at(path, "create"))?;
    let mut out = BufWriter::with_capacity(1 << 16, file);
    fill(&mut out)
        .and_then(|()| out.flush())
        .and_then(|()| out.get_ref().sync_all())
        .map_err(FileError::at(path, "write"))
}

/// `path` with the mark, this process and a counter: unique among threads and processes.
fn temporary_name(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
    name.push(format!("{TEMPORARY_MARK}{}-{counter}", std::process::id()));
    path.with_file_name(name)
}

/// Makes a rename durable.
fn sync_parent(path: &Path) -> Result<(), FileError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = File::open(parent).map_err(FileError::at(parent, "open"))?;
    folder.sync_all().map_err(FileError::at(parent, "sync"))
}

/// A folder in the making. Dropped without [`PendingFolder::publish`], it goes away.
pub struct PendingFolder {
    temporary: PathBuf,
    place: PathBuf,
    published: bool,
}

impl PendingFolder {
    /// Starts a folder that will stand at `place`; its parents are made, leftovers of dead
    /// processes beside it removed.
    pub fn new(place: &Path) -> Result<Self, FileError> {
        if let Some(parent) = place.parent()
            && !parent.as_os_str().is_empty()
        {
            fs::create_dir_all(parent).map_err(FileError::at(parent, "create"))?;
            remove_leftovers(parent)?;
        }
        let temporary = temporary_name(place);
        fs::create_dir(&temporary).map_err(FileError::at(&temporary, "create"))?;
        Ok(Self { temporary, place: place.to_path_buf(), published: false })
    }

    /// Where to write for now.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Where it will stand.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Syncs everything, writes the manifest and gives the folder its name.
    ///
    /// A folder that stands there already is replaced: it is moved aside first and removed last.
    pub fn publish(mut self) -> Result<(), FileError> {
        let manifest = Manifest::of(&self.temporary)?;
        for name in manifest.files.keys() {
            let path = self.temporary.join(name);
            let file = File::open(&path).map_err(FileError::at(&path, "open"))?;
            file.sync_all().map_err(FileError::at(&path, "sync"))?;
        }
        let path = self.temporary.join(MANIFEST);
        let mut text = serde_json::to_string_pretty(&manifest).expect("text keys and values");
        text.push('\n');
        write_file(&path, text.as_bytes())?;
        let old = self.move_old_aside()?;
        if let Err(source) = fs::rename(&self.temporary, &self.place) {
            if let Some(old) = &old {
                // Put back what was there; if even that fails the old one keeps its marked name.
                let _ = fs::rename(old, &self.place);
            }
            return Err(FileError::at(&self.place, "rename")(source));
        }
        self.published = true;
        sync_parent(&self.place)?;
        match old {
            Some(old) => fs::remove_dir_all(&old).map_err(FileError::at(&old, "remove")),
            None => Ok(()),
        }
    }

    fn move_old_aside(&self) -> Result<Option<PathBuf>, FileError> {
        if !self.place.exists() {
            return Ok(None);
        }
        let aside = temporary_name(&self.place);
        fs::rename(&self.place, &aside).map_err(FileError::at(&self.place, "rename"))?;
        Ok(Some(aside))
    }
}

impl Drop for PendingFolder {
    fn drop(&mut self) {
        if !self.published {
            // Nobody to tell here; what stays is marked and removed by the next start.
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}

/// The checksums of a folder's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// BLAKE3 in hexadecimal by relative name, the manifest itself left out.
    pub files: BTreeMap<String, String>,
}

impl Manifest {
    /// The checksums of what stands in `folder` now.
    pub fn of(folder: &Path) -> Result<Self, FileError> {
        let mut files = BTreeMap::new();
        for name in hash::files_below(folder)? {
            if name != Path::new(MANIFEST) {
                let checksum = hash::file(&folder.join(&name))?;
                files.insert(hash::relative_name(&name), checksum);
            }
        }
        Ok(Self { files })
    }
}

/// Why a folder can't be trusted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It can't be read, or a file of the manifest is missing.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is a manifest but it isn't one of ours.
    #[error("{}: not a manifest: {source}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A file isn't what was written.
    #[error("{}: checksum {found}, expected {expected}", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The hash now.
        found: String,
        /// The manifest's.
        expected: String,
    },
    /// The manifest names a file outside of the folder.
    #[error("{}: manifest names {name:?}, expected a name inside the folder", path.display())]
    Outside {
        /// The manifest.
        path: PathBuf,
        /// What it names.
        name: String,
    },
}

/// Checks every file that the manifest names. Files beside them (a log, say) are allowed.
pub fn verify_folder(folder: &Path) -> Result<(), VerifyError> {
    let path = folder.join(MANIFEST);
    let text = fs::read_to_string(&path).map_err(FileError::at(&path, "read"))?;
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|source| VerifyError::Manifest { path: path.clone(), source })?;
    for (name, expected) in manifest.files {
        let inside = Path::new(&name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !inside {
            return Err(VerifyError::Outside { path, name });
        }
        let path = folder.join(&name);
        let found = hash::file(&path)?;
        if found != expected {
            return Err(VerifyError::Checksum { path, found, expected });
        }
    }
    Ok(())
}

/// Removes unfinished files and folders in `folder` whose process is gone; returns what it removed.
pub fn remove_leftovers(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(folder).map_err(FileError::at(folder, "list"))? {
        let entry = entry.map_err(FileError::at(folder, "list"))?;
        let path = entry.path();
        if !is_leftover(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match gone {
            Ok(()) => removed.push(path),
            // Another process cleaned up at the same time.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(FileError::at(&path, "remove")(error)),
        }
    }
    Ok(removed)
}

/// Whether a name is marked with a process that no longer runs.
fn is_leftover(name: &str) -> bool {
    let Some((_, tail)) = name.rsplit_once(TEMPORARY_MARK) else {
        return false;
    };
    let Some(process) = tail.split('-').next().and_then(|p| p.parse::<u32>().ok()) else {
        return false;
    };
    // On systems without /proc nothing is known of other processes: leave their files alone.
    process != std::process::id()
        && Path::new("/proc/self").exists()
        && !Path::new(&format!("/proc/{process}")).exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// The names in a folder, sorted.
    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("list")
            .map(|entry| entry.expect("entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("a.json");
        write_file(&path, b"old").expect("write");
        let full = write_file_with(&path, |out| {
            out.write_all(&[0; 100_000])?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        let message = full.expect_err("disk full").to_string();
        assert!(message.contains("a.json: cannot write"), "{message}");
        assert_eq!(fs::read(&path).expect("read"), b"old");
        assert_eq!(names(dir.path()), ["a.json"]);
    }

    /// A real full disk: every write to /dev/full fails with ENOSPC.
    #[test]
    fn a_full_disk_is_an_error() {
        if !Path::new("/dev/full").exists() {
            eprintln!("SKIPPED a_full_disk_is_an_error: no /dev/full here");
            return;
        }
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("out");
        let temporary = dir.path().join("device");
        std::os::unix::fs::symlink("/dev/full", &temporary).expect("link");
        let full = fill_and_sync(&path, &temporary, |out| out.write_all(b"x"));
        let error = full.expect_err("disk full");
        assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_appears_whole_and_verifies() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let place = dir.path().join("deep/final");
        let pending = PendingFolder::new(&place).expect("start");
        fs::create_dir(pending.path().join("sub")).expect("mkdir");
        fs::write(pending.path().join("sub/w.bin"), b"123").expect("write");
        fs::write(pending.path().join("c.json"), b"{}").expect("write");
        assert!(!place.exists());
        pending.publish().expect("publish");
        assert_eq!(names(&dir.path().join("deep")), ["final"]);
        assert_eq!(names(&place), ["c.json", "manifest.json", "sub"]);
        verify_folder(&place).expect("complete");

        fs::write(place.join("sub/w.bin"), b"124").expect("write");
        let error = verify_folder(&place).expect_err("changed").to_string();
        assert!(error.contains("w.bin: checksum"), "{error}");
        fs::remove_file(place.join("sub/w.bin")).expect("remove");
        let error = verify_folder(&place).expect_err("missing").to_string();
        assert!(error.contains("w.bin: cannot open"), "{error}");
    }

    #[test]
    fn publishing_replaces_an_older_folder_whole() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let place = dir.path().join("run");
        for (name, text) in [("old", "1"), ("new", "2")] {
            let pending = PendingFolder::new(&place).expect("start");
            fs::write(pending.path().join(name), text).expect("write");
            pending.publish().expect("publish");
        }
        assert_eq!(names(&place), ["manifest.json", "new"]);
        assert_eq!(names(dir.path()), ["run"]);
    }

    #[test]
    fn an_abandoned_folder_goes_away() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let pending = PendingFolder::new(&dir.path().join("x")).expect("start");
        fs::write(pending.path().join("half"), b"1").expect("write");
        drop(pending);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn only_leftovers_of_dead_processes_are_removed() {
        let dir = tempfile::tempdir().expect("temporary folder");
        // Process ids on Linux end at 4194304.
        let dead = format!("step{TEMPORARY_MARK}4194305-0");
        let alive = format!("step{TEMPORARY_MARK}1-0");
        let odd = format!("step{TEMPORARY_MARK}mine");
        for name in [&dead, &alive, &odd] {
            fs::create_dir(dir.path().join(name)).expect("mkdir");
        }
        let removed = remove_leftovers(dir.path()).expect("clean");
        assert_eq!(removed, [dir.path().join(&dead)]);
        assert_eq!(names(dir.path()).len(), 2);
    }

    #[test]
    fn a_manifest_cannot_point_outside() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let text = r#"{"files": {"../etc": "00"}}"#;
        fs::write(dir.path().join(MANIFEST), text).expect("write");
        let error = verify_folder(dir.path()).expect_err("outside");
        assert!(matches!(error, VerifyError::Outside { .. }), "{error}");
    }
}
