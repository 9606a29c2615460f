//! y = x·Wᵀ in f32 for a few rows (decoding): dot products that read the weights once, where they lie.
//!
//! Every dot product is summed in the same order whatever stands beside it, so a row of y doesn't depend on the others.
use crate::Device;
use crate::pool::SharedMut;
use crate::vector::{Lanes, per_isa};
use std::ops::Range;

/// Most rows for which this is faster than bringing the weights into panels.
pub(crate) const FEW_ROWS: usize = 32;
/// Outputs and rows whose sums are in registers together.
const OUTPUTS: usize = 4;
const ROWS: usize = 4;

/// One product: y `[n_rows, n_out]` = or += x `[n_rows, n_in]` · Wᵀ.
pub(crate) struct Dots<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) x_stride: usize,
    pub(crate) weight: &'a [f32],
    pub(crate) n_in: usize,
    pub(crate) y: SharedMut<'a, f32>,
    pub(crate) y_stride: usize,
    pub(crate) n_rows: usize,
    pub(crate) add: bool,
}

/// Runs a product with `n_out` outputs. The caller has checked that all slices are long enough.
pub(crate) fn multiply(device: &Device, dots: &Dots, n_out: usize) {
    // Some 64 KiB of weights are worth waking a worker for.
    let grain = (1usize << 14).div_ceil(dots.n_in.max(1)).next_multiple_of(OUTPUTS);
    device.pool.split(n_out, grain, |_, outputs| some_outputs(device.isa, dots, outputs));
}

per_isa! { fn some_outputs(dots: &Dots, outputs: Range<usize>) = some_outputs_body; }

#[inline(always)]
fn some_outputs_body<V: Lanes>(dots: &Dots, outputs: Range<usize>) {
    let mut n = outputs.start;
    while n + OUTPUTS <= outputs.end {
        all_rows::<V, OUTPUTS>(dots, n);
        n += OUTPUTS;
    }
    while n < outputs.end {
        all_rows::<V, 1>(dots, n);
        n += 1;
    }
}

#[inline(always)]
fn all_rows<V: Lanes, const N: usize>(dots: &Dots, n: usize) {
    let mut row = 0;
    while row + ROWS <= dots.n_rows {
        block::<V, N, ROWS>(dots, n, row);
        row += ROWS;
    }
    match dots.n_rows - row {
        3 => block::<V, N, 3>(dots, n, row),
        2 => block::<V, N, 2>(dots, n, row),
        1 => block::<V, N, 1>(dots, n, row),
        _ => {}
    }
}

/// `N` outputs of `T` rows.
#[inline(always)]
fn block<V: Lanes, const N: usize, const T: usize>(dots: &Dots, n: usize, row: usize) {
    let n_in = dots.n_in;
    let weights: [&[f32]; N] = std::array::from_fn(|i| &dots.weight[(n + i) * n_in..][..n_in]);
    let x: [&[f32]; T] = std::array::from_fn(|t| &dots.x[(row + t) * dots.x_stride..][..n_in]);
    let mut sums = [[V::zero(); T]; N];
    let whole = n_in / V::WIDTH * V::WIDTH;
    let mut k = 0;
    while k < whole {
        let mut columns = [V::zero(); T];
        for t in 0..T {
            // SAFETY: k + WIDTH ≤ n_in, the slice's length.
            columns[t] = unsafe { V::load_from(x[t].as_ptr().add(k)) };
        }
        for i in 0..N {
            // SAFETY: as above; prefetching may name any address.
            let weight = unsafe {
                if row == 0 && k % LINE == 0 {
                    fetch(weights[i].as_ptr().wrapping_add(AHEAD * N * n_in + k));
                }
                V::load_from(weights[i].as_ptr().add(k))
            };
            for t in 0..T {
                sums[i][t] = weight.mul_add(columns[t], sums[i][t]);
            }
        }
        k += V::WIDTH;
    }
    for i in 0..N {
        for t in 0..T {
            let mut sum = sums[i][t].sum();
            for k in whole..n_in {
                sum += weights[i][k] * x[t][k];
            }
            let at = (row + t) * dots.y_stride + n + i;
            // SAFETY: output n + i belongs to this worker alone.
            let y = unsafe { &mut dots.y.range(at..at + 1)[0] };
            *y = if dots.add { *y + sum } else { sum };
        }
    }
}

/// How many blocks ahead weights are asked for: far enough for memory, near enough for the cache.
const AHEAD: usize = 4;
/// Elements of a cache line.
const LINE: usize = 16;

/// Asks for a line to come nearer.
#[inline(always)]
fn fetch(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching may name any address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
