//! Backward: weights are computed again from the saved log-sum-exp, tile by tile (arXiv 2307.08691, algorithm 2).
//!
//! With P the weights, δ = Σ out·d_out of a query row: dV = Pᵀ·dO, dS = P∘(dO·Vᵀ − δ), dQ = dS·K, dK = dSᵀ·Q.
//! A task takes one key/value head of one tree, or of a share of its query tiles, and sums the gradients of the
//! tree's keys in memory of its own; shares are added in order afterwards. So a prompt's keys may be named by any
//! number of branches, and the result depends on nothing but the shape and the number of threads.
use super::forward::Inputs;
use super::plan::{KEYS, QueryTile, Tree, assert_disjoint, tiles, trees};
use super::product::{Causal, Product, Region, multiply};
use super::tile::{
    LaneMap, keys_of_register, keys_seen, pack_lanes, pack_rows, padded, take, transpose_into, with_scratch,
};
use super::{QkvLayout, Rows};
use crate::Device;
use crate::cpu::buffer::Buffer;
use crate::pool::SharedMut;
use crate::vector::{Lanes, per_isa};
use std::cell::RefCell;
use std::ops::Range;

/// What the forward pass kept, and the gradient that comes in.
#[derive(Clone, Copy)]
pub(super) struct Saved<'a> {
    pub out: &'a [f32],
    pub log_sum_exp_TH: &'a [f32],
    pub d_out: &'a [f32],
}

/// Some of a tree's query tiles.
struct Share {
    tree: usize,
    tiles: Range<usize>,
    cost: usize,
    /// Where its key and value gradients lie in the sums: for each key/value head `[n_keys, width]` twice.
    sums_at: usize,
}

thread_local! {
    /// The key and value gradients of a call's shares, kept from call to call.
    static SUMS: RefCell<Buffer<f32>> = RefCell::new(Buffer::zeroed(0));
}

pub(super) fn run(device: &Device, inputs: Inputs, saved: Saved, layout: QkvLayout, d_qkv: SharedMut<f32>) {
    assert_disjoint(inputs.blocks);
    let trees = trees(inputs.blocks);
    let tree_tiles: Vec<Vec<QueryTile>> = trees.iter().map(|tree| tiles_of(inputs, tree)).collect();
    let shares = shares(device.pool.threads(), inputs, &trees, &tree_tiles);
    let n_sums = shares.last().map_or(0, |share| share.sums_at + sums_length(inputs, &trees[share.tree]));
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|&share| std::cmp::Reverse(shares[share].cost));
    SUMS.with_borrow_mut(|buffer| {
        if buffer.len() < n_sums {
            *buffer = Buffer::zeroed(n_sums);
        }
        let sums = SharedMut::new(&mut buffer[..n_sums]);
        let n_kv_heads = inputs.shape.n_kv_heads;
        device.pool.tasks(order.len() * n_kv_heads, |task| {
            let (share, kv_head) = (&shares[order[task / n_kv_heads]], task % n_kv_heads);
            let tree = &trees[share.tree];
            let length = sums_length(inputs, tree) / n_kv_heads;
            let start = share.sums_at + kv_head * length;
            // SAFETY: each task has its own part of the sums.
            let (d_keys, d_values) = unsafe { sums.range(start..start + length) }.split_at_mut(length / 2);
            d_keys.fill(0.0);
            d_values.fill(0.0);
            for &tile in &tree_tiles[share.tree][share.tiles.clone()] {
                run_tile(inputs, saved, tree, tile, kv_head, layout, d_keys, d_values, d_qkv);
            }
        });
        write_keys(device, inputs, &trees, &shares, layout, sums, d_qkv);
    });
}

fn tiles_of(inputs: Inputs, tree: &Tree) -> Vec<QueryTile> {
    let of_block = |&index: &usize| tiles(inputs.shape, index, inputs.blocks[index].query_length as usize);
    tree.blocks.iter().flat_map(of_block).collect()
}

/// Pairs of query and key, roughly.
fn cost(inputs: Inputs, tile: &QueryTile) -> usize {
    tile.length * (inputs.blocks[tile.block].context() + tile.first + tile.length)
}

