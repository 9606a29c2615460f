//! Vectors of f32 for every instruction set, and the functions built on them (exp, sigmoid, the normal distribution).
//!
//! A kernel is written once, generic over [`Lanes`] and `#[inline(always)]` all the way down; [`per_isa!`] makes a
//! function that picks the compiled copy for the device's instruction set. Closures stay out of such code: one that
//! isn't inlined would run without the instruction set.
use std::ops::{Add, Div, Mul, Sub};

/// A SIMD register of f32.
///
/// The x86 types may only be used inside functions compiled for their instruction set; [`per_isa!`] sees to that.
pub(crate) trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// Elements in a register.
    const WIDTH: usize;
    /// Architectural registers, which bound the size of a matrix tile.
    const REGISTERS: usize;

    /// The same value in every lane.
    fn splat(value: f32) -> Self;
    /// Reads `WIDTH` elements.
    ///
    /// # Safety
    /// They must be readable.
    unsafe fn load_from(source: *const f32) -> Self;
    /// Reads `WIDTH` numbers in bf16.
    ///
    /// # Safety
    /// They must be readable.
    unsafe fn load_bf16(source: *const u16) -> Self;
    /// Writes `WIDTH` elements.
    ///
    /// # Safety
    /// They must be writable.
    unsafe fn store_to(self, target: *mut f32);
    /// self·factor + addend.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The larger; `other` where either is NaN.
    fn max(self, other: Self) -> Self;
    /// The smaller; `other` where either is NaN.
    fn min(self, other: Self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// To the nearest integer, even on a tie; for magnitudes below 2²².
    fn round(self) -> Self;
    /// 2^self for whole numbers from −126 to 127.
    fn power_of_two(self) -> Self;
    /// `yes` where self < bound, else `no`.
    fn select_below(self, bound: Self, yes: Self, no: Self) -> Self;
    /// The lanes of both in turn: (self₀ other₀ self₁ …) and the rest of it.
    fn interleave(self, other: Self) -> (Self, Self);
    /// Sum of all lanes.
    fn sum(self) -> f32;
    /// Sums of all lanes of four registers, for less than four single sums.
    fn four_sums(four: [Self; 4]) -> [f32; 4];
    /// Maximum of all lanes.
    fn maximum(self) -> f32;

    /// Zero.
    #[inline(always)]
    fn zero() -> Self {
        Self::splat(0.0)
    }
    /// The first `WIDTH` elements of `source`.
    #[inline(always)]
    fn load(source: &[f32]) -> Self {
        assert!(source.len() >= Self::WIDTH);
        // SAFETY: long enough by the assertion.
        unsafe { Self::load_from(source.as_ptr()) }
    }
    /// Writes the first `WIDTH` elements of `target`.
    #[inline(always)]
    fn store(self, target: &mut [f32]) {
        assert!(target.len() >= Self::WIDTH);
        // SAFETY: long enough by the assertion.
        unsafe { self.store_to(target.as_mut_ptr()) }
    }
    /// As many elements as `source` has, at most `WIDTH`; zeros after them.
    #[inline(always)]
    fn load_up_to(source: &[f32]) -> Self {
        if source.len() >= Self::WIDTH {
            return Self::load(source);
        }
        let mut padded = [0.0; WIDEST];
        padded[..source.len()].copy_from_slice(source);
        Self::load(&padded)
    }
    /// Writes as many elements as `target` has room for, at most `WIDTH`.
    #[inline(always)]
    fn store_up_to(self, target: &mut [f32]) {
        if target.len() >= Self::WIDTH {
            return self.store(target);
        }
        let mut padded = [0.0; WIDEST];
        self.store(&mut padded);
        let length = target.len();
        target.copy_from_slice(&padded[..length]);
    }

    /// e^self, within 2 units in the last place; 0 below −87.3, held at e^88.3 above, NaN for NaN.
    #[inline(always)]
    fn exp(self) -> Self {
        // x = n·ln 2 + r with |r| ≤ ln 2 / 2; ln 2 in two parts so that n·high is exact.
        let x = Self::splat(88.3).min(Self::splat(-87.3).max(self));
        let n = (x * Self::splat(std::f32::consts::LOG2_E)).round();
        let r = n.mul_add(Self::splat(-0.693_359_4), x);
        let r = n.mul_add(Self::splat(2.121_944_4e-4), r);
        // (e^r − 1 − r)/r², fitted for the least relative error of e^r: 3.1e-9 before rounding.
        let p = Self::splat(1.381_459_6e-3)
            .mul_add(r, Self::splat(8.368_717e-3))
            .mul_add(r, Self::splat(4.166_839e-2))
            .mul_add(r, Self::splat(1.666_652_1e-1))
            .mul_add(r, Self::splat(4.999_999_3e-1));
        let e = p.mul_add(r * r, r) + Self::splat(1.0);
        let scaled = e * n.power_of_two();
        self.select_below(Self::splat(-87.3), Self::zero(), scaled)
    }
    /// 1/(1 + e^−self).
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let one = Self::splat(1.0);
        one / (one + (Self::zero() - self).exp())
    }
    /// The standard normal distribution at self: (density φ, probability Φ of less).
    #[inline(always)]
    fn normal(self) -> (Self, Self) {
        let zero = Self::zero();
        let one = Self::splat(1.0);
        let a = self.max(zero - self);
        let e = (a * a * Self::splat(-0.5)).exp();
        // Φ(−a) = e^(−a²/2)·R(t), t = 1/(1 + 0.3a); R fitted on 0 ≤ a ≤ 13.5 for the least relative error: 5.8e-8.
        let t = one / a.mul_add(Self::splat(0.3), one);
        let r = Self::splat(3.833_404e-2)
            .mul_add(t, Self::splat(-1.689_510_5e-1))
            .mul_add(t, Self::splat(2.282_158_1e-1))
            .mul_add(t, Self::splat(-7.599_825_5e-2))
            .mul_add(t, Self::splat(1.421_843_6e-1))
            .mul_add(t, Self::splat(9.483_319e-2))
            .mul_add(t, Self::splat(1.218_820_16e-1))
            .mul_add(t, Self::splat(1.194_930_7e-1))
            .mul_add(t, Self::splat(6.852_792_5e-6));
        let tail = e * r;
        let density = e * Self::splat(0.398_942_3);
        (density, self.select_below(zero, tail, one - tail))
    }
}

