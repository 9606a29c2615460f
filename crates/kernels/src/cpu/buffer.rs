//! Zeroed memory on 64-byte boundaries, on huge pages where it is large.
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Numbers for which all-zero bytes are the value 0, and nothing needs dropping.
pub trait Number: Copy + Send + Sync + 'static {}
impl Number for u8 {}
impl Number for i8 {}
impl Number for u16 {}
impl Number for f32 {}

/// A fixed number of elements, zero at first; element 0 begins a cache line.
pub struct Buffer<T: Number> {
    start: NonNull<T>,
    length: usize,
}

// SAFETY: a `Buffer` owns its memory as a `Vec` does.
unsafe impl<T: Number> Send for Buffer<T> {}
// SAFETY: as above.
unsafe impl<T: Number> Sync for Buffer<T> {}

const LINE: usize = 64;
/// From so many bytes on, memory comes straight from the system: whoever writes to it first, and not this thread, touches it.
const MAPPED: usize = 256 << 10;

impl<T: Number> Buffer<T> {
    /// So many zeros, whose memory is taken when it is first written to.
    pub fn zeroed(length: usize) -> Buffer<T> {
        let layout = Buffer::<T>::layout(length);
        if layout.size() == 0 {
            return Buffer { start: NonNull::dangling(), length };
        }
        // Large allocations come straight from the system, zero and untouched, so the advice below is in time;
        // asking the allocator for an alignment beyond a few bytes would make it clear (and touch) them itself.
        let start = if layout.size() >= MAPPED { mapped::map(layout.size()) } else { None };
        let start = start.unwrap_or_else(|| {
            // SAFETY: the layout's size is not zero.
            NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
        });
        Buffer { start: start.cast(), length }
    }

    fn layout(length: usize) -> Layout {
        Layout::array::<T>(length)
            .and_then(|layout| layout.align_to(LINE))
            .unwrap_or_else(|_| panic!("{length} elements are more than memory can address"))
    }
}

impl<T: Number> Drop for Buffer<T> {
    fn drop(&mut self) {
        let layout = Buffer::<T>::layout(self.length);
        if layout.size() == 0 || (layout.size() >= MAPPED && mapped::unmap(self.start.cast(), layout.size())) {
            return;
        }
        // SAFETY: allocated by `alloc_zeroed` with this layout.
        unsafe { dealloc(self.start.as_ptr().cast(), layout) }
    }
}

impl<T: Number> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `length` elements were allocated, and zero bytes are valid elements.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl<T: Number> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`; `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

#[cfg(target_os = "linux")]
mod mapped {
    use std::ptr::{NonNull, null_mut};

    /// Zeroed pages from the system, huge ones where it has them. A system that refuses must refuse `unmap`'s question
    /// too, so failure to map is fatal.
    pub(super) fn map(size: usize) -> Option<NonNull<u8>> {
        // SAFETY: an anonymous private mapping at an address of the system's choice aliases nothing.
        let start = unsafe {
            libc::mmap(
                null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert!(start != libc::MAP_FAILED, "out of memory: the system refuses {size} bytes");
        // SAFETY: the range is the mapping just made; the call is advice and its failure harmless.
        unsafe { libc::madvise(start, size, libc::MADV_HUGEPAGE) };
        NonNull::new(start.cast())
    }

    /// Gives back what `map` gave.
    pub(super) fn unmap(start: NonNull<u8>, size: usize) -> bool {
        // SAFETY: a mapping of this size made by `map`, to which no reference is left.
        unsafe { libc::munmap(start.as_ptr().cast(), size) };
        true
    }
}

#[cfg(not(target_os = "linux"))]
mod mapped {
    use std::ptr::NonNull;

    pub(super) fn map(_size: usize) -> Option<NonNull<u8>> {
        None
    }
    pub(super) fn unmap(_start: NonNull<u8>, _size: usize) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_zero_aligned_and_writable_at_every_size() {
        for length in [0, 1, 63, 1 << 19, (1 << 20) + 5] {
            let mut buffer = Buffer::<u16>::zeroed(length);
            assert_eq!(buffer.len(), length);
            assert!(length == 0 || buffer.as_ptr().addr().is_multiple_of(LINE));
            assert!(buffer.iter().all(|&x| x == 0));
            buffer.fill(7);
            assert!(buffer.iter().all(|&x| x == 7));
        }
    }
}
