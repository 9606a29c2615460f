//! RMSNorm (arXiv 1910.07467) and LayerNorm (arXiv 1607.06450), forward and backward, over rows.
//!
//! Weight gradients are summed over fixed blocks of rows and the blocks in order, so that they do not depend
//! on the number of threads.
use crate::Device;
use crate::pool::SharedMut;
use crate::vector::{Lanes, per_isa};
use std::ops::Range;

/// y = x / rms(x) · weight; keeps 1/rms for the backward pass. Rows of `x` and `y` are `[rows, width]`, width = weight.len().
///
/// rms(x) = √(mean(x²) + ε).
pub fn rms_forward(device: &Device, x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32], inverse_rms: &mut [f32]) {
    let (width, n_rows) = (weight.len(), inverse_rms.len());
    assert_eq!((x.len(), y.len()), (n_rows * width, n_rows * width), "x and y");
    let (y, inverse_rms) = (SharedMut::new(y), SharedMut::new(inverse_rms));
    device.pool.split(n_rows, forward_grain(width), |_, rows| {
        // SAFETY: the ranges of a split don't overlap.
        let (y, inverse_rms) = unsafe { (y.range(span(&rows, width)), inverse_rms.range(rows.clone())) };
        rms_forward_rows(device.isa, &x[span(&rows, width)], weight, epsilon, y, inverse_rms);
    });
}

/// Adds to `dx`, and to `d_weight` when given.
pub fn rms_backward(
    device: &Device,
    x: &[f32],
    weight: &[f32],
    inverse_rms: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    d_weight: Option<&mut [f32]>,
) {
    let (width, n_rows) = (weight.len(), inverse_rms.len());
    assert_eq!((x.len(), dy.len(), dx.len()), (n_rows * width, n_rows * width, n_rows * width), "x, dy, dx");
    let dx = SharedMut::new(dx);
    over_blocks(device, n_rows, row_grain(width), width, d_weight.as_deref().map(|d| d.len()), |rows, sums| {
        let part = span(&rows, width);
        // SAFETY: blocks of rows don't overlap.
        let dx = unsafe { dx.range(part.clone()) };
        rms_backward_rows(device.isa, &x[part.clone()], weight, &inverse_rms[rows], &dy[part], dx, sums);
    })
    .add_to(device, d_weight);
}

/// y = (x − mean)/√(var + ε) · weight + bias; keeps mean and 1/std.
pub fn layer_forward(
    device: &Device,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
    y: &mut [f32],
    mean: &mut [f32],
    inverse_std: &mut [f32],
) {
    let (width, n_rows) = (weight.len(), mean.len());
    assert_eq!((x.len(), y.len()), (n_rows * width, n_rows * width), "x and y");
    assert_eq!((bias.len(), inverse_std.len()), (width, n_rows), "bias and inverse_std");
    let (y, mean, inverse_std) = (SharedMut::new(y), SharedMut::new(mean), SharedMut::new(inverse_std));
    device.pool.split(n_rows, forward_grain(width), |_, rows| {
        let part = span(&rows, width);
        // SAFETY: the ranges of a split don't overlap.
        let (y, mean, inverse_std) =
            unsafe { (y.range(part.clone()), mean.range(rows.clone()), inverse_std.range(rows)) };
        layer_forward_rows(device.isa, &x[part], weight, bias, epsilon, y, mean, inverse_std);
    });
}

