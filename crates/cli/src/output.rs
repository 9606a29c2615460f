//! Where a command's data goes: stdout, or a file that is there whole or not at all.

use crate::error::{CommandError, of_file, of_stdout};
use serde::Serialize;
use std::io::{BufWriter, StdoutLock, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A sink of rows or text.
pub enum Output {
    /// Standard output.
    Stdout(BufWriter<StdoutLock<'static>>),
    /// A file under a temporary name until [`Output::finish`].
    File {
        /// What is written so far.
        unfinished: BufWriter<NamedTempFile>,
        /// Its name in the end.
        place: PathBuf,
    },
}

impl Output {
    /// Stdout, or the file that `--out` names.
    pub fn open(place: Option<&Path>) -> Result<Output, CommandError> {
        let Some(place) = place else {
            return Ok(Output::Stdout(BufWriter::new(std::io::stdout().lock())));
        };
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let unfinished = builder().tempfile_in(folder).map_err(of_file(place))?;
        Ok(Output::File { unfinished: BufWriter::new(unfinished), place: place.to_path_buf() })
    }

    /// A row of JSONL. On stdout it is there at once, so that a pipe sees it.
    pub fn row(&mut self, row: &impl Serialize) -> Result<(), CommandError> {
        let line = serde_json::to_string(row).map_err(CommandError::input)?;
        self.text(&line)?;
        self.text("\n")
    }

    /// Text as it is.
    pub fn text(&mut self, text: &str) -> Result<(), CommandError> {
        self.bytes(text.as_bytes())
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        match self {
            Output::Stdout(out) => out.write_all(bytes).map_err(of_stdout),
            Output::File { unfinished, place } => unfinished.write_all(bytes).map_err(of_file(place)),
        }
    }

    /// Everything is written: the file gets its name.
    pub fn finish(self) -> Result<(), CommandError> {
        match self {
            Output::Stdout(mut out) => out.flush().map_err(of_stdout),
            Output::File { unfinished, place } => {
                let file = unfinished.into_inner().map_err(|error| of_file(&place)(error.into_error()))?;
                file.as_file().sync_all().map_err(of_file(&place))?;
                file.persist(&place).map_err(|error| of_file(&place)(error.error))?;
                Ok(())
            }
        }
    }
}

/// Temporary files with the permissions of ordinary ones.
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".helpmate-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}

/// Prints the path of what was made.
pub fn path(path: &Path) -> Result<(), CommandError> {
    let mut out = Output::open(None)?;
    out.text(&format!("{}\n", path.display()))?;
    out.finish()
}

/// Prints a report: JSON with `--json`, else what `text` makes of it.
pub fn report<T: Serialize>(value: &T, as_json: bool, text: impl FnOnce(&T) -> String) -> Result<(), CommandError> {
    let mut out = Output::open(None)?;
    if as_json {
        out.text(&serde_json::to_string_pretty(value).map_err(CommandError::input)?)?;
        out.text("\n")?;
    } else {
        out.text(&text(value))?;
    }
    out.finish()
}
