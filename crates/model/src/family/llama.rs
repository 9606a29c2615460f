//! Llama, Mistral, SmolLM2: RMSNorm, rotary, SwiGLU, grouped-query heads. arXiv 2302.13971, 2310.06825.
use super::{CommonSizes, Family, Slot, expect_activation};
use crate::ModelError;
use crate::architecture::{Architecture, Mlp, Norm, QkvLayout, rotary_frequencies};
use crate::config::Fields;

pub(super) struct Llama;

impl Family for Llama {
    fn model_types(&self) -> &'static [&'static str] {
        &["llama", "mistral"]
    }
    fn architecture(&self, fields: &Fields) -> Result<Architecture, ModelError> {
        let mut architecture = llama_like(fields)?;
        let attention_bias = fields.flag("attention_bias", false)?;
        architecture.qkv_bias = attention_bias;
        architecture.output_bias = attention_bias;
        architecture.mlp_bias = fields.flag("mlp_bias", false)?;
        Ok(architecture)
    }
    fn name(&self, slot: Slot) -> &'static str {
        llama_name(slot)
    }
    fn class(&self) -> &'static str {
        "Llama"
    }
}

/// What Llama and its descendants share; no biases, no query/key norm.
pub(super) fn llama_like(fields: &Fields) -> Result<Architecture, ModelError> {
    expect_activation(fields, "hidden_act", &["silu", "swish"])?;
    let sizes = CommonSizes::read(fields)?;
    Ok(Architecture {
        vocab_size: sizes.vocab_size,
        hidden_size: sizes.hidden_size,
        n_layers: sizes.n_layers,
        n_heads: sizes.n_heads,
        n_kv_heads: sizes.n_kv_heads,
        head_dim: sizes.head_dim,
        intermediate_size: sizes.intermediate_size,
        max_position: sizes.max_position,
        norm: Norm::Rms,
        norm_epsilon: fields.number("rms_norm_eps", 1e-6)? as f32,
        rotary: Some(rotary_frequencies(fields, sizes.head_dim, 10_000.0)?),
        learned_positions: false,
        qkv_layout: QkvLayout::Separate,
        conv1d: false,
        qkv_bias: false,
        output_bias: false,
        mlp_bias: false,
        qk_norm: false,
        mlp: Mlp::SwiGlu,
        parallel_residual: false,
        tied: fields.flag("tie_word_embeddings", false)?,
        initializer_range: fields.number("initializer_range", 0.02)? as f32,
    })
}

/// Names that Llama, Qwen2 and Qwen3 share.
pub(super) fn llama_name(slot: Slot) -> &'static str {
    match slot {
        Slot::Embedding => "model.embed_tokens",
        Slot::AttentionNorm => "model.layers.{}.input_layernorm",
        Slot::Query => "model.layers.{}.self_attn.q_proj",
        Slot::Key => "model.layers.{}.self_attn.k_proj",
        Slot::Value => "model.layers.{}.self_attn.v_proj",
        Slot::QueryNorm => "model.layers.{}.self_attn.q_norm",
        Slot::KeyNorm => "model.layers.{}.self_attn.k_norm",
        Slot::Output => "model.layers.{}.self_attn.o_proj",
        Slot::MlpNorm => "model.layers.{}.post_attention_layernorm",
        Slot::Gate => "model.layers.{}.mlp.gate_proj",
        Slot::Up => "model.layers.{}.mlp.up_proj",
        Slot::Down => "model.layers.{}.mlp.down_proj",
        Slot::FinalNorm => "model.norm",
        Slot::LmHead => "lm_head",
        Slot::ScalarHead => "score",
        Slot::Positions | Slot::QueryKeyValue => unreachable!("a Llama-like model has no {slot:?}"),
    }
}