/// Adds to `dx`, and to `d_weight`, `d_bias` when given.
pub fn layer_backward(
    device: &Device,
    x: &[f32],
    weight: &[f32],
    mean: &[f32],
    inverse_std: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    d_weight_bias: Option<(&mut [f32], &mut [f32])>,
) {
    let (width, n_rows) = (weight.len(), mean.len());
    assert_eq!((x.len(), dy.len(), dx.len()), (n_rows * width, n_rows * width, n_rows * width), "x, dy, dx");
    assert_eq!(inverse_std.len(), n_rows, "inverse_std");
    let dx = SharedMut::new(dx);
    let wanted = d_weight_bias.as_ref().map(|(d_weight, d_bias)| d_weight.len() + d_bias.len());
    let sums = over_blocks(device, n_rows, row_grain(width), 2 * width, wanted, |rows, sums| {
        let part = span(&rows, width);
        // SAFETY: blocks of rows don't overlap.
        let dx = unsafe { dx.range(part.clone()) };
        let statistics = (&mean[rows.clone()], &inverse_std[rows]);
        layer_backward_rows(device.isa, &x[part.clone()], weight, statistics, &dy[part], dx, sums);
    });
    if let Some((d_weight, d_bias)) = d_weight_bias {
        for block in sums.blocks.chunks_exact(2 * width) {
            crate::elementwise::add_slice(device.isa, &block[..width], d_weight);
            crate::elementwise::add_slice(device.isa, &block[width..], d_bias);
        }
    }
}

/// RMSNorm of each head of each row in place (Qwen3's query/key norm): row r, head g is `x[r*stride + offset + g*weight.len() ..]`.
/// `inverse_rms` is `[rows, n_heads]`; the input before the norm goes to `x_before` `[rows, n_heads*head_dim]` when given.
pub fn rms_heads_forward(
    device: &Device,
    x: &mut [f32],
    stride: usize,
    offset: usize,
    n_heads: usize,
    weight: &[f32],
    epsilon: f32,
    inverse_rms: &mut [f32],
    x_before: Option<&mut [f32]>,
) {
    let width = n_heads * weight.len();
    let n_rows = inverse_rms.len() / n_heads;
    assert!(offset + width <= stride, "{n_heads} heads at {offset} of {stride}");
    let (x, inverse_rms) = (SharedMut::new(x), SharedMut::new(inverse_rms));
    let x_before = x_before.map(SharedMut::new);
    device.pool.split(n_rows, forward_grain(width), |_, rows| {
        for row in rows {
            let start = row * stride + offset;
            // SAFETY: rows don't overlap, and each has one worker.
            let (x, inverse_rms) =
                unsafe { (x.range(start..start + width), inverse_rms.range(row * n_heads..(row + 1) * n_heads)) };
            if let Some(x_before) = x_before {
                // SAFETY: as above.
                unsafe { x_before.range(row * width..(row + 1) * width) }.copy_from_slice(x);
            }
            rms_forward_in_place(device.isa, x, weight, epsilon, inverse_rms);
        }
    });
}

/// Turns d(after the norm), lying in `dx` with the same stride and offset, into d(before) in place; adds to `d_weight` when given.
pub fn rms_heads_backward(
    device: &Device,
    x_before: &[f32],
    weight: &[f32],
    inverse_rms: &[f32],
    dx: &mut [f32],
    stride: usize,
    offset: usize,
    n_heads: usize,
    d_weight: Option<&mut [f32]>,
) {
    let width = n_heads * weight.len();
    let n_rows = inverse_rms.len() / n_heads;
    assert!(offset + width <= stride, "{n_heads} heads at {offset} of {stride}");
    assert_eq!(x_before.len(), n_rows * width, "x_before");
    let dx = SharedMut::new(dx);
    let wanted = d_weight.as_deref().map(|d| d.len());
    over_blocks(device, n_rows, row_grain(width), weight.len(), wanted, |rows, mut sums| {
        for row in rows {
            let start = row * stride + offset;
            // SAFETY: rows don't overlap, and each has one worker.
            let dx = unsafe { dx.range(start..start + width) };
            let inverse_rms = &inverse_rms[row * n_heads..(row + 1) * n_heads];
            let x = &x_before[row * width..(row + 1) * width];
            rms_backward_in_place(device.isa, x, weight, inverse_rms, dx, sums.as_deref_mut());
        }
    })
    .add_to(device, d_weight);
}

/// Rows that are worth waking a worker for.
fn row_grain(width: usize) -> usize {
    8192usize.div_ceil(width.max(1))
}

/// The same forward: a row's result is its own affair, and half of the rows are likely to lie with the other worker.
fn forward_grain(width: usize) -> usize {
    4096usize.div_ceil(width.max(1))
}

