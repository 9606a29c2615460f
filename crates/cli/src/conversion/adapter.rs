//! A PEFT adapter folder merged into its base: W + (alpha ÷ rank)·B·A (arXiv 2106.09685), tensor by tensor as it is
//! written, so that one tensor at a time is in memory.

use super::{read_json, read_tensor};
use crate::error::CommandError;
use model::ModelError;
use model::weights::safetensors::SafeTensors;
use model::weights::{Checkpoint, TensorSource};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Whether a folder is a PEFT adapter.
pub fn is_adapter(path: &Path) -> bool {
    path.join("adapter_config.json").is_file() && !path.join("config.json").is_file()
}

/// The base with the adapter in it, and where the base is.
pub fn merge(adapter: &Path, base: Option<&Path>) -> Result<(PathBuf, Checkpoint), CommandError> {
    let config_path = adapter.join("adapter_config.json");
    let config = read_json(&config_path)?;
    let wrong = |field: &str, expected: &str| {
        let found = config.get(field).unwrap_or(&Value::Null);
        CommandError::input(format!("{}: `{field}` is {found}, expected {expected}", config_path.display()))
    };
    let rank = config.get("r").and_then(Value::as_u64).filter(|rank| *rank > 0).ok_or_else(|| wrong("r", "a rank"))?;
    let alpha = config.get("lora_alpha").and_then(Value::as_f64).ok_or_else(|| wrong("lora_alpha", "a number"))?;
    if config.get("use_dora").and_then(Value::as_bool) == Some(true) {
        return Err(wrong("use_dora", "false: DoRA is not supported"));
    }
    let rank_root = config.get("use_rslora").and_then(Value::as_bool) == Some(true);
    let divisor = if rank_root { (rank as f64).sqrt() } else { rank as f64 };
    let named = config.get("base_model_name_or_path").and_then(Value::as_str).map(PathBuf::from);
    let base = base.map(Path::to_path_buf).or(named).filter(|path| path.exists()).ok_or_else(|| {
        wrong("base_model_name_or_path", "a folder that is there").hint("--base M names the base model")
    })?;
    let checkpoint = model::weights::open(&base)?;
    let merged = Merged {
        base: checkpoint.tensors,
        adapter: SafeTensors::open(&adapter.join("adapter_model.safetensors"))?,
        path: adapter.to_path_buf(),
        scale: (alpha / divisor) as f32,
        transposed: config.get("fan_in_fan_out").and_then(Value::as_bool) == Some(true),
    };
    merged.check()?;
    Ok((base, Checkpoint { config: checkpoint.config, tensors: Box::new(merged) }))
}

struct Merged {
    base: Box<dyn TensorSource>,
    adapter: SafeTensors,
    path: PathBuf,
    scale: f32,
    /// The base's weights lie as [inputs, outputs] (GPT-2's Conv1D).
    transposed: bool,
}

impl Merged {
    /// Every tensor of the adapter must belong to one of the base, with shapes that fit.
    fn check(&self) -> Result<(), CommandError> {
        for name in self.adapter.names() {
            let target = name
                .strip_prefix("base_model.model.")
                .and_then(|rest| rest.strip_suffix(".lora_A.weight").or_else(|| rest.strip_suffix(".lora_B.weight")));
            let found = target
                .map(|module| format!("{module}.weight"))
                .and_then(|weight| Some((self.base.shape(&weight)?, weight)));
            let Some((shape, weight)) = found else {
                return Err(CommandError::input(format!(
                    "{}: tensor `{name}` has no place in the base",
                    self.path.display()
                )));
            };
            if self.factors(&weight).is_none() {
                return Err(CommandError::input(format!(
                    "{}: the factors of `{weight}` do not fit its shape {shape:?}",
                    self.path.display()
                )));
            }
        }
        Ok(())
    }

    /// (name of A, name of B, outputs, rank, inputs) of a weight that has an adapter.
    fn factors(&self, weight: &str) -> Option<(String, String, usize, usize, usize)> {
        let module = weight.strip_suffix(".weight")?;
        let a = format!("base_model.model.{module}.lora_A.weight");
        let b = format!("base_model.model.{module}.lora_B.weight");
        let (shape_a, shape_b) = (self.adapter.shape(&a)?, self.adapter.shape(&b)?);
        let ([rank, n_in], [n_out, rank_b]) = (shape_a.as_slice(), shape_b.as_slice()) else { return None };
        let expected = if self.transposed { vec![*n_in, *n_out] } else { vec![*n_out, *n_in] };
        (rank == rank_b && self.base.shape(weight)? == expected).then_some((a, b, *n_out, *rank, *n_in))
    }
}

impl TensorSource for Merged {
    fn names(&self) -> Vec<String> {
        self.base.names()
    }
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.base.shape(name)
    }
    fn read(&self, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        self.base.read(name, out)?;
        let Some((a, b, n_out, rank, n_in)) = self.factors(name) else { return Ok(()) };
        let a = read_tensor(&self.adapter, &a, rank * n_in)?;
        let b = read_tensor(&self.adapter, &b, n_out * rank)?;
        for (row, factors) in b.chunks_exact(rank).enumerate() {
            for (factor, a_row) in factors.iter().zip(a.chunks_exact(n_in)) {
                let factor = self.scale * factor;
                for (column, value) in a_row.iter().enumerate() {
                    let place = if self.transposed { column * n_out + row } else { row * n_in + column };
                    out[place] += factor * value;
                }
            }
        }
        Ok(())
    }
}
