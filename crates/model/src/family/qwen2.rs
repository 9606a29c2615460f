//! Qwen2: Llama with biases on query, key and value. arXiv 2407.10671.
use super::llama::{llama_like, llama_name};
use super::{Family, Slot};
use crate::ModelError;
use crate::architecture::Architecture;
use crate::config::Fields;

pub(super) struct Qwen2;

impl Family for Qwen2 {
    fn model_types(&self) -> &'static [&'static str] {
        &["qwen2"]
    }
    fn architecture(&self, fields: &Fields) -> Result<Architecture, ModelError> {
        Ok(Architecture { qkv_bias: true, ..llama_like(fields)? })
    }
    fn name(&self, slot: Slot) -> &'static str {
        llama_name(slot)
    }
    fn class(&self) -> &'static str {
        "Qwen2"
    }
}
