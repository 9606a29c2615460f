//! Writing: one tensor in memory at a time, the same bytes for the same tensors, the file whole or absent.
use super::super::{TensorSource, elements, invalid, quoted, write_atomically};
use crate::{Dtype, ModelError};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;

/// Elements encoded between two writes.
const CHUNK: usize = 1 << 16;

/// Writes every tensor of `tensors`, sorted by name, as `dtype`. `transformers` asks for the metadata `{"format": "pt"}`.
///
/// A value that `dtype` can't hold (beyond 65,504 in f16) is an error and not an infinity.
pub fn write(path: &Path, tensors: &dyn TensorSource, dtype: Dtype) -> Result<(), ModelError> {
    write_atomically(path, |out| write_to(out, path, tensors, dtype))
}

fn write_to(out: &mut dyn Write, path: &Path, tensors: &dyn TensorSource, dtype: Dtype) -> Result<(), ModelError> {
    let io = |source| ModelError::Io { path: path.to_path_buf(), source };
    let mut names = tensors.names();
    names.sort_unstable();
    let header = header(path, &names, tensors, dtype)?;
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
    out.write_all(&header).map_err(io)?;
    let (mut values, mut bytes) = (Vec::new(), Vec::new());
    for name in &names {
        values.clear();
        values.resize(shape(path, tensors, name)?.iter().product(), 0.0);
        tensors.read(name, &mut values)?;
        for part in values.chunks(CHUNK) {
            bytes.clear();
            elements::encode(dtype, part, &mut bytes).map_err(|x| beyond(path, name, x, dtype.name()))?;
            out.write_all(&bytes).map_err(io)?;
        }
    }
    Ok(())
}

fn shape(path: &Path, tensors: &dyn TensorSource, name: &str) -> Result<Vec<usize>, ModelError> {
    tensors.shape(name).ok_or_else(|| super::missing(path, name))
}

/// The error for a value that the type on disk can't hold.
pub(in crate::weights) fn beyond(path: &Path, name: &str, value: f32, type_name: &str) -> ModelError {
    invalid(path, format!("tensor {}: {value} is beyond what {type_name} can hold", quoted(name)))
}

/// JSON, filled up with blanks so that the data begin at a multiple of eight.
fn header(path: &Path, names: &[String], tensors: &dyn TensorSource, dtype: Dtype) -> Result<Vec<u8>, ModelError> {
    let mut header = Map::new();
    header.insert("__metadata__".to_string(), json!({"format": "pt"}));
    let mut begin = 0;
    for name in names {
        let shape = shape(path, tensors, name)?;
        let end = begin + shape.iter().product::<usize>() * elements::width(dtype);
        header.insert(name.clone(), json!({"dtype": dtype.name(), "shape": shape, "data_offsets": [begin, end]}));
        begin = end;
    }
    let mut bytes = Value::Object(header).to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::safetensors::tests::Plain;

    /// A disk that holds `left` more bytes.
    struct Disk {
        left: usize,
    }
    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.left == 0 {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            let n = bytes.len().min(self.left);
            self.left -= n;
            Ok(n)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_an_error_wherever_it_fills_up() {
        let tensors = Plain::new(&[("a", &[3, 5]), ("b", &[7])]);
        let mut whole = Vec::new();
        write_to(&mut whole, Path::new("x"), &tensors, Dtype::F32).unwrap();
        for left in (0..whole.len()).step_by(13) {
            let error = write_to(&mut Disk { left }, Path::new("x"), &tensors, Dtype::F32).unwrap_err();
            assert!(matches!(error, ModelError::Io { .. }), "{error}");
        }
    }
}
