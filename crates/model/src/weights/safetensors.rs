//! The safetensors format: a length, a JSON header, and the tensors' bytes without gaps.
//!
//! <https://github.com/huggingface/safetensors#format>
mod header;
mod write;

use super::map::{Mapped, map_file};
use super::{TensorSource, elements, invalid, quoted, read_json, unsupported};
use crate::{Dtype, ModelError};
use kernels::Device;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use header::{ElementType, Entry};
pub(super) use write::beyond;
pub use write::write;

/// One opened file, its header checked: every offset lies in the file, no tensors overlap.
pub struct SafeTensors {
    path: PathBuf,
    bytes: Mapped,
    /// Where the tensors' bytes begin.
    data_start: usize,
    tensors: BTreeMap<String, Entry>,
}

impl SafeTensors {
    /// Maps the file and reads its header.
    pub fn open(path: &Path) -> Result<SafeTensors, ModelError> {
        let bytes = map_file(path)?;
        let (data_start, tensors) = header::parse(&bytes).map_err(|message| invalid(path, message))?;
        Ok(SafeTensors { path: path.to_path_buf(), bytes, data_start, tensors })
    }
}

impl TensorSource for SafeTensors {
    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|entry| entry.shape.clone())
    }
    fn read(&self, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        let (dtype, bytes) = self.tensor(name, out.len())?;
        elements::decode(dtype, bytes, out);
        Ok(())
    }
    fn read_on(&self, device: &Device, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        let (dtype, bytes) = self.tensor(name, out.len())?;
        device.pool.parts(out, elements::GRAIN, |first, part| {
            elements::decode(dtype, &bytes[first * elements::width(dtype)..], part);
        });
        Ok(())
    }
}

impl SafeTensors {
    /// A tensor's type and bytes, which must be `n` elements.
    fn tensor(&self, name: &str, n: usize) -> Result<(Dtype, &[u8]), ModelError> {
        let entry = self.tensors.get(name).ok_or_else(|| missing(&self.path, name))?;
        let ElementType::Float(dtype) = entry.element_type else {
            let feature = format!("tensor {} of type {} (F32, F16 and BF16 are)", quoted(name), entry.element_type);
            return Err(unsupported(&self.path, feature));
        };
        let bytes = &self.bytes[self.data_start..][entry.begin..entry.end];
        if bytes.len() != n * elements::width(dtype) {
            let (name, shape) = (quoted(name), &entry.shape);
            return Err(invalid(&self.path, format!("tensor {name} has shape {shape:?}, asked for {n} elements")));
        }
        Ok((dtype, bytes))
    }
}

fn missing(path: &Path, name: &str) -> ModelError {
    invalid(path, format!("tensor {} is missing", quoted(name)))
}

/// The weights of a model folder: `model.safetensors`, or the shards that `model.safetensors.index.json` lists.
pub(super) fn open_folder(folder: &Path) -> Result<Box<dyn TensorSource>, ModelError> {
    let single = folder.join("model.safetensors");
    if single.is_file() {
        return Ok(Box::new(SafeTensors::open(&single)?));
    }
    let index = folder.join("model.safetensors.index.json");
    if index.is_file() {
        return Ok(Box::new(Sharded::open(&index)?));
    }
    let pickled = ["pytorch_model.bin", "pytorch_model.bin.index.json"];
    match pickled.iter().find(|name| folder.join(name).is_file()) {
        Some(name) => Err(unsupported(folder, format!("`{name}` (pickled weights; safetensors and GGUF are)"))),
        None => Err(invalid(folder, "`model.safetensors` (or its `.index.json`) is missing".to_string())),
    }
}

/// Several files and an index that says which tensor lies in which.
struct Sharded {
    index: PathBuf,
    shards: Vec<SafeTensors>,
    shard_of: BTreeMap<String, usize>,
}

impl Sharded {
    fn open(index: &Path) -> Result<Sharded, ModelError> {
        let json = read_json(index)?;
        let map = json.get("weight_map").and_then(|m| m.as_object());
        let map = map.ok_or_else(|| invalid(index, "`weight_map`: expected an object".to_string()))?;
        let folder = index.parent().unwrap_or(Path::new("."));
        let mut sharded = Sharded { index: index.to_path_buf(), shards: Vec::new(), shard_of: BTreeMap::new() };
        let mut opened = BTreeMap::new();
        for (name, file) in map {
            let file = file.as_str().filter(|f| is_plain_file_name(f)).ok_or_else(|| {
                let name = quoted(name);
                invalid(index, format!("`weight_map`: {name}: expected a file name beside the index, found {file}"))
            })?;
            let shard_idx = match opened.get(file) {
                Some(idx) => *idx,
                None => {
                    sharded.shards.push(SafeTensors::open(&folder.join(file))?);
                    opened.insert(file.to_string(), sharded.shards.len() - 1);
                    sharded.shards.len() - 1
                }
            };
            let shard = &sharded.shards[shard_idx];
            if !shard.tensors.contains_key(name) {
                return Err(missing(&shard.path, name));
            }
            sharded.shard_of.insert(name.clone(), shard_idx);
        }
        Ok(sharded)
    }
    fn shard(&self, name: &str) -> Option<&SafeTensors> {
        self.shard_of.get(name).map(|idx| &self.shards[*idx])
    }
}

/// A name that can't lead out of the folder.
fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(std::path::Component::Normal(_)), None))
}

impl TensorSource for Sharded {
    fn names(&self) -> Vec<String> {
        self.shard_of.keys().cloned().collect()
    }
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.shard(name)?.shape(name)
    }
    fn read(&self, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        self.shard(name).ok_or_else(|| missing(&self.index, name))?.read(name, out)
    }
    fn read_on(&self, device: &Device, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        self.shard(name).ok_or_else(|| missing(&self.index, name))?.read_on(device, name, out)
    }
}

#[cfg(test)]
pub(in crate::weights) mod tests;
