//! What a tile needs besides products: memory, and rows copied, scaled and transposed into it.
use super::product::Causal;
use super::stored::Stored;
use super::{AttentionShape, Rows};
use crate::Isa;
use crate::cpu::buffer::Buffer;
use crate::vector::{Lanes, WIDEST, per_isa, transpose};
use std::cell::RefCell;

/// Rounds up to whole registers of the widest kind.
pub(super) fn padded(length: usize) -> usize {
    length.next_multiple_of(WIDEST)
}

thread_local! {
    /// A worker's tiles, kept from call to call: fresh pages are slow.
    static SCRATCH: RefCell<Buffer<f32>> = RefCell::new(Buffer::zeroed(0));
}

/// Runs `work` with `length` elements of this thread's scratch memory; what is in them is left over from before.
pub(super) fn with_scratch<R>(length: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    SCRATCH.with_borrow_mut(|buffer| {
        if buffer.len() < length {
            *buffer = Buffer::zeroed(length.next_power_of_two());
        }
        work(&mut buffer[..length])
    })
}

/// Cuts `length` elements off the front of `rest`, and more up to the next cache line.
pub(super) fn take<'a>(rest: &mut &'a mut [f32], length: usize) -> &'a mut [f32] {
    let (front, back) = std::mem::take(rest).split_at_mut(padded(length));
    *rest = back;
    &mut front[..length]
}

/// A query tile's lanes: lane `query·group + head` for the heads that share a key/value head.
#[derive(Clone, Copy)]
pub(super) struct LaneMap {
    /// Row of the first query.
    pub first_row: usize,
    pub n_queries: usize,
    pub group: usize,
    /// First of the heads.
    pub head: usize,
    pub head_dim: usize,
}

impl LaneMap {
    pub fn new(shape: AttentionShape, first_row: usize, n_queries: usize, kv_head: usize) -> LaneMap {
        let group = shape.group();
        LaneMap { first_row, n_queries, group, head: kv_head * group, head_dim: shape.head_dim }
    }
    /// Lanes in use.
    pub fn len(self) -> usize {
        self.n_queries * self.group
    }
    /// (row, head) of a lane.
    pub fn place(self, lane: usize) -> (usize, usize) {
        (self.first_row + lane / self.group, self.head + lane % self.group)
    }
}

/// Copies the lanes' rows, times `factor`, into `target` `[padded lanes, padded head_dim]`, zeros around them.
pub(super) fn pack_lanes(isa: Isa, source: Rows, map: LaneMap, factor: f32, target: &mut [f32]) {
    let (width, span) = (padded(map.head_dim), map.group * map.head_dim);
    for query in 0..map.n_queries {
        let start = (map.first_row + query) * source.stride + source.offset + map.head * map.head_dim;
        let row = &source.data[start..start + span];
        let target = &mut target[query * map.group * width..(query + 1) * map.group * width];
        copy_rows(isa, row, map.head_dim, map.head_dim, factor, target);
    }
    target[map.len() * width..].fill(0.0);
}

/// Copies `n` rows of head `head` from row `row` on into `target` `[n, padded head_dim]`, zeros behind each.
pub(super) fn pack_rows<T: Stored>(
    isa: Isa,
    source: Rows<T>,
    head_dim: usize,
    head: usize,
    row: usize,
    n: usize,
    target: &mut [f32],
) {
    let start = row * source.stride + source.offset + head * head_dim;
    let rows = &source.data[start..start + (n - 1) * source.stride + head_dim];
    T::copy_rows(isa, rows, source.stride, head_dim, 1.0, &mut target[..n * padded(head_dim)]);
}

per_isa! {
    /// Row i of `target` `[n, padded width]` = `source[i·stride ..][..width]·factor`, zeros behind it.
    pub(super) fn copy_rows(source: &[f32], stride: usize, width: usize, factor: f32, target: &mut [f32])
        = copy_f32_body;
}
per_isa! {
    /// The same from bf16.
    pub(super) fn copy_bf16_rows(source: &[u16], stride: usize, width: usize, factor: f32, target: &mut [f32])
        = copy_bf16_body;
}
#[inline(always)]
fn copy_f32_body<V: Lanes>(source: &[f32], stride: usize, width: usize, factor: f32, target: &mut [f32]) {
    copy_rows_body::<V, f32>(source, stride, width, factor, target);
}
#[inline(always)]
fn copy_bf16_body<V: Lanes>(source: &[u16], stride: usize, width: usize, factor: f32, target: &mut [f32]) {
    copy_rows_body::<V, u16>(source, stride, width, factor, target);
}
#[inline(always)]
fn copy_rows_body<V: Lanes, T: Stored>(source: &[T], stride: usize, width: usize, factor: f32, target: &mut [f32]) {
    let factor = V::splat(factor);
    for (i, target) in target.chunks_exact_mut(padded(width)).enumerate() {
        let source = &source[i * stride..i * stride + width];
        for start in (0..target.len()).step_by(V::WIDTH) {
            let value = T::load_up_to::<V>(&source[start.min(width)..]) * factor;
            value.store(&mut target[start..]);
        }
    }
}

per_isa! {
    /// `target` `[columns, rows]` = `source` `[rows, columns]` transposed; both sides multiples of 16.
    pub(super) fn transpose_into(source: &[f32], rows: usize, columns: usize, target: &mut [f32]) = transpose_body;
}
#[inline(always)]
fn transpose_body<V: Lanes>(source: &[f32], rows: usize, columns: usize, target: &mut [f32]) {
    for row in (0..rows).step_by(V::WIDTH) {
        for column in (0..columns).step_by(V::WIDTH) {
            let mut square = [V::zero(); WIDEST];
            for i in 0..V::WIDTH {
                square[i] = V::load(&source[(row + i) * columns + column..]);
            }
            transpose(&mut square);
            for i in 0..V::WIDTH {
                square[i].store(&mut target[(column + i) * rows + row..]);
            }
        }
    }
}

/// The part of a tile's lanes that a register holds: how many of `n_keys` any of them sees, and up to which key
/// all of them see everything.
pub(super) fn keys_of_register(causal: Option<Causal>, lane: usize, width: usize, n_keys: usize) -> (usize, usize) {
    match causal {
        None => (n_keys, n_keys),
        Some(causal) => (causal.keys_below(lane + width - 1).min(n_keys), causal.keys_below(lane).min(n_keys)),
    }
}

/// How many keys each of a register's lanes sees, as numbers to compare key indices with.
#[inline(always)]
pub(super) fn keys_seen<V: Lanes>(causal: Causal, lane: usize) -> V {
    let counts: [f32; WIDEST] = std::array::from_fn(|i| causal.keys_below(lane + i) as f32);
    V::load(&counts)
}
