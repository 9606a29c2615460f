//! A GGUF as a checkpoint: `transformers`' names, layouts and `config.json`.
use super::names::{GgufArchitecture, Layout, to_hugging_face};
use super::{GgufFile, config};
use crate::ModelError;
use crate::weights::{Checkpoint, TensorSource, invalid, quoted, unsupported};
use kernels::Device;
use std::collections::BTreeMap;

/// What `transformers` would have for the model in the file. A tensor or a setting that would change the numbers and
/// has no place there is refused by its name.
pub fn checkpoint(file: GgufFile) -> Result<Checkpoint, ModelError> {
    let name = file.metadata("general.architecture").and_then(|v| v.as_str());
    let name = name.ok_or_else(|| invalid(&file.path, "metadata `general.architecture` is missing".to_string()))?;
    let architecture = GgufArchitecture::from_name(&file.path, name)?;
    let tied = is_tied(&file, architecture);
    let config = config::from_metadata(&file, architecture, tied)?;
    let tensors = GgufTensors::new(file, architecture, tied)?;
    Ok(Checkpoint { config, tensors: Box::new(tensors) })
}

/// No output matrix, or (in old GPT-2 files) the embedding a second time.
fn is_tied(file: &GgufFile, architecture: GgufArchitecture) -> bool {
    let bytes = |name| file.tensor(name).map(|info| (info.tensor_type, file.tensor_bytes(info)));
    match bytes("output.weight") {
        None => true,
        output => architecture == GgufArchitecture::Gpt2 && output == bytes("token_embd.weight"),
    }
}

/// The tensors under their other names.
struct GgufTensors {
    file: GgufFile,
    tensors: BTreeMap<String, Renamed>,
}

struct Renamed {
    gguf_name: String,
    layout: Layout,
    /// As in `transformers`.
    shape: Vec<usize>,
}

impl GgufTensors {
    fn new(file: GgufFile, architecture: GgufArchitecture, tied: bool) -> Result<GgufTensors, ModelError> {
        let modules = architecture.modules();
        let heads = config::head_counts(&file, architecture)?;
        let mut tensors = BTreeMap::new();
        for (gguf_name, info) in file.tensors() {
            if gguf_name == config::ROTARY_FACTORS || (tied && gguf_name == "output.weight") {
                continue; // The first is in the config, the second in the embedding.
            }
            let (name, order) = to_hugging_face(&modules, gguf_name).ok_or_else(|| {
                let known = architecture.name();
                unsupported(&file.path, format!("tensor {} in an architecture `{known}`", quoted(gguf_name)))
            })?;
            let layout = Layout::new(&file.path, gguf_name, order, heads, &info.shape)?;
            let shape = layout.other_shape(&info.shape);
            tensors.insert(name, Renamed { gguf_name: gguf_name.to_string(), layout, shape });
        }
        Ok(GgufTensors { file, tensors })
    }
}

impl TensorSource for GgufTensors {
    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|t| t.shape.clone())
    }
    fn read(&self, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        self.arranged(name, out, |gguf_name, values| self.file.read_tensor(gguf_name, values))
    }
    fn read_on(&self, device: &Device, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        self.arranged(name, out, |gguf_name, values| self.file.read_tensor_on(device, gguf_name, values))
    }
}

impl GgufTensors {
    /// What `read` says of the tensor under its name in the file, arranged as Hugging Face's files are.
    fn arranged(
        &self,
        name: &str,
        out: &mut [f32],
        read: impl Fn(&str, &mut [f32]) -> Result<(), ModelError>,
    ) -> Result<(), ModelError> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(invalid(&self.file.path, format!("tensor {} is missing", quoted(name))));
        };
        if tensor.layout == Layout::Same {
            return read(&tensor.gguf_name, out);
        }
        let mut values = vec![0.0; out.len()];
        read(&tensor.gguf_name, &mut values)?;
        tensor.layout.to_hugging_face(&tensor.shape, &values, out);
        Ok(())
    }
}
