//! What a checkpoint holds beside the model, so that a resumed run is the same run bit for bit.
//!
//! `trainer.json` has the counters. `trainer.safetensors` has the f32 master weights as they are, Adam's moments and
//! the moving average, flat, in the model's own order. No position of a random stream is needed: every stream is named
//! by the step (or epoch) that it serves.
use crate::TrainError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use stdx::FileError;

/// The counters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerState {
    /// Optimizer steps done; the data cursor follows from it.
    pub step: u64,
    /// Tokens run through the model.
    pub tokens: u64,
    /// Seconds spent in optimizer steps.
    pub seconds: f64,
    /// The seed of every stream.
    pub seed: u64,
    /// The step's line of `metrics.jsonl`, where the run was stopped while its held-out rows were judged: a resumed run
    /// judges them, and then writes the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Map<String, Value>>,
}

/// Name of the counters' file.
pub const COUNTERS: &str = "trainer.json";
/// Name of the arrays' file.
pub const ARRAYS: &str = "trainer.safetensors";

/// Values converted to bytes at a time.
const CHUNK: usize = 1 << 16;

/// Writes named f32 arrays as a safetensors file.
pub fn write_arrays(path: &Path, arrays: &[(&str, &[f32])]) -> Result<(), FileError> {
    let file = File::create(path).map_err(FileError::at(path, "create"))?;
    let mut out = BufWriter::with_capacity(4 * CHUNK, file);
    let header = header(arrays.iter().map(|(name, values)| (*name, values.len())));
    let mut write = || -> std::io::Result<()> {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        let mut bytes = Vec::with_capacity(4 * CHUNK);
        for chunk in arrays.iter().flat_map(|(_, values)| values.chunks(CHUNK)) {
            bytes.clear();
            bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
            out.write_all(&bytes)?;
        }
        out.flush()
    };
    write().map_err(FileError::at(path, "write"))
}

/// Reads the arrays of exactly these names and lengths, in this order.
pub fn read_arrays(path: &Path, wanted: &[(&str, usize)]) -> Result<Vec<Vec<f32>>, TrainError> {
    let damaged = |message: String| TrainError::State { path: path.to_path_buf(), message };
    let file = File::open(path).map_err(FileError::at(path, "open"))?;
    let size = file.metadata().map_err(FileError::at(path, "read"))?.len();
    let mut reader = BufReader::with_capacity(4 * CHUNK, file);
    let expected = header(wanted.iter().copied());
    let data: u64 = wanted.iter().map(|(_, length)| 4 * *length as u64).sum();
    let expected_size = 8 + expected.len() as u64 + data;
    if size != expected_size {
        return Err(damaged(format!("{size} bytes, expected {expected_size} for {}", names(wanted))));
    }
    let mut found = vec![0; 8 + expected.len()];
    reader.read_exact(&mut found).map_err(FileError::at(path, "read"))?;
    let length = (expected.len() as u64).to_le_bytes();
    if found[..8] != length || found[8..] != *expected.as_bytes() {
        return Err(damaged(format!("another header, expected {}", names(wanted))));
    }
    let mut arrays = Vec::with_capacity(wanted.len());
    let mut bytes = vec![0; 4 * CHUNK];
    for &(_, length) in wanted {
        let mut values = Vec::with_capacity(length);
        while values.len() < length {
            let n = CHUNK.min(length - values.len());
            reader.read_exact(&mut bytes[..4 * n]).map_err(FileError::at(path, "read"))?;
            values.extend(bytes[..4 * n].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
        arrays.push(values);
    }
    Ok(arrays)
}

/// safetensors' header: JSON with type, shape and place of each array, padded with spaces to a multiple of 8.
fn header<'a>(arrays: impl Iterator<Item = (&'a str, usize)>) -> String {
    let mut entries = Map::new();
    let mut start = 0;
    for (name, length) in arrays {
        let end = start + 4 * length;
        let entry: Value = json!({"dtype": "F32", "shape": [length], "data_offsets": [start, end]});
        entries.insert(name.to_owned(), entry);
        start = end;
    }
    let mut text = Value::Object(entries).to_string();
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
    text
}

fn names(wanted: &[(&str, usize)]) -> String {
    let names: Vec<String> = wanted.iter().map(|(name, length)| format!("{name}[{length}]")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_back_bit_for_bit() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join(ARRAYS);
        let long: Vec<f32> = (0..CHUNK + 7).map(|i| (i as f32).sin()).collect();
        let odd = [f32::MIN_POSITIVE / 4.0, -0.0, f32::MAX];
        write_arrays(&path, &[("long", &long), ("odd", &odd)]).expect("write");
        let back = read_arrays(&path, &[("long", long.len()), ("odd", 3)]).expect("read");
        assert_eq!(back[0], long);
        assert!(back[1].iter().zip(odd).all(|(a, b)| a.to_bits() == b.to_bits()));
        for wrong in
            [&[("long", long.len())][..], &[("long", long.len() - 1), ("odd", 4)], &[("odd", 3), ("long", long.len())]]
        {
            let error = read_arrays(&path, wrong).expect_err("other arrays").to_string();
            assert!(error.contains("trainer.safetensors") && error.contains("expected"), "{error}");
        }
    }
}
