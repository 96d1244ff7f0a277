//! Loops on the threads that oneDNN itself works on: those of libgomp, so that no second pool fights for the cores.

use std::ffi::{c_int, c_uint, c_void};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use libloading::os::unix;

use crate::error::{Failure, Result};

type Body = unsafe extern "C" fn(*mut c_void);

/// libgomp's entry points: what GCC compiles `#pragma omp parallel` to, and two of OpenMP's functions.
pub struct Library {
    parallel: unsafe extern "C" fn(Body, *mut c_void, c_uint, c_uint),
    thread_number: unsafe extern "C" fn() -> c_int,
    thread_count: unsafe extern "C" fn() -> c_int,
    set_num_threads: unsafe extern "C" fn(c_int),
}

impl Library {
    /// Finds them in what oneDNN depends on, so that they are those of its own threads, whichever libgomp it has met.
    ///
    /// # Safety
    /// `onednn` must stay loaded.
    pub unsafe fn find(onednn: &unix::Library) -> std::result::Result<Self, libloading::Error> {
        // SAFETY: the types are those of OpenMP's header and of GCC's calls.
        unsafe {
            Ok(Self {
                parallel: *onednn.get(b"GOMP_parallel\0")?,
                thread_number: *onednn.get(b"omp_get_thread_num\0")?,
                thread_count: *onednn.get(b"omp_get_num_threads\0")?,
                set_num_threads: *onednn.get(b"omp_set_num_threads\0")?,
            })
        }
    }

    /// Of the parallel regions that the calling thread starts from now on.
    pub fn set_threads(&self, count: usize) {
        let count = c_int::try_from(count).unwrap_or(c_int::MAX).max(1);
        // SAFETY: no pointers are involved.
        unsafe { (self.set_num_threads)(count) }
    }
}

/// Threads that share a loop in equal, fixed parts: which thread does what depends on their number alone.
#[derive(Clone, Copy)]
pub struct Team {
    library: &'static Library,
    threads: usize,
}

impl Team {
    pub const fn new(library: &'static Library, threads: usize) -> Self {
        Self { library, threads }
    }

    pub const fn threads(self) -> usize {
        self.threads
    }

    /// Runs `work` on each thread with its number and its part of `0..length`, which starts at a multiple of `unit`.
    pub fn share(self, length: usize, unit: usize, work: impl Fn(usize, Range<usize>) + Sync) -> Result<()> {
        let units = length.div_ceil(unit);
        let threads = self.threads.min(units);
        let part = |thread: usize| {
            let bound = |thread: usize| (units * thread / threads * unit).min(length);
            bound(thread)..bound(thread + 1)
        };
        if threads <= 1 {
            work(0, 0..length);
            return Ok(());
        }
        self.run(threads, |thread| work(thread, part(thread)))
    }

    fn run(self, threads: usize, work: impl Fn(usize) + Sync) -> Result<()> {
        let region = Region { library: self.library, threads, work, panicked: AtomicBool::new(false) };
        let entry = Region::enter_for(&region);
        let count = c_uint::try_from(threads).unwrap_or(1);
        // SAFETY: `region` outlives the call, which returns when all threads are done.
        unsafe { (self.library.parallel)(entry, ptr::from_ref(&region).cast_mut().cast(), count, 0) };
        if region.panicked.load(Ordering::Relaxed) {
            return Err(Failure::new("INTERNAL", "a thread of an operator failed unexpectedly"));
        }
        Ok(())
    }
}

struct Region<F> {
    library: &'static Library,
    threads: usize,
    work: F,
    panicked: AtomicBool,
}

impl<F: Fn(usize) + Sync> Region<F> {
    /// The entry point of this very type.
    fn enter_for(_: &Self) -> Body {
        Self::enter
    }

    /// # Safety
    /// `data` must point to a region of this very type.
    unsafe extern "C" fn enter(data: *mut c_void) {
        // SAFETY: as promised by the caller; the calls have no arguments.
        let (region, number, count) = unsafe {
            let region = &*data.cast::<Self>();
            (region, (region.library.thread_number)(), (region.library.thread_count)())
        };
        let (number, count) = (usize::try_from(number).unwrap_or(0), usize::try_from(count).unwrap_or(1).max(1));
        // The system may grant fewer threads than asked for: these do the others' parts, too.
        let work = || (number..region.threads).step_by(count).for_each(&region.work);
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            region.panicked.store(true, Ordering::Relaxed);
        }
    }
}