fn span(rows: &Range<usize>, width: usize) -> Range<usize> {
    rows.start * width..rows.end * width
}

/// Sums of every block of rows, one after another; empty when nobody asked for them.
struct BlockSums {
    blocks: Vec<f32>,
}

impl BlockSums {
    /// Adds the blocks in order.
    fn add_to(self, device: &Device, target: Option<&mut [f32]>) {
        if let Some(target) = target {
            for block in self.blocks.chunks_exact(target.len()) {
                crate::elementwise::add_slice(device.isa, block, target);
            }
        }
    }
}

/// Runs `work(rows, sums)` for every block of rows, with `sums` a zeroed buffer of `width` of the block's own
/// when the sums are `wanted` (and then so long).
fn over_blocks(
    device: &Device,
    n_rows: usize,
    grain: usize,
    width: usize,
    wanted: Option<usize>,
    work: impl Fn(Range<usize>, Option<&mut [f32]>) + Sync,
) -> BlockSums {
    // Blocks depend on the shape alone: at most 64, so that their sums stay small.
    let block = grain.max(n_rows.div_ceil(64));
    let n_blocks = n_rows.div_ceil(block);
    let mut blocks = match wanted {
        None => Vec::new(),
        Some(length) => {
            assert_eq!(length, width, "length of the weight gradient");
            vec![0.0; n_blocks * width]
        }
    };
    let shared = SharedMut::new(&mut blocks);
    device.pool.split(n_blocks, 1, |_, range| {
        for index in range {
            let rows = index * block..((index + 1) * block).min(n_rows);
            // SAFETY: each block is one worker's.
            let sums = wanted.map(|_| unsafe { shared.range(index * width..(index + 1) * width) });
            work(rows, sums);
        }
    });
    BlockSums { blocks }
}

per_isa! {
    fn rms_forward_rows(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32], inverse_rms: &mut [f32]) = rms_forward_body;
}
#[inline(always)]
fn rms_forward_body<V: Lanes>(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32], inverse_rms: &mut [f32]) {
    let width = weight.len();
    for ((x, y), inverse) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(inverse_rms) {
        *inverse = inverse_root(dot::<V>(x, x), width, epsilon);
        let factor = V::splat(*inverse);
        for start in (0..width).step_by(V::WIDTH) {
            let x = V::load_up_to(&x[start..]);
            (x * factor * V::load_up_to(&weight[start..])).store_up_to(&mut y[start..]);
        }
    }
}

per_isa! {
    fn rms_forward_in_place(x: &mut [f32], weight: &[f32], epsilon: f32, inverse_rms: &mut [f32]) = rms_in_place_body;
}
#[inline(always)]
fn rms_in_place_body<V: Lanes>(x: &mut [f32], weight: &[f32], epsilon: f32, inverse_rms: &mut [f32]) {
    let width = weight.len();
    for (x, inverse) in x.chunks_exact_mut(width).zip(inverse_rms) {
        *inverse = inverse_root(dot::<V>(x, x), width, epsilon);
        let factor = V::splat(*inverse);
        for start in (0..width).step_by(V::WIDTH) {
            let value = V::load_up_to(&x[start..]) * factor * V::load_up_to(&weight[start..]);
            value.store_up_to(&mut x[start..]);
        }
    }
}

per_isa! {
    fn rms_backward_rows(
        x: &[f32], weight: &[f32], inverse_rms: &[f32], dy: &[f32], dx: &mut [f32], d_weight: Option<&mut [f32]>,
    ) = rms_backward_body;
}
/// With s = 1/rms: dx = s·w·dy − x·s³/n·Σ(w·dy·x), dw = Σ_rows dy·x·s.
#[inline(always)]
fn rms_backward_body<V: Lanes>(
    x: &[f32],
    weight: &[f32],
    inverse_rms: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    mut d_weight: Option<&mut [f32]>,
) {
    let width = weight.len();
    let rows = x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width));
    for (((x, dy), dx), &inverse) in rows.zip(inverse_rms) {
        let product = dot3::<V>(x, weight, dy);
        let scale = V::splat(inverse);
        let along = V::splat(-product * inverse * inverse * inverse / width as f32);
        for start in (0..width).step_by(V::WIDTH) {
            let (x, dy) = (V::load_up_to(&x[start..]), V::load_up_to(&dy[start..]));
            let across = V::load_up_to(&weight[start..]) * dy;
            let sum = x.mul_add(along, across.mul_add(scale, V::load_up_to(&dx[start..])));
            sum.store_up_to(&mut dx[start..]);
        }
        if let Some(d_weight) = d_weight.as_deref_mut() {
            add_scaled_product::<V>(x, dy, inverse, d_weight);
        }
    }
}