fn sums_length(inputs: Inputs, tree: &Tree) -> usize {
    2 * inputs.shape.n_kv_heads * tree.n_keys() * padded(inputs.shape.head_dim)
}

/// Cuts trees that are too large for one worker to do in balance with the others.
fn shares(threads: usize, inputs: Inputs, trees: &[Tree], tree_tiles: &[Vec<QueryTile>]) -> Vec<Share> {
    let costs: Vec<usize> = tree_tiles.iter().map(|tiles| tiles.iter().map(|tile| cost(inputs, tile)).sum()).collect();
    // With four tasks a thread, the last to end is at most a quarter of a thread's work late.
    let total = costs.iter().sum::<usize>() * inputs.shape.n_kv_heads;
    let most = if threads == 1 { total } else { total.div_ceil(4 * threads) }.max(1);
    let mut shares: Vec<Share> = Vec::new();
    let mut sums_at = 0;
    for (tree, tiles) in tree_tiles.iter().enumerate() {
        let n_shares = costs[tree].div_ceil(most).clamp(1, tiles.len());
        let (mut start, mut spent, mut share_cost) = (0, 0, 0);
        for (index, tile) in tiles.iter().enumerate() {
            spent += cost(inputs, tile);
            share_cost += cost(inputs, tile);
            let done = shares.iter().rev().take_while(|share| share.tree == tree).count();
            if index + 1 == tiles.len() || (done + 1 < n_shares && spent * n_shares >= costs[tree] * (done + 1)) {
                shares.push(Share { tree, tiles: start..index + 1, cost: share_cost, sums_at });
                sums_at += sums_length(inputs, &trees[tree]);
                (start, share_cost) = (index + 1, 0);
            }
        }
    }
    shares
}

