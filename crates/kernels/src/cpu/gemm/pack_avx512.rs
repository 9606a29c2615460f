//! AVX-512 versions of `pack`, and the store that the AVX-512 kernels end with.
use super::pack::{self, Left, PANEL_GRAIN, Right};
use super::{DEPTH_GRAIN, LEFT_STRIDE, PANEL};
use std::arch::x86_64::*;
use std::ops::Range;

/// Writes or adds a tile's sums, `[[__m512; P]; R]`, to C.
///
/// A macro because a function might not be inlined, and then the sums would live in memory while they are summed.
macro_rules! store {
    ($sums:ident, $tile:ident, $rows:ident, $panels:ident) => {
        let last = pack_avx512::lanes($tile.columns - ($panels - 1) * PANEL);
        for r in 0..$rows {
            for p in 0..$panels {
                let mut sum = $sums[r][p];
                // SAFETY: C has these rows; the first panels are whole; the mask leaves out what the last lacks.
                unsafe {
                    let c = $tile.c.add(r * $tile.c_stride + p * PANEL);
                    if p < $panels - 1 || last == !0 {
                        if $tile.add {
                            sum = _mm512_add_ps(_mm512_loadu_ps(c), sum);
                        }
                        _mm512_storeu_ps(c, sum);
                    } else {
                        if $tile.add {
                            sum = _mm512_add_ps(_mm512_maskz_loadu_ps(last, c), sum);
                        }
                        _mm512_mask_storeu_ps(c, last, sum);
                    }
                }
            }
        }
    };
}
pub(super) use store;

/// A mask of the first `count` of 16 lanes.
pub(super) fn lanes(count: usize) -> __mmask16 {
    ((1u32 << count.min(PANEL)) - 1) as __mmask16
}

/// As [`pack::left`], in bf16.
///
/// # Safety
/// As for [`pack::left`]; the machine has `Isa::Avx512Bf16`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
pub(super) unsafe fn left_bf16(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut u16) {
    // SAFETY: the same contract.
    unsafe {
        match *left {
            Left::Rows { data, stride } => {
                for (r, row) in rows.enumerate() {
                    let from = &data[row * stride..][depth.clone()];
                    left_row(from, to.add(r * LEFT_STRIDE));
                }
            }
            Left::Columns { data, stride } => {
                let grains = depth.len().div_ceil(DEPTH_GRAIN);
                for grain in 0..grains {
                    let start = depth.start + grain * DEPTH_GRAIN;
                    let depth = start..depth.end.min(start + DEPTH_GRAIN);
                    for first in (0..rows.len()).step_by(PANEL) {
                        let here = rows.start + first..(rows.start + first + PANEL).min(rows.end);
                        fetch_rows(data, stride, here.start, depth.end);
                        let mut tile = row_pairs(data, stride, here.clone(), depth.clone());
                        transpose_dwords(&mut tile);
                        for (r, row) in tile.iter().take(here.len()).enumerate() {
                            let to = to.add((first + r) * LEFT_STRIDE + grain * DEPTH_GRAIN);
                            _mm512_storeu_si512(to.cast(), *row);
                        }
                    }
                }
            }
        }
    }
}

/// # Safety
/// `to` has room for the row, padded to a multiple of `DEPTH_GRAIN`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
#[inline]
unsafe fn left_row(from: &[f32], to: *mut u16) {
    for start in (0..from.len()).step_by(DEPTH_GRAIN) {
        let rest = &from[start..];
        // SAFETY: the masks leave out what lies behind the end.
        unsafe {
            let (low, high) = if rest.len() >= DEPTH_GRAIN {
                (_mm512_loadu_ps(rest.as_ptr()), _mm512_loadu_ps(rest.as_ptr().add(16)))
            } else {
                (
                    _mm512_maskz_loadu_ps(lanes(rest.len()), rest.as_ptr()),
                    _mm512_maskz_loadu_ps(lanes(rest.len().saturating_sub(16)), rest.as_ptr().wrapping_add(16)),
                )
            };
            _mm512_storeu_si512(to.add(start).cast(), round(low, high));
        }
    }
}

