//! f32 kernels: packing written once over [`Lanes`] and compiled for each instruction set, tiles from its module.
use super::pack::{Left, Right};
use super::{DEPTH_GRAIN, LEFT_STRIDE, PANEL, Tile, portable};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::vector::{Lanes, WIDEST, transpose};
use std::ops::Range;

/// A kernel: its name, module, vectors, target features, rows × panels of a tile, and the row counts that can occur.
macro_rules! float_kernel {
    ($name:ident, $module:ident, $vector:ty, [$($feature:meta),*], $rows:literal x $panels:literal, [$($row:literal),*]) => {
        pub(super) struct $name;

        // SAFETY: every method's instructions are those of the vectors' instruction set.
        unsafe impl super::Kernel for $name {
            type Left = f32;
            type Right = f32;
            const ROWS: usize = $rows;
            const ROW_GRAIN: usize = 1;
            const DEPTH: usize = 288;

            fn panels(_rows: usize) -> usize {
                $panels
            }
            unsafe fn pack_left(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut f32) {
                /// # Safety
                /// As for [`super::Kernel::pack_left`].
                $(#[$feature])*
                unsafe fn pack(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut f32) {
                    // SAFETY: the same contract.
                    unsafe { pack_left::<$vector>(left, rows, depth, to) }
                }
                // SAFETY: the same contract.
                unsafe { pack(left, rows, depth, to) }
            }
            unsafe fn pack_right(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut f32) {
                /// # Safety
                /// As for [`super::Kernel::pack_right`].
                $(#[$feature])*
                unsafe fn pack(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut f32) {
                    // SAFETY: the same contract.
                    unsafe { pack_right::<$vector>(right, panels, depth, to) }
                }
                // SAFETY: the same contract.
                unsafe { pack(right, panels, depth, to) }
            }
            unsafe fn tile(tile: &Tile<f32, f32>) {
                match (tile.rows, tile.columns.div_ceil(PANEL)) {
                    // SAFETY: the same contract.
                    $(($row, 1) => unsafe { $module::multiply_f32::<$row, 1>(tile) },
                    // SAFETY: the same contract.
                    ($row, _) => unsafe { $module::multiply_f32::<$row, $panels>(tile) },)*
                    (rows, panels) => unreachable!("{rows} rows by {panels} panels"),
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
float_kernel!(Avx512, avx512, crate::vector::F32x16, [target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")],
    12 x 2, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
#[cfg(target_arch = "x86_64")]
float_kernel!(Avx2, avx2, crate::vector::F32x8, [target_feature(enable = "avx2,fma,f16c")], 6 x 1, [1, 2, 3, 4, 5, 6]);
float_kernel!(Portable, portable, crate::vector::F32x4, [], 2 x 1, [1, 2]);

/// Writes the transpose of `rows × columns` elements at `from`, zeros around it, as a square of `V::WIDTH`.
///
/// # Safety
/// The elements exist, and so does the room for the square.
#[inline(always)]
unsafe fn transpose_square<V: Lanes>(
    from: *const f32,
    stride: usize,
    (rows, columns): (usize, usize),
    to: *mut f32,
    to_stride: usize,
) {
    let mut square = [V::zero(); WIDEST];
    for r in 0..rows.min(V::WIDTH) {
        // SAFETY: by this function's contract.
        square[r] = V::load_up_to(unsafe { std::slice::from_raw_parts(from.add(r * stride), columns.min(V::WIDTH)) });
    }
    transpose(&mut square);
    for c in 0..V::WIDTH {
        // SAFETY: by this function's contract.
        unsafe { square[c].store_to(to.add(c * to_stride)) };
    }
}

/// See [`super::Kernel::pack_left`].
///
/// # Safety
/// See there; the scratch has rows to a multiple of `V::WIDTH`.
#[inline(always)]
unsafe fn pack_left<V: Lanes>(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut f32) {
    let padded = depth.len().next_multiple_of(DEPTH_GRAIN);
    match *left {
        Left::Rows { data, stride } => {
            for (r, row) in rows.enumerate() {
                // SAFETY: by this function's contract.
                let to = unsafe { std::slice::from_raw_parts_mut(to.add(r * LEFT_STRIDE), padded) };
                let (kept, padding) = to.split_at_mut(depth.len());
                kept.copy_from_slice(&data[row * stride..][depth.clone()]);
                padding.fill(0.0);
            }
        }
        Left::Columns { data, stride } => {
            for j in (0..padded).step_by(V::WIDTH) {
                let here = depth.len().saturating_sub(j);
                for r in (0..rows.len()).step_by(V::WIDTH) {
                    let from = data.as_ptr().wrapping_add((depth.start + j) * stride + rows.start + r);
                    // SAFETY: by this function's contract.
                    unsafe {
                        let to = to.add(r * LEFT_STRIDE + j);
                        transpose_square::<V>(from, stride, (here, rows.len() - r), to, LEFT_STRIDE);
                    }
                }
            }
        }
    }
}

/// See [`super::Kernel::pack_right`].
///
/// # Safety
/// See there.
#[inline(always)]
unsafe fn pack_right<V: Lanes>(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut f32) {
    let padded = depth.len().next_multiple_of(DEPTH_GRAIN);
    match *right {
        // Row by row: a row's piece of all the panels lies together.
        Right::Rows { data, stride, columns } => {
            for j in 0..padded {
                let row = if j < depth.len() { &data[(depth.start + j) * stride..] } else { &[] };
                for (i, panel) in panels.clone().enumerate() {
                    let first = (panel * PANEL).min(row.len());
                    let here = &row[first..row.len().min(columns).min(first + PANEL).max(first)];
                    for part in (0..PANEL).step_by(V::WIDTH) {
                        let values = V::load_up_to(&here[part.min(here.len())..]);
                        // SAFETY: by this function's contract.
                        unsafe { values.store_to(to.add((i * padded + j) * PANEL + part)) };
                    }
                }
            }
        }
        Right::Columns { data, stride, columns } => {
            for (i, panel) in panels.enumerate() {
                for part in (0..PANEL).step_by(V::WIDTH) {
                    let first = panel * PANEL + part;
                    for j in (0..padded).step_by(V::WIDTH) {
                        let here = (columns.saturating_sub(first), depth.len().saturating_sub(j));
                        let from = data.as_ptr().wrapping_add(first * stride + depth.start + j);
                        // SAFETY: by this function's contract.
                        unsafe {
                            transpose_square::<V>(from, stride, here, to.add((i * padded + j) * PANEL + part), PANEL);
                        }
                    }
                }
            }
        }
        _ => unreachable!("packed weights are not multiplied in f32"),
    }
}
