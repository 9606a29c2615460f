//! GPT-NeoX and Pythia: LayerNorm, partial rotary, GELU, attention and feed-forward in parallel. arXiv 2204.06745.
use super::{CommonSizes, Family, Slot, expect_activation};
use crate::ModelError;
use crate::architecture::{Architecture, Mlp, Norm, QkvLayout, rotary_frequencies};
use crate::config::Fields;
use kernels::activation::Gelu;

pub(super) struct GptNeoX;

impl Family for GptNeoX {
    fn model_types(&self) -> &'static [&'static str] {
        &["gpt_neox"]
    }
    fn architecture(&self, fields: &Fields) -> Result<Architecture, ModelError> {
        expect_activation(fields, "hidden_act", &["gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"])?;
        let gelu = if fields.text("hidden_act").unwrap_or("gelu") == "gelu" { Gelu::Exact } else { Gelu::Tanh };
        let sizes = CommonSizes::read(fields)?;
        let parameters = fields.object("rope_parameters");
        let nested = parameters.and_then(|p| p.get("partial_rotary_factor")).and_then(|v| v.as_f64());
        let share = nested.unwrap_or(fields.number("rotary_pct", 0.25)?);
        if !(share > 0.0 && share <= 1.0) {
            return Err(fields.invalid(format!("the rotated share of a head is {share}, expected a number in (0, 1]")));
        }
        let rotary_dim = (share * sizes.head_dim as f64) as usize;
        let theta = fields.number("rotary_emb_base", 10_000.0)?;
        let attention_bias = fields.flag("attention_bias", true)?;
        Ok(Architecture {
            vocab_size: sizes.vocab_size,
            hidden_size: sizes.hidden_size,
            n_layers: sizes.n_layers,
            n_heads: sizes.n_heads,
            n_kv_heads: sizes.n_heads,
            head_dim: sizes.head_dim,
            intermediate_size: sizes.intermediate_size,
            max_position: sizes.max_position,
            norm: Norm::Layer,
            norm_epsilon: fields.number("layer_norm_eps", 1e-5)? as f32,
            rotary: Some(rotary_frequencies(fields, rotary_dim, theta)?),
            learned_positions: false,
            qkv_layout: QkvLayout::FusedPerHead,
            conv1d: false,
            qkv_bias: attention_bias,
            output_bias: attention_bias,
            mlp_bias: true,
            qk_norm: false,
            mlp: Mlp::Gelu(gelu),
            parallel_residual: fields.flag("use_parallel_residual", true)?,
            tied: fields.flag("tie_word_embeddings", false)?,
            initializer_range: fields.number("initializer_range", 0.02)? as f32,
        })
    }
    fn name(&self, slot: Slot) -> &'static str {
        match slot {
            Slot::Embedding => "gpt_neox.embed_in",
            Slot::AttentionNorm => "gpt_neox.layers.{}.input_layernorm",
            Slot::QueryKeyValue => "gpt_neox.layers.{}.attention.query_key_value",
            Slot::Output => "gpt_neox.layers.{}.attention.dense",
            Slot::MlpNorm => "gpt_neox.layers.{}.post_attention_layernorm",
            Slot::Up => "gpt_neox.layers.{}.mlp.dense_h_to_4h",
            Slot::Down => "gpt_neox.layers.{}.mlp.dense_4h_to_h",
            Slot::FinalNorm => "gpt_neox.final_layer_norm",
            Slot::LmHead => "embed_out",
            Slot::ScalarHead => "score",
            _ => unreachable!("GPT-NeoX has no {slot:?}"),
        }
    }
    fn class(&self) -> &'static str {
        "GPTNeoX"
    }
}
