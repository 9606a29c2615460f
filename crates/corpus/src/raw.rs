//! Files as streams of JSON values: extension, compression, container.
//!
//! | extension | what it holds |
//! |---|---|
//! | `.jsonl`, `.ndjson` | a value a line |
//! | `.json` | a list of values, or values one after another |
//! | `.txt` | one document, or several with a literal `<\|endoftext\|>` between them |
//! | `.parquet` | a row an object, columns as fields |
//!
//! `.gz` or `.zst` after any but the last is undone on the way. What unfolds is bounded: a line by
//! [`stdx::jsonl::LINE_BYTES_MAX`], a document by [`DOCUMENT_BYTES_MAX`].

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::panic::AssertUnwindSafe;
use std::path::Path;

use parquet::file::reader::SerializedFileReader;
use serde_json::Value;
use stdx::FileError;
use stdx::jsonl::{LineError, LineProblem, Reader};

use crate::CorpusError;

/// The largest `.json` or `.txt` that is read, after decompression: 1 GiB.
pub const DOCUMENT_BYTES_MAX: u64 = 1 << 30;

/// Values with their numbers: the line in a file of lines and where a text begins, else the
/// position, from 1. After an error that isn't a bad row, nothing follows.
pub type Values = Box<dyn Iterator<Item = Result<(usize, Value), CorpusError>>>;

/// Opens a file as JSON values, for rows that aren't records.
pub fn values(path: &Path) -> Result<Values, CorpusError> {
    let name = path.to_string_lossy().to_lowercase();
    let (inner, compression) = match name.rsplit_once('.') {
        Some((inner, "gz")) => (inner.to_owned(), Compression::Gzip),
        Some((inner, "zst")) => (inner.to_owned(), Compression::Zstandard),
        _ => (name, Compression::None),
    };
    let extension = inner.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "jsonl" | "ndjson" => Ok(lines(path, open(path, compression)?)),
        "json" => json(path, open(path, compression)?),
        "txt" => text(path, open(path, compression)?),
        "parquet" if compression == Compression::None => table(path),
        _ => Err(CorpusError::Extension { path: path.to_path_buf() }),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Compression {
    None,
    Gzip,
    Zstandard,
}

fn open(path: &Path, compression: Compression) -> Result<Box<dyn BufRead>, CorpusError> {
    let file = BufReader::new(File::open(path).map_err(FileError::at(path, "open"))?);
    Ok(match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(file))),
        Compression::Zstandard => {
            let decoder = zstd::stream::read::Decoder::with_buffer(file);
            Box::new(BufReader::new(decoder.map_err(FileError::at(path, "decompress"))?))
        }
    })
}

fn lines(path: &Path, source: Box<dyn BufRead>) -> Values {
    let path = path.to_path_buf();
    Box::new(Reader::new(source).map(move |row| {
        row.map_err(|error| match error {
            LineError { problem: LineProblem::Io(source), .. } => FileError::at(&path, "read")(source).into(),
            source => CorpusError::Line { path: path.clone(), source },
        })
    }))
}

fn json(path: &Path, source: Box<dyn BufRead>) -> Result<Values, CorpusError> {
    let document = document(path, source)?;
    let broken = |error: serde_json::Error| CorpusError::Document {
        path: path.to_path_buf(),
        problem: format!("invalid JSON: {error}"),
    };
    let mut values = Vec::new();
    for value in serde_json::Deserializer::from_str(&document).into_iter::<Value>() {
        match value.map_err(broken)? {
            Value::Array(items) => values.extend(items),
            other => values.push(other),
        }
    }
    Ok(numbered(values))
}

fn numbered(values: Vec<Value>) -> Values {
    let numbers = 1..;
    Box::new(numbers.zip(values).map(Ok))
}

fn text(path: &Path, source: Box<dyn BufRead>) -> Result<Values, CorpusError> {
    let document = document(path, source)?;
    let mut line = 1;
    let mut values = Vec::new();
    for part in document.split("<|endoftext|>") {
        let lead = &part[..part.len() - part.trim_start().len()];
        if !part.trim().is_empty() {
            let start = line + lead.matches('\n').count();
            values.push(Ok((start, serde_json::json!({"text": part.trim()}))));
        }
        line += part.matches('\n').count();
    }
    Ok(Box::new(values.into_iter()))
}

/// The whole of a source as text, without a byte-order mark.
fn document(path: &Path, source: Box<dyn BufRead>) -> Result<String, CorpusError> {
    let broken = |problem: String| CorpusError::Document { path: path.to_path_buf(), problem };
    let mut bytes = Vec::new();
    source.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(FileError::at(path, "read"))?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(broken(format!(
            "more than {DOCUMENT_BYTES_MAX} bytes, expected a document that fits in memory; \
             a .jsonl file may be of any size"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        broken(format!("invalid UTF-8 after {valid} valid bytes"))
    })?;
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}

fn table(path: &Path) -> Result<Values, CorpusError> {
    let file = File::open(path).map_err(FileError::at(path, "open"))?;
    let broken = {
        let path = path.to_path_buf();
        move |problem: String| CorpusError::Document {
            path: path.clone(),
            problem: format!("invalid Parquet: {problem}"),
        }
    };
    let mut rows = guarded(|| Ok(SerializedFileReader::new(file)?.into_iter())).map_err(&broken)?;
    let mut number = 0;
    let mut ended = false;
    Ok(Box::new(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        number += 1;
        let row = guarded(|| rows.next().transpose());
        ended = !matches!(row, Ok(Some(_)));
        match row {
            Ok(row) => row.map(|row| Ok((number, row.to_json_value()))),
            Err(problem) => Some(Err(broken(format!("row {number}: {problem}")))),
        }
    })))
}

/// Runs the Parquet reader, which panics on some broken files; a panic becomes an error.
fn guarded<T>(read: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, String> {
    match std::panic::catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the reader gave up on it".to_owned()),
    }
}
