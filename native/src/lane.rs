//! A thread with a queue. Everything that touches one checkpoint state, its session included, runs on the state's
//! lane, one job after another in the order of the calls: steps cannot overlap, libuv's pool stays free, and kernels
//! that keep state per thread always meet the same one.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};

use crate::error::{Failure, Result};

type Job = Box<dyn FnOnce() + Send>;

/// Ends when the last clone is gone and the queue has run dry.
#[derive(Clone)]
pub struct Lane(Sender<Job>);

impl Lane {
    pub fn start() -> Result<Self> {
        let (sender, jobs) = channel::<Job>();
        thread::Builder::new()
            .name("ortune-lane".into())
            .spawn(move || jobs.into_iter().for_each(Exit::run))
            .map_err(|error| Failure::new("THREAD_FAILED", format!("could not start a thread: {error}")))?;
        Ok(Self(sender))
    }

    /// Runs `job` behind everything queued before it; nobody waits for it.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        // The receiving thread lives as long as there is a sender, so this cannot fail.
        let _ = self.0.send(Box::new(job));
    }

    /// Runs `job` behind everything queued before it. Returns a promise of its result, which `to_js` makes into a
    /// JavaScript value back on the thread that called.
    pub fn promise<'env, T, J>(
        &self,
        env: &'env Env,
        job: impl FnOnce() -> Result<T> + Send + 'static,
        to_js: impl FnOnce(&Env, T) -> napi::Result<J> + Send + 'static,
    ) -> napi::Result<Object<'env>>
    where
        T: Send + 'static,
        J: ToNapiValue + 'static,
    {
        let (deferred, promise) = env.create_deferred::<J, _>()?;
        self.run(move || {
            // A deferred that is never settled keeps the process alive for good: a defect must settle it too.
            let outcome = catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|panic| Err(from_panic(panic.as_ref())));
            match outcome {
                Ok(value) => deferred.resolve(move |env| to_js(&env, value)),
                Err(failure) => deferred.reject(failure.into()),
            }
        });
        Ok(promise)
    }
}

fn from_panic(panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Failure::new("INTERNAL", format!("the addon failed unexpectedly: {}", text.unwrap_or("no message")))
}

/// Lets the process end while jobs run. ONNX Runtime's globals are destroyed by `exit()`, so a native call that is
/// still running then would crash: the handler lets it finish (a step of seconds at most) and starts no other.
#[derive(Default)]
struct Exit {
    state: Mutex<ExitState>,
    idle: Condvar,
}

#[derive(Default)]
struct ExitState {
    running: usize,
    leaving: bool,
}

static EXIT: Exit = Exit { state: Mutex::new(ExitState { running: 0, leaving: false }), idle: Condvar::new() };

impl Exit {
    fn lock(&self) -> MutexGuard<'_, ExitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(job: Job) {
        {
            let mut state = EXIT.lock();
            if state.leaving {
                // Neither run nor dropped: what the job owns must not be freed under a library that is being torn down.
                std::mem::forget(job);
                return;
            }
            state.running += 1;
        }
        // Jobs made by `promise` catch their own; this one guards the count.
        let _ = catch_unwind(AssertUnwindSafe(job));
        EXIT.lock().running -= 1;
        EXIT.idle.notify_all();
    }
}

extern "C" fn wait_for_running_jobs() {
    let mut state = EXIT.lock();
    state.leaving = true;
    while state.running > 0 {
        state = EXIT.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

/// To be called after the library is loaded: `exit()` runs handlers in reverse order, so this one comes before the
/// destruction of the library's globals.
pub fn wait_for_running_jobs_at_exit() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // napi-rs pins the addon's image in memory when it makes the first deferred; a runtime that was loaded but
        // never used has no running jobs, yet its handler must still be there to call.
        napi::bindgen_prelude::retain_current_module_for_unload_safety();
        // SAFETY: the handler is a plain function of this image, which stays mapped until the process ends.
        let _ = unsafe { libc::atexit(wait_for_running_jobs) };
    });
}
