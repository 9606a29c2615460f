//! Asking for memory before it is read.

/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks for `length` elements from `address` on to come into the second-level cache, which holds many more requests on
/// their way than the first. Any address may be named.
#[inline(always)]
pub(crate) fn fetch<T>(address: *const T, length: usize) {
    #[cfg(target_arch = "x86_64")]
    for start in (0..length * size_of::<T>()).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: prefetching may name any address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast::<i8>().wrapping_add(start)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (address, length, LINE);
}
