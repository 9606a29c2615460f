//! Buffers of a forward and backward pass, kept between calls: fresh pages are slow to touch, so nothing is allocated anew
//! once the largest micro-batch has been seen.
use crate::Noise;
use kernels::attention::QueryBlock;

/// Reusable buffers of one forward and backward pass, and the activations saved between them.
#[derive(Default)]
pub struct Workspace {
    /// Save only each layer's input and recompute the rest in the backward pass.
    pub checkpoint_activations: bool,
    /// Input of each layer, and of the final norm, `[T, D]` each.
    pub(crate) inputs: Vec<Vec<f32>>,
    /// What each layer saved; a single one when nothing is kept or when it is recomputed.
    pub(crate) layers: Vec<LayerTape>,
    pub(crate) head: HeadTape,
    pub(crate) scratch: Scratch,
    /// Attention blocks and noise of the pass whose activations are saved.
    pub(crate) blocks: Vec<QueryBlock>,
    pub(crate) noise: Noise,
}

/// Activations of a layer that its backward pass reads.
#[derive(Default)]
pub(crate) struct LayerTape {
    /// Statistics of the norm before attention, `[T]` each.
    pub attention_mean: Vec<f32>,
    pub attention_inverse: Vec<f32>,
    /// Queries, keys and values after rotation, `[T, qkv]`.
    pub qkv: Vec<f32>,
    /// Queries and keys before their norm, and its statistics (Qwen3).
    pub query_before: Vec<f32>,
    pub key_before: Vec<f32>,
    pub query_inverse: Vec<f32>,
    pub key_inverse: Vec<f32>,
    /// Attention's result before the output linear, `[T, H·head_dim]`.
    pub attention: Vec<f32>,
    pub log_sum_exp: Vec<f32>,
    /// The residual between attention and feed-forward, `[T, D]`; unused when they are parallel.
    pub middle: Vec<f32>,
    pub mlp_mean: Vec<f32>,
    pub mlp_inverse: Vec<f32>,
    /// Result of the feed-forward's first linear.
    pub up: Vec<f32>,
}

/// The rows a request reads, and the final norm over them.
#[derive(Default)]
pub(crate) struct HeadTape {
    pub rows: Vec<u32>,
    /// Inputs of the final norm, `[R, D]`.
    pub gathered: Vec<f32>,
    pub normed: Vec<f32>,
    pub mean: Vec<f32>,
    pub inverse: Vec<f32>,
    pub d_normed: Vec<f32>,
    pub d_gathered: Vec<f32>,
}

/// Short-lived buffers.
#[derive(Default)]
pub(crate) struct Scratch {
    pub normed: Vec<f32>,
    pub branch: Vec<f32>,
    pub activated: Vec<f32>,
    /// A low-rank product.
    pub low: Vec<f32>,
    pub dx: Vec<f32>,
    pub d_branch: Vec<f32>,
    pub d_normed: Vec<f32>,
    pub d_activated: Vec<f32>,
    pub d_up: Vec<f32>,
    pub d_attention: Vec<f32>,
    pub d_qkv: Vec<f32>,
    /// Of all tokens, when a backward pass runs over some: dL/d(attention's result), dL/d(qkv).
    pub wide: (Vec<f32>, Vec<f32>),
}

/// The first `length` elements, growing the buffer when it is too short. Contents are whatever was there.
pub(crate) fn sized(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if buffer.len() < length {
        *buffer = kernels::elementwise::zeroed(length);
    }
    &mut buffer[..length]
}
