//! Model folders and GGUF files into one another, tokenizer and chat template included.

mod adapter;
mod vocabulary;

pub use adapter::is_adapter;

use crate::error::{CommandError, of_file};
use model::Dtype;
use model::weights::gguf::{GgufFile, WriteType};
use model::weights::{Checkpoint, TensorSource, gguf, safetensors};
use render::{GgufVocabulary, Renderer, Tokenizer, TokenizerFiles};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use stdx::PendingFolder;

/// Files that belong to a model folder besides config and weights.
const COMPANIONS: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
    run::lineage::SOURCE_FILE,
];

/// A model as files: what a conversion starts from.
pub struct Origin {
    path: PathBuf,
    checkpoint: Checkpoint,
}

impl Origin {
    /// Opens a model folder or GGUF file; a PEFT adapter folder is merged into its base.
    pub fn open(path: &Path, base: Option<&Path>) -> Result<Origin, CommandError> {
        if is_adapter(path) {
            let (base, checkpoint) = adapter::merge(path, base)?;
            return Ok(Origin { path: base, checkpoint });
        }
        Ok(Origin { path: path.to_path_buf(), checkpoint: model::weights::open(path)? })
    }

    /// The type that `config.json` names; f32 when it names none.
    fn dtype(&self) -> Dtype {
        let config = &self.checkpoint.config;
        match config.get("dtype").or_else(|| config.get("torch_dtype")).and_then(Value::as_str) {
            Some("bfloat16") => Dtype::Bf16,
            Some("float16") => Dtype::F16,
            _ => Dtype::F32,
        }
    }

    /// Writes a model folder into an existing folder; `None` keeps the type.
    pub fn write_folder(&self, folder: &Path, dtype: Option<Dtype>) -> Result<(), CommandError> {
        let dtype = dtype.unwrap_or(self.dtype());
        let mut config = self.checkpoint.config.clone();
        if let Some(config) = config.as_object_mut() {
            let key = if config.contains_key("torch_dtype") { "torch_dtype" } else { "dtype" };
            let name = match dtype {
                Dtype::F32 => "float32",
                Dtype::Bf16 => "bfloat16",
                Dtype::F16 => "float16",
            };
            config.insert(key.to_string(), json!(name));
        }
        write_json(&folder.join("config.json"), &config)?;
        safetensors::write(&folder.join("model.safetensors"), self.checkpoint.tensors.as_ref(), dtype)?;
        if self.path.is_dir() {
            return copy_companions(&self.path, folder);
        }
        let made = render::tokenizer_from_gguf(&self.vocabulary()?)?;
        write_json(&folder.join("tokenizer.json"), &made.tokenizer)?;
        write_json(&folder.join("tokenizer_config.json"), &made.tokenizer_config)
    }

    /// Writes a GGUF file; `None` keeps the type.
    pub fn write_gguf(&self, path: &Path, write_type: Option<WriteType>) -> Result<(), CommandError> {
        let write_type = write_type.unwrap_or(match self.dtype() {
            Dtype::F32 => WriteType::F32,
            Dtype::Bf16 => WriteType::Bf16,
            Dtype::F16 => WriteType::F16,
        });
        let mut vocabulary = self.vocabulary()?;
        if let Some(rows) = self.checkpoint.config.get("vocab_size").and_then(Value::as_u64) {
            vocabulary.pad_to(usize::try_from(rows).unwrap_or(usize::MAX).min(1 << 24));
        }
        let metadata = vocabulary::to_metadata(&vocabulary);
        Ok(gguf::write(path, &self.checkpoint.config, &metadata, self.checkpoint.tensors.as_ref(), write_type)?)
    }

    fn vocabulary(&self) -> Result<GgufVocabulary, CommandError> {
        if !self.path.is_dir() {
            return vocabulary::of_file(&GgufFile::open(&self.path)?);
        }
        // The renderer knows which chat template the folder has, wherever it stands.
        let renderer = Renderer::open(&self.path, None)?;
        let config = renderer.tokenizer_config();
        Ok(render::vocabulary_to_gguf(&Tokenizer::open(&self.path)?, Some(&config))?)
    }
}

/// Makes a model folder of a GGUF file in an existing folder, dequantised to f32; returns what most weights were.
pub fn gguf_to_folder(gguf: &Path, folder: &Path) -> Result<String, CommandError> {
    Origin::open(gguf, None)?.write_folder(folder, Some(Dtype::F32))?;
    let file = GgufFile::open(gguf)?;
    let mut elements: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, tensor) in file.tensors() {
        *elements.entry(tensor.tensor_type.name()).or_default() += tensor.shape.iter().product::<usize>();
    }
    let most = elements.into_iter().max_by_key(|(_, n)| *n);
    Ok(most.map(|(name, _)| name.to_string()).unwrap_or_default())
}

/// The tokenizer and chat template of a GGUF file.
pub fn gguf_renderer(path: &Path, chat_template: Option<&Path>) -> Result<Renderer, CommandError> {
    let made = render::tokenizer_from_gguf(&vocabulary::of_file(&GgufFile::open(path)?)?)?;
    let files = TokenizerFiles {
        folder: path.display().to_string(),
        tokenizer: made.tokenizer.to_string().into_bytes(),
        tokenizer_config: Some(made.tokenizer_config),
        ..TokenizerFiles::default()
    };
    let chosen = match chat_template {
        None => None,
        Some(path) => Some((path.to_path_buf(), fs::read_to_string(path).map_err(of_file(path))?)),
    };
    Ok(Renderer::new(&files, chosen, render::Date::default())?)
}

/// Writes a new model folder, there whole or not at all.
pub fn to_new_folder(origin: &Origin, place: &Path, dtype: Option<Dtype>) -> Result<(), CommandError> {
    let pending = PendingFolder::new(place)?;
    origin.write_folder(pending.path(), dtype)?;
    Ok(pending.publish()?)
}

fn copy_companions(from: &Path, to: &Path) -> Result<(), CommandError> {
    for name in COMPANIONS {
        let path = from.join(name);
        if path.is_file() {
            fs::copy(&path, to.join(name)).map_err(of_file(&path))?;
        }
    }
    Ok(())
}

fn write_json(path: &Path, value: &Value) -> Result<(), CommandError> {
    fs::write(path, format!("{value:#}\n")).map_err(of_file(path))
}

/// Reads a JSON file.
fn read_json(path: &Path) -> Result<Value, CommandError> {
    let bytes = fs::read(path).map_err(of_file(path))?;
    serde_json::from_slice(&bytes).map_err(|error| CommandError::input(format!("{}: {error}", path.display())))
}

/// A tensor as a vector.
fn read_tensor(source: &dyn TensorSource, name: &str, len: usize) -> Result<Vec<f32>, model::ModelError> {
    let mut values = vec![0.0; len];
    source.read(name, &mut values)?;
    Ok(values)
}
