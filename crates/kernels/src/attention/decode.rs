//! Decoding: a block of one query, whose heads read every key and value once.
//!
//! Such products are made at the speed of memory, so rows are asked for [`AHEAD`] of their turn: those that lie on, then
//! those of the next piece, and after the keys those of the values.
use super::forward::{Inputs, Outputs};
use super::product::{Product, Region, multiply, multiply_body};
use super::stored::Stored;
use super::tile::{pack_rows, padded, take, with_scratch};
use super::{AttentionShape, QueryBlock, Rows};
use crate::Isa;
use crate::cpu::fetch::fetch;
use crate::vector::{Lanes, per_isa};
use std::ops::Range;

/// Heads up to which single dot products beat a tile's transposed layout.
const GROUP_MAX: usize = 8;

/// Keys whose values are packed together when they can't be read in place.
const CHUNK: usize = 64;

/// Rows between the one that is read and the one that is asked for.
const AHEAD: usize = 16;

/// Whether a block is done here; depends on the block alone, so that a sequence never notices the others.
pub(super) fn suits(shape: AttentionShape, block: &QueryBlock) -> bool {
    shape.single_apart && block.query_length == 1 && shape.group() <= GROUP_MAX
}

/// The heads that read `kv_heads`, of a block. A head's numbers don't depend on which others go with it.
pub(super) fn run<T: Stored>(inputs: Inputs<T>, block: usize, kv_heads: Range<usize>, outputs: Outputs) {
    let Inputs { isa, shape, .. } = inputs;
    let block = &inputs.blocks[block];
    let (group, head_dim, width) = (shape.group(), shape.head_dim, padded(shape.head_dim));
    let n_keys = block.context() + 1;
    let (row_length, n_heads) = (padded(n_keys), group * kv_heads.len());
    let length = 2 * padded(n_heads * width) + padded(n_heads * row_length) + CHUNK * width;
    with_scratch(length, |mut rest| {
        let rest = &mut rest;
        let (query, sums) = (take(rest, n_heads * width), take(rest, n_heads * width));
        let (scores, packed) = (take(rest, n_heads * row_length), take(rest, CHUNK * width));
        let row = block.query_start as usize;
        for (head, query) in query.chunks_exact_mut(width).enumerate() {
            pack_rows(isa, inputs.query, head_dim, kv_heads.start * group + head, row, 1, query);
        }
        let part = Part { shape, kv_heads: kv_heads.clone(), row_length };
        score(isa, &part, (inputs.key, inputs.value), block, query, scores);
        let place = row * shape.n_heads + kv_heads.start * group;
        // SAFETY: query rows are disjoint between blocks (asserted) and heads between tasks of a block.
        let (out, log_sum_exp_TH) = unsafe {
            (
                outputs.out.range(place * head_dim..(place + n_heads) * head_dim),
                outputs.log_sum_exp_TH.range(place..place + n_heads),
            )
        };
        for (scores, log_sum_exp) in scores.chunks_exact_mut(row_length).zip(log_sum_exp_TH) {
            *log_sum_exp = softmax(isa, &mut scores[..n_keys]);
        }
        if head_dim == width {
            weigh_in_place(isa, &part, inputs.value, block, scores, sums);
        } else {
            weigh_packed(isa, &part, inputs.value, block, scores, packed, sums);
        }
        for (out, sums) in out.chunks_exact_mut(head_dim).zip(sums.chunks_exact(width)) {
            out.copy_from_slice(&sums[..head_dim]);
        }
    });
}

/// Which heads are done together.
struct Part {
    shape: AttentionShape,
    kv_heads: Range<usize>,
    /// Elements between the scores of two heads.
    row_length: usize,
}

impl Part {
    /// `n` rows from row `row` on: from the part's first head in the first to its last head in the last.
    fn rows<'a, T>(&self, rows: Rows<'a, T>, row: usize, n: usize) -> &'a [T] {
        let start = self.start(rows.stride, rows.offset, row);
        &rows.data[start..start + (n - 1) * rows.stride + self.kv_heads.len() * self.shape.head_dim]
    }

    /// Where that begins, to be asked for.
    fn address<T>(&self, rows: &Rows<T>, row: usize) -> *const T {
        rows.data.as_ptr().wrapping_add(self.start(rows.stride, rows.offset, row))
    }

    fn start(&self, stride: usize, offset: usize, row: usize) -> usize {
        row * stride + offset + self.kv_heads.start * self.shape.head_dim
    }
}

