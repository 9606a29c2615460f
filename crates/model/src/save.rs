//! Writing a model: a Hugging Face folder that `transformers` and vLLM load unchanged, adapters merged in; with adapters,
//! a PEFT folder beside it.
use crate::lora::Adapter;
use crate::parameters::{FileTensor, Linear, Transform, export, transform};
use crate::weights::{TensorSource, safetensors};
use crate::{Dtype, Model, ModelError};
use serde_json::{Value, json};
use std::path::Path;

impl TensorSource for Model {
    fn names(&self) -> Vec<String> {
        self.parameters.file_tensors().into_iter().map(|t| t.name).collect()
    }
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensor(name, |t| t.shape.clone())
    }
    fn read(&self, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        let values = self.tensor(name, |t| export(&self.parameters, t, &self.parameters.flat, 0));
        let values = values.ok_or_else(|| missing(name))?;
        out.copy_from_slice(&values);
        Ok(())
    }
}

/// Adapters under the names PEFT gives them: name, shape and values in the file's layout.
struct Adapters(Vec<(String, Vec<usize>, Vec<f32>)>);

impl Adapters {
    fn of(model: &Model) -> Adapters {
        let flat = &model.parameters.flat;
        let pair = |linear: &Linear, adapter: &Adapter| {
            let (rank, n_rows) = (adapter.rank, adapter.part.n_rows);
            let name = |which| format!("base_model.model.{}.lora_{which}.weight", adapter.part.module);
            let a = flat[adapter.a..][..rank * linear.n_in].to_vec();
            let mut b = vec![0.0; n_rows * rank];
            // B's rows lie as the weight's rows do; Conv1D transposes only the weight itself.
            let kind =
                if adapter.part.transform == Transform::Transposed { Transform::Plain } else { adapter.part.transform };
            transform(kind, n_rows, rank, &flat[adapter.b..][..n_rows * rank], &mut b, true);
            [(name("A"), vec![rank, linear.n_in], a), (name("B"), vec![n_rows, rank], b)]
        };
        let linears = model.parameters.linears();
        Adapters(
            linears.flat_map(|linear| linear.adapters.iter().flat_map(move |adapter| pair(linear, adapter))).collect(),
        )
    }
    fn find(&self, name: &str) -> Option<&(String, Vec<usize>, Vec<f32>)> {
        self.0.iter().find(|(n, ..)| n == name)
    }
}

impl TensorSource for Adapters {
    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, ..)| name.clone()).collect()
    }
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.find(name).map(|(_, shape, _)| shape.clone())
    }
    fn read(&self, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        let (_, _, values) = self.find(name).ok_or_else(|| missing(name))?;
        out.copy_from_slice(values);
        Ok(())
    }
}

fn missing(name: &str) -> ModelError {
    ModelError::Invalid { path: crate::config::nowhere(), message: format!("tensor `{name}` is missing") }
}

impl Model {
    fn tensor<R>(&self, name: &str, read: impl Fn(&FileTensor) -> R) -> Option<R> {
        self.parameters.file_tensors().iter().find(|t| t.name == name).map(read)
    }

    /// Writes `config.json` and `model.safetensors` (merged weights when there are adapters, plus an `adapter/` PEFT folder)
    /// into an existing folder.
    pub fn save(&self, folder: &Path, dtype: Dtype) -> Result<(), ModelError> {
        write_json(&folder.join("config.json"), &self.config_to_write(dtype))?;
        safetensors::write(&folder.join("model.safetensors"), self, dtype)?;
        match &self.lora {
            Some(_) => self.save_adapter(&folder.join("adapter")),
            None => Ok(()),
        }
    }

    /// Writes the adapters alone, as PEFT does.
    pub fn save_adapter(&self, folder: &Path) -> Result<(), ModelError> {
        let Some(lora) = &self.lora else {
            return Ok(());
        };
        std::fs::create_dir_all(folder).map_err(|source| ModelError::Io { path: folder.to_path_buf(), source })?;
        let mut targets: Vec<&str> = self
            .parameters
            .linears()
            .flat_map(|l| &l.adapters)
            .filter_map(|a| a.part.module.rsplit('.').next())
            .collect();
        targets.sort_unstable();
        targets.dedup();
        let config = json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": lora.rank, "lora_alpha": lora.alpha, "lora_dropout": 0.0, "bias": "none",
            "target_modules": targets, "fan_in_fan_out": self.architecture.conv1d, "inference_mode": true,
            "base_model_name_or_path": self.config.json.get("_name_or_path").and_then(Value::as_str),
        });
        write_json(&folder.join("adapter_config.json"), &config)?;
        safetensors::write(&folder.join("adapter_model.safetensors"), &Adapters::of(self), Dtype::F32)
    }

    /// The config as read, with what saving changes: the classes, the type, and for a reward model its label.
    fn config_to_write(&self, dtype: Dtype) -> Value {
        let mut config = self.config.json.clone();
        let Some(object) = config.as_object_mut() else {
            return config;
        };
        let dtype_name = match dtype {
            Dtype::F32 => "float32",
            Dtype::Bf16 => "bfloat16",
            Dtype::F16 => "float16",
        };
        // transformers 5 writes `dtype`, 4 `torch_dtype`; whichever the file had is kept.
        let dtype_key = if object.contains_key("dtype") { "dtype" } else { "torch_dtype" };
        object.insert(dtype_key.into(), json!(dtype_name));
        object.insert("architectures".into(), json!([class_name(self.family.class(), self.has_scalar_head())]));
        if let Some(pad) = self.config.pad_token_id {
            object.insert("pad_token_id".into(), json!(pad));
        }
        if self.has_scalar_head() {
            object.insert("id2label".into(), json!({"0": "LABEL_0"}));
            object.insert("label2id".into(), json!({"LABEL_0": 0}));
            object.insert("reward_bias".into(), json!(self.config.reward_bias));
        }
        config
    }
}

fn class_name(class: &str, scalar: bool) -> String {
    match (class, scalar) {
        (_, true) => format!("{class}ForSequenceClassification"),
        ("GPT2", false) => "GPT2LMHeadModel".to_string(),
        (_, false) => format!("{class}ForCausalLM"),
    }
}

fn write_json(path: &Path, value: &Value) -> Result<(), ModelError> {
    let text = format!("{value:#}\n");
    std::fs::write(path, text).map_err(|source| ModelError::Io { path: path.to_path_buf(), source })
}
