//! What `llama.cpp` and `transformers` call the same tensor, and how its rows lie in each.
use crate::weights::invalid;
use crate::{ModelError, weights};
use std::path::Path;

/// The values of `general.architecture` that Helpmate reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GgufArchitecture {
    /// Llama, Mistral, SmolLM2.
    Llama,
    Qwen2,
    Qwen3,
    Gpt2,
    GptNeoX,
}

use GgufArchitecture::{Gpt2, GptNeoX, Llama, Qwen2, Qwen3};

impl GgufArchitecture {
    const ALL: [GgufArchitecture; 5] = [Llama, Qwen2, Qwen3, Gpt2, GptNeoX];

    /// As `general.architecture` says it.
    pub fn name(self) -> &'static str {
        match self {
            Llama => "llama",
            Qwen2 => "qwen2",
            Qwen3 => "qwen3",
            Gpt2 => "gpt2",
            GptNeoX => "gptneox",
        }
    }
    pub fn from_name(path: &Path, name: &str) -> Result<GgufArchitecture, ModelError> {
        Self::ALL.into_iter().find(|a| a.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(GgufArchitecture::name).join(", ");
            weights::unsupported(path, format!("`general.architecture` {} (known: {known})", weights::quoted(name)))
        })
    }
    /// The architecture of a `model_type`.
    pub fn from_model_type(path: &Path, model_type: &str) -> Result<GgufArchitecture, ModelError> {
        match model_type {
            "mistral" => Ok(Llama),
            "gpt_neox" => Ok(GptNeoX),
            other => Self::from_name(path, other),
        }
    }
    /// The modules, in the order they are written.
    pub fn modules(self) -> Vec<Module> {
        match self {
            Llama => LLAMA_LIKE.to_vec(),
            Qwen2 => LLAMA_LIKE.iter().copied().map(unpermuted).collect(),
            Qwen3 => LLAMA_LIKE.iter().chain(&HEAD_NORMS).copied().map(unpermuted).collect(),
            Gpt2 => GPT2.to_vec(),
            GptNeoX => GPT_NEOX.to_vec(),
        }
    }
}

/// Qwen's rotary pairs lie in halves in both formats.
fn unpermuted(module: Module) -> Module {
    Module { order: Order::Same, ..module }
}

/// One module under both names, `{}` standing for the layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Module {
    pub gguf: &'static str,
    pub hugging_face: &'static str,
    pub order: Order,
}

/// How a GGUF orders the elements that `transformers` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Same,
    /// The two rows of a rotary pair are neighbours, in `transformers` half a head apart. Of queries.
    QueryPairs,
    /// The same of keys.
    KeyPairs,
    /// All queries, all keys, all values; in `transformers` query, key and value of each head in turn.
    Fused,
    /// Transposed weights (GPT-2's Conv1D); biases are the same.
    Transposed,
}

const fn module(gguf: &'static str, hugging_face: &'static str, order: Order) -> Module {
    Module { gguf, hugging_face, order }
}

const LLAMA_LIKE: [Module; 12] = [
    module("token_embd", "model.embed_tokens", Order::Same),
    module("blk.{}.attn_norm", "model.layers.{}.input_layernorm", Order::Same),
    module("blk.{}.attn_q", "model.layers.{}.self_attn.q_proj", Order::QueryPairs),
    module("blk.{}.attn_k", "model.layers.{}.self_attn.k_proj", Order::KeyPairs),
    module("blk.{}.attn_v", "model.layers.{}.self_attn.v_proj", Order::Same),
    module("blk.{}.attn_output", "model.layers.{}.self_attn.o_proj", Order::Same),
    module("blk.{}.ffn_norm", "model.layers.{}.post_attention_layernorm", Order::Same),
    module("blk.{}.ffn_gate", "model.layers.{}.mlp.gate_proj", Order::Same),
    module("blk.{}.ffn_up", "model.layers.{}.mlp.up_proj", Order::Same),
    module("blk.{}.ffn_down", "model.layers.{}.mlp.down_proj", Order::Same),
    module("output_norm", "model.norm", Order::Same),
    module("output", "lm_head", Order::Same),
];

/// Qwen3's norms of each head's query and key.
const HEAD_NORMS: [Module; 2] = [
    module("blk.{}.attn_q_norm", "model.layers.{}.self_attn.q_norm", Order::Same),
    module("blk.{}.attn_k_norm", "model.layers.{}.self_attn.k_norm", Order::Same),
];