/// Rounds to bf16: 16 elements of `low`, then 16 of `high`.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn round(low: __m512, high: __m512) -> __m512i {
    // SAFETY: both types are 64 bytes of plain bits.
    unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(high, low)) }
}

/// Rounds to bf16 and interleaves: `even[0], odd[0], even[1], …`
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
#[inline]
fn round_pairs(even: __m512, odd: __m512) -> __m512i {
    const INTERLEAVE: [u16; 32] = {
        let mut index = [0; 32];
        let mut i = 0;
        while i < 32 {
            index[i] = (i / 2 + 16 * (i % 2)) as u16;
            i += 1;
        }
        index
    };
    // SAFETY: the array has 64 bytes.
    let index = unsafe { _mm512_loadu_si512(INTERLEAVE.as_ptr().cast()) };
    _mm512_permutexvar_epi16(index, round(even, odd))
}

/// Pairs of f32 rows `depth` (at most 32, zero beyond), columns `columns` (at most 16, zero beyond), as bf16:
/// vector i holds rows 2i and 2i + 1, interleaved.
///
/// # Safety
/// The elements lie in `data`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
#[inline]
unsafe fn row_pairs(data: &[f32], stride: usize, columns: Range<usize>, depth: Range<usize>) -> [__m512i; 16] {
    let mask = lanes(columns.len());
    let row = |r: usize| {
        if r < depth.end {
            debug_assert!(r * stride + columns.end <= data.len());
            // SAFETY: by this function's contract; the mask leaves out other columns.
            unsafe { _mm512_maskz_loadu_ps(mask, data.as_ptr().add(r * stride + columns.start)) }
        } else {
            _mm512_setzero_ps()
        }
    };
    let mut pairs = [_mm512_setzero_si512(); 16];
    for (i, pair) in pairs.iter_mut().enumerate() {
        let r = depth.start + 2 * i;
        *pair = round_pairs(row(r), row(r + 1));
    }
    pairs
}

/// Asks for the lines at `column` of the `DEPTH_GRAIN` rows from `first` to come near: the processor sees no pattern in
/// such reads by itself.
#[target_feature(enable = "avx512f")]
#[inline]
fn fetch_rows(data: &[f32], stride: usize, column: usize, first: usize) {
    for row in first..first + DEPTH_GRAIN {
        _mm_prefetch::<_MM_HINT_T0>(data.as_ptr().wrapping_add(row * stride + column).cast());
    }
}

/// Transposes a 16 × 16 square of 32-bit elements.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
#[inline]
fn transpose_dwords(rows: &mut [__m512i; 16]) {
    let r = *rows;
    let mut t = r;
    for i in 0..8 {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    // u[4g + j]: in each 128-bit lane L, column 4L + j of rows 4g .. 4g + 4.
    let mut u = t;
    for g in 0..4 {
        u[4 * g] = _mm512_unpacklo_epi64(t[4 * g], t[4 * g + 2]);
        u[4 * g + 1] = _mm512_unpackhi_epi64(t[4 * g], t[4 * g + 2]);
        u[4 * g + 2] = _mm512_unpacklo_epi64(t[4 * g + 1], t[4 * g + 3]);
        u[4 * g + 3] = _mm512_unpackhi_epi64(t[4 * g + 1], t[4 * g + 3]);
    }
    for j in 0..4 {
        let columns = transpose_lanes([u[j], u[4 + j], u[8 + j], u[12 + j]]);
        for (lane, column) in columns.into_iter().enumerate() {
            rows[4 * lane + j] = column;
        }
    }
}

/// Transposes a 4 × 4 square of 128-bit elements.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose_lanes(r: [__m512i; 4]) -> [__m512i; 4] {
    let even = [_mm512_shuffle_i32x4::<0x88>(r[0], r[1]), _mm512_shuffle_i32x4::<0x88>(r[2], r[3])];
    let odd = [_mm512_shuffle_i32x4::<0xdd>(r[0], r[1]), _mm512_shuffle_i32x4::<0xdd>(r[2], r[3])];
    [
        _mm512_shuffle_i32x4::<0x88>(even[0], even[1]),
        _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]),
        _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]),
        _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]),
    ]
}

