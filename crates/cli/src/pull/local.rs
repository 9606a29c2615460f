//! A model folder or GGUF file on this machine into the cache.

use crate::context::Context;
use crate::error::{CommandError, of_file};
use run::SourceNote;
use std::fs;
use std::path::{Path, PathBuf};
use stdx::PendingFolder;

/// Copies a model folder, or makes one of a GGUF file; the name in the cache tells the content.
pub fn pull(context: &Context, path: &Path) -> Result<PathBuf, CommandError> {
    let _lock = context.cache.lock()?;
    let hash = if path.is_dir() { stdx::hash::folder(path)? } else { stdx::hash::file(path)? };
    let stem = path.file_stem().map_or("model".into(), |stem| stem.to_string_lossy().into_owned());
    let plain: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    let place = context.cache.models().join(format!("local--{plain}--{}", &hash[..hash.len().min(12)]));
    if !place.join("config.json").is_file() {
        self::place(path, &place)?;
    }
    Ok(place)
}

/// Makes a model folder at `place` of a folder or GGUF file.
pub fn place(path: &Path, place: &Path) -> Result<(), CommandError> {
    let note =
        SourceNote::of(path)?.unwrap_or_else(|| SourceNote { source: path.display().to_string(), note: String::new() });
    if path.is_dir() {
        return copy_folder(path, place, Some(&note));
    }
    let pending = PendingFolder::new(place)?;
    let quantisation = crate::conversion::gguf_to_folder(path, pending.path())?;
    let note = SourceNote { note: format!("dequantised {quantisation}"), ..note };
    note.write(pending.path())?;
    Ok(pending.publish()?)
}

/// Copies the files of a model folder (not its subfolders), which must have a `config.json`.
pub fn copy_folder(from: &Path, to: &Path, note: Option<&SourceNote>) -> Result<(), CommandError> {
    if !from.join("config.json").is_file() {
        return Err(CommandError::input(format!("{}: no config.json, so not a model folder", from.display())));
    }
    let pending = PendingFolder::new(to)?;
    for entry in fs::read_dir(from).map_err(of_file(from))? {
        let path = entry.map_err(of_file(from))?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_file() && name != stdx::atomic::MANIFEST {
            fs::copy(&path, pending.path().join(name)).map_err(of_file(&path))?;
        }
    }
    if let Some(note) = note {
        note.write(pending.path())?;
    }
    Ok(pending.publish()?)
}
