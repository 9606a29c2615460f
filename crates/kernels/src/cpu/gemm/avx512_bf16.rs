//! AVX-512 with `vdpbf16ps`: 12 rows × 2 panels in registers, the left operand broadcast pair by pair.
//!
//! The instruction treats denormal inputs and results as zero and rounds each of its two additions to nearest.
use super::pack::{Left, Right};
use super::{LEFT_STRIDE, PANEL, Tile, pack_avx512};
use std::arch::x86_64::*;
use std::ops::Range;

pub(super) struct Kernel;

// SAFETY: every method's instructions are those of `Isa::Avx512Bf16`.
unsafe impl super::Kernel for Kernel {
    type Left = u16;
    type Right = u16;
    const ROWS: usize = 12;
    const ROW_GRAIN: usize = 1;

    fn panels(rows: usize) -> usize {
        if rows <= 6 { 4 } else { 2 }
    }
    unsafe fn pack_left(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut u16) {
        // SAFETY: the same contract.
        unsafe { pack_avx512::left_bf16(left, rows, depth, to) }
    }
    unsafe fn pack_right(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut u16) {
        // SAFETY: the same contract.
        unsafe { pack_avx512::right_bf16(right, panels, depth, to) }
    }
    unsafe fn tile(tile: &Tile<u16, u16>) {
        macro_rules! with_rows {
            ($panels:literal, [$($rows:literal),*]) => {
                match tile.rows {
                    // SAFETY: the same contract.
                    $($rows => unsafe { multiply::<$rows, $panels>(tile) },)*
                    rows => unreachable!("{rows} rows by {} panels", $panels),
                }
            };
        }
        match tile.columns.div_ceil(PANEL) {
            1 => with_rows!(1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
            2 => with_rows!(2, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
            3 => with_rows!(3, [1, 2, 3, 4, 5, 6]),
            _ => with_rows!(4, [1, 2, 3, 4, 5, 6]),
        }
    }
}

/// # Safety
/// `R` rows and `P` panels exist.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
unsafe fn multiply<const R: usize, const P: usize>(tile: &Tile<u16, u16>) {
    tile.fetch_c();
    let mut sums = [[_mm512_setzero_ps(); P]; R];
    let (mut left, mut right, mut next) = (tile.left, tile.right, tile.next);
    for _ in 0..tile.depth / 4 {
        // SAFETY: rows and panels have `depth` elements a column; prefetching may name any address.
        unsafe {
            for _ in 0..2 {
                let mut panels = [_mm512_setzero_si512(); P];
                for p in 0..P {
                    panels[p] = _mm512_load_si512(right.add(p * tile.right_stride).cast());
                    _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(p * tile.right_stride).cast());
                }
                for r in 0..R {
                    let pair = _mm512_set1_epi32(left.add(r * LEFT_STRIDE).cast::<i32>().read_unaligned());
                    for p in 0..P {
                        sums[r][p] = _mm512_dpbf16_ps(sums[r][p], cast(pair), cast(panels[p]));
                    }
                }
                left = left.add(2);
                right = right.add(2 * PANEL);
                next = next.wrapping_add(2 * PANEL);
            }
        }
    }
    pack_avx512::store!(sums, tile, R, P);
}

/// The same bits under the type that dot products take.
#[target_feature(enable = "avx512f")]
#[inline]
fn cast(x: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes of plain bits.
    unsafe { std::mem::transmute(x) }
}
