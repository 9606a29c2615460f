//! JSON lines: one value a line, read as a stream with line numbers.
//!
//! Accepts a byte-order mark, CRLF and blank lines. A line that isn't UTF-8 or isn't JSON, or that
//! is longer than the reader's limit, is an error with its line; the lines after it can still be
//! read, so the caller decides whether to stop or to count.

use std::io::{self, BufRead, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest line a [`Reader`] accepts unless told otherwise: 64 MiB. It bounds memory when a
/// compressed file unfolds without end.
pub const LINE_BYTES_MAX: usize = 64 << 20;

/// Why a line could not be read; the caller adds the file's name.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: LineProblem,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum LineProblem {
    /// The bytes are not text.
    #[error("invalid UTF-8 after {valid_bytes} valid bytes")]
    Utf8 {
        /// How many bytes from the start of the line are valid.
        valid_bytes: usize,
    },
    /// The text is not JSON, or not the JSON that was asked for.
    #[error("invalid JSON: {}", within_line(.0))]
    Json(serde_json::Error),
    /// Too long.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// The reader's limit.
        limit: usize,
    },
    /// The source failed; nothing more can be read.
    #[error("cannot read: {0}")]
    Io(io::Error),
}

/// What serde_json says, without the line that it counts within a line.
fn within_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line 1 column ") {
        Some((what, column)) => format!("{what} at column {column}"),
        None => text,
    }
}

/// Reads lines of text, numbered from 1; blank ones are skipped but counted.
pub struct Lines<R> {
    source: R,
    line: usize,
    limit: usize,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    /// Reads from `source`, refusing lines longer than `limit` bytes.
    pub fn new(source: R, limit: usize) -> Self {
        Self { source, line: 0, limit, ended: false }
    }

    fn fail(&self, problem: LineProblem) -> Option<Result<(usize, String), LineError>> {
        let line = self.line;
        Some(Err(LineError { line, problem }))
    }

    /// Discards what is left of an overlong line; true when the source still works.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.source.fill_buf()?;
            let length = buffer.len();
            match buffer.iter().position(|&byte| byte == b'\n') {
                Some(end) => {
                    self.source.consume(end + 1);
                    return Ok(());
                }
                None if length == 0 => return Ok(()),
                None => self.source.consume(length),
            }
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<(usize, String), LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let mut bytes = Vec::new();
            let mut limited = (&mut self.source).take(self.limit as u64 + 2);
            self.line += 1;
            match limited.read_until(b'\n', &mut bytes) {
                Err(error) => {
                    self.ended = true;
                    return self.fail(LineProblem::Io(error));
                }
                Ok(0) => self.ended = true,
                Ok(_) => {
                    let complete = bytes.ends_with(b"\n");
                    trim_line(&mut bytes, self.line == 1);
                    if bytes.len() > self.limit {
                        if !complete && let Err(error) = self.skip_line() {
                            self.ended = true;
                            return self.fail(LineProblem::Io(error));
                        }
                        return self.fail(LineProblem::TooLong { limit: self.limit });
                    }
                    match String::from_utf8(bytes) {
                        Err(error) => {
                            let valid_bytes = error.utf8_error().valid_up_to();
                            return self.fail(LineProblem::Utf8 { valid_bytes });
                        }
                        Ok(text) if text.trim().is_empty() => {}
                        Ok(text) => return Some(Ok((self.line, text))),
                    }
                }
            }
        }
        None
    }
}

/// Takes off the line end and, on the first line, the byte-order mark.
fn trim_line(bytes: &mut Vec<u8>, first: bool) {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    if first && bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
}

/// Reads JSON lines as `T`, with their line numbers.
pub struct Reader<R, T> {
    lines: Lines<R>,
    value: std::marker::PhantomData<fn() -> T>,
}

impl<R: BufRead, T: DeserializeOwned> Reader<R, T> {
    /// Reads from `source` with [`LINE_BYTES_MAX`].
    pub fn new(source: R) -> Self {
        Self::with_limit(source, LINE_BYTES_MAX)
    }

    /// Reads from `source`, refusing lines longer than `limit` bytes.
    pub fn with_limit(source: R, limit: usize) -> Self {
        Self { lines: Lines::new(source, limit), value: std::marker::PhantomData }
    }
}

impl<R: BufRead, T: DeserializeOwned> Iterator for Reader<R, T> {
    type Item = Result<(usize, T), LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (line, text) = match self.lines.next()? {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        Some(match serde_json::from_str(&text) {
            Ok(value) => Ok((line, value)),
            Err(error) => Err(LineError { line, problem: LineProblem::Json(error) }),
        })
    }
}

/// Writes `value` as one line.
pub fn write_line<T: Serialize>(out: &mut impl Write, value: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// `values` as the text of a JSONL file.
pub fn to_string<T: Serialize>(values: impl IntoIterator<Item = T>) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for value in values {
        text.push_str(&serde_json::to_string(&value)?);
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Line numbers with values, or with messages.
    fn read(bytes: &[u8], limit: usize) -> Vec<(usize, String)> {
        Reader::<_, Value>::with_limit(bytes, limit)
            .map(|row| match row {
                Ok((line, value)) => (line, value.to_string()),
                Err(error) => (error.line, format!("! {}", error.problem)),
            })
            .collect()
    }

    #[test]
    fn accepts_mark_crlf_blank_lines_and_a_missing_last_newline() {
        let bytes = b"\xef\xbb\xbf{\"a\":1}\r\n\r\n  \n[2]\n3";
        let expected = [(1, r#"{"a":1}"#), (4, "[2]"), (5, "3")];
        assert_eq!(read(bytes, 99), expected.map(|(n, t)| (n, t.to_owned())));
    }

    #[test]
    fn goes_on_after_a_bad_line() {
        let found = read(b"{\n\"\xff\"\n[1,2,3,4,5]\n7\n", 9);
        assert_eq!(found[0].1, "! invalid JSON: EOF while parsing an object at column 1");
        assert_eq!(found[1], (2, "! invalid UTF-8 after 1 valid bytes".into()));
        assert_eq!(found[2], (3, "! longer than 9 bytes".into()));
        assert_eq!(found[3], (4, "7".into()));
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn an_endless_line_costs_no_memory() {
        let endless = io::BufReader::new(io::repeat(b'x').take(50 << 20));
        let found: Vec<_> = Lines::new(endless, 1000).collect();
        assert_eq!(found.len(), 1);
        assert!(matches!(found[0], Err(LineError { line: 1, problem: LineProblem::TooLong { limit: 1000 } })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_is_written_is_read(texts in prop::collection::vec(any::<String>(), 0..8)) {
            let mut bytes = Vec::new();
            for text in &texts { write_line(&mut bytes, text).expect("write to memory"); }
            prop_assert_eq!(to_string(&texts).expect("strings").into_bytes(), bytes.clone());
            let back: Vec<String> = Reader::new(bytes.as_slice())
                .map(|row| row.expect("written by us").1).collect();
            prop_assert_eq!(back, texts);
        }

        #[test]
        fn any_bytes_end_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), limit in 0_usize..20) {
            let rows = bytes.iter().filter(|&&b| b == b'\n').count() + 1;
            prop_assert!(read(&bytes, limit).len() <= rows);
        }
    }
}
