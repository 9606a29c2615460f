//! Bounds on what others' programs (templates, say) may write, and their errors in a line.
use std::error::Error;
use std::io::{self, Write};

/// A buffer that refuses to grow beyond a limit.
pub struct Limited {
    bytes: Vec<u8>,
    left: usize,
}

impl Limited {
    /// An empty buffer for at most `limit` bytes.
    pub fn new(limit: usize) -> Limited {
        Limited { bytes: Vec::new(), left: limit }
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.left {
            return Err(io::Error::other("it writes more than a template may"));
        }
        self.left -= bytes.len();
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An error and all that it stands on, in a line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_kept_and_no_byte_more() {
        let mut buffer = Limited::new(3);
        buffer.write_all(b"ab").unwrap();
        assert!(buffer.write_all(b"cd").is_err());
        buffer.write_all(b"c").unwrap();
        assert_eq!(buffer.into_bytes(), b"abc");
    }

    #[test]
    fn every_cause_is_told() {
        let cause = io::Error::other("inner");
        let error = crate::FileError { path: "p".into(), action: "open", source: cause };
        assert_eq!(chain(&error), "p: cannot open: inner: inner");
    }
}
