//! AVX-512 without bf16 instructions: operands are widened to f32 and multiplied by FMA, 12 rows × 2 panels.
use super::pack::{self, Left, Right, ThroughBf16};
use super::{LEFT_STRIDE, PANEL, Tile, pack_avx512};
use std::arch::x86_64::*;
use std::ops::Range;

pub(super) struct Kernel;

// SAFETY: every method's instructions are those of `Isa::Avx512`.
unsafe impl super::Kernel for Kernel {
    type Left = f32;
    type Right = u16;
    const ROWS: usize = 12;
    const ROW_GRAIN: usize = 1;

    fn panels(_rows: usize) -> usize {
        2
    }
    unsafe fn pack_left(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut f32) {
        // SAFETY: the same contract.
        unsafe { pack_left(left, rows, depth, to) }
    }
    unsafe fn pack_right(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut u16) {
        // SAFETY: the same contract.
        unsafe { pack_avx512::right(right, panels, depth, to) }
    }
    unsafe fn tile(tile: &Tile<f32, u16>) {
        macro_rules! with_rows {
            ($panels:literal, [$($rows:literal),*]) => {
                match tile.rows {
                    // SAFETY: the same contract.
                    $($rows => unsafe { multiply::<$rows, $panels>(tile) },)*
                    rows => unreachable!("{rows} rows"),
                }
            };
        }
        match tile.columns.div_ceil(PANEL) {
            1 => with_rows!(1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
            _ => with_rows!(2, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        }
    }
}

/// # Safety
/// As for [`pack::left`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn pack_left(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut f32) {
    // SAFETY: the same contract.
    unsafe { pack::left::<ThroughBf16>(left, rows, depth, to) }
}

/// # Safety
/// `R` rows and `P` panels exist.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn multiply<const R: usize, const P: usize>(tile: &Tile<f32, u16>) {
    tile.fetch_c();
    let mut sums = [[_mm512_setzero_ps(); P]; R];
    let (mut left, mut right, mut next) = (tile.left, tile.right, tile.next);
    let upper_half = _mm512_set1_epi32(0xffff_0000u32 as i32);
    for _ in 0..tile.depth / 2 {
        let mut even = [_mm512_setzero_ps(); P];
        let mut odd = [_mm512_setzero_ps(); P];
        // SAFETY: rows and panels have `depth` elements a column; prefetching may name any address.
        unsafe {
            for p in 0..P {
                let pairs = _mm512_load_si512(right.add(p * tile.right_stride).cast());
                even[p] = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(pairs));
                odd[p] = _mm512_castsi512_ps(_mm512_and_si512(pairs, upper_half));
                _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(p * tile.right_stride).cast());
            }
            for r in 0..R {
                let first = _mm512_set1_ps(*left.add(r * LEFT_STRIDE));
                let second = _mm512_set1_ps(*left.add(r * LEFT_STRIDE + 1));
                for p in 0..P {
                    sums[r][p] = _mm512_fmadd_ps(first, even[p], sums[r][p]);
                    sums[r][p] = _mm512_fmadd_ps(second, odd[p], sums[r][p]);
                }
            }
            left = left.add(2);
            right = right.add(2 * PANEL);
            next = next.wrapping_add(2 * PANEL);
        }
    }
    pack_avx512::store!(sums, tile, R, P);
}

/// The same for f32 panels.
///
/// # Safety
/// `R` rows and `P` panels exist.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) unsafe fn multiply_f32<const R: usize, const P: usize>(tile: &Tile<f32, f32>) {
    tile.fetch_c();
    let mut sums = [[_mm512_setzero_ps(); P]; R];
    let (mut left, mut right) = (tile.left, tile.right);
    for _ in 0..tile.depth / 2 {
        // SAFETY: rows and panels have `depth` elements a column.
        unsafe {
            for step in 0..2 {
                let mut columns = [_mm512_setzero_ps(); P];
                for p in 0..P {
                    columns[p] = _mm512_loadu_ps(right.add(p * tile.right_stride));
                }
                for r in 0..R {
                    let x = _mm512_set1_ps(*left.add(r * LEFT_STRIDE + step));
                    for p in 0..P {
                        sums[r][p] = _mm512_fmadd_ps(x, columns[p], sums[r][p]);
                    }
                }
                right = right.add(PANEL);
            }
            left = left.add(2);
        }
    }
    pack_avx512::store!(sums, tile, R, P);
}