/// The scores of every key that the block sees.
fn score<T: Stored>(
    isa: Isa,
    part: &Part,
    (key, value): (Rows<T>, Rows<T>),
    block: &QueryBlock,
    query: &[f32],
    scores: &mut [f32],
) {
    let values = block.pieces(0..1).next().map_or(std::ptr::null(), |(row, ..)| part.address(&value, row));
    let mut pieces = block.pieces(0..block.context() + 1).peekable();
    while let Some((row, count, at)) = pieces.next() {
        let keys = Keys {
            data: part.rows(key, row, count),
            stride: key.stride,
            head_dim: part.shape.head_dim,
            n_kv_heads: part.kv_heads.len(),
            query,
            scale: part.shape.scale,
            row_length: part.row_length,
            next: pieces.peek().map_or(values, |(row, ..)| part.address(&key, *row)),
        };
        T::dot_products(isa, keys, &mut scores[at..]);
    }
}

/// Sums of values times weights, where the values lie.
fn weigh_in_place<T: Stored>(
    isa: Isa,
    part: &Part,
    value: Rows<T>,
    block: &QueryBlock,
    weights: &[f32],
    sums: &mut [f32],
) {
    let mut pieces = block.pieces(0..block.context() + 1).peekable();
    while let Some((row, count, at)) = pieces.next() {
        let data = part.rows(value, row, count);
        let values = Values {
            data,
            stride: value.stride,
            head_dim: part.shape.head_dim,
            n_kv_heads: part.kv_heads.len(),
            group: part.shape.group(),
            weights: &weights[at..],
            row_length: part.row_length,
            first: at == 0,
            next: pieces.peek().map_or(data.as_ptr(), |(row, ..)| part.address(&value, *row)),
        };
        T::add_values(isa, values, sums);
    }
}

/// The same where a head isn't whole registers: its rows are brought into such first.
fn weigh_packed<T: Stored>(
    isa: Isa,
    part: &Part,
    value: Rows<T>,
    block: &QueryBlock,
    weights: &[f32],
    packed: &mut [f32],
    sums: &mut [f32],
) {
    let (group, head_dim, width) = (part.shape.group(), part.shape.head_dim, padded(part.shape.head_dim));
    let (weights, sums) = (weights.chunks(group * part.row_length), sums.chunks_exact_mut(group * width));
    for ((kv_head, weights), sums) in part.kv_heads.clone().zip(weights).zip(sums) {
        for (row, count, at) in block.pieces(0..block.context() + 1) {
            for done in (0..count).step_by(CHUNK) {
                let n = CHUNK.min(count - done);
                pack_rows(isa, value, head_dim, kv_head, row + done, n, packed);
                let product = Product {
                    a: &weights[at + done..],
                    a_row: part.row_length,
                    a_column: 1,
                    b: &*packed,
                    b_row: width,
                    c: &mut *sums,
                    c_row: width,
                    rows: group,
                    columns: width,
                    depth: n,
                    region: Region::Whole,
                    accumulate: at + done > 0,
                };
                multiply(isa, product);
            }
        }
    }
}

/// Rows of keys and what they are multiplied by.
pub(super) struct Keys<'a, T> {
    /// From the first head of the first row to the last head of the last.
    data: &'a [T],
    stride: usize,
    head_dim: usize,
    n_kv_heads: usize,
    /// A row for each query head, `[heads, padded head_dim]`.
    query: &'a [f32],
    scale: f32,
    row_length: usize,
    /// What is read after these keys.
    next: *const T,
}