const GPT2: [Module; 10] = [
    module("token_embd", "transformer.wte", Order::Same),
    module("position_embd", "transformer.wpe", Order::Same),
    module("blk.{}.attn_norm", "transformer.h.{}.ln_1", Order::Same),
    module("blk.{}.attn_qkv", "transformer.h.{}.attn.c_attn", Order::Transposed),
    module("blk.{}.attn_output", "transformer.h.{}.attn.c_proj", Order::Transposed),
    module("blk.{}.ffn_norm", "transformer.h.{}.ln_2", Order::Same),
    module("blk.{}.ffn_up", "transformer.h.{}.mlp.c_fc", Order::Transposed),
    module("blk.{}.ffn_down", "transformer.h.{}.mlp.c_proj", Order::Transposed),
    module("output_norm", "transformer.ln_f", Order::Same),
    module("output", "lm_head", Order::Same),
];

const GPT_NEOX: [Module; 9] = [
    module("token_embd", "gpt_neox.embed_in", Order::Same),
    module("blk.{}.attn_norm", "gpt_neox.layers.{}.input_layernorm", Order::Same),
    module("blk.{}.attn_qkv", "gpt_neox.layers.{}.attention.query_key_value", Order::Fused),
    module("blk.{}.attn_output", "gpt_neox.layers.{}.attention.dense", Order::Same),
    module("blk.{}.ffn_norm", "gpt_neox.layers.{}.post_attention_layernorm", Order::Same),
    module("blk.{}.ffn_up", "gpt_neox.layers.{}.mlp.dense_h_to_4h", Order::Same),
    module("blk.{}.ffn_down", "gpt_neox.layers.{}.mlp.dense_4h_to_h", Order::Same),
    module("output_norm", "gpt_neox.final_layer_norm", Order::Same),
    module("output", "embed_out", Order::Same),
];

/// The name in `transformers` of a tensor of a GGUF, and the order of its elements.
pub(super) fn to_hugging_face(modules: &[Module], name: &str) -> Option<(String, Order)> {
    let (stem, suffix) = name.rsplit_once('.').filter(|(_, suffix)| ["weight", "bias"].contains(suffix))?;
    let (module, layer) = modules.iter().find_map(|m| Some((m, layer_of(m.gguf, stem)?)))?;
    let order = if module.order == Order::Transposed && suffix == "bias" { Order::Same } else { module.order };
    Some((format!("{}.{suffix}", module.hugging_face.replace("{}", layer)), order))
}

/// The layer in a name made from the template; empty for a template without one.
fn layer_of<'a>(template: &str, stem: &'a str) -> Option<&'a str> {
    match template.split_once("{}") {
        None => (stem == template).then_some(""),
        Some((before, after)) => stem
            .strip_prefix(before)?
            .strip_suffix(after)
            .filter(|l| !l.is_empty() && l.len() < 10 && l.bytes().all(|b| b.is_ascii_digit())),
    }
}

/// An [`Order`] with the number of heads it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Same,
    Pairs { n_heads: usize },
    Fused { n_heads: usize },
    Transposed,
}

impl Layout {
    /// Checks that a tensor of this shape can lie so; `name` is for the error.
    pub fn new(
        path: &Path,
        name: &str,
        order: Order,
        (n_heads, n_kv_heads): (usize, usize),
        shape: &[usize],
    ) -> Result<Layout, ModelError> {
        let (layout, parts) = match order {
            Order::Same => (Layout::Same, 1),
            Order::QueryPairs => (Layout::Pairs { n_heads }, 2 * n_heads),
            Order::KeyPairs => (Layout::Pairs { n_heads: n_kv_heads }, 2 * n_kv_heads),
            Order::Fused => (Layout::Fused { n_heads }, 3 * n_heads),
            Order::Transposed => (Layout::Transposed, 1),
        };
        let n_rows = shape.first().copied().unwrap_or(1);
        let is_right = n_rows.is_multiple_of(parts) && (layout != Layout::Transposed || shape.len() == 2);
        match is_right {
            true => Ok(layout),
            false => {
                let expected = if layout == Layout::Transposed { "a matrix" } else { "rows that heads can share" };
                let name = weights::quoted(name);
                Err(invalid(path, format!("tensor {name} has shape {shape:?}, expected {expected} ({n_heads} heads)")))
            }
        }
    }
    /// The shape in the other format.
    pub fn other_shape(self, shape: &[usize]) -> Vec<usize> {
        match self {
            Layout::Transposed => shape.iter().rev().copied().collect(),
            _ => shape.to_vec(),
        }
    }
    /// Puts a GGUF's elements in the order of `transformers`; `shape` is that of `transformers`.
    pub fn to_hugging_face(self, shape: &[usize], gguf: &[f32], out: &mut [f32]) {
        if self == Layout::Transposed {
            return transpose(shape[1], gguf, out);
        }
        let n_rows = shape.first().copied().unwrap_or(1);
        let width = out.len() / n_rows.max(1);
        for row in 0..n_rows {
            let from = self.gguf_row(n_rows, row) * width;
            out[row * width..][..width].copy_from_slice(&gguf[from..][..width]);
        }
    }
    /// The way back; `shape` is that of `transformers`.
    pub fn to_gguf(self, shape: &[usize], hugging_face: &[f32], out: &mut [f32]) {
        if self == Layout::Transposed {
            return transpose(shape[0], hugging_face, out);
        }
        let n_rows = shape.first().copied().unwrap_or(1);
        let width = out.len() / n_rows.max(1);
        for row in 0..n_rows {
            let to = self.gguf_row(n_rows, row) * width;
            out[to..][..width].copy_from_slice(&hugging_face[row * width..][..width]);
        }
    }
    /// Where a GGUF has the row that `transformers` has at `row`.
    fn gguf_row(self, n_rows: usize, row: usize) -> usize {
        match self {
            Layout::Same | Layout::Transposed => row,
            Layout::Pairs { n_heads } => {
                let head_dim = n_rows / n_heads;
                let (head, within) = (row / head_dim, row % head_dim);
                let (half, pair) = (within / (head_dim / 2), within % (head_dim / 2));
                head * head_dim + 2 * pair + half
            }
            Layout::Fused { n_heads } => {
                let head_dim = n_rows / n_heads / 3;
                let (head, part, within) = (row / (3 * head_dim), row / head_dim % 3, row % head_dim);
                (part * n_heads + head) * head_dim + within
            }
        }
    }
}

