//! Bringing operands into the layouts that kernels read, in plain Rust; `pack_avx512` has faster versions.
use super::{DEPTH_GRAIN, LEFT_STRIDE, PANEL};
use crate::linear::{PackedBf16, PackedQ8};
use std::ops::Range;

/// Elements that a panel has for [`DEPTH_GRAIN`] depths.
pub(crate) const PANEL_GRAIN: usize = PANEL * DEPTH_GRAIN;

/// The left operand A `[m, k]`, f32 in memory.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// Row r at `data[r * stride ..]`.
    Rows { data: &'a [f32], stride: usize },
    /// Column j at `data[j * stride ..]`.
    Columns { data: &'a [f32], stride: usize },
}

/// The right operand B `[k, n]`.
#[derive(Clone, Copy)]
pub(crate) enum Right<'a> {
    /// Wᵀ of packed weights W `[n, k]`.
    Forward(&'a PackedBf16),
    /// Packed weights W `[k, n]` themselves.
    Backward(&'a PackedBf16),
    /// As `Forward`.
    ForwardQ8(&'a PackedQ8),
    /// As `Backward`.
    BackwardQ8(&'a PackedQ8),
    /// f32 in memory, row r at `data[r * stride ..]`.
    Rows { data: &'a [f32], stride: usize, columns: usize },
    /// f32 in memory, column j at `data[j * stride ..]`; for products in f32.
    Columns { data: &'a [f32], stride: usize, columns: usize },
}

/// Panics unless `rows` rows of `width` elements lie in `data`.
fn check(data: &[f32], rows: usize, width: usize, stride: usize) {
    let end = if rows * width == 0 { 0 } else { (rows - 1) * stride + width };
    assert!(end <= data.len(), "{rows} rows of {width}, {stride} apart, in {} elements", data.len());
}

impl Left<'_> {
    /// Panics unless A is `[m, k]` or larger.
    pub(super) fn check(&self, m: usize, k: usize) {
        match *self {
            Left::Rows { data, stride } => check(data, m, k, stride),
            Left::Columns { data, stride } => check(data, k, m, stride),
        }
    }
}

impl<'a> Right<'a> {
    /// Panics unless B is `[k, n]` or larger.
    pub(super) fn check(&self, k: usize, n: usize) {
        match *self {
            Right::Forward(w) => assert!(k <= w.n_in && n <= w.n_out),
            Right::Backward(w) => assert!(k <= w.n_out && n <= w.n_in),
            Right::ForwardQ8(w) => assert!(k <= w.n_in && n <= w.n_out),
            Right::BackwardQ8(w) => assert!(k <= w.n_out && n <= w.n_in),
            Right::Rows { data, stride, columns } => {
                assert!(n <= columns);
                check(data, k, n, stride);
            }
            Right::Columns { data, stride, columns } => {
                assert!(n <= columns);
                check(data, n, k, stride);
            }
        }
    }

    /// Whether panels can be read where they are.
    pub(super) fn is_panels(&self) -> bool {
        matches!(self, Right::Forward(_))
    }

    /// Where a panel begins at a depth, and elements between panels, if panels can be read where they are.
    pub(super) fn panel_address(&self, panel: usize, depth: usize) -> Option<(*const u16, usize)> {
        match *self {
            Right::Forward(weight) => {
                let stride = weight.panel_length();
                Some((weight.panels()[panel * stride + depth * PANEL..].as_ptr(), stride))
            }
            _ => None,
        }
    }
}

/// Rounds to bf16, nearest even; NaN stays NaN.
#[inline(always)]
pub(crate) fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    let quiet = bits | 0x0040_0000;
    ((if bits & 0x7fff_ffff > 0x7f80_0000 { quiet } else { rounded }) >> 16) as u16
}

/// The number that bf16 bits stand for.
#[inline(always)]
pub(crate) fn from_bf16(x: u16) -> f32 {
    f32::from_bits((x as u32) << 16)
}

/// How an element of the left operand goes to scratch.
pub(super) trait Rounding {
    /// Elements of the scratch.
    type To: Copy;
    /// Converts one.
    fn round(x: f32) -> Self::To;
}

/// To bf16 bits.
#[cfg_attr(target_arch = "x86_64", allow(dead_code))]
pub(super) struct ToBf16;
impl Rounding for ToBf16 {
    type To = u16;
    #[inline(always)]
    fn round(x: f32) -> u16 {
        to_bf16(x)
    }
}

/// To an f32 that bf16 can hold.
pub(super) struct ThroughBf16;
impl Rounding for ThroughBf16 {
    type To = f32;
    #[inline(always)]
    fn round(x: f32) -> f32 {
        from_bf16(to_bf16(x))
    }
}

/// See [`super::Kernel::pack_left`].
///
/// # Safety
/// Rows and depth lie in the operand; `to` has `LEFT_STRIDE` elements for each row.
#[inline(always)]
pub(super) unsafe fn left<L: Rounding>(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut L::To) {
    let padded = depth.len().next_multiple_of(DEPTH_GRAIN);
    let row_of = |r: usize| {
        // SAFETY: by this function's contract.
        unsafe { std::slice::from_raw_parts_mut(to.add(r * LEFT_STRIDE), padded) }
    };
    match *left {
        Left::Rows { data, stride } => {
            for (r, row) in rows.enumerate() {
                let from = &data[row * stride..][depth.clone()];
                let (kept, padding) = row_of(r).split_at_mut(depth.len());
                kept.iter_mut().zip(from).for_each(|(to, &x)| *to = L::round(x));
                padding.fill(L::round(0.0));
            }
        }
        Left::Columns { data, stride } => {
            // Squares of 16: whole cache lines are read, and few lines are written at a time.
            for first in (0..rows.len()).step_by(PANEL) {
                let height = PANEL.min(rows.len() - first);
                for (j, column) in depth.clone().enumerate() {
                    let from = &data[column * stride + rows.start + first..][..height];
                    for (r, &x) in from.iter().enumerate() {
                        // SAFETY: by this function's contract.
                        unsafe { to.add((first + r) * LEFT_STRIDE + j).write(L::round(x)) };
                    }
                }
                for r in first..first + height {
                    row_of(r)[depth.len()..].fill(L::round(0.0));
                }
            }
        }
    }
}

/// See [`super::Kernel::pack_right`].
///
/// # Safety
/// The depth lies in the operand; `to` has room for the panels.
#[inline(always)]
pub(super) unsafe fn right(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut u16) {
    let length = depth.len().next_multiple_of(DEPTH_GRAIN) * PANEL;
    for (i, panel) in panels.enumerate() {
        // SAFETY: by this function's contract.
        let to = unsafe { std::slice::from_raw_parts_mut(to.add(i * length), length) };
        match *right {
            Right::Forward(weight) => to.copy_from_slice(&weight.panel(panel)[depth.start * PANEL..][..length]),
            Right::ForwardQ8(weight) => {
                for (grain, to) in to.chunks_exact_mut(PANEL_GRAIN).enumerate() {
                    weight.expand(panel, depth.start / DEPTH_GRAIN + grain, 0..PANEL, to);
                }
            }
            Right::Backward(weight) => backward_panel(weight.panel_count(), &depth, to, |p, half| {
                half.copy_from_slice(&weight.panel(p)[panel * PANEL * PANEL..][..PANEL * PANEL]);
            }),
            Right::BackwardQ8(weight) => backward_panel(weight.panel_count(), &depth, to, |p, half| {
                let pairs = panel % 2 * PANEL / 2;
                weight.expand(p, panel / 2, pairs..pairs + PANEL / 2, half);
            }),
            Right::Rows { data, stride, columns } => rows_panel(data, stride, columns, panel, &depth, to),
            Right::Columns { .. } => unreachable!("f32 weights are not multiplied in bf16"),
        }
    }
}

/// A panel of 16 inputs, whose depths are outputs: `source(p, half)` gives forward panel p's 8 pairs for these inputs.
#[inline(always)]
fn backward_panel(
    n_panels: usize,
    depth: &Range<usize>,
    to: &mut [u16],
    source: impl Fn(usize, &mut [u16; PANEL * PANEL]),
) {
    let mut half = [0u16; PANEL * PANEL];
    for (i, to) in to.chunks_exact_mut(PANEL * PANEL).enumerate() {
        let p = depth.start / PANEL + i;
        if p >= n_panels || p * PANEL >= depth.end {
            to.fill(0);
            continue;
        }
        source(p, &mut half);
        transpose_half(&half, to);
    }
}

/// From 8 pairs of inputs × 16 outputs (element `(pair, output, parity)`) to 8 pairs of outputs × 16 inputs.
#[inline(always)]
fn transpose_half(half: &[u16; PANEL * PANEL], to: &mut [u16]) {
    for output in 0..PANEL {
        for input in 0..PANEL {
            to[output / 2 * 32 + input * 2 + output % 2] = half[input / 2 * 32 + output * 2 + input % 2];
        }
    }
}

/// A panel of 16 columns of f32 rows.
#[inline(always)]
fn rows_panel(data: &[f32], stride: usize, columns: usize, panel: usize, depth: &Range<usize>, to: &mut [u16]) {
    let first = panel * PANEL;
    let width = PANEL.min(columns - first);
    let row = |r: usize| {
        let mut values = [0.0f32; PANEL];
        if depth.start + r < depth.end {
            values[..width].copy_from_slice(&data[(depth.start + r) * stride + first..][..width]);
        }
        values
    };
    for (pair, to) in to.chunks_exact_mut(2 * PANEL).enumerate() {
        let (even, odd) = (row(2 * pair), row(2 * pair + 1));
        for j in 0..PANEL {
            to[2 * j] = to_bf16(even[j]);
            to[2 * j + 1] = to_bf16(odd[j]);
        }
    }
}

/// A panel of 16 rows (those that `rows` has; the rest are zero) of row-major weights, all their depths.
#[inline(always)]
pub(super) fn weight_panel(rows: &[&[f32]], to: &mut [u16]) {
    let depth = rows.first().map_or(0, |row| row.len());
    for (pair, to) in to.chunks_exact_mut(2 * PANEL).enumerate() {
        to.fill(0);
        for (j, row) in rows.iter().enumerate() {
            for parity in 0..2 {
                let i = 2 * pair + parity;
                if i < depth {
                    to[2 * j + parity] = to_bf16(row[i]);
                }
            }
        }
    }
}

/// [`weight_panel`] by the fastest way there is.
pub(crate) fn weights(isa: crate::Isa, rows: &[&[f32]], to: &mut [u16]) {
    #[cfg(target_arch = "x86_64")]
    if isa >= crate::Isa::Avx512Bf16 {
        // SAFETY: the device has the instruction set; panels begin cache lines.
        return unsafe { super::pack_avx512::weight_panel(rows, to) };
    }
    let _ = isa;
    weight_panel(rows, to);
}
