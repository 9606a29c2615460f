//! Keys and values as they lie in memory: f32, or the bits of bf16.
use super::decode::{Keys, Values};
use super::{decode, tile};
use crate::Isa;
use crate::vector::{Lanes, WIDEST};

/// An element of keys or values. What is computed with it is f32.
pub(super) trait Stored: Copy + Default + Send + Sync {
    /// Reads `V::WIDTH` elements.
    ///
    /// # Safety
    /// They must be readable.
    unsafe fn load_from<V: Lanes>(source: *const Self) -> V;
    /// [`tile::copy_rows`].
    fn copy_rows(isa: Isa, source: &[Self], stride: usize, width: usize, factor: f32, target: &mut [f32]);
    /// [`decode::dot_products`].
    fn dot_products(isa: Isa, keys: Keys<'_, Self>, scores: &mut [f32]);
    /// [`decode::add_values`].
    fn add_values(isa: Isa, values: Values<'_, Self>, sums: &mut [f32]);

    /// As many elements as `source` has, at most `V::WIDTH`; zeros after them.
    #[inline(always)]
    fn load_up_to<V: Lanes>(source: &[Self]) -> V {
        if source.len() >= V::WIDTH {
            // SAFETY: long enough.
            return unsafe { Self::load_from(source.as_ptr()) };
        }
        let mut padded = [Self::default(); WIDEST];
        padded[..source.len()].copy_from_slice(source);
        // SAFETY: as long as the widest register.
        unsafe { Self::load_from(padded.as_ptr()) }
    }
}

macro_rules! stored {
    ($type:ty, $load:ident, $copy_rows:ident, $dot_products:ident, $add_values:ident) => {
        impl Stored for $type {
            #[inline(always)]
            unsafe fn load_from<V: Lanes>(source: *const $type) -> V {
                // SAFETY: by the caller's promise.
                unsafe { V::$load(source) }
            }
            fn copy_rows(isa: Isa, source: &[$type], stride: usize, width: usize, factor: f32, target: &mut [f32]) {
                tile::$copy_rows(isa, source, stride, width, factor, target);
            }
            fn dot_products(isa: Isa, keys: Keys<'_, $type>, scores: &mut [f32]) {
                decode::$dot_products(isa, keys, scores);
            }
            fn add_values(isa: Isa, values: Values<'_, $type>, sums: &mut [f32]) {
                decode::$add_values(isa, values, sums);
            }
        }
    };
}
stored!(f32, load_from, copy_rows, dot_products, add_values);
stored!(u16, load_bf16, copy_bf16_rows, dot_bf16_products, add_bf16_values);
