//! Forward: a tile of queries walks over its keys with a running softmax (arXiv 2205.14135, algorithm 1).
//!
//! Scores are kept transposed, keys by lanes, so that maxima and sums run down registers and need no shuffles,
//! and keys are read row by row.
use super::plan::{KEYS, QueryTile, assert_disjoint, tiles};
use super::product::{Causal, Product, Region, multiply};
use super::stored::Stored;
use super::tile::{
    LaneMap, keys_of_register, keys_seen, pack_lanes, pack_rows, padded, take, transpose_into, with_scratch,
};
use super::{AttentionShape, QueryBlock, Rows, decode};
use crate::pool::SharedMut;
use crate::vector::{Lanes, per_isa};
use crate::{Device, Isa};

/// Single queries a worker for which each of them is one task.
const SINGLES_ABOUND: usize = 4;

/// What every task of a call reads.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a, T = f32> {
    pub isa: Isa,
    pub shape: AttentionShape,
    pub blocks: &'a [QueryBlock],
    pub query: Rows<'a>,
    pub key: Rows<'a, T>,
    pub value: Rows<'a, T>,
}

/// Where tasks write, each its own rows and heads.
#[derive(Clone, Copy)]
pub(super) struct Outputs<'a> {
    pub out: SharedMut<'a, f32>,
    pub log_sum_exp_TH: SharedMut<'a, f32>,
}

pub(super) fn run<T: Stored>(device: &Device, inputs: Inputs<T>, outputs: Outputs) {
    assert_disjoint(inputs.blocks);
    let shape = inputs.shape;
    let mut tasks: Vec<QueryTile> = inputs
        .blocks
        .iter()
        .enumerate()
        .flat_map(|(index, block)| tiles(shape, index, block.query_length as usize))
        .collect();
    // Longest first, so that the workers end together.
    tasks.sort_by_key(|tile| {
        let keys = inputs.blocks[tile.block].context() + tile.first + tile.length;
        std::cmp::Reverse(keys * tile.length)
    });
    let single = |tile: &QueryTile| decode::suits(shape, &inputs.blocks[tile.block]);
    // Where single queries abound, one task reads its keys and values row after row for all heads, as memory likes it.
    let abound = tasks.iter().filter(|tile| single(tile)).count() >= SINGLES_ABOUND * device.pool.threads();
    let n_parts = if abound { 1 } else { shape.n_kv_heads };
    let n_kv_heads = shape.n_kv_heads;
    device.pool.tasks(tasks.len() * n_parts, |task| {
        let (tile, part) = (tasks[task / n_parts], task % n_parts);
        let kv_heads = part * n_kv_heads / n_parts..(part + 1) * n_kv_heads / n_parts;
        if single(&tile) {
            decode::run(inputs, tile.block, kv_heads, outputs);
        } else {
            kv_heads.for_each(|kv_head| run_tile(inputs, tile, kv_head, outputs));
        }
    });
}

fn run_tile<T: Stored>(inputs: Inputs<T>, tile: QueryTile, kv_head: usize, outputs: Outputs) {
    let Inputs { isa, shape, .. } = inputs;
    let block = &inputs.blocks[tile.block];
    let map = LaneMap::new(shape, block.query_start as usize + tile.first, tile.length, kv_head);
    let (lanes, width) = (padded(map.len()), padded(shape.head_dim));
    let length = 2 * lanes * width + 2 * KEYS * width + KEYS * lanes + 3 * lanes;
    with_scratch(length, |mut rest| {
        let rest = &mut rest;
        let (query_by_lane, sums) = (take(rest, width * lanes), take(rest, lanes * width));
        let (keys, values) = (take(rest, KEYS * width), take(rest, KEYS * width));
        let scores = take(rest, KEYS * lanes);
        let mut state = Softmax { maximum: take(rest, lanes), total: take(rest, lanes), decay: take(rest, lanes) };
        pack_lanes(isa, inputs.query, map, shape.scale, sums);
        transpose_into(isa, sums, lanes, width, query_by_lane);
        state.reset();

        let first_own = block.context() + tile.first;
        let n_keys = first_own + tile.length;
        for start in (0..n_keys).step_by(KEYS) {
            let end = n_keys.min(start + KEYS);
            let n = end - start;
            for (row, count, at) in block.pieces(start..end) {
                pack_rows(isa, inputs.key, shape.head_dim, kv_head, row, count, &mut keys[at * width..]);
                pack_rows(isa, inputs.value, shape.head_dim, kv_head, row, count, &mut values[at * width..]);
            }
            // Every query sees the key of the first.
            let causal =
                (end > first_own + 1).then_some(Causal { base: start as isize - first_own as isize, group: map.group });
            let score_product = Product {
                a: keys,
                a_row: width,
                a_column: 1,
                b: query_by_lane,
                b_row: lanes,
                c: scores,
                c_row: lanes,
                rows: n,
                columns: lanes,
                depth: shape.head_dim,
                region: causal.map_or(Region::Whole, Region::ColumnsFrom),
                accumulate: false,
            };
            multiply(isa, score_product);
            fold_scores(isa, &mut scores[..n * lanes], causal, &mut state);
            if start > 0 {
                scale_rows(isa, state.decay, sums);
            }
            let value_product = Product {
                a: scores,
                a_row: 1,
                a_column: lanes,
                b: values,
                b_row: width,
                c: sums,
                c_row: width,
                rows: map.len(),
                columns: width,
                depth: n,
                region: causal.map_or(Region::Whole, Region::DepthBelow),
                accumulate: start > 0,
            };
            multiply(isa, value_product);
        }
        finish(outputs, shape, map, &state, sums);
    });
}

