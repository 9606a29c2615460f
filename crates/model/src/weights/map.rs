//! Files mapped into memory, read only.
use crate::ModelError;
use std::fs::File;
use std::path::Path;

/// The bytes of a file, read from disk when they are first looked at.
///
/// A file that another process truncates while it is mapped ends this one with SIGBUS, as with every program that maps
/// weights; Helpmate itself never writes into a file that exists, it renames a new one over it.
pub(super) struct Mapped(Option<memmap2::Mmap>);

impl std::ops::Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// Maps a whole file.
pub(super) fn map_file(path: &Path) -> Result<Mapped, ModelError> {
    let error = |source| ModelError::Io { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(error)?;
    let about = file.metadata().map_err(error)?;
    if !about.is_file() {
        return Err(super::invalid(path, "expected a file".to_string()));
    }
    if about.len() == 0 {
        return Ok(Mapped(None)); // An empty range can't be mapped.
    }
    map_open_file(&file).map(|map| Mapped(Some(map))).map_err(error)
}

#[allow(unsafe_code)]
fn map_open_file(file: &File) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: the map is private to this module, read only, and handed out only as `&[u8]` bound to its life. What the
    // type system can't rule out is that another process changes the file meanwhile: the bytes are plain integers whose
    // every value is valid, each is checked where it is read, and none is read twice and trusted to be the same
    // (headers are parsed into owned values once), so a change gives wrong numbers at worst, or SIGBUS when it truncates.
    unsafe { memmap2::Mmap::map(file) }
}