per_isa! {
    /// `scores[head·row_length + i]` = scale · query of head · key i.
    pub(super) fn dot_products(keys: Keys<'_, f32>, scores: &mut [f32]) = dot_f32_body;
}
per_isa! {
    /// The same for keys in bf16.
    pub(super) fn dot_bf16_products(keys: Keys<'_, u16>, scores: &mut [f32]) = dot_bf16_body;
}
#[inline(always)]
fn dot_f32_body<V: Lanes>(keys: Keys<'_, f32>, scores: &mut [f32]) {
    dot_products_body::<V, f32>(keys, scores);
}
#[inline(always)]
fn dot_bf16_body<V: Lanes>(keys: Keys<'_, u16>, scores: &mut [f32]) {
    dot_products_body::<V, u16>(keys, scores);
}
#[inline(always)]
fn dot_products_body<V: Lanes, T: Stored>(keys: Keys<'_, T>, scores: &mut [f32]) {
    let Keys { data, stride, head_dim, n_kv_heads, row_length, .. } = keys;
    let (width, span) = (padded(head_dim), n_kv_heads * head_dim);
    let n_keys = (data.len() + stride - span) / stride;
    let group = keys.query.len() / width / n_kv_heads;
    for first in (0..n_keys).step_by(4) {
        let n = 4.min(n_keys - first);
        fetch_rows(data.as_ptr(), stride, span, first..first + n, n_keys, keys.next);
        for kv_head in 0..n_kv_heads {
            // A row behind the last is the last again, and its product is dropped: one kind of sum for every key.
            let mut rows = [&data[..0]; 4];
            for i in 0..4 {
                rows[i] = &data[(first + i.min(n - 1)) * stride + kv_head * head_dim..][..head_dim];
            }
            for head in kv_head * group..(kv_head + 1) * group {
                let sums = four_dot_products::<V, T>(rows, &keys.query[head * width..][..width]);
                let at = head * row_length + first;
                for (score, sum) in scores[at..at + n].iter_mut().zip(sums) {
                    *score = sum * keys.scale;
                }
            }
        }
    }
}

/// The products of four rows with a padded one.
#[inline(always)]
fn four_dot_products<V: Lanes, T: Stored>(rows: [&[T]; 4], query: &[f32]) -> [f32; 4] {
    let head_dim = rows[0].len();
    let mut sums = [V::zero(); 4];
    let whole = head_dim / V::WIDTH * V::WIDTH;
    for start in (0..whole).step_by(V::WIDTH) {
        // SAFETY: rows have head_dim elements and a query more; start + WIDTH is at most head_dim.
        unsafe {
            let query = V::load_from(query.as_ptr().add(start));
            for i in 0..4 {
                sums[i] = T::load_from::<V>(rows[i].as_ptr().add(start)).mul_add(query, sums[i]);
            }
        }
    }
    if whole < head_dim {
        let query = V::load(&query[whole..]);
        for i in 0..4 {
            sums[i] = T::load_up_to::<V>(&rows[i][whole..]).mul_add(query, sums[i]);
        }
    }
    V::four_sums(sums)
}

/// Asks for what is read [`AHEAD`] rows after `rows`, of which there are `n_rows`; behind the last row lies `next`.
#[inline(always)]
fn fetch_rows<T>(data: *const T, stride: usize, span: usize, rows: Range<usize>, n_rows: usize, next: *const T) {
    for row in rows {
        let row = row + AHEAD;
        let behind =
            if row < n_rows { data.wrapping_add(row * stride) } else { next.wrapping_add((row - n_rows) * stride) };
        fetch(behind, span);
    }
}

/// Rows of values, and their weights.
pub(super) struct Values<'a, T> {
    /// From the first head of the first row to the last head of the last.
    data: &'a [T],
    stride: usize,
    /// Whole registers.
    head_dim: usize,
    n_kv_heads: usize,
    /// Query heads of a key/value head.
    group: usize,
    /// Of head h and row i at `h·row_length + i`.
    weights: &'a [f32],
    row_length: usize,
    /// Whether sums begin here.
    first: bool,
    /// What is read after these values.
    next: *const T,
}

/// Rows whose values are added for one head after another: they are near meanwhile.
const ROWS_NEAR: usize = 16;

per_isa! {
    /// Row h of `sums` = or += Σ weight of head h and row i · value i.
    pub(super) fn add_values(values: Values<'_, f32>, sums: &mut [f32]) = add_f32_body;
}
per_isa! {
    /// The same for values in bf16.
    pub(super) fn add_bf16_values(values: Values<'_, u16>, sums: &mut [f32]) = add_bf16_body;
}
#[inline(always)]
fn add_f32_body<V: Lanes>(values: Values<'_, f32>, sums: &mut [f32]) {
    add_values_body::<V, f32>(values, sums);
}
#[inline(always)]
fn add_bf16_body<V: Lanes>(values: Values<'_, u16>, sums: &mut [f32]) {
    add_values_body::<V, u16>(values, sums);
}
#[inline(always)]
fn add_values_body<V: Lanes, T: Stored>(values: Values<'_, T>, sums: &mut [f32]) {
    let Values { data, stride, head_dim, n_kv_heads, group, row_length, .. } = values;
    let span = n_kv_heads * head_dim;
    let n_rows = (data.len() + stride - span) / stride;
    for start in (0..n_rows).step_by(ROWS_NEAR) {
        let n = ROWS_NEAR.min(n_rows - start);
        fetch_rows(data.as_ptr(), stride, span, start..start + n, n_rows, values.next);
        for kv_head in 0..n_kv_heads {
            let product = Product {
                a: &values.weights[kv_head * group * row_length + start..],
                a_row: row_length,
                a_column: 1,
                b: &data[start * stride + kv_head * head_dim..],
                b_row: stride,
                c: &mut sums[kv_head * group * head_dim..][..group * head_dim],
                c_row: head_dim,
                rows: group,
                columns: head_dim,
                depth: n,
                region: Region::Whole,
                accumulate: !values.first || start > 0,
            };
            multiply_body::<V, T>(product);
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
