//! The ONNX Runtime library of this process: found by absolute path, loaded once, never unloaded.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use ort_sys::{
    ORT_API_VERSION, OrtAllocator, OrtApi, OrtApiBase, OrtCustomOpDomain, OrtEnv, OrtLoggingLevel, OrtMemoryInfo,
    OrtStatusPtr, OrtTrainingApi,
};

use crate::error::{Failure, Result};
use crate::lane::Lane;
use crate::onednn::OneDnn;
use crate::operators;
use crate::options::SessionOptions;

/// The loaded library and what every call needs of it.
pub struct Runtime {
    path: PathBuf,
    version: String,
    pub ort: &'static OrtApi,
    training: Option<&'static OrtTrainingApi>,
    pub env: *mut OrtEnv,
    /// The library's own CPU allocator; what it allocates for us (names, properties) goes back through `free`.
    pub allocator: *mut OrtAllocator,
    /// Describes plain CPU memory, where all inputs and outputs lie.
    pub cpu: *mut OrtMemoryInfo,
    /// Operators of our own; `None` where the library takes none.
    pub operators: Option<*mut OrtCustomOpDomain>,
}

// SAFETY: the C API is thread-safe, and the pointers are never freed nor written after `open`.
unsafe impl Send for Runtime {}
// SAFETY: as above.
unsafe impl Sync for Runtime {}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

impl Runtime {
    /// Loads the library, or returns the one that is already loaded from the same path.
    fn load(path: &Path) -> Result<&'static Self> {
        static LOADING: Mutex<()> = Mutex::new(());
        let _guard = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        let path = path.canonicalize().map_err(|error| {
            Failure::new("RUNTIME_NOT_LOADED", format!("cannot load ONNX Runtime from {}: {error}", path.display()))
        })?;
        // `OnceLock::get_or_try_init` is not stable yet; the guard makes the two steps one.
        let runtime = if let Some(runtime) = RUNTIME.get() {
            runtime
        } else {
            let runtime = Self::open(path.clone())?;
            RUNTIME.get_or_init(|| runtime)
        };
        if runtime.path != path {
            return Err(Failure::new(
                "RUNTIME_ALREADY_LOADED",
                format!(
                    "this process has loaded ONNX Runtime from {} already and cannot load another from {}; \
                     use one library per process",
                    runtime.path.display(),
                    path.display()
                ),
            ));
        }
        Ok(runtime)
    }

    pub fn get() -> Result<&'static Self> {
        RUNTIME.get().ok_or_else(|| Failure::new("RUNTIME_NOT_LOADED", "call loadRuntime(path) first"))
    }

    fn open(path: PathBuf) -> Result<Self> {
        let failed = |reason: String| {
            Failure::new("RUNTIME_NOT_LOADED", format!("cannot load ONNX Runtime from {}: {reason}", path.display()))
        };
        // SAFETY: loading runs the library's initializers; which library this is, is the caller's choice. RTLD_LOCAL
        // keeps its symbols from those of another ONNX Runtime in the process (onnxruntime-node has one).
        let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| failed(with_source(&error)))?;
        // SAFETY: the type is that of the C header, unchanged since the API exists.
        let get_base = unsafe { library.get::<unsafe extern "C" fn() -> *const OrtApiBase>(b"OrtGetApiBase\0") }
            .map_err(|_| failed("it has no OrtGetApiBase, so it is not ONNX Runtime".into()))?;
        // SAFETY: the pointers that the library hands out live as long as it stays loaded, and it is never unloaded.
        let base = unsafe { get_base().as_ref() }.ok_or_else(|| failed("it gave no API".into()))?;
        // SAFETY: returns a static, NUL-terminated string.
        let version = unsafe { text((base.GetVersionString)()) };
        // SAFETY: as for `base`; null means that the version is not offered.
        let ort: &'static OrtApi = unsafe { (base.GetApi)(ORT_API_VERSION).as_ref() }
            .ok_or_else(|| failed(format!("it is version {version}, and ortune needs 1.{ORT_API_VERSION} or newer")))?;
        // SAFETY: as for `base`; null means a build without the training API.
        let training = unsafe { (ort.GetTrainingApi)(ORT_API_VERSION).as_ref() };
        let (mut env, mut allocator, mut cpu) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        let (arena, default) = (ort_sys::OrtAllocatorType::OrtArenaAllocator, ort_sys::OrtMemType::OrtMemTypeDefault);
        // SAFETY: out-pointers of the right types.
        unsafe {
            let warning = OrtLoggingLevel::ORT_LOGGING_LEVEL_WARNING;
            check(ort, "start", (ort.CreateEnv)(warning, c"ortune".as_ptr(), &raw mut env))?;
            check(ort, "find its allocator", (ort.GetAllocatorWithDefaultOptions)(&raw mut allocator))?;
            check(ort, "describe memory", (ort.CreateCpuMemoryInfo)(arena, default, &raw mut cpu))?;
        }
        // Closing would unmap code that sessions still need.
        std::mem::forget(library);
        Ok(Self { path, version, ort, training, env, allocator, cpu, operators: operators::domain(ort) })
    }

    pub fn training(&self) -> Result<&'static OrtTrainingApi> {
        self.training.ok_or_else(|| {
            Failure::new(
                "NO_TRAINING_API",
                format!(
                    "this ONNX Runtime build has no training API: {} (version {}) was built without \
                     --enable_training_apis; run `npx ortune setup` for one that has it",
                    self.path.display(),
                    self.version
                ),
            )
        })
    }

    /// Turns a status into a result and frees it. `doing` completes the sentence "could not ...".
    pub fn check(&self, doing: &str, status: OrtStatusPtr) -> Result<()> {
        check(self.ort, doing, status)
    }

    /// Gives back what the library allocated with `allocator`.
    pub fn free<T>(&self, memory: *const T) {
        // SAFETY: callers pass what they got from `allocator`, once. A failure would only leak.
        let _ =
            self.check("free memory", unsafe { (self.ort.AllocatorFree)(self.allocator, memory.cast_mut().cast()) });
    }

    fn providers(&self) -> Result<Vec<String>> {
        let (mut names, mut count) = (ptr::null_mut(), 0);
        // SAFETY: on success `names` holds `count` strings until they are released.
        unsafe {
            self.check("list its providers", (self.ort.GetAvailableProviders)(&raw mut names, &raw mut count))?;
            let listed = (0..usize::try_from(count).unwrap_or(0)).map(|index| text(*names.add(index))).collect();
            self.check("list its providers", (self.ort.ReleaseAvailableProviders)(names, count))?;
            Ok(listed)
        }
    }
}

