//! Options of a session, from JavaScript to `OrtSessionOptions`.

use std::collections::HashMap;
use std::ffi::CString;
use std::ptr;

use napi_derive::napi;
use ort_sys::{GraphOptimizationLevel, OrtSessionOptions};

use crate::error::{Failure, Result};
use crate::runtime::{Runtime, c_string};

/// See `SessionOptions` of the TypeScript face for what each one means. What is absent keeps ONNX Runtime's default.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativeSessionOptions {
    pub intra_op_threads: Option<f64>,
    pub inter_op_threads: Option<f64>,
    pub cpu_memory_arena: Option<bool>,
    pub spinning: Option<bool>,
    pub deterministic: Option<bool>,
    pub graph_optimization: Option<String>,
    pub log_severity: Option<String>,
    pub profile_prefix: Option<String>,
    /// Keys and values of `OrtCUDAProviderOptionsV2`; absent means CPU.
    pub cuda: Option<HashMap<String, String>>,
}

impl NativeSessionOptions {
    /// Threads of a step: as many as ONNX Runtime would take of itself, unless a number is given.
    pub fn threads(&self) -> usize {
        let given = self.intra_op_threads.and_then(|count| threads("intraOpThreads", count).ok());
        let given = given.and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0);
        given.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// The GPU that the session runs on; `None` on the CPU. ONNX Runtime has checked the number when it is asked for.
    pub fn gpu(&self) -> Option<i32> {
        let device = self.cuda.as_ref()?.get("device_id");
        device.map_or(Some(0), |device| device.parse().ok())
    }
}

const GRAPH_OPTIMIZATION: [(&str, GraphOptimizationLevel); 4] = [
    ("disabled", GraphOptimizationLevel::ORT_DISABLE_ALL),
    ("basic", GraphOptimizationLevel::ORT_ENABLE_BASIC),
    ("extended", GraphOptimizationLevel::ORT_ENABLE_EXTENDED),
    ("all", GraphOptimizationLevel::ORT_ENABLE_ALL),
];
const LOG_SEVERITY: [(&str, i32); 5] = [("verbose", 0), ("info", 1), ("warning", 2), ("error", 3), ("fatal", 4)];

fn choose<T: Copy>(option: &str, valid: &[(&str, T)], given: &str) -> Result<T> {
    valid.iter().find(|(name, _)| *name == given).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = valid.iter().map(|(name, _)| format!("'{name}'")).collect();
        Failure::new("INVALID_ARGUMENT", format!("{option} must be one of {}, but is '{given}'", names.join(", ")))
    })
}

#[allow(clippy::cast_possible_truncation)] // Whole, and small.
fn threads(option: &str, count: f64) -> Result<i32> {
    // ONNX Runtime takes 0 as "as many as there are cores".
    if count.fract() == 0.0 && (0.0..=1024.0).contains(&count) {
        return Ok(count as i32);
    }
    let message = format!("{option} must be 0 (one per core) to 1024, but is {count}");
    Err(Failure::new("INVALID_ARGUMENT", message))
}

pub struct SessionOptions {
    runtime: &'static Runtime,
    pub raw: *mut OrtSessionOptions,
}

impl Drop for SessionOptions {
    fn drop(&mut self) {
        // SAFETY: made by CreateSessionOptions and released once; sessions keep a copy of their own.
        unsafe { (self.runtime.ort.ReleaseSessionOptions)(self.raw) };
    }
}

impl SessionOptions {
    pub fn new(runtime: &'static Runtime) -> Result<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: an out-pointer of the right type.
        runtime.check("make session options", unsafe { (runtime.ort.CreateSessionOptions)(&raw mut raw) })?;
        Ok(Self { runtime, raw })
    }