/// From 8 pairs of inputs × 16 outputs (each output's two inputs side by side) to 8 pairs of outputs × 16 inputs.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
#[inline]
fn transpose_half(r: [__m512i; 8]) -> [__m512i; 8] {
    // Within 64 bits, the 2 × 2 square of 16-bit elements: (a₀ a₁ b₀ b₁) → (a₀ b₀ a₁ b₁).
    let square = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
    let mut t = r;
    for i in 0..4 {
        let pair = [_mm512_shuffle_epi8(r[2 * i], square), _mm512_shuffle_epi8(r[2 * i + 1], square)];
        t[2 * i] = _mm512_unpacklo_epi64(pair[0], pair[1]);
        t[2 * i + 1] = _mm512_unpackhi_epi64(pair[0], pair[1]);
    }
    let even = transpose_lanes([t[0], t[2], t[4], t[6]]);
    let odd = transpose_lanes([t[1], t[3], t[5], t[7]]);
    [even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3]]
}

/// As [`pack::right`], with bf16 instructions.
///
/// # Safety
/// As for [`pack::right`]; the machine has `Isa::Avx512Bf16`; `to` begins a cache line.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
pub(super) unsafe fn right_bf16(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut u16) {
    let length = depth.len().next_multiple_of(DEPTH_GRAIN) * PANEL;
    // SAFETY: the same contract.
    unsafe {
        match *right {
            Right::Rows { data, stride, columns } => {
                for grain in 0..length / PANEL_GRAIN {
                    let start = depth.start + grain * DEPTH_GRAIN;
                    let depth = start..depth.end.min(start + DEPTH_GRAIN);
                    for (i, panel) in panels.clone().enumerate() {
                        let here = panel * PANEL..columns.min((panel + 1) * PANEL);
                        fetch_rows(data, stride, here.start, depth.end);
                        let tile = row_pairs(data, stride, here, depth.clone());
                        store_lines(&tile, to.add(i * length + grain * PANEL_GRAIN));
                    }
                }
            }
            Right::ForwardQ8(weight) => {
                for (i, panel) in panels.enumerate() {
                    for grain in 0..length / PANEL_GRAIN {
                        let block = depth.start / DEPTH_GRAIN + grain;
                        let tile: [__m512i; 16] = expand(weight.block(panel, block), 0);
                        store_lines(&tile, to.add(i * length + grain * PANEL_GRAIN));
                    }
                }
            }
            Right::BackwardQ8(weight) => {
                let source = |p: usize, panel: usize| expand(weight.block(p, panel / 2), panel % 2 * 8);
                backward(weight.panel_count(), panels, depth, to, source);
            }
            _ => self::right(right, panels, depth, to),
        }
    }
}

/// As [`pack::right`].
///
/// # Safety
/// As for [`pack::right`]; the machine has `Isa::Avx512`; `to` begins a cache line.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) unsafe fn right(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut u16) {
    // SAFETY: the same contract; a panel has a line for each pair of its depths.
    unsafe {
        match *right {
            Right::Backward(weight) => {
                let source = |p: usize, panel: usize| {
                    let half = &weight.panel(p)[panel * PANEL * PANEL..][..PANEL * PANEL];
                    let mut lines = [_mm512_setzero_si512(); 8];
                    for (i, line) in lines.iter_mut().enumerate() {
                        *line = _mm512_load_si512(half.as_ptr().add(i * 32).cast());
                    }
                    lines
                };
                backward(weight.panel_count(), panels, depth, to, source);
            }
            _ => pack::right(right, panels, depth, to),
        }
    }
}