per_isa! {
    fn rms_backward_in_place(
        x: &[f32], weight: &[f32], inverse_rms: &[f32], dx: &mut [f32], d_weight: Option<&mut [f32]>,
    ) = rms_backward_in_place_body;
}
#[inline(always)]
fn rms_backward_in_place_body<V: Lanes>(
    x: &[f32],
    weight: &[f32],
    inverse_rms: &[f32],
    dx: &mut [f32],
    mut d_weight: Option<&mut [f32]>,
) {
    let width = weight.len();
    for ((x, dx), &inverse) in x.chunks_exact(width).zip(dx.chunks_exact_mut(width)).zip(inverse_rms) {
        if let Some(d_weight) = d_weight.as_deref_mut() {
            add_scaled_product::<V>(x, dx, inverse, d_weight);
        }
        let product = dot3::<V>(x, weight, dx);
        let scale = V::splat(inverse);
        let along = V::splat(-product * inverse * inverse * inverse / width as f32);
        for start in (0..width).step_by(V::WIDTH) {
            let across = V::load_up_to(&weight[start..]) * V::load_up_to(&dx[start..]);
            let value = V::load_up_to(&x[start..]).mul_add(along, across * scale);
            value.store_up_to(&mut dx[start..]);
        }
    }
}

per_isa! {
    fn layer_forward_rows(
        x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, y: &mut [f32], mean: &mut [f32], inverse_std: &mut [f32],
    ) = layer_forward_body;
}
#[inline(always)]
fn layer_forward_body<V: Lanes>(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
    y: &mut [f32],
    mean: &mut [f32],
    inverse_std: &mut [f32],
) {
    let width = weight.len();
    let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
    for (((x, y), mean), inverse) in rows.zip(mean).zip(inverse_std) {
        *mean = total::<V>(x) / width as f32;
        // A second pass over the row: E[x²] − mean² would cancel.
        *inverse = inverse_root(squares_around::<V>(x, *mean), width, epsilon);
        let (mean, factor) = (V::splat(*mean), V::splat(*inverse));
        for start in (0..width).step_by(V::WIDTH) {
            let unit = (V::load_up_to(&x[start..]) - mean) * factor;
            unit.mul_add(V::load_up_to(&weight[start..]), V::load_up_to(&bias[start..])).store_up_to(&mut y[start..]);
        }
    }
}