/// Adds a query tile's part to the gradients of its tree's keys and values, and writes the gradient of its queries.
fn run_tile(
    inputs: Inputs,
    saved: Saved,
    tree: &Tree,
    tile: QueryTile,
    kv_head: usize,
    layout: QkvLayout,
    d_keys: &mut [f32],
    d_values: &mut [f32],
    d_qkv: SharedMut<f32>,
) {
    let (isa, shape) = (inputs.isa, inputs.shape);
    let block = &inputs.blocks[tile.block];
    let map = LaneMap::new(shape, block.query_start as usize + tile.first, tile.length, kv_head);
    let (lanes, width, head_dim) = (padded(map.len()), padded(shape.head_dim), shape.head_dim);
    let length = 5 * lanes * width + 2 * KEYS * width + 2 * KEYS * lanes + 2 * lanes;
    with_scratch(length, |mut rest| {
        let rest = &mut rest;
        let (queries, query_by_lane) = (take(rest, lanes * width), take(rest, lanes * width));
        let (d_outs, d_out_by_lane) = (take(rest, lanes * width), take(rest, lanes * width));
        let d_queries = take(rest, lanes * width);
        let (keys, values) = (take(rest, KEYS * width), take(rest, KEYS * width));
        let (weights, d_scores) = (take(rest, KEYS * lanes), take(rest, KEYS * lanes));
        let (log_sum_exp, delta) = (take(rest, lanes), take(rest, lanes));
        let heads = |data| Rows { data, stride: shape.n_heads * head_dim, offset: 0 };
        pack_lanes(isa, heads(saved.out), map, 1.0, d_queries);
        pack_lanes(isa, heads(saved.d_out), map, 1.0, d_outs);
        row_products(isa, d_queries, d_outs, delta);
        pack_lanes(isa, inputs.query, map, shape.scale, queries);
        transpose_into(isa, queries, lanes, width, query_by_lane);
        transpose_into(isa, d_outs, lanes, width, d_out_by_lane);
        for lane in 0..lanes {
            // A lane without a query gets weights of 0.
            log_sum_exp[lane] = f32::MAX;
            if lane < map.len() {
                let (row, head) = map.place(lane);
                log_sum_exp[lane] = saved.log_sum_exp_TH[row * shape.n_heads + head];
            }
        }

        let first_own = block.context() + tile.first;
        let n_keys = first_own + tile.length;
        for start in (0..n_keys).step_by(KEYS) {
            let end = n_keys.min(start + KEYS);
            let n = end - start;
            for (row, count, at) in block.pieces(start..end) {
                pack_rows(isa, inputs.key, head_dim, kv_head, row, count, &mut keys[at * width..]);
                pack_rows(isa, inputs.value, head_dim, kv_head, row, count, &mut values[at * width..]);
            }
            let causal =
                |offset: usize| Causal { base: (start + offset) as isize - first_own as isize, group: map.group };
            // Every query sees the key of the first.
            let masked = end > first_own + 1;
            let region = |kind: fn(Causal) -> Region, offset| if masked { kind(causal(offset)) } else { Region::Whole };
            // [keys, lanes]
            let by_lane = |a, b, c| Product {
                a,
                a_row: width,
                a_column: 1,
                b,
                b_row: lanes,
                c,
                c_row: lanes,
                rows: n,
                columns: lanes,
                depth: head_dim,
                region: region(Region::ColumnsFrom, 0),
                accumulate: false,
            };
            multiply(isa, by_lane(keys, query_by_lane, weights));
            multiply(isa, by_lane(values, d_out_by_lane, d_scores));
            let statistics = (&*log_sum_exp, &*delta);
            score_gradients(isa, &mut weights[..n * lanes], d_scores, masked.then(|| causal(0)), statistics);
            for (row, count, at) in block.pieces(start..end) {
                let local = tree.local(row) * width;
                let by_key = |a, b, c| Product {
                    a,
                    a_row: lanes,
                    a_column: 1,
                    b,
                    b_row: width,
                    c,
                    c_row: width,
                    rows: count,
                    columns: width,
                    depth: lanes,
                    region: region(Region::DepthFrom, at),
                    accumulate: true,
                };
                let sums = local..local + count * width;
                multiply(isa, by_key(&weights[at * lanes..], d_outs, &mut d_values[sums.clone()]));
                multiply(isa, by_key(&d_scores[at * lanes..], queries, &mut d_keys[sums]));
            }
            let by_query = Product {
                a: d_scores,
                a_row: 1,
                a_column: lanes,
                b: keys,
                b_row: width,
                c: d_queries,
                c_row: width,
                rows: map.len(),
                columns: width,
                depth: n,
                region: region(Region::DepthBelow, 0),
                accumulate: start > 0,
            };
            multiply(isa, by_query);
        }
        for (lane, d_query) in d_queries.chunks_exact(width).enumerate().take(map.len()) {
            let (row, head) = map.place(lane);
            let at = row * layout.stride + layout.query + head * head_dim;
            // SAFETY: query rows are disjoint between tiles (asserted) and heads between tasks.
            let target = unsafe { d_qkv.range(at..at + head_dim) };
            for (target, d_query) in target.iter_mut().zip(d_query) {
                *target = d_query * shape.scale;
            }
        }
    });
}

/// Adds the shares of each tree and writes the gradients of keys and values; rows that are keys only get zero query
/// gradients.
fn write_keys(
    device: &Device,
    inputs: Inputs,
    trees: &[Tree],
    shares: &[Share],
    layout: QkvLayout,
    sums: SharedMut<f32>,
    d_qkv: SharedMut<f32>,
) {
    let (shape, width) = (inputs.shape, padded(inputs.shape.head_dim));
    let kv_width = shape.n_kv_heads * shape.head_dim;
    let mut queries: Vec<Range<usize>> = inputs.blocks.iter().map(|block| block.query_range()).collect();
    queries.sort_unstable_by_key(|range| range.start);
    for (index, tree) in trees.iter().enumerate() {
        let of_tree: Vec<usize> =
            shares.iter().filter(|share| share.tree == index).map(|share| share.sums_at).collect();
        let half = tree.n_keys() * width;
        let grain = 16384usize.div_ceil(2 * kv_width * of_tree.len());
        device.pool.split(tree.n_keys(), grain, |_, locals| {
            for local in locals {
                let row = tree.row(local);
                let start = row * layout.stride;
                // SAFETY: each key row belongs to one tree, and to one worker.
                let (d_key, d_value) = unsafe {
                    (
                        d_qkv.range(start + layout.key..start + layout.key + kv_width),
                        d_qkv.range(start + layout.value..start + layout.value + kv_width),
                    )
                };
                let heads = d_key.chunks_exact_mut(shape.head_dim).zip(d_value.chunks_exact_mut(shape.head_dim));
                for (kv_head, (d_key, d_value)) in heads.enumerate() {
                    for (share, &sums_at) in of_tree.iter().enumerate() {
                        let at = sums_at + kv_head * 2 * half + local * width;
                        // SAFETY: the tasks that wrote the sums have ended; this row's are one worker's.
                        let (key, value) =
                            unsafe { (sums.range(at..at + width), sums.range(at + half..at + half + width)) };
                        gather_share(inputs.isa, share > 0, key, d_key);
                        gather_share(inputs.isa, share > 0, value, d_value);
                    }
                }
                let next = queries.partition_point(|range| range.end <= row);
                if queries.get(next).is_none_or(|range| range.start > row) {
                    let at = start + layout.query;
                    // SAFETY: as above; no query tile writes this row.
                    unsafe { d_qkv.range(at..at + shape.n_heads * shape.head_dim) }.fill(0.0);
                }
            }
        });
    }
}