/// Divides by the sums of weights and writes the lanes' rows out.
fn finish(outputs: Outputs, shape: AttentionShape, map: LaneMap, state: &Softmax, sums: &[f32]) {
    let width = padded(shape.head_dim);
    for (lane, sums) in sums.chunks_exact(width).enumerate().take(map.len()) {
        let (row, head) = map.place(lane);
        let start = (row * shape.n_heads + head) * shape.head_dim;
        let place = row * shape.n_heads + head;
        // SAFETY: query rows are disjoint between tiles (asserted) and heads between tasks of a tile.
        let (out, log_sum_exp) = unsafe {
            (outputs.out.range(start..start + shape.head_dim), outputs.log_sum_exp_TH.range(place..place + 1))
        };
        let factor = 1.0 / state.total[lane];
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = sum * factor;
        }
        log_sum_exp[0] = state.maximum[lane] + state.total[lane].ln();
    }
}

/// The running softmax of every lane.
struct Softmax<'a> {
    maximum: &'a mut [f32],
    /// Σ e^(score − maximum).
    total: &'a mut [f32],
    /// What sums made under the previous maximum must be multiplied by.
    decay: &'a mut [f32],
}

/// Below every score, and still finite: differences of maxima are never ∞ − ∞.
const LOWEST: f32 = -1e30;

impl Softmax<'_> {
    fn reset(&mut self) {
        self.maximum.fill(LOWEST);
        self.total.fill(0.0);
    }
}

per_isa! {
    /// Takes the scores `[keys, lanes]` of a tile in and turns them into weights e^(score − maximum), 0 where unseen.
    fn fold_scores(scores: &mut [f32], causal: Option<Causal>, state: &mut Softmax<'_>) = fold_scores_body;
}
#[inline(always)]
fn fold_scores_body<V: Lanes>(scores: &mut [f32], causal: Option<Causal>, state: &mut Softmax<'_>) {
    let lanes = state.maximum.len();
    let n_keys = scores.len() / lanes;
    for lane in (0..lanes).step_by(V::WIDTH) {
        let (some, all) = keys_of_register(causal, lane, V::WIDTH, n_keys);
        let before = V::load(&state.maximum[lane..]);
        let (mut even, mut odd) = (before, before);
        let mut key = 0;
        while key + 1 < all {
            even = even.max(V::load(&scores[key * lanes + lane..]));
            odd = odd.max(V::load(&scores[(key + 1) * lanes + lane..]));
            key += 2;
        }
        for key in key..all {
            even = even.max(V::load(&scores[key * lanes + lane..]));
        }
        if let Some(causal) = causal {
            let seen = keys_seen::<V>(causal, lane);
            for key in all..some {
                let score = V::load(&scores[key * lanes + lane..]);
                let score = V::splat(key as f32).select_below(seen, score, V::splat(f32::NEG_INFINITY));
                score.store(&mut scores[key * lanes + lane..]);
                even = even.max(score);
            }
        }
        let maximum = even.max(odd);
        let mut total = V::zero();
        for key in 0..some {
            let weight = (V::load(&scores[key * lanes + lane..]) - maximum).exp();
            weight.store(&mut scores[key * lanes + lane..]);
            total = total + weight;
        }
        for key in some..n_keys {
            V::zero().store(&mut scores[key * lanes + lane..]);
        }
        let decay = (before - maximum).exp();
        V::load(&state.total[lane..]).mul_add(decay, total).store(&mut state.total[lane..]);
        maximum.store(&mut state.maximum[lane..]);
        decay.store(&mut state.decay[lane..]);
    }
}

per_isa! {
    /// Row i of `rows` times `factors[i]`.
    fn scale_rows(factors: &[f32], rows: &mut [f32]) = scale_rows_body;
}
#[inline(always)]
fn scale_rows_body<V: Lanes>(factors: &[f32], rows: &mut [f32]) {
    let width = rows.len() / factors.len();
    for (row, &factor) in rows.chunks_exact_mut(width).zip(factors) {
        // Once the largest score has been met, most factors are 1.
        if factor != 1.0 {
            for start in (0..width).step_by(V::WIDTH) {
                (V::load(&row[start..]) * V::splat(factor)).store(&mut row[start..]);
            }
        }
    }
}
