//! Vectors of f32 for every instruction set, and the functions built on them (exp, sigmoid, the normal distribution).
//!
//! A kernel is written once, generic over [`Lanes`] and `#[inline(always)]` all the way down; [`per_isa!`] makes a
//! function that picks the compiled copy for the device's instruction set. Closures stay out of such code: one that
//! isn't inlined would run without the instruction set.
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use portable::F32x4;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{F32x8, F32x16};

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