/// Panels of inputs whose depths are outputs: `source(p, panel)` gives forward panel p's 8 pairs for these inputs.
///
/// # Safety
/// As for [`pack::right`]; the machine has `Isa::Avx512`; `to` begins a cache line.
// Without target features of its own: it becomes part of callers that have more than another.
#[inline(always)]
unsafe fn backward(
    n_panels: usize,
    panels: Range<usize>,
    depth: Range<usize>,
    to: *mut u16,
    source: impl Fn(usize, usize) -> [__m512i; 8],
) {
    let halves = depth.len().next_multiple_of(DEPTH_GRAIN) / PANEL;
    for half in 0..halves {
        let p = depth.start / PANEL + half;
        for (i, panel) in panels.clone().enumerate() {
            // SAFETY: inside the panel i that `to` has room for; the instruction set is there, by the contract.
            unsafe {
                let exists = p < n_panels && p * PANEL < depth.end;
                let from = if exists { source(p, panel) } else { [_mm512_setzero_si512(); 8] };
                store_lines(&transpose_half(from), to.add((i * halves + half) * PANEL * PANEL));
            }
        }
    }
}

/// # Safety
/// `to` begins a cache line and has room for them all.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn store_lines<const N: usize>(lines: &[__m512i; N], to: *mut u16) {
    for (i, &line) in lines.iter().enumerate() {
        // SAFETY: by this function's contract.
        unsafe { _mm512_store_si512(to.add(i * 32).cast(), line) };
    }
}

/// `N` pairs of a Q8_0 block of a panel, from pair `first`, as bf16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
#[inline]
fn expand<const N: usize>((quants, scales): (&[i8; PANEL_GRAIN], &[u16; PANEL]), first: usize) -> [__m512i; N] {
    // SAFETY: 16 scales of 16 bits.
    let scales = _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(scales.as_ptr().cast()) });
    let quants = &quants[first * 2 * PANEL..][..N * 2 * PANEL];
    let mut lines = [_mm512_setzero_si512(); N];
    for (i, line) in lines.iter_mut().enumerate() {
        // SAFETY: 32 quants from here on.
        let both = _mm512_cvtepi16_epi32(unsafe { _mm256_loadu_si256(quants.as_ptr().add(i * 2 * PANEL).cast()) });
        let even = _mm512_srai_epi32::<24>(_mm512_slli_epi32::<24>(both));
        let odd = _mm512_srai_epi32::<8>(both);
        let even = _mm512_mul_ps(_mm512_cvtepi32_ps(even), scales);
        let odd = _mm512_mul_ps(_mm512_cvtepi32_ps(odd), scales);
        *line = round_pairs(even, odd);
    }
    lines
}

/// Packs 16 rows of weights (fewer: the rest are zero) as [`pack::weight_panel`] does.
///
/// # Safety
/// The machine has `Isa::Avx512Bf16`; `to` begins a cache line and has room for the padded rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
pub(super) unsafe fn weight_panel(rows: &[&[f32]], to: &mut [u16]) {
    let depth = rows.first().map_or(0, |row| row.len());
    for (grain, to) in to.chunks_exact_mut(PANEL_GRAIN).enumerate() {
        let start = grain * DEPTH_GRAIN;
        let (low, high) = (lanes(depth - start), lanes((depth - start).saturating_sub(16)));
        let mut tile = [_mm512_setzero_si512(); 16];
        for (line, row) in tile.iter_mut().zip(rows) {
            // SAFETY: the masks leave out what lies behind the row's end.
            unsafe {
                let from = row.as_ptr().add(start);
                *line = round(_mm512_maskz_loadu_ps(low, from), _mm512_maskz_loadu_ps(high, from.wrapping_add(16)));
            }
        }
        transpose_dwords(&mut tile);
        // SAFETY: a grain of a panel is 16 lines.
        unsafe { store_lines(&tile, to.as_mut_ptr()) };
    }
}
