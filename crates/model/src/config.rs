//! `config.json`, read as `transformers` 4 and 5 write it.
use crate::ModelError;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What the rest of Helpmate may know about a model. (The family keeps the details.)
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// `model_type`.
    pub model_type: String,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width.
    pub hidden_size: usize,
    /// Layers.
    pub n_layers: usize,
    /// Longest position + 1 the model was made for.
    pub max_position: usize,
    /// Every id that ends a text.
    pub eos_token_ids: Vec<u32>,
    /// The id that begins one.
    pub bos_token_id: Option<u32>,
    /// Padding.
    pub pad_token_id: Option<u32>,
    /// Added to every scalar the model reads (`reward_bias`, 0 when absent).
    pub reward_bias: f32,
    /// The file as read, unknown fields and all.
    pub json: Value,
}

/// Typed access to a `config.json`, with errors that name the field, what was found and what was expected.
pub(crate) struct Fields<'a> {
    pub json: &'a Value,
    pub path: &'a Path,
}

impl Fields<'_> {
    pub fn invalid(&self, message: String) -> ModelError {
        ModelError::Invalid { path: self.path.to_path_buf(), message }
    }
    pub fn unsupported(&self, feature: String) -> ModelError {
        ModelError::Unsupported { path: self.path.to_path_buf(), feature }
    }
    fn get(&self, field: &str) -> Option<&Value> {
        self.json.get(field).filter(|v| !v.is_null())
    }
    fn wrong(&self, field: &str, expected: &str) -> ModelError {
        let found = self.get(field).map_or("nothing".to_string(), |v| v.to_string());
        self.invalid(format!("`{field}`: expected {expected}, found {found}"))
    }
    /// A size between 1 and 2³¹.
    pub fn size(&self, field: &str) -> Result<usize, ModelError> {
        self.optional_size(field)?.ok_or_else(|| self.wrong(field, "a positive integer"))
    }
    pub fn optional_size(&self, field: &str) -> Result<Option<usize>, ModelError> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(n) if (1..1 << 31).contains(&n) => Ok(Some(n as usize)),
            _ => Err(self.wrong(field, "a positive integer")),
        }
    }
    pub fn number(&self, field: &str, default: f64) -> Result<f64, ModelError> {
        match self.get(field) {
            None => Ok(default),
            Some(v) => v.as_f64().filter(|x| x.is_finite()).ok_or_else(|| self.wrong(field, "a number")),
        }
    }
    pub fn flag(&self, field: &str, default: bool) -> Result<bool, ModelError> {
        match self.get(field) {
            None => Ok(default),
            Some(v) => v.as_bool().ok_or_else(|| self.wrong(field, "true or false")),
        }
    }
    pub fn text(&self, field: &str) -> Option<&str> {
        self.get(field).and_then(Value::as_str)
    }
    pub fn object(&self, field: &str) -> Option<&Value> {
        self.get(field).filter(|v| v.is_object())
    }
    fn token(&self, field: &str) -> Result<Option<u32>, ModelError> {
        match self.get(field) {
            None => Ok(None),
            Some(v) => match v.as_u64().and_then(|n| u32::try_from(n).ok()) {
                Some(id) => Ok(Some(id)),
                None => Err(self.wrong(field, "a token id")),
            },
        }
    }
    fn tokens(&self, field: &str) -> Result<Vec<u32>, ModelError> {
        match self.get(field) {
            Some(Value::Array(ids)) => ids
                .iter()
                .map(|v| v.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(|| self.wrong(field, "token ids")))
                .collect(),
            _ => Ok(self.token(field)?.into_iter().collect()),
        }
    }
}

impl ModelConfig {
    /// The shared facts of a config; `max_position` and sizes come from the family.
    pub(crate) fn read(
        json: &Value,
        path: &Path,
        architecture: &crate::architecture::Architecture,
    ) -> Result<ModelConfig, ModelError> {
        let fields = Fields { json, path };
        let config = ModelConfig {
            model_type: fields.text("model_type").unwrap_or_default().to_string(),
            vocab_size: architecture.vocab_size,
            hidden_size: architecture.hidden_size,
            n_layers: architecture.n_layers,
            max_position: architecture.max_position,
            eos_token_ids: fields.tokens("eos_token_id")?,
            bos_token_id: fields.token("bos_token_id")?,
            pad_token_id: fields.token("pad_token_id")?,
            reward_bias: fields.number("reward_bias", 0.0)? as f32,
            json: json.clone(),
        };
        Ok(config)
    }
}

/// Where a config came from when it came from no file.
pub(crate) fn nowhere() -> PathBuf {
    PathBuf::from("config.json")
}
