//! GPT-2: LayerNorm, learned positions, GELU (tanh), fused query/key/value stored as `[in, out]` (Conv1D).
use super::{Family, Slot, expect_activation};
use crate::ModelError;
use crate::architecture::{Architecture, Mlp, Norm, QkvLayout};
use crate::config::Fields;
use kernels::activation::Gelu;

pub(super) struct Gpt2;

impl Family for Gpt2 {
    fn model_types(&self) -> &'static [&'static str] {
        &["gpt2"]
    }
    fn architecture(&self, fields: &Fields) -> Result<Architecture, ModelError> {
        expect_activation(fields, "activation_function", &["gelu_new", "gelu_pytorch_tanh"])?;
        for (field, usual) in
            [("scale_attn_weights", true), ("scale_attn_by_inverse_layer_idx", false), ("add_cross_attention", false)]
        {
            if fields.flag(field, usual)? != usual {
                return Err(fields.unsupported(format!("`{field}` = {}", !usual)));
            }
        }
        let (hidden_size, n_heads) = (fields.size("n_embd")?, fields.size("n_head")?);
        if !hidden_size.is_multiple_of(n_heads) {
            return Err(fields.invalid(format!("`n_embd` {hidden_size} is not a multiple of `n_head` {n_heads}")));
        }
        Ok(Architecture {
            vocab_size: fields.size("vocab_size")?,
            hidden_size,
            n_layers: fields.size("n_layer")?,
            n_heads,
            n_kv_heads: n_heads,
            head_dim: hidden_size / n_heads,
            intermediate_size: fields.optional_size("n_inner")?.unwrap_or(4 * hidden_size),
            max_position: fields.size("n_positions")?,
            norm: Norm::Layer,
            norm_epsilon: fields.number("layer_norm_epsilon", 1e-5)? as f32,
            rotary: None,
            learned_positions: true,
            qkv_layout: QkvLayout::Fused,
            conv1d: true,
            qkv_bias: true,
            output_bias: true,
            mlp_bias: true,
            qk_norm: false,
            mlp: Mlp::Gelu(Gelu::Tanh),
            parallel_residual: false,
            tied: fields.flag("tie_word_embeddings", true)?,
            initializer_range: fields.number("initializer_range", 0.02)? as f32,
        })
    }
    fn name(&self, slot: Slot) -> &'static str {
        match slot {
            Slot::Embedding => "transformer.wte",
            Slot::Positions => "transformer.wpe",
            Slot::AttentionNorm => "transformer.h.{}.ln_1",
            Slot::QueryKeyValue => "transformer.h.{}.attn.c_attn",
            Slot::Output => "transformer.h.{}.attn.c_proj",
            Slot::MlpNorm => "transformer.h.{}.ln_2",
            Slot::Up => "transformer.h.{}.mlp.c_fc",
            Slot::Down => "transformer.h.{}.mlp.c_proj",
            Slot::FinalNorm => "transformer.ln_f",
            Slot::LmHead => "lm_head",
            Slot::ScalarHead => "score",
            _ => unreachable!("GPT-2 has no {slot:?}"),
        }
    }
    fn class(&self) -> &'static str {
        "GPT2"
    }
}
