//! The GGUF format (versions 2 and 3, little-endian): metadata, a list of tensors, and their bytes, often quantised.
//!
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. [`GgufFile`] is the file as it is; [`checkpoint`] gives
//! it the names, layouts and `config.json` that `transformers` has for the same model; [`write()`] is the way back.
mod block;
mod config;
mod export;
mod import;
mod names;
mod parse;
mod value;
mod write;

use super::map::{Mapped, map_file};
use super::{invalid, quoted, unsupported};
use crate::ModelError;
use kernels::Device;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use block::TensorType;
pub use export::{WriteType, write};
pub use import::checkpoint;
pub use value::{Array, Value};

/// One opened GGUF file, its header checked: every tensor lies in the file, none overlap.
pub struct GgufFile {
    path: PathBuf,
    bytes: Mapped,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

/// What the file says of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// How its elements are stored.
    pub tensor_type: TensorType,
    /// Row-major, outermost first (the file lists the innermost first).
    pub shape: Vec<usize>,
    /// Where its bytes begin in the file.
    begin: usize,
    /// How many they are.
    n_bytes: usize,
}

impl GgufFile {
    /// Maps the file and reads its metadata and its list of tensors.
    pub fn open(path: &Path) -> Result<GgufFile, ModelError> {
        let bytes = map_file(path)?;
        let header = parse::parse(&bytes).map_err(|error| match error {
            parse::Error::Invalid(message) => invalid(path, message),
            parse::Error::Unsupported(feature) => unsupported(path, feature),
        })?;
        Ok(GgufFile { path: path.to_path_buf(), bytes, metadata: header.metadata, tensors: header.tensors })
    }
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The metadata under `key` (`general.architecture`, `tokenizer.ggml.tokens`, …).
    pub fn metadata(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }
    /// Every key, sorted.
    pub fn metadata_keys(&self) -> impl Iterator<Item = &str> {
        self.metadata.keys().map(String::as_str)
    }
    /// Every tensor under its name in the file, sorted.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.tensors.iter().map(|(name, info)| (name.as_str(), info))
    }
    /// One tensor.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }
    /// Dequantises a tensor, as it lies in the file, into `out` (as many elements as its shape says).
    pub fn read_tensor(&self, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        let info = self.readable(name, out.len())?;
        info.tensor_type.dequantize(self.tensor_bytes(info), out);
        Ok(())
    }
    /// The same by all threads of `device`.
    fn read_tensor_on(&self, device: &Device, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        let info = self.readable(name, out.len())?;
        info.tensor_type.dequantize_on(device, self.tensor_bytes(info), out);
        Ok(())
    }
    /// What is known of a tensor of `n` elements whose type can be read.
    fn readable(&self, name: &str, n: usize) -> Result<&TensorInfo, ModelError> {
        let info =
            self.tensors.get(name).ok_or_else(|| invalid(&self.path, format!("tensor {} is missing", quoted(name))))?;
        if info.shape.iter().product::<usize>() != n {
            let message = format!("tensor {} has shape {:?}, asked for {n} elements", quoted(name), info.shape);
            return Err(invalid(&self.path, message));
        }
        if !info.tensor_type.is_readable() {
            return Err(unsupported(
                &self.path,
                format!("tensor {} of type {}", quoted(name), info.tensor_type.name()),
            ));
        }
        Ok(info)
    }
    fn tensor_bytes(&self, info: &TensorInfo) -> &[u8] {
        &self.bytes[info.begin..][..info.n_bytes]
    }
}

#[cfg(test)]
mod tests;
