//! Weight files. Hostile until parsed: every size, offset and count from a file is checked before it is used.
use crate::ModelError;
use std::path::Path;
pub mod gguf;
pub mod safetensors;

/// Named tensors, read as f32 whatever their type on disk.
pub trait TensorSource {
    /// Every tensor's name.
    fn names(&self) -> Vec<String>;
    /// Its shape, row-major, outermost first.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;
    /// Fills `out` (as many elements as the shape says).
    fn read(&self, name: &str, out: &mut [f32]) -> Result<(), ModelError>;
}

/// An opened checkpoint: a folder or a GGUF, with `config.json` content and tensors under their Hugging Face names.
pub struct Checkpoint {
    /// `config.json` (made from the metadata for a GGUF).
    pub config: serde_json::Value,
    /// Tensors under the names `transformers` gives them.
    pub tensors: Box<dyn TensorSource>,
}

/// Opens a model folder or a GGUF file.
pub fn open(path: &Path) -> Result<Checkpoint, ModelError> {
    let _ = path;
    todo!()
}
