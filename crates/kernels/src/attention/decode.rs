//! Decoding: a block of one query, whose heads read every key and value once.
use super::forward::{Inputs, Outputs};
use super::product::{Product, Region, multiply};
use super::tile::{pack_rows, padded, take, with_scratch};
use super::{AttentionShape, QueryBlock};
use crate::vector::{Lanes, per_isa};

/// Heads up to which single dot products beat a tile's transposed layout.
const GROUP_MAX: usize = 8;

/// Keys whose values are packed together when they can't be read in place.
const CHUNK: usize = 64;

/// Whether a block is done here; depends on the block alone, so that a sequence never notices the others.
pub(super) fn suits(shape: AttentionShape, block: &QueryBlock) -> bool {
    shape.single_apart && block.query_length == 1 && shape.group() <= GROUP_MAX
}

pub(super) fn run(inputs: Inputs, block: usize, kv_head: usize, outputs: Outputs) {
    let Inputs { isa, shape, .. } = inputs;
    let block = &inputs.blocks[block];
    let (group, head_dim, width) = (shape.group(), shape.head_dim, padded(shape.head_dim));
    let n_keys = block.context() + 1;
    let row_length = padded(n_keys);
    let length = padded(group * width) * 2 + group * row_length + CHUNK * width;
    with_scratch(length, |mut rest| {
        let rest = &mut rest;
        let (query, sums) = (take(rest, group * width), take(rest, group * width));
        let (scores, values) = (take(rest, group * row_length), take(rest, CHUNK * width));
        let row = block.query_start as usize;
        for head in 0..group {
            let query = &mut query[head * width..(head + 1) * width];
            pack_rows(isa, inputs.query, head_dim, kv_head * group + head, row, 1, query);
        }
        for (row, count, at) in block.pieces(0..n_keys) {
            let start = row * inputs.key.stride + inputs.key.offset + kv_head * head_dim;
            let keys = &inputs.key.data[start..start + (count - 1) * inputs.key.stride + head_dim];
            dot_products(isa, keys, inputs.key.stride, head_dim, query, shape.scale, &mut scores[at..], row_length);
        }
        let mut first = true;
        let mut log_sum_exps = [0.0; GROUP_MAX];
        for head in 0..group {
            let row = &mut scores[head * row_length..head * row_length + n_keys];
            log_sum_exps[head] = softmax(isa, row);
        }
        for (row, count, at) in block.pieces(0..n_keys) {
            for done in (0..count).step_by(CHUNK) {
                let n = CHUNK.min(count - done);
                let start = (row + done) * inputs.value.stride + inputs.value.offset + kv_head * head_dim;
                let (b, b_row) = if head_dim == width {
                    (&inputs.value.data[start..], inputs.value.stride)
                } else {
                    pack_rows(isa, inputs.value, head_dim, kv_head, row + done, n, values);
                    (&*values, width)
                };
                let product = Product {
                    a: &scores[at + done..],
                    a_row: row_length,
                    a_column: 1,
                    b,
                    b_row,
                    c: sums,
                    c_row: width,
                    rows: group,
                    columns: width,
                    depth: n,
                    region: Region::Whole,
                    accumulate: !first,
                };
                multiply(isa, product);
                first = false;
            }
        }
        let place = row * shape.n_heads + kv_head * group;
        // SAFETY: query rows are disjoint between blocks (asserted) and heads between tasks of a block.
        let (out, log_sum_exp_TH) = unsafe {
            (
                outputs.out.range(place * head_dim..(place + group) * head_dim),
                outputs.log_sum_exp_TH.range(place..place + group),
            )
        };
        log_sum_exp_TH.copy_from_slice(&log_sum_exps[..group]);
        for (out, sums) in out.chunks_exact_mut(head_dim).zip(sums.chunks_exact(width)) {
            out.copy_from_slice(&sums[..head_dim]);
        }
    });
}

per_isa! {
    /// `scores[head·row_length + i]` = scale · query of head · key i.
    fn dot_products(
        keys: &[f32], stride: usize, head_dim: usize, query: &[f32], scale: f32, scores: &mut [f32], row_length: usize,
    ) = dot_products_body;
}
#[inline(always)]
fn dot_products_body<V: Lanes>(
    keys: &[f32],
    stride: usize,
    head_dim: usize,
    query: &[f32],
    scale: f32,
    scores: &mut [f32],
    row_length: usize,
) {
    let n_keys = (keys.len() + stride - head_dim) / stride;
    for first in (0..n_keys).step_by(4) {
        let n = 4.min(n_keys - first);
        // A row behind the last is the last again, and its product is dropped: one kind of sum for every key.
        let rows: [&[f32]; 4] = [0, 1, 2, 3].map(|i| {
            let start = (first + i.min(n - 1)) * stride;
            &keys[start..start + head_dim]
        });
        for (head, query) in query.chunks_exact(padded(head_dim)).enumerate() {
            let mut sums = [V::zero(); 4];
            let whole = head_dim / V::WIDTH * V::WIDTH;
            for start in (0..whole).step_by(V::WIDTH) {
                // SAFETY: rows have head_dim elements and a query more; start + WIDTH is at most head_dim.
                unsafe {
                    let query = V::load_from(query.as_ptr().add(start));
                    for i in 0..4 {
                        sums[i] = V::load_from(rows[i].as_ptr().add(start)).mul_add(query, sums[i]);
                    }
                }
            }
            if whole < head_dim {
                let query = V::load(&query[whole..]);
                for i in 0..4 {
                    sums[i] = V::load_up_to(&rows[i][whole..]).mul_add(query, sums[i]);
                }
            }
            let sums = V::four_sums(sums);
            let scores = &mut scores[head * row_length + first..head * row_length + first + n];
            for (score, sum) in scores.iter_mut().zip(sums) {
                *score = sum * scale;
            }
        }
    }
}

per_isa! {
    /// Scores become weights that add up to 1; returns the log of the sum of their exponentials.
    fn softmax(scores: &mut [f32]) -> f32 = softmax_body;
}
#[inline(always)]
fn softmax_body<V: Lanes>(scores: &mut [f32]) -> f32 {
    let whole = scores.len() / V::WIDTH * V::WIDTH;
    let mut maximum = f32::MIN;
    let mut running = V::splat(maximum);
    for start in (0..whole).step_by(V::WIDTH) {
        running = running.max(V::load(&scores[start..]));
    }
    for &score in &scores[whole..] {
        maximum = maximum.max(score);
    }
    let maximum = maximum.max(running.maximum());
    let mut total = V::zero();
    for start in (0..whole).step_by(V::WIDTH) {
        let weight = (V::load(&scores[start..]) - V::splat(maximum)).exp();
        weight.store(&mut scores[start..]);
        total = total + weight;
    }
    let mut total = total.sum();
    let weights = (V::load_up_to(&scores[whole..]) - V::splat(maximum)).exp();
    weights.store_up_to(&mut scores[whole..]);
    total += scores[whole..].iter().sum::<f32>();
    let factor = V::splat(1.0 / total);
    for scores in scores.chunks_mut(V::WIDTH) {
        (V::load_up_to(scores) * factor).store_up_to(scores);
    }
    maximum + total.ln()
}
