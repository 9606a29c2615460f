//! AVX2 and FMA: operands are widened to f32, 6 rows × 1 panel in registers.
use super::pack::{self, Left, Right};
use super::{LEFT_STRIDE, PANEL, Tile};
use std::arch::x86_64::*;
use std::ops::Range;

pub(super) struct Kernel;

// SAFETY: every method's instructions are those of `Isa::Avx2`.
unsafe impl super::Kernel for Kernel {
    type Left = f32;
    const ROWS: usize = 6;
    const ROW_GRAIN: usize = 1;

    fn panels(_rows: usize) -> usize {
        1
    }
    unsafe fn pack_left(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut f32) {
        // SAFETY: the same contract.
        unsafe { pack_left(left, rows, depth, to) }
    }
    unsafe fn pack_right(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut u16) {
        // SAFETY: the same contract.
        unsafe { pack_right(right, panels, depth, to) }
    }
    unsafe fn tile(tile: &Tile<f32>) {
        // SAFETY: the same contract.
        unsafe {
            match tile.rows {
                1 => multiply::<1>(tile),
                2 => multiply::<2>(tile),
                3 => multiply::<3>(tile),
                4 => multiply::<4>(tile),
                5 => multiply::<5>(tile),
                _ => multiply::<6>(tile),
            }
        }
    }
}

/// # Safety
/// As for [`pack::left`].
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn pack_left(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut f32) {
    // SAFETY: the same contract.
    unsafe { pack::left(left, rows, depth, to) }
}

/// # Safety
/// As for [`pack::right`].
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn pack_right(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut u16) {
    // SAFETY: the same contract.
    unsafe { pack::right(right, panels, depth, to) }
}

/// # Safety
/// `R` rows and a panel exist.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn multiply<const R: usize>(tile: &Tile<f32>) {
    let mut sums = [[_mm256_setzero_ps(); 2]; R];
    let (mut left, mut right, mut next) = (tile.left, tile.right, tile.next);
    let upper_half = _mm256_set1_epi32(0xffff_0000u32 as i32);
    for _ in 0..tile.depth / 2 {
        // SAFETY: rows and the panel have `depth` elements a column; prefetching may name any address.
        unsafe {
            let pairs = [_mm256_load_si256(right.cast()), _mm256_load_si256(right.add(PANEL).cast())];
            let even = pairs.map(|pairs| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs)));
            for r in 0..R {
                let first = _mm256_broadcast_ss(&*left.add(r * LEFT_STRIDE));
                for half in 0..2 {
                    sums[r][half] = _mm256_fmadd_ps(first, even[half], sums[r][half]);
                }
            }
            let odd = pairs.map(|pairs| _mm256_castsi256_ps(_mm256_and_si256(pairs, upper_half)));
            for r in 0..R {
                let second = _mm256_broadcast_ss(&*left.add(r * LEFT_STRIDE + 1));
                for half in 0..2 {
                    sums[r][half] = _mm256_fmadd_ps(second, odd[half], sums[r][half]);
                }
            }
            _mm_prefetch::<_MM_HINT_T1>(next.cast());
            left = left.add(2);
            right = right.add(2 * PANEL);
            next = next.wrapping_add(2 * PANEL);
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        // SAFETY: C has these rows and columns.
        unsafe {
            let mut values = [0.0f32; PANEL];
            _mm256_storeu_ps(values.as_mut_ptr(), sums[0]);
            _mm256_storeu_ps(values.as_mut_ptr().add(PANEL / 2), sums[1]);
            let c = std::slice::from_raw_parts_mut(tile.c.add(r * tile.c_stride), tile.columns.min(PANEL));
            for (c, sum) in c.iter_mut().zip(values) {
                *c = if tile.add { *c + sum } else { sum };
            }
        }
    }
}
