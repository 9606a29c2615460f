//! Plain Rust: any processor.
use super::pack::{self, Left, Right, ThroughBf16, from_bf16};
use super::{LEFT_STRIDE, PANEL, Tile};
use std::ops::Range;

pub(super) struct Kernel;

const ROWS: usize = 4;

// SAFETY: needs no instruction set.
unsafe impl super::Kernel for Kernel {
    type Left = f32;
    type Right = u16;
    const ROWS: usize = ROWS;
    const ROW_GRAIN: usize = 1;

    fn panels(_rows: usize) -> usize {
        1
    }
    unsafe fn pack_left(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut f32) {
        // SAFETY: the same contract.
        unsafe { pack::left::<ThroughBf16>(left, rows, depth, to) }
    }
    unsafe fn pack_right(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut u16) {
        // SAFETY: the same contract.
        unsafe { pack::right(right, panels, depth, to) }
    }
    unsafe fn tile(tile: &Tile<f32, u16>) {
        // SAFETY: the tile's rows and panel exist, by the contract.
        unsafe {
            match tile.rows {
                1 => rows::<1>(tile),
                2 => rows::<2>(tile),
                3 => rows::<3>(tile),
                _ => rows::<4>(tile),
            }
        }
    }
}

/// # Safety
/// `R` rows and a panel exist.
unsafe fn rows<const R: usize>(tile: &Tile<f32, u16>) {
    let mut sums = [[0.0f32; PANEL]; R];
    for pair in 0..tile.depth / 2 {
        // SAFETY: a panel has 16 elements for each depth.
        let right = unsafe { &*tile.right.add(pair * 2 * PANEL).cast::<[u16; 2 * PANEL]>() };
        for r in 0..R {
            // SAFETY: a row has `depth` elements.
            let (even, odd) = unsafe {
                let left = tile.left.add(r * LEFT_STRIDE + 2 * pair);
                (*left, *left.add(1))
            };
            for j in 0..PANEL {
                sums[r][j] += even * from_bf16(right[2 * j]);
                sums[r][j] += odd * from_bf16(right[2 * j + 1]);
            }
        }
    }
    // SAFETY: C has these rows and columns.
    unsafe { store(sums, tile.c, tile.c_stride, tile.columns, tile.add) }
}

/// The same for an f32 panel.
///
/// # Safety
/// `R` rows and a panel exist.
pub(super) unsafe fn multiply_f32<const R: usize, const P: usize>(tile: &Tile<f32, f32>) {
    const { assert!(P == 1, "16 registers hold one panel") };
    let mut sums = [[0.0f32; PANEL]; R];
    for i in 0..tile.depth {
        // SAFETY: a panel has 16 elements for each depth.
        let right = unsafe { &*tile.right.add(i * PANEL).cast::<[f32; PANEL]>() };
        for r in 0..R {
            // SAFETY: a row has `depth` elements.
            let x = unsafe { *tile.left.add(r * LEFT_STRIDE + i) };
            for j in 0..PANEL {
                sums[r][j] += x * right[j];
            }
        }
    }
    // SAFETY: C has these rows and columns.
    unsafe { store(sums, tile.c, tile.c_stride, tile.columns, tile.add) }
}

/// Writes or adds sums of `R` rows × 1 panel to C, of which `columns` columns exist.
///
/// # Safety
/// C has `R` rows of `columns` columns.
unsafe fn store<const R: usize>(sums: [[f32; PANEL]; R], c: *mut f32, c_stride: usize, columns: usize, add: bool) {
    for (r, sums) in sums.iter().enumerate() {
        // SAFETY: by this function's contract.
        let c = unsafe { std::slice::from_raw_parts_mut(c.add(r * c_stride), columns) };
        for (c, sum) in c.iter_mut().zip(sums) {
            *c = if add { *c + sum } else { *sum };
        }
    }
}
