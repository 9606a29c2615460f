//! One pool of worker threads for everything, cheap enough (microseconds) for small kernels.
//!
//! Workers spin for a moment after each job, because the next kernel of a model usually follows within
//! microseconds, and then sleep. A call from inside a job runs on the calling worker alone, so kernels
//! may be composed freely. A panic in a job reaches the caller once every worker has finished.
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A fixed set of workers that run a closure together. The caller is worker 0.
///
/// Which worker runs a range depends only on the thread count, so results are the same on every run.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held for the length of a job: two threads that share a pool take turns.
    turn: Mutex<()>,
}

impl Pool {
    /// A pool of `threads` workers, at least one.
    pub fn new(threads: usize) -> Pool {
        let threads = threads.max(1);
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let shared = Arc::new(Shared {
            threads,
            // Spinning workers that share a core only take time from one another.
            spins: if threads <= cores { SPINS } else { 0 },
            job: UnsafeCell::new(None),
            generation: AtomicU64::new(0),
            unfinished: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            panic: Mutex::new(None),
            start: Sleepers::default(),
            finish: Sleepers::default(),
        });
        let workers = (1..threads)
            .map(|worker| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("worker-{worker}"))
                    .spawn(move || shared.work(worker))
                    .expect("the system refuses to start a worker thread")
            })
            .collect();
        Pool { shared, workers, turn: Mutex::new(()) }
    }

    /// How many workers there are, the caller included.
    pub fn threads(&self) -> usize {
        self.shared.threads
    }

    /// Runs `work(worker)` once on every worker and returns when all have finished.
    pub fn broadcast(&self, work: impl Fn(usize) + Sync) {
        if self.threads() == 1 || INSIDE.get() {
            (0..self.threads()).for_each(work);
            return;
        }
        let _turn = lock(&self.turn);
        self.shared.run(&work);
    }

    /// Splits `0..length` into at most `threads` contiguous ranges whose boundaries are multiples of `grain`,
    /// and runs `work(worker, range)` on each.
    pub fn split(&self, length: usize, grain: usize, work: impl Fn(usize, Range<usize>) + Sync) {
        let run = |worker| {
            let range = self.share(length, grain, worker);
            if !range.is_empty() {
                work(worker, range);
            }
        };
        if length <= grain {
            run(self.threads() - 1);
        } else {
            self.broadcast(run);
        }
    }

    /// [`Pool::split`] of a slice's elements: `work(first, part)`, `first` being the place of `part[0]` in the slice.
    pub fn parts<T: Send>(&self, slice: &mut [T], grain: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        let shared = SharedMut::new(slice);
        self.split(shared.len(), grain, |_, range| {
            // SAFETY: the ranges of a split don't overlap.
            work(range.start, unsafe { shared.range(range) });
        });
    }

    /// The range of `0..length` that [`Pool::split`] gives to `worker`.
    fn share(&self, length: usize, grain: usize, worker: usize) -> Range<usize> {
        let grain = grain.max(1);
        let grains = length.div_ceil(grain);
        let boundary = |w: usize| (grains * w / self.threads() * grain).min(length);
        boundary(worker)..boundary(worker + 1)
    }

    /// Runs `work(task)` once for every task in `0..n_tasks`, in any order, on whichever worker is free.
    pub fn tasks(&self, n_tasks: usize, work: impl Fn(usize) + Sync) {
        if n_tasks <= 1 {
            (0..n_tasks).for_each(work);
            return;
        }
        let next = AtomicUsize::new(0);
        self.broadcast(|_| {
            loop {
                let task = next.fetch_add(1, Ordering::Relaxed);
                if task >= n_tasks {
                    break;
                }
                work(task);
            }
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
        self.shared.start.wake();
        for worker in self.workers.drain(..) {
            // A worker catches what its jobs throw; there is nothing left to report here.
            let _ = worker.join();
        }
    }
}

/// A mutable slice that several workers write to at once, each its own ranges.
///
/// ```
/// let pool = kernels::pool::Pool::new(2);
/// let mut squares = vec![0usize; 100];
/// let shared = kernels::pool::SharedMut::new(&mut squares);
/// pool.split(100, 8, |_, range| {
///     // SAFETY: the ranges of a split don't overlap.
///     let part = unsafe { shared.range(range.clone()) };
///     part.iter_mut().zip(range).for_each(|(square, i)| *square = i * i);
/// });
/// assert_eq!(squares[99], 99 * 99);
/// ```
#[derive(Clone, Copy)]
pub struct SharedMut<'a, T> {
    start: *mut T,
    length: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: a `SharedMut` is a `&mut [T]` whose users promise (in `range`) to take disjoint parts.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    /// Borrows `slice` for as long as parts of it are handed out.
    pub fn new(slice: &'a mut [T]) -> SharedMut<'a, T> {
        SharedMut { start: slice.as_mut_ptr(), length: slice.len(), slice: PhantomData }
    }

    /// Elements in the slice.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the slice has no elements.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The elements in `range`; panics if it reaches past the end.
    ///
    /// # Safety
    /// While the result lives, no other reference to any of its elements may exist.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn range(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.length, "range {range:?} of a slice of {}", self.length);
        // SAFETY: in bounds by the assertion; unaliased by this function's contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// The first element's address, for kernels that write strided blocks.
    pub fn as_mut_ptr(&self) -> *mut T {
        self.start
    }
}

thread_local! {
    /// Whether this thread is running a job, of any pool.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Turns of the spin loop before a waiting thread sleeps: some 50 to 200 µs.
const SPINS: u32 = 4000;

type Job = *const (dyn Fn(usize) + Sync);

/// What the caller and its workers share.
struct Shared {
    threads: usize,
    spins: u32,
    /// The job of the current generation; written by the caller while no worker runs.
    job: UnsafeCell<Option<Job>>,
    /// Goes up by one when a job begins.
    generation: AtomicU64,
    /// Workers that haven't finished the current job.
    unfinished: AtomicUsize,
    stop: AtomicBool,
    /// The first panic of the current job.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    start: Sleepers,
    finish: Sleepers,
}

// SAFETY: `job` is the only field that isn't Sync by itself. It is written before `generation` is released and
// read after it is acquired, and not written again until `unfinished` says that every reader is done.
unsafe impl Sync for Shared {}
// SAFETY: the raw job pointer is only followed while the closure that it points to is borrowed by `run`.
unsafe impl Send for Shared {}

impl Shared {
    fn run(&self, work: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime changes; `run` returns after every worker has finished with the job.
        let job = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Job>(work) };
        // SAFETY: no worker reads `job` between jobs (see the Sync impl), and callers take turns.
        unsafe { *self.job.get() = Some(job) };
        self.unfinished.store(self.threads - 1, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.start.wake();
        self.guarded(work, 0);
        self.finish.wait(self.spins, || self.unfinished.load(Ordering::SeqCst) == 0);
        let panic = lock(&self.panic).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// A worker's life.
    fn work(&self, worker: usize) {
        let mut seen = 0;
        loop {
            self.start.wait(self.spins, || self.generation.load(Ordering::SeqCst) != seen);
            seen += 1;
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            // SAFETY: acquired by the load above; not rewritten before this worker counts itself finished.
            let job = unsafe { *self.job.get() };
            if let Some(job) = job {
                // SAFETY: `run` keeps the closure borrowed until `unfinished` reaches 0.
                self.guarded(unsafe { &*job }, worker);
            }
            if self.unfinished.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.finish.wake();
            }
        }
    }

    /// Runs a worker's part of a job and keeps its panic, if any, for the caller.
    fn guarded(&self, work: &(dyn Fn(usize) + Sync), worker: usize) {
        INSIDE.set(true);
        let result = catch_unwind(AssertUnwindSafe(|| work(worker)));
        INSIDE.set(false);
        if let Err(panic) = result {
            lock(&self.panic).get_or_insert(panic);
        }
    }
}

/// Threads that wait for a condition, spinning first.
#[derive(Default)]
struct Sleepers {
    count: AtomicUsize,
    gate: Mutex<()>,
    bell: Condvar,
}

impl Sleepers {
    /// Returns once `ready()`. Whoever makes it true must call `wake` afterwards.
    fn wait(&self, spins: u32, ready: impl Fn() -> bool) {
        for _ in 0..spins {
            if ready() {
                return;
            }
            std::hint::spin_loop();
        }
        let mut gate = lock(&self.gate);
        // Sequentially consistent on both sides: either `wake` sees the count, or `ready` sees its change.
        self.count.fetch_add(1, Ordering::SeqCst);
        while !ready() {
            gate = self.bell.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        self.count.fetch_sub(1, Ordering::SeqCst);
    }

    fn wake(&self) {
        if self.count.load(Ordering::SeqCst) > 0 {
            let _gate = lock(&self.gate);
            self.bell.notify_all();
        }
    }
}

/// Locks; a panic elsewhere while the lock was held leaves nothing half-done behind any of ours.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(panic: Box<dyn Any + Send>) -> String {
        *panic.downcast::<String>().expect("a formatted panic")
    }

    #[test]
    fn every_worker_runs_once() {
        for threads in 1..=5 {
            let pool = Pool::new(threads);
            for _ in 0..200 {
                let counts: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
                pool.broadcast(|w| {
                    counts[w].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn workers_wake_from_sleep() {
        let pool = Pool::new(2);
        for _ in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(20));
            let sum = AtomicUsize::new(0);
            pool.broadcast(|w| {
                sum.fetch_add(w + 1, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 3);
        }
    }

    #[test]
    fn splits_cover_once_on_grain_boundaries() {
        for (threads, length, grain) in [(1, 10, 3), (3, 100, 7), (4, 5, 8), (2, 0, 4), (5, 64, 16)] {
            let pool = Pool::new(threads);
            let mut hits = vec![0u32; length];
            let shared = SharedMut::new(&mut hits);
            pool.split(length, grain, |_, range| {
                assert_eq!(range.start % grain, 0);
                assert!(range.end % grain == 0 || range.end == length);
                // SAFETY: the ranges of a split don't overlap.
                unsafe { shared.range(range) }.iter_mut().for_each(|h| *h += 1);
            });
            assert!(hits.iter().all(|&h| h == 1), "{threads} {length} {grain}");
        }
    }

    #[test]
    fn tasks_run_once_each() {
        let pool = Pool::new(3);
        let counts: Vec<AtomicUsize> = (0..101).map(|_| AtomicUsize::new(0)).collect();
        pool.tasks(101, |task| {
            counts[task].fetch_add(1, Ordering::Relaxed);
        });
        assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn a_nested_call_runs_inline() {
        let pool = Pool::new(2);
        let sum = AtomicUsize::new(0);
        pool.broadcast(|_| {
            pool.split(10, 1, |_, range| {
                sum.fetch_add(range.sum(), Ordering::Relaxed);
            });
        });
        assert_eq!(sum.into_inner(), 2 * 45);
    }

    #[test]
    fn a_panic_on_any_worker_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(3);
        for bad in 0..3 {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.broadcast(|w| assert!(w != bad, "worker {w} fails"));
            }));
            assert_eq!(message(result.expect_err("must panic")), format!("worker {bad} fails"));
        }
        let runs = AtomicUsize::new(0);
        pool.broadcast(|_| {
            runs.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(runs.into_inner(), 3);
    }

    #[test]
    fn two_threads_may_share_a_pool() {
        let pool = Pool::new(2);
        let sum = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        pool.broadcast(|w| {
                            sum.fetch_add(w + 1, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 4 * 100 * 3);
    }
}