    pub fn from_js(runtime: &'static Runtime, options: &NativeSessionOptions) -> Result<Self> {
        let this = Self::new(runtime)?;
        let ort = runtime.ort;
        if let Some(count) = options.intra_op_threads {
            let count = threads("intraOpThreads", count)?;
            // SAFETY: `this.raw` is valid here and in every call below.
            runtime.check("set intraOpThreads", unsafe { (ort.SetIntraOpNumThreads)(this.raw, count) })?;
        }
        if let Some(count) = options.inter_op_threads {
            let count = threads("interOpThreads", count)?;
            // SAFETY: see above.
            runtime.check("set interOpThreads", unsafe { (ort.SetInterOpNumThreads)(this.raw, count) })?;
            // Without the parallel executor the number has no effect; 1 is the sequential executor's meaning.
            if count != 1 {
                let parallel = ort_sys::ExecutionMode::ORT_PARALLEL;
                // SAFETY: see above.
                runtime.check("set interOpThreads", unsafe { (ort.SetSessionExecutionMode)(this.raw, parallel) })?;
            }
        }
        if options.cuda.is_none() {
            // A pattern's block would come on top of what the first step, which finds the pattern, has in the arena: half as
            // much again for a ResNet50 at 224 px, and steps no faster.
            // SAFETY: see above.
            runtime.check("do without a memory pattern", unsafe { (ort.DisableMemPattern)(this.raw) })?;
        }
        if options.cpu_memory_arena == Some(false) {
            // SAFETY: see above.
            runtime.check("set cpuMemoryArena", unsafe { (ort.DisableCpuMemArena)(this.raw) })?;
        }
        if let Some(spinning) = options.spinning {
            let value = if spinning { "1" } else { "0" };
            this.configure("session.intra_op.allow_spinning", value)?;
            this.configure("session.inter_op.allow_spinning", value)?;
        }
        if let Some(deterministic) = options.deterministic {
            // SAFETY: see above.
            runtime.check("set deterministic", unsafe { (ort.SetDeterministicCompute)(this.raw, deterministic) })?;
        }
        if let Some(level) = &options.graph_optimization {
            let level = choose("graphOptimization", &GRAPH_OPTIMIZATION, level)?;
            // SAFETY: see above.
            let status = unsafe { (ort.SetSessionGraphOptimizationLevel)(this.raw, level) };
            runtime.check("set graphOptimization", status)?;
        }
        if let Some(severity) = &options.log_severity {
            let severity = choose("logSeverity", &LOG_SEVERITY, severity)?;
            // SAFETY: see above.
            runtime.check("set logSeverity", unsafe { (ort.SetSessionLogSeverityLevel)(this.raw, severity) })?;
        }
        if let Some(prefix) = &options.profile_prefix {
            let prefix = c_string("profilePrefix", prefix)?;
            // SAFETY: see above; the string is copied.
            runtime.check("set profilePrefix", unsafe { (ort.EnableProfiling)(this.raw, prefix.as_ptr()) })?;
        }
        if let Some(cuda) = &options.cuda {
            this.append_cuda(cuda)?;
        } else if let Some(operators) = runtime.operators {
            // SAFETY: see above; the domain and its operators are never released.
            runtime.check("add operators", unsafe { (ort.AddCustomOpDomain)(this.raw, operators) })?;
        }
        Ok(this)
    }

    fn configure(&self, key: &str, value: &str) -> Result<()> {
        let (key, value) = (c_string("option", key)?, c_string("option", value)?);
        // SAFETY: valid options and strings, which are copied.
        let status = unsafe { (self.runtime.ort.AddSessionConfigEntry)(self.raw, key.as_ptr(), value.as_ptr()) };
        self.runtime.check("set a session option", status)
    }

    /// Adds the CUDA provider. Fails with the loader's words where CUDA or cuDNN is missing.
    pub fn append_cuda(&self, options: &HashMap<String, String>) -> Result<()> {
        let (runtime, ort) = (self.runtime, self.runtime.ort);
        let keys = c_strings(options.keys())?;
        let values = c_strings(options.values())?;
        let (key_pointers, value_pointers) = (pointers(&keys), pointers(&values));
        let mut cuda = ptr::null_mut();
        // SAFETY: the provider options are made, used and released here; keys and values outlive the calls.
        unsafe {
            runtime.check("make CUDA options", (ort.CreateCUDAProviderOptions)(&raw mut cuda))?;
            let updated = runtime.check(
                "set CUDA options",
                (ort.UpdateCUDAProviderOptions)(cuda, key_pointers.as_ptr(), value_pointers.as_ptr(), keys.len()),
            );
            let appended = updated.and_then(|()| {
                let status = (ort.SessionOptionsAppendExecutionProvider_CUDA_V2)(self.raw, cuda);
                runtime.check("use CUDA", status)
            });
            (ort.ReleaseCUDAProviderOptions)(cuda);
            appended
        }
    }
}

fn c_strings<'a>(texts: impl Iterator<Item = &'a String>) -> Result<Vec<CString>> {
    texts.map(|text| c_string("CUDA option", text)).collect()
}

fn pointers(strings: &[CString]) -> Vec<*const std::ffi::c_char> {
    strings.iter().map(|string| string.as_ptr()).collect()
}