/// `out` becomes the transpose of `source`; its rows have `out_width` elements.
fn transpose(out_width: usize, source: &[f32], out: &mut [f32]) {
    let source_width = source.len() / out_width.max(1);
    for (row, values) in out.chunks_exact_mut(out_width.max(1)).enumerate() {
        for (column, x) in values.iter_mut().enumerate() {
            *x = source[column * source_width + row];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reordered(layout: Layout, shape: &[usize]) -> Vec<f32> {
        let gguf: Vec<f32> = (0..shape.iter().product()).map(|i: usize| i as f32).collect();
        let mut out = vec![f32::NAN; gguf.len()];
        layout.to_hugging_face(shape, &gguf, &mut out);
        let mut back = vec![f32::NAN; gguf.len()];
        layout.to_gguf(shape, &out, &mut back);
        assert_eq!(back, gguf);
        out
    }

    #[test]
    fn rows_and_columns_move_and_return() {
        // One head of four: pairs (0,1), (2,3) become halves; the second head the same, four further.
        assert_eq!(reordered(Layout::Pairs { n_heads: 2 }, &[8]), [0., 2., 1., 3., 4., 6., 5., 7.]);
        // Two heads of one: queries 0, 1, keys 2, 3, values 4, 5 become head by head.
        assert_eq!(reordered(Layout::Fused { n_heads: 2 }, &[6]), [0., 2., 4., 1., 3., 5.]);
        // Rows of two stay together.
        assert_eq!(reordered(Layout::Pairs { n_heads: 1 }, &[4, 2]), [0., 1., 4., 5., 2., 3., 6., 7.]);
        // The GGUF holds [3, 2], transformers [2, 3].
        assert_eq!(reordered(Layout::Transposed, &[2, 3]), [0., 2., 4., 1., 3., 5.]);
    }

    #[test]
    fn names_are_found_both_ways_and_no_two_modules_share_one() {
        let check = |architecture: GgufArchitecture, gguf: &str, expected: Option<(&str, Order)>| {
            let found = to_hugging_face(&architecture.modules(), gguf);
            assert_eq!(found, expected.map(|(n, o)| (n.to_string(), o)), "{gguf}");
        };
        check(Llama, "blk.12.attn_q.weight", Some(("model.layers.12.self_attn.q_proj.weight", Order::QueryPairs)));
        check(Qwen2, "blk.0.attn_k.bias", Some(("model.layers.0.self_attn.k_proj.bias", Order::Same)));
        check(Qwen3, "blk.3.attn_q_norm.weight", Some(("model.layers.3.self_attn.q_norm.weight", Order::Same)));
        check(Gpt2, "blk.3.attn_qkv.bias", Some(("transformer.h.3.attn.c_attn.bias", Order::Same)));
        check(GptNeoX, "output.weight", Some(("embed_out.weight", Order::Same)));
        check(Llama, "blk.x.attn_q.weight", None);
        check(Llama, "blk.3.attn_q_norm.weight", None);
        check(Llama, "output.scale", None);
        for architecture in GgufArchitecture::ALL {
            let modules = architecture.modules();
            for side in [|m: &Module| m.gguf, |m: &Module| m.hugging_face] {
                let mut names: Vec<&str> = modules.iter().map(side).collect();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), modules.len(), "{architecture:?}");
            }
        }
    }
}
