//! Four lanes in plain Rust.
use super::Lanes;
use std::ops::{Add, Div, Mul, Sub};

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
