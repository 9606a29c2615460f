//! A file as memory.
use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::path::Path;

/// Maps a file read-only. An empty file maps to nothing.
#[allow(unsafe_code)]
pub(crate) fn map_file(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the map is only read, as bytes, and every offset into it is checked against its length. What remains is
    // another process truncating the file meanwhile, which ends this one by SIGBUS as it does every program that maps
    // weights; the alternative, reading gigabytes into memory first, is worse for everybody.
    unsafe { Mmap::map(&file) }
}