/// Lanes of the widest register.
pub(crate) const WIDEST: usize = 16;

/// Transposes the square of `WIDTH` registers: lane j of register i becomes lane i of register j.
#[inline(always)]
pub(crate) fn transpose<V: Lanes>(square: &mut [V; WIDEST]) {
    // Interleaving the upper with the lower half rotates the bits of (register, lane) by one.
    let half = V::WIDTH / 2;
    let mut width = V::WIDTH;
    while width > 1 {
        let before = *square;
        for i in 0..half {
            (square[2 * i], square[2 * i + 1]) = before[i].interleave(before[i + half]);
        }
        width /= 2;
    }
}

/// Defines a function of the same arguments with an [`Isa`](crate::Isa) in front, which runs the generic `$body`
/// compiled for that instruction set.
macro_rules! per_isa {
    ($(#[$note:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $body:ident;) => {
        $(#[$note])*
        $visibility fn $name(isa: $crate::Isa, $($argument: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
                fn avx512($($argument: $type),*) $(-> $result)? {
                    $body::<$crate::vector::F32x16>($($argument),*)
                }
                #[target_feature(enable = "avx2,fma,f16c")]
                fn avx2($($argument: $type),*) $(-> $result)? {
                    $body::<$crate::vector::F32x8>($($argument),*)
                }
                if isa >= $crate::Isa::Avx512 {
                    // SAFETY: a device only carries an instruction set that the machine has.
                    return unsafe { avx512($($argument),*) };
                }
                if isa == $crate::Isa::Avx2 {
                    // SAFETY: as above.
                    return unsafe { avx2($($argument),*) };
                }
            }
            let _ = isa;
            $body::<$crate::vector::F32x4>($($argument),*)
        }
    };
}
pub(crate) use per_isa;

/// Four lanes in plain Rust, the registers that every 64-bit processor has.
#[derive(Clone, Copy)]
pub(crate) struct F32x4([f32; 4]);

macro_rules! portable_operator {
    ($trait:ident, $method:ident, $operator:tt) => {
        impl $trait for F32x4 {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                let (a, b) = (self.0, other.0);
                F32x4([a[0] $operator b[0], a[1] $operator b[1], a[2] $operator b[2], a[3] $operator b[3]])
            }
        }
    };
}
portable_operator!(Add, add, +);
portable_operator!(Sub, sub, -);
portable_operator!(Mul, mul, *);
portable_operator!(Div, div, /);

impl Lanes for F32x4 {
    const WIDTH: usize = 4;
    const REGISTERS: usize = 16;
    #[inline(always)]
    fn splat(value: f32) -> Self {
        F32x4([value; 4])
    }
    #[inline(always)]
    unsafe fn load_from(source: *const f32) -> Self {
        // SAFETY: readable by the caller's promise; an array of f32 has their alignment.
        F32x4(unsafe { *source.cast::<[f32; 4]>() })
    }
    #[inline(always)]
    unsafe fn load_bf16(source: *const u16) -> Self {
        // SAFETY: readable by the caller's promise; an array of u16 has their alignment.
        F32x4(unsafe { *source.cast::<[u16; 4]>() }.map(|bits| f32::from_bits(u32::from(bits) << 16)))
    }
    #[inline(always)]
    unsafe fn store_to(self, target: *mut f32) {
        // SAFETY: writable by the caller's promise; an array of f32 has their alignment.
        unsafe { *target.cast::<[f32; 4]>() = self.0 }
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // Two roundings: a fused one would be a library call on processors without it.
        self * factor + addend
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        F32x4(std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] }))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        F32x4(std::array::from_fn(|i| if a[i] < b[i] { a[i] } else { b[i] }))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        F32x4(self.0.map(f32::sqrt))
    }
    #[inline(always)]
    fn round(self) -> Self {
        // Adding 1.5·2²³ leaves no bits for the fraction.
        let big = Self::splat(12_582_912.0);
        (self + big) - big
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        // 1.5·2²³ + n has n in its low bits; the shift puts it into the exponent.
        let magic = (self + Self::splat(12_582_912.0 + 127.0)).0;
        F32x4(magic.map(|x| f32::from_bits(x.to_bits() << 23)))
    }
    #[inline(always)]
    fn select_below(self, bound: Self, yes: Self, no: Self) -> Self {
        let (x, bound, yes, no) = (self.0, bound.0, yes.0, no.0);
        F32x4(std::array::from_fn(|i| if x[i] < bound[i] { yes[i] } else { no[i] }))
    }
    #[inline(always)]
    fn interleave(self, other: Self) -> (Self, Self) {
        let (a, b) = (self.0, other.0);
        (F32x4([a[0], b[0], a[1], b[1]]), F32x4([a[2], b[2], a[3], b[3]]))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        (a + c) + (b + d)
    }
    #[inline(always)]
    fn four_sums(four: [Self; 4]) -> [f32; 4] {
        four.map(Self::sum)
    }
    #[inline(always)]
    fn maximum(self) -> f32 {
        let [a, b, c, d] = self.0;
        a.max(c).max(b.max(d))
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{F32x8, F32x16};

#[cfg(target_arch = "x86_64")]
mod x86 {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    #[inline(always)]
    fn map<V: Lanes>(which: u8, x: &[f32], y: &mut [f32]) {
        for start in (0..x.len()).step_by(V::WIDTH) {
            let x = V::load_up_to(&x[start..]);
            let result = match which {
                0 => x.exp(),
                1 => x.sigmoid(),
                2 => x.normal().1,
                3 => x.normal().0,
                4 => x.round(),
                _ => x.round().power_of_two(),
            };
            result.store_up_to(&mut y[start..]);
        }
    }
    per_isa! { fn map_per_isa(which: u8, x: &[f32], y: &mut [f32]) = map; }

    #[inline(always)]
    fn fold<V: Lanes>(x: &[f32]) -> (f32, f32) {
        (V::load_up_to(x).sum(), V::load_up_to(x).maximum())
    }
    per_isa! { fn fold_per_isa(x: &[f32]) -> (f32, f32) = fold; }

    #[inline(always)]
    fn turn<V: Lanes>(x: &mut [f32; 256]) {
        let mut square = [V::zero(); WIDEST];
        for i in 0..V::WIDTH {
            square[i] = V::load(&x[i * V::WIDTH..]);
        }
        transpose(&mut square);
        for i in 0..V::WIDTH {
            square[i].store(&mut x[i * V::WIDTH..]);
        }
    }
    per_isa! { fn turn_per_isa(x: &mut [f32; 256]) = turn; }

    #[inline(always)]
    fn four<V: Lanes>(x: &[f32; 64]) -> [f32; 4] {
        V::four_sums(std::array::from_fn(|i| V::load(&x[i * V::WIDTH..])))
    }
    per_isa! { fn four_per_isa(x: &[f32; 64]) -> [f32; 4] = four; }

    #[test]
    fn four_sums_at_once() {
        let x: [f32; 64] = std::array::from_fn(|i| (i * i) as f32);
        for isa in isas() {
            let n = width(isa);
            let expected: [f32; 4] = std::array::from_fn(|i| x[i * n..(i + 1) * n].iter().sum());
            assert_eq!(four_per_isa(isa, &x), expected, "{isa:?}");
        }
    }

    #[test]
    fn squares_are_transposed() {
        for isa in isas() {
            let n = width(isa);
            let mut x: [f32; 256] = std::array::from_fn(|i| i as f32);
            turn_per_isa(isa, &mut x);
            for (i, &x) in x[..n * n].iter().enumerate() {
                assert_eq!(x as usize, i % n * n + i / n, "{isa:?}");
            }
        }
    }

    fn isas() -> impl Iterator<Item = Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available())
    }

    fn check(which: u8, low: f32, high: f32, tolerance: f64, expected: impl Fn(f64) -> f64) {
        let n = 4001;
        let x: Vec<f32> = (0..n).map(|i| low + (high - low) * i as f32 / (n - 1) as f32).collect();
        for isa in isas() {
            let mut y = vec![f32::NAN; n];
            map_per_isa(isa, which, &x, &mut y);
            for (&x, &y) in x.iter().zip(&y) {
                let expected = expected(x as f64);
                let error = (y as f64 - expected).abs() / expected.abs().max(1e-37);
                assert!(error <= tolerance, "{isa:?} {which}: f({x}) = {y}, expected {expected}");
            }
        }
    }

    /// Φ(x) by Simpson's rule on the density, in f64.
    fn normal_below(x: f64) -> f64 {
        let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let tail = |a: f64| {
            let (n, h) = (4000, 14.0 / 4000.0);
            let sum: f64 = (0..=n)
                .map(|i| density(a + h * i as f64) * if i == 0 || i == n { 1.0 } else { 2.0 + 2.0 * (i % 2) as f64 })
                .sum();
            sum * h / 3.0
        };
        if x < 0.0 { tail(-x) } else { 1.0 - tail(x) }
    }

    #[test]
    fn exponential_everywhere() {
        check(0, -87.2, 88.2, 2.5e-7, f64::exp);
        check(0, -1.0, 1.0, 1.5e-7, f64::exp);
    }

    #[test]
    fn exponential_at_the_edges() {
        for isa in isas() {
            let mut y = [1.0; 5];
            map_per_isa(isa, 0, &[f32::NEG_INFINITY, -1e30, 1e30, f32::NAN, 0.0], &mut y);
            assert_eq!((y[0], y[1], y[4]), (0.0, 0.0, 1.0), "{isa:?}");
            assert!(y[2].is_finite() && y[2] > 1e38 && y[3].is_nan(), "{isa:?} {y:?}");
        }
    }

    #[test]
    fn logistic_function() {
        check(1, -80.0, 80.0, 4e-7, |x| 1.0 / (1.0 + (-x).exp()));
    }

    #[test]
    fn normal_distribution() {
        check(2, -6.0, 6.0, 4e-6, normal_below);
        check(3, -5.0, 5.0, 2e-6, |x| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt());
    }

    #[test]
    fn rounding_and_powers() {
        check(4, -100.25, 99.5, 0.0, f64::round_ties_even);
        check(5, -126.0, 127.0, 0.0, |x| x.round_ties_even().exp2());
    }

    #[test]
    fn sums_and_maxima_of_lanes() {
        let x: Vec<f32> = (0..16).map(|i| ((i * 7) % 16) as f32 - 20.0).collect();
        for isa in isas() {
            for n in [4, 8, 16] {
                let (sum, maximum) = fold_per_isa(isa, &x[..n.min(width(isa))]);
                let used = &x[..n.min(width(isa))];
                assert_eq!(sum, used.iter().sum::<f32>(), "{isa:?}");
                if used.len() == width(isa) {
                    assert_eq!(maximum, used.iter().copied().fold(f32::MIN, f32::max), "{isa:?}");
                }
            }
        }
    }

    fn width(isa: Isa) -> usize {
        match isa {
            Isa::Portable => 4,
            Isa::Avx2 => 8,
            _ => 16,
        }
    }
}
