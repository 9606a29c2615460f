//! Weight files. Hostile until parsed: every size, offset and count from a file is checked before it is used.
use crate::ModelError;
use kernels::Device;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

mod elements;
pub mod gguf;
mod map;
pub mod safetensors;

/// Named tensors, read as f32 whatever their type on disk.
pub trait TensorSource {
    /// Every tensor's name.
    fn names(&self) -> Vec<String>;
    /// Its shape, row-major, outermost first.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;
    /// Fills `out` (as many elements as the shape says).
    fn read(&self, name: &str, out: &mut [f32]) -> Result<(), ModelError>;
    /// The same by all threads of `device`, where that is worth while: the first touch of fresh memory takes longest.
    fn read_on(&self, _: &Device, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        self.read(name, out)
    }
}

/// An opened checkpoint: a folder or a GGUF, with `config.json` content and tensors under their Hugging Face names.
pub struct Checkpoint {
    /// `config.json` (made from the metadata for a GGUF).
    pub config: Value,
    /// Tensors under the names `transformers` gives them.
    pub tensors: Box<dyn TensorSource>,
}

/// Opens a model folder (`config.json` with safetensors, or exactly one GGUF file) or a GGUF file.
pub fn open(path: &Path) -> Result<Checkpoint, ModelError> {
    let kind = std::fs::metadata(path).map_err(|source| ModelError::Io { path: path.to_path_buf(), source })?;
    if !kind.is_dir() {
        return match has_extension(path, "gguf") || begins_as_gguf(path) {
            true => gguf::checkpoint(gguf::GgufFile::open(path)?),
            false => Err(invalid(path, "expected a model folder or a .gguf file".to_string())),
        };
    }
    let config_path = path.join("config.json");
    if config_path.is_file() {
        let config = read_json(&config_path)?;
        return Ok(Checkpoint { config, tensors: safetensors::open_folder(path)? });
    }
    match gguf_files(path)?.as_slice() {
        [only] => gguf::checkpoint(gguf::GgufFile::open(only)?),
        [] => {
            Err(invalid(path, "is no model folder: `config.json` is missing, and there is no .gguf file".to_string()))
        }
        several => Err(invalid(path, format!("holds {} .gguf files and no `config.json`: name one", several.len()))),
    }
}

fn has_extension(path: &Path, expected: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(expected))
}

/// A file without its extension: what a cache calls by its hash.
fn begins_as_gguf(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"GGUF"
}

fn gguf_files(folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let error = |source| ModelError::Io { path: folder.to_path_buf(), source };
    let entries = std::fs::read_dir(folder).map_err(error)?.collect::<Result<Vec<_>, _>>().map_err(error)?;
    Ok(entries.into_iter().map(|e| e.path()).filter(|p| has_extension(p, "gguf") && p.is_file()).collect())
}

/// A JSON object from a file.
fn read_json(path: &Path) -> Result<Value, ModelError> {
    let bytes = std::fs::read(path).map_err(|source| ModelError::Io { path: path.to_path_buf(), source })?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|e| invalid(path, format!("not valid JSON: {e}")))?;
    match value.is_object() {
        true => Ok(value),
        false => Err(invalid(path, "expected a JSON object".to_string())),
    }
}

fn invalid(path: &Path, message: String) -> ModelError {
    ModelError::Invalid { path: path.to_path_buf(), message }
}

fn unsupported(path: &Path, feature: String) -> ModelError {
    ModelError::Unsupported { path: path.to_path_buf(), feature }
}

/// A name from a file as an error shows it: in backticks, and never longer than a line.
fn quoted(name: &str) -> String {
    const LONGEST: usize = 96;
    match name.char_indices().nth(LONGEST) {
        None => format!("`{}`", name.escape_debug()),
        Some((end, _)) => format!("`{}…`", name[..end].escape_debug()),
    }
}

/// Writes a file whole or not at all; `fill` gets the open file. Its own error wins over what the system said.
fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut dyn std::io::Write) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    let mut failure = None;
    let written = stdx::atomic::write_file_with(path, |out| {
        fill(out).map_err(|error| {
            failure = Some(error);
            std::io::Error::other("not written")
        })
    });
    match (failure, written) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(ModelError::Io { path: error.path, source: error.source }),
        (None, Ok(())) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        open(path).err().expect("is refused").to_string()
    }

    #[test]
    fn what_is_no_model_is_refused_by_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(refusal(&path.join("absent")).contains("absent"));
        assert!(refusal(path).contains("`config.json` is missing"));
        std::fs::write(path.join("notes.txt"), "x").unwrap();
        assert!(refusal(&path.join("notes.txt")).contains("expected a model folder or a .gguf file"));
        std::fs::write(path.join("blob"), "GGUF").unwrap();
        assert!(refusal(&path.join("blob")).contains("the version"), "is known by its first bytes");
        std::fs::write(path.join("a.gguf"), "GGUF").unwrap();
        assert!(refusal(path).contains("a.gguf"), "the only GGUF is opened");
        std::fs::write(path.join("b.gguf"), "GGUF").unwrap();
        assert!(refusal(path).contains("2 .gguf files"));
        std::fs::write(path.join("config.json"), "[]").unwrap();
        assert!(refusal(path).contains("expected a JSON object"));
        std::fs::write(path.join("config.json"), "{}").unwrap();
        assert!(refusal(path).contains("`model.safetensors`"));
        std::fs::write(path.join("pytorch_model.bin"), "x").unwrap();
        assert!(refusal(path).contains("pytorch_model.bin"));
    }

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        assert_eq!(quoted("a\n"), "`a\\n`");
        assert_eq!(quoted(&"é".repeat(200)), format!("`{}…`", "é".repeat(96)));
    }
}
