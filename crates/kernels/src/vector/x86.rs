//! AVX2's eight lanes and AVX-512's sixteen.
use super::Lanes;
use std::arch::x86_64::*;
use std::ops::{Add, Div, Mul, Sub};

/// AVX2 with FMA.
#[derive(Clone, Copy)]
pub(crate) struct F32x8(__m256);
/// AVX-512.
#[derive(Clone, Copy)]
pub(crate) struct F32x16(__m512);

macro_rules! operators {
    ($type:ident: $($trait:ident $method:ident $intrinsic:ident),*) => { $(
        impl $trait for $type {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: used only in functions compiled for the instruction set (the trait's contract).
                $type(unsafe { $intrinsic(self.0, other.0) })
            }
        }
    )* };
}
operators!(F32x8: Add add _mm256_add_ps, Sub sub _mm256_sub_ps, Mul mul _mm256_mul_ps, Div div _mm256_div_ps);
operators!(F32x16: Add add _mm512_add_ps, Sub sub _mm512_sub_ps, Mul mul _mm512_mul_ps, Div div _mm512_div_ps);

impl Lanes for F32x8 {
    const WIDTH: usize = 8;
    const REGISTERS: usize = 16;
    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: the trait's contract.
        F32x8(unsafe { _mm256_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load_from(source: *const f32) -> Self {
        // SAFETY: readable by the caller's promise, and the trait's contract.
        F32x8(unsafe { _mm256_loadu_ps(source) })
    }
    #[inline(always)]
    unsafe fn load_bf16(source: *const u16) -> Self {
        // SAFETY: readable by the caller's promise, and the trait's contract.
        F32x8(unsafe {
            let bits = _mm256_cvtepu16_epi32(_mm_loadu_si128(source.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits))
        })
    }
    #[inline(always)]
    unsafe fn store_to(self, target: *mut f32) {
        // SAFETY: writable by the caller's promise, and the trait's contract.
        unsafe { _mm256_storeu_ps(target, self.0) }
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: the trait's contract.
        F32x8(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: the trait's contract.
        F32x8(unsafe { _mm256_max_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: the trait's contract.
        F32x8(unsafe { _mm256_min_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: the trait's contract.
        F32x8(unsafe { _mm256_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: the trait's contract.
        F32x8(unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: the trait's contract.
        F32x8(unsafe {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
        })
    }
    #[inline(always)]
    fn select_below(self, bound: Self, yes: Self, no: Self) -> Self {
        // SAFETY: the trait's contract.
        F32x8(unsafe {
            let below = _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, bound.0);
            _mm256_blendv_ps(no.0, yes.0, below)
        })
    }
    #[inline(always)]
    fn interleave(self, other: Self) -> (Self, Self) {
        // SAFETY: the trait's contract.
        unsafe {
            let low = _mm256_unpacklo_ps(self.0, other.0);
            let high = _mm256_unpackhi_ps(self.0, other.0);
            (F32x8(_mm256_permute2f128_ps::<0x20>(low, high)), F32x8(_mm256_permute2f128_ps::<0x31>(low, high)))
        }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: the trait's contract.
        unsafe {
            let x = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps::<1>(x, x)))
        }
    }
    #[inline(always)]
    fn four_sums(four: [Self; 4]) -> [f32; 4] {
        // SAFETY: the trait's contract.
        unsafe {
            let ab = _mm256_hadd_ps(four[0].0, four[1].0);
            let cd = _mm256_hadd_ps(four[2].0, four[3].0);
            let abcd = _mm256_hadd_ps(ab, cd);
            let sums = _mm_add_ps(_mm256_castps256_ps128(abcd), _mm256_extractf128_ps::<1>(abcd));
            std::mem::transmute::<__m128, [f32; 4]>(sums)
        }
    }
    #[inline(always)]
    fn maximum(self) -> f32 {
        // SAFETY: the trait's contract.
        unsafe {
            let x = _mm_max_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps::<1>(x, x)))
        }
    }
}

impl F32x16 {
    /// The lower lanes plus the upper.
    #[inline(always)]
    fn halved(self) -> F32x8 {
        // SAFETY: the trait's contract.
        F32x8(unsafe { _mm256_add_ps(_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0)) })
    }
}

impl Lanes for F32x16 {
    const WIDTH: usize = 16;
    const REGISTERS: usize = 32;
    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: the trait's contract.
        F32x16(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load_from(source: *const f32) -> Self {
        // SAFETY: readable by the caller's promise, and the trait's contract.
        F32x16(unsafe { _mm512_loadu_ps(source) })
    }
    #[inline(always)]
    unsafe fn load_bf16(source: *const u16) -> Self {
        // SAFETY: readable by the caller's promise, and the trait's contract.
        F32x16(unsafe {
            let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(source.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
        })
    }
    #[inline(always)]
    unsafe fn store_to(self, target: *mut f32) {
        // SAFETY: writable by the caller's promise, and the trait's contract.
        unsafe { _mm512_storeu_ps(target, self.0) }
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: the trait's contract.
        F32x16(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: the trait's contract.
        F32x16(unsafe { _mm512_max_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: the trait's contract.
        F32x16(unsafe { _mm512_min_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: the trait's contract.
        F32x16(unsafe { _mm512_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: the trait's contract.
        F32x16(unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: the trait's contract.
        F32x16(unsafe { _mm512_scalef_ps(_mm512_set1_ps(1.0), self.0) })
    }
    #[inline(always)]
    fn select_below(self, bound: Self, yes: Self, no: Self) -> Self {
        // SAFETY: the trait's contract.
        F32x16(unsafe {
            let below = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, bound.0);
            _mm512_mask_blend_ps(below, no.0, yes.0)
        })
    }
    #[inline(always)]
    fn interleave(self, other: Self) -> (Self, Self) {
        // SAFETY: the trait's contract.
        unsafe {
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
            (
                F32x16(_mm512_permutex2var_ps(self.0, low, other.0)),
                F32x16(_mm512_permutex2var_ps(self.0, high, other.0)),
            )
        }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_reduce_add_ps(self.0) }
    }
    #[inline(always)]
    fn four_sums(four: [Self; 4]) -> [f32; 4] {
        let [a, b, c, d] = four;
        F32x8::four_sums([a.halved(), b.halved(), c.halved(), d.halved()])
    }
    #[inline(always)]
    fn maximum(self) -> f32 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_reduce_max_ps(self.0) }
    }
}