/// Gives memory that has been freed back to the system. glibc keeps it, apart for each arena that threads have used: a
/// session on a new thread would take new memory beside what the last one has left.
pub fn trim_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(keep: usize) -> std::ffi::c_int;
        }
        // SAFETY: no pointers are involved.
        unsafe { malloc_trim(0) };
    }
}

fn check(ort: &OrtApi, doing: &str, status: OrtStatusPtr) -> Result<()> {
    let status = status.0;
    if status.is_null() {
        return Ok(());
    }
    // SAFETY: a status that is not null owns its message until it is released, here.
    let message = unsafe {
        let message = text((ort.GetErrorMessage)(status));
        (ort.ReleaseStatus)(status);
        message
    };
    Err(Failure::from_ort(doing, &message))
}

fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// # Safety
/// `pointer` must be null or a NUL-terminated string.
pub unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: as promised by the caller.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// A string for the C API, which ends at the first NUL.
pub fn c_string(what: &str, value: &str) -> Result<CString> {
    CString::new(value)
        .map_err(|_| Failure::new("INVALID_ARGUMENT", format!("{what} must not contain a NUL character: {value:?}")))
}

/// What `loadRuntime` tells about the library.
#[napi(object)]
pub struct RuntimeInfo {
    pub version: String,
    pub library_path: String,
    pub has_training: bool,
    pub providers: Vec<String>,
    pub custom_operators: Vec<String>,
    pub kernels: Option<KernelsInfo>,
}

/// The library of the layers' kernels, where there is one.
#[napi(object)]
pub struct KernelsInfo {
    pub version: String,
    pub instruction_set: String,
}

/// `kernels` is the path of oneDNN.
#[napi]
pub fn load_runtime(path: String, kernels: Option<String>) -> napi::Result<RuntimeInfo> {
    // First: ONNX Runtime is told of its operators once, when it is loaded.
    let onednn = kernels.map(|kernels| OneDnn::load(Path::new(&kernels))).transpose()?;
    let runtime = Runtime::load(Path::new(&path))?;
    Ok(RuntimeInfo {
        version: runtime.version.clone(),
        library_path: runtime.path.to_string_lossy().into_owned(),
        has_training: runtime.training.is_some(),
        providers: runtime.providers()?,
        custom_operators: runtime.operators.map_or_else(Vec::new, |_| operators::names()),
        kernels: onednn
            .map(|onednn| KernelsInfo { version: onednn.version(), instruction_set: onednn.instruction_set().into() }),
    })
}

#[napi]
pub fn set_seed(seed: i64) -> napi::Result<()> {
    let runtime = Runtime::get()?;
    // SAFETY: no pointers are involved.
    Ok(runtime.check("set the seed", unsafe { (runtime.training()?.SetSeed)(seed) })?)
}

/// Tries to add the CUDA provider to session options: `null` when that works, else the reason.
#[napi]
pub fn probe_cuda(env: &Env, options: HashMap<String, String>) -> napi::Result<Object<'_>> {
    let runtime = Runtime::get()?;
    let probe = move || Ok(SessionOptions::new(runtime).and_then(|session| session.append_cuda(&options)).err());
    Lane::start(*env)?.promise(env, probe, |_, failure| Ok(failure.map(Failure::into_message)))
}
