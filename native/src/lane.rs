//! A thread with a queue. Everything that touches one checkpoint state, its session included, runs on the state's
//! lane, one job after another in the order of the calls: steps cannot overlap, libuv's pool stays free, and kernels
//! that keep state per thread always meet the same one.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use napi::Env;
use napi::bindgen_prelude::{FnArgs, Function, JsObjectValue, Object, ToNapiValue, Unknown};

use crate::error::{Failure, Result};

type Job = Box<dyn FnOnce() + Send>;

/// Its thread ends when the last clone is gone and the queue has run dry.
#[derive(Clone)]
pub struct Lane {
    jobs: Sender<Job>,
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    drained: Condvar,
}

#[derive(Default)]
struct QueueState {
    /// Jobs that wait or run.
    pending: usize,
    /// A closed lane drops its jobs, and with them what they own, instead of running them.
    closed: bool,
}

impl Lane {
    /// A lane for the JavaScript thread that calls; it is closed when that thread's environment ends.
    pub fn start(env: Env) -> Result<Self> {
        let queue = Arc::new(Queue::default());
        let (jobs, received) = channel();
        let runner = Arc::clone(&queue);
        thread::Builder::new()
            .name("ortune-lane".into())
            .spawn(move || received.into_iter().for_each(|job| runner.run(job)))
            .map_err(|error| Failure::new("THREAD_FAILED", format!("could not start a thread: {error}")))?;
        close_at_exit(env, &queue)
            .map_err(|error| Failure::new("INTERNAL", format!("could not watch for the end: {error}")))?;
        Ok(Self { jobs, queue })
    }

    /// Runs `job` behind everything queued before it; nobody waits for it.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.queue.lock();
        if state.closed {
            return;
        }
        state.pending += 1;
        // The receiving thread lives as long as there is a sender, so this cannot fail.
        let _ = self.jobs.send(Box::new(job));
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

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, job: Job) {
        let closed = self.lock().closed;
        // Jobs made by `promise` catch their own panics; this guards the count.
        let _ = catch_unwind(AssertUnwindSafe(|| if closed { drop(job) } else { job() }));
        self.lock().pending -= 1;
        self.drained.notify_all();
    }

    /// Lets the job that is running finish, drops all others, and returns when that is done.
    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        while state.pending > 0 {
            state = self.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

thread_local! {
    /// The lanes of this JavaScript thread; `None` until the first one.
    static LANES: RefCell<Option<Vec<Weak<Queue>>>> = const { RefCell::new(None) };
}

/// Has the lane closed before the environment ends. `exit()` destroys ONNX Runtime's globals, so a native call that is
/// still running then would crash; it is let finish (a step of seconds at most), and none is started after it.
fn close_at_exit(env: Env, queue: &Arc<Queue>) -> napi::Result<()> {
    let is_first = LANES.with_borrow_mut(|lanes| {
        let is_first = lanes.is_none();
        let lanes = lanes.get_or_insert_default();
        lanes.retain(|lane| lane.strong_count() > 0);
        lanes.push(Arc::downgrade(queue));
        is_first
    });
    if is_first {
        // The hook runs when a worker is terminated and when the main thread's loop runs dry, but not after
        // `process.exit()` on the main thread; for that there is the event, which other listeners can keep from ours, by
        // `removeAllListeners` or what they throw.
        env.add_env_cleanup_hook((), |()| close_lanes())?;
        close_first_in_exit();
        let listener = env.create_function_from_closure("closeLanes", |_| {
            close_lanes();
            Ok(())
        })?;
        let process: Object = env.get_global()?.get_named_property("process")?;
        let once: Function<Listen, Unknown> = process.get_named_property("once")?;
        once.apply(process, ("exit", listener).into())?;
    }
    Ok(())
}

/// Arguments of `process.once`.
type Listen<'a> = FnArgs<(&'a str, Function<'a, Unknown<'a>, ()>)>;

/// Has `exit()` close the lanes of the calling thread, should it be called there, before all that libraries have asked
/// for: destructors of a thread's own values come first. Rust's `thread_local` leaves the main thread's out.
fn close_first_in_exit() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::{c_int, c_void};

        unsafe extern "C" {
            /// What C++ compilers call for a `thread_local`; of the library, null stands for one that is never unloaded.
            fn __cxa_thread_atexit_impl(
                destroy: extern "C" fn(*mut c_void),
                value: *mut c_void,
                library: *mut c_void,
            ) -> c_int;
        }
        extern "C" fn close(_: *mut c_void) {
            close_lanes();
        }
        // SAFETY: the addon is never unloaded, and its function needs no value. A failure leaves what there is without it.
        let _ = unsafe { __cxa_thread_atexit_impl(close, std::ptr::null_mut(), std::ptr::null_mut()) };
    }
}

fn close_lanes() {
    // Gone at the end of a worker's thread, of which the lanes are closed by then.
    let lanes = LANES.try_with(|lanes| lanes.borrow().clone()).ok().flatten().unwrap_or_default();
    lanes.iter().filter_map(Weak::upgrade).for_each(|lane| lane.close());
}
