//! Qwen3: Llama with RMSNorm on each head's query and key before rotation, and an explicit head width. arXiv 2505.09388.
use super::llama::{llama_like, llama_name};
use super::{Family, Slot};
use crate::ModelError;
use crate::architecture::Architecture;
use crate::config::Fields;

pub(super) struct Qwen3;

impl Family for Qwen3 {
    fn model_types(&self) -> &'static [&'static str] {
        &["qwen3"]
    }
    fn architecture(&self, fields: &Fields) -> Result<Architecture, ModelError> {
        let bias = fields.flag("attention_bias", false)?;
        Ok(Architecture { qk_norm: true, qkv_bias: bias, output_bias: bias, ..llama_like(fields)? })
    }
    fn name(&self, slot: Slot) -> &'static str {
        llama_name(slot)
    }
    fn class(&self) -> &'static str {
        "Qwen3"
    }
}