per_isa! {
    /// `target` = or += the front of `share`.
    fn gather_share(add: bool, share: &[f32], target: &mut [f32]) = gather_share_body;
}
#[inline(always)]
fn gather_share_body<V: Lanes>(add: bool, share: &[f32], target: &mut [f32]) {
    for start in (0..target.len()).step_by(V::WIDTH) {
        let value = V::load(&share[start..]);
        let value = if add { V::load_up_to(&target[start..]) + value } else { value };
        value.store_up_to(&mut target[start..]);
    }
}

per_isa! {
    /// `products[i]` = row i of a · row i of b.
    fn row_products(a: &[f32], b: &[f32], products: &mut [f32]) = row_products_body;
}
#[inline(always)]
fn row_products_body<V: Lanes>(a: &[f32], b: &[f32], products: &mut [f32]) {
    let width = a.len() / products.len();
    for ((a, b), product) in a.chunks_exact(width).zip(b.chunks_exact(width)).zip(products) {
        let mut sum = V::zero();
        for start in (0..width).step_by(V::WIDTH) {
            sum = V::load(&a[start..]).mul_add(V::load(&b[start..]), sum);
        }
        *product = sum.sum();
    }
}

per_isa! {
    /// Turns scores `[keys, lanes]` into weights and the weights' gradients into the scores': dS = P∘(dP − δ); 0 where unseen.
    /// `statistics` are log-sum-exp and δ of each lane.
    fn score_gradients(
        scores: &mut [f32], gradients: &mut [f32], causal: Option<Causal>, statistics: (&[f32], &[f32]),
    ) = score_gradients_body;
}
#[inline(always)]
fn score_gradients_body<V: Lanes>(
    scores: &mut [f32],
    gradients: &mut [f32],
    causal: Option<Causal>,
    statistics: (&[f32], &[f32]),
) {
    let lanes = statistics.0.len();
    let n_keys = scores.len() / lanes;
    for lane in (0..lanes).step_by(V::WIDTH) {
        let (some, all) = keys_of_register(causal, lane, V::WIDTH, n_keys);
        let (log_sum_exp, delta) = (V::load(&statistics.0[lane..]), V::load(&statistics.1[lane..]));
        for key in 0..all {
            let at = key * lanes + lane;
            let weight = (V::load(&scores[at..]) - log_sum_exp).exp();
            weight.store(&mut scores[at..]);
            (weight * (V::load(&gradients[at..]) - delta)).store(&mut gradients[at..]);
        }
        if let Some(causal) = causal {
            let seen = keys_seen::<V>(causal, lane);
            for key in all..some {
                let (at, index) = (key * lanes + lane, V::splat(key as f32));
                let weight = (V::load(&scores[at..]) - log_sum_exp).exp();
                let gradient = weight * (V::load(&gradients[at..]) - delta);
                index.select_below(seen, weight, V::zero()).store(&mut scores[at..]);
                index.select_below(seen, gradient, V::zero()).store(&mut gradients[at..]);
            }
        }
        for key in some..n_keys {
            V::zero().store(&mut scores[key * lanes + lane..]);
            V::zero().store(&mut gradients[key * lanes + lane..]);
        }
    }
}
