//! Attention over trees of tokens: a token sees its ancestors' segments whole and its own segment up to itself.
//!
//! The T×T scores are never materialised: query blocks walk over key blocks with a running softmax.
//! Grouped-query heads: head h reads key/value head h / (n_heads / n_kv_heads). Arithmetic is f32.
use crate::Device;
use crate::pool::SharedMut;

mod backward;
mod decode;
mod forward;
mod plan;
mod product;
mod stored;
#[cfg(test)]
mod tests;
mod tile;

/// Head counts and scale.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    /// Query heads.
    pub n_heads: usize,
    /// Key/value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Multiplies the scores, usually 1/√head_dim.
    pub scale: f32,
    /// Whether the forward pass may sum a block of one query in an order of its own, which is faster. Without it a
    /// query's numbers are the same bits however many queries its block has.
    pub single_apart: bool,
}

impl AttentionShape {
    /// Query heads that share a key/value head.
    fn group(self) -> usize {
        self.n_heads / self.n_kv_heads
    }
    fn check(self) {
        let AttentionShape { n_heads, n_kv_heads, head_dim, .. } = self;
        assert!(
            n_kv_heads > 0 && n_heads.is_multiple_of(n_kv_heads) && n_heads > 0 && head_dim > 0,
            "{n_heads} heads of {head_dim} over {n_kv_heads} key/value heads"
        );
    }
}

/// A run of key/value rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First row.
    pub start: u32,
    /// Number of rows.
    pub length: u32,
}

/// Consecutive query rows that see the same spans and then, causally, a run of rows.
/// Query `query_start + j` sees every row of `spans` and rows `causal_start ..= causal_start + j`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryBlock {
    /// First query row.
    pub query_start: u32,
    /// Number of query rows, at least 1.
    pub query_length: u32,
    /// Rows seen whole.
    pub spans: Vec<Span>,
    /// Key row of the first query itself.
    pub causal_start: u32,
}

/// Rows of f32, or of the bits of bf16 (`u16`), with a stride: row r, head g is
/// `data[r * stride + offset + g * head_dim ..]`.
#[derive(Clone, Copy)]
pub struct Rows<'a, T = f32> {
    /// The buffer.
    pub data: &'a [T],
    /// Elements between rows.
    pub stride: usize,
    /// Where head 0 begins in a row.
    pub offset: usize,
}

/// out `[T, H·head_dim]` (row = query row) and the log-sum-exp of each row's scaled scores, `[T, H]`.
/// Each query row belongs to exactly one block. Used for training batches (queries, keys and values in one buffer)
/// and for decoding (keys and values in a cache).
pub fn forward(
    device: &Device,
    shape: AttentionShape,
    blocks: &[QueryBlock],
    query: Rows,
    key: Rows,
    value: Rows,
    out: &mut [f32],
    log_sum_exp_TH: &mut [f32],
) {
    run(device, shape, blocks, query, (key, value), out, log_sum_exp_TH);
}

/// As [`forward()`], with keys and values in bf16: a cache of half the size, from which half as much is read.
pub fn forward_bf16(
    device: &Device,
    shape: AttentionShape,
    blocks: &[QueryBlock],
    query: Rows,
    key: Rows<u16>,
    value: Rows<u16>,
    out: &mut [f32],
    log_sum_exp_TH: &mut [f32],
) {
    run(device, shape, blocks, query, (key, value), out, log_sum_exp_TH);
}

fn run<T: stored::Stored>(
    device: &Device,
    shape: AttentionShape,
    blocks: &[QueryBlock],
    query: Rows,
    (key, value): (Rows<T>, Rows<T>),
    out: &mut [f32],
    log_sum_exp_TH: &mut [f32],
) {
    shape.check();
    let inputs = forward::Inputs { isa: device.isa, shape, blocks, query, key, value };
    let outputs = forward::Outputs { out: SharedMut::new(out), log_sum_exp_TH: SharedMut::new(log_sum_exp_TH) };
    forward::run(device, inputs, outputs);
}

/// Gradients of a training batch whose queries, keys and values lie in one buffer: query at `query_offset`, etc., with one `stride`.
#[derive(Clone, Copy)]
pub struct QkvLayout {
    /// Elements between rows of the buffer.
    pub stride: usize,
    /// Offset of the queries.
    pub query: usize,
    /// Offset of the keys.
    pub key: usize,
    /// Offset of the values.
    pub value: usize,
}

/// Overwrites `d_qkv` (same layout as `qkv`, all rows that blocks name) from dL/d(out).
pub fn backward(
    device: &Device,
    shape: AttentionShape,
    blocks: &[QueryBlock],
    layout: QkvLayout,
    qkv: &[f32],
    out: &[f32],
    log_sum_exp_TH: &[f32],
    d_out: &[f32],
    d_qkv: &mut [f32],
) {
    shape.check();
    assert_eq!(qkv.len(), d_qkv.len(), "qkv and its gradient");
    let rows = |offset| Rows { data: qkv, stride: layout.stride, offset };
    let inputs = forward::Inputs {
        isa: device.isa,
        shape,
        blocks,
        query: rows(layout.query),
        key: rows(layout.key),
        value: rows(layout.value),
    };
    let saved = backward::Saved { out, log_sum_exp_TH, d_out };
    backward::run(device, inputs, saved, layout, SharedMut::new(d_qkv));
}