per_isa! {
    fn layer_backward_rows(
        x: &[f32], weight: &[f32], statistics: (&[f32], &[f32]), dy: &[f32], dx: &mut [f32], sums: Option<&mut [f32]>,
    ) = layer_backward_body;
}
/// With u = (x − mean)·s, s = 1/std, g = w·dy: dx = s·(g − mean(g) − u·mean(g·u)); dw = Σ dy·u; db = Σ dy.
#[inline(always)]
fn layer_backward_body<V: Lanes>(
    x: &[f32],
    weight: &[f32],
    statistics: (&[f32], &[f32]),
    dy: &[f32],
    dx: &mut [f32],
    mut sums: Option<&mut [f32]>,
) {
    let width = weight.len();
    let rows = x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width));
    for (((x, dy), dx), (&mean, &inverse)) in rows.zip(statistics.0.iter().zip(statistics.1)) {
        let (mean, scale) = (V::splat(mean), V::splat(inverse));
        let (mut sum_g, mut sum_gu) = (V::zero(), V::zero());
        for start in (0..width).step_by(V::WIDTH) {
            // Beyond the row's end g is 0, so u's value there doesn't matter.
            let g = V::load_up_to(&weight[start..]) * V::load_up_to(&dy[start..]);
            let u = (V::load_up_to(&x[start..]) - mean) * scale;
            sum_g = sum_g + g;
            sum_gu = g.mul_add(u, sum_gu);
        }
        let mean_g = V::splat(sum_g.sum() / width as f32);
        let mean_gu = V::splat(sum_gu.sum() / width as f32);
        for start in (0..width).step_by(V::WIDTH) {
            let dy = V::load_up_to(&dy[start..]);
            let g = V::load_up_to(&weight[start..]) * dy;
            let u = (V::load_up_to(&x[start..]) - mean) * scale;
            let inner = g - mean_g - u * mean_gu;
            inner.mul_add(scale, V::load_up_to(&dx[start..])).store_up_to(&mut dx[start..]);
            if let Some(sums) = sums.as_deref_mut() {
                let (d_weight, d_bias) = sums.split_at_mut(width);
                dy.mul_add(u, V::load_up_to(&d_weight[start..])).store_up_to(&mut d_weight[start..]);
                (dy + V::load_up_to(&d_bias[start..])).store_up_to(&mut d_bias[start..]);
            }
        }
    }
}

/// 1/√(sum/n + ε).
#[inline(always)]
fn inverse_root(sum: f32, n: usize, epsilon: f32) -> f32 {
    1.0 / (sum / n as f32 + epsilon).sqrt()
}

/// Σ a·b, in two chains so that additions overlap.
#[inline(always)]
fn dot<V: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    let (mut even, mut odd) = (V::zero(), V::zero());
    for start in (0..a.len()).step_by(2 * V::WIDTH) {
        even = V::load_up_to(&a[start..]).mul_add(V::load_up_to(&b[start..]), even);
        let next = (start + V::WIDTH).min(a.len());
        odd = V::load_up_to(&a[next..]).mul_add(V::load_up_to(&b[next..]), odd);
    }
    (even + odd).sum()
}

/// Σ a·b·c.
#[inline(always)]
fn dot3<V: Lanes>(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let (mut even, mut odd) = (V::zero(), V::zero());
    for start in (0..a.len()).step_by(2 * V::WIDTH) {
        let ab = V::load_up_to(&a[start..]) * V::load_up_to(&b[start..]);
        even = ab.mul_add(V::load_up_to(&c[start..]), even);
        let next = (start + V::WIDTH).min(a.len());
        let ab = V::load_up_to(&a[next..]) * V::load_up_to(&b[next..]);
        odd = ab.mul_add(V::load_up_to(&c[next..]), odd);
    }
    (even + odd).sum()
}

#[inline(always)]
fn total<V: Lanes>(x: &[f32]) -> f32 {
    let mut sum = V::zero();
    for start in (0..x.len()).step_by(V::WIDTH) {
        sum = sum + V::load_up_to(&x[start..]);
    }
    sum.sum()
}

/// Σ (x − mean)².
#[inline(always)]
fn squares_around<V: Lanes>(x: &[f32], mean: f32) -> f32 {
    let mut sum = V::zero();
    let whole = x.len() / V::WIDTH * V::WIDTH;
    for start in (0..whole).step_by(V::WIDTH) {
        let difference = V::load(&x[start..]) - V::splat(mean);
        sum = difference.mul_add(difference, sum);
    }
    sum.sum() + x[whole..].iter().map(|x| (x - mean) * (x - mean)).sum::<f32>()
}

/// target += a·b·factor.
#[inline(always)]
fn add_scaled_product<V: Lanes>(a: &[f32], b: &[f32], factor: f32, target: &mut [f32]) {
    let factor = V::splat(factor);
    for start in (0..a.len()).step_by(V::WIDTH) {
        let product = V::load_up_to(&a[start..]) * V::load_up_to(&b[start..]);
        product.mul_add(factor, V::load_up_to(&target[start..])).store_up_to(&mut target[start..]);
    }
}

#[cfg(test)]
mod tests;
