//! AVX2 and FMA: operands are widened to f32, 6 rows × 1 panel in registers.
use super::pack::{self, Left, Right, ThroughBf16};
use super::{LEFT_STRIDE, PANEL, Tile};
use std::arch::x86_64::*;
use std::ops::Range;

pub(super) struct Kernel;

// SAFETY: every method's instructions are those of `Isa::Avx2`.
unsafe impl super::Kernel for Kernel {
    type Left = f32;
    type Right = u16;
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
    unsafe fn tile(tile: &Tile<f32, u16>) {
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
    unsafe { pack::left::<ThroughBf16>(left, rows, depth, to) }
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
unsafe fn multiply<const R: usize>(tile: &Tile<f32, u16>) {
    tile.fetch_c();
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
    // SAFETY: C has these rows and columns.
    unsafe { store(sums, tile.c, tile.c_stride, tile.columns, tile.add) }
}

/// The same for an f32 panel.
///
/// # Safety
/// `R` rows and a panel exist.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn multiply_f32<const R: usize, const P: usize>(tile: &Tile<f32, f32>) {
    const { assert!(P == 1, "16 registers hold one panel") };
    tile.fetch_c();
    let mut sums = [[_mm256_setzero_ps(); 2]; R];
    let (mut left, mut right) = (tile.left, tile.right);
    for _ in 0..tile.depth / 2 {
        // SAFETY: rows and the panel have `depth` elements a column.
        unsafe {
            for step in 0..2 {
                let columns = [_mm256_loadu_ps(right), _mm256_loadu_ps(right.add(PANEL / 2))];
                for r in 0..R {
                    let x = _mm256_broadcast_ss(&*left.add(r * LEFT_STRIDE + step));
                    for half in 0..2 {
                        sums[r][half] = _mm256_fmadd_ps(x, columns[half], sums[r][half]);
                    }
                }
                right = right.add(PANEL);
            }
            left = left.add(2);
        }
    }
    // SAFETY: C has these rows and columns.
    unsafe { store(sums, tile.c, tile.c_stride, tile.columns, tile.add) }
}

/// Writes or adds sums of `R` rows × 1 panel to C, of which `columns` columns exist.
///
/// # Safety
/// C has `R` rows of `columns` columns.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn store<const R: usize>(sums: [[__m256; 2]; R], c: *mut f32, c_stride: usize, columns: usize, add: bool) {
    for (r, sums) in sums.iter().enumerate() {
        for (half, &sum) in sums.iter().enumerate() {
            let start = half * PANEL / 2;
            // SAFETY: within the row, or within a copy of what is left of it.
            unsafe {
                let c = c.add(r * c_stride + start);
                if columns >= start + PANEL / 2 {
                    let sum = if add { _mm256_add_ps(_mm256_loadu_ps(c), sum) } else { sum };
                    _mm256_storeu_ps(c, sum);
                } else {
                    let mut values = [0.0f32; PANEL / 2];
                    _mm256_storeu_ps(values.as_mut_ptr(), sum);
                    for (i, value) in values.into_iter().take(columns.saturating_sub(start)).enumerate() {
                        *c.add(i) = if add { *c.add(i) + value } else { value };
                    }
                }
            }
        }
    }
}
