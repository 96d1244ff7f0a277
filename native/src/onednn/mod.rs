//! oneDNN: convolutions and products of matrices. An optional library of this process: found by absolute path, loaded
//! once, never unloaded.

mod api;
mod desc;
mod primitive;
mod team;
mod workspace;

use std::cell::Cell;
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::error::{Failure, Result};
pub use desc::{Desc, Number};
pub use primitive::{Convolution, Primitive, Role};
pub use team::Team;
pub use workspace::with_workspace;

/// The loaded library.
pub struct OneDnn {
    api: api::Api,
    engine: api::Engine,
    team: team::Library,
}

// SAFETY: an engine may be used by any thread; nothing here changes after `open`.
unsafe impl Send for OneDnn {}
// SAFETY: as above.
unsafe impl Sync for OneDnn {}

static ONEDNN: OnceLock<OneDnn> = OnceLock::new();

impl OneDnn {
    /// Loads the library, with the OpenMP library beside it, unless that has been done.
    pub fn load(path: &Path) -> Result<&'static Self> {
        if let Some(loaded) = ONEDNN.get() {
            return Ok(loaded);
        }
        let opened = Self::open(path)?;
        Ok(ONEDNN.get_or_init(|| opened))
    }

    pub fn loaded() -> Option<&'static Self> {
        ONEDNN.get()
    }

    pub fn get() -> Result<&'static Self> {
        ONEDNN
            .get()
            .ok_or_else(|| Failure::new("KERNELS_NOT_LOADED", "this operator needs oneDNN, which is not loaded"))
    }

    /// The library that setup has put in place, or that the environment names.
    #[cfg(test)]
    pub fn for_tests() -> Option<&'static Self> {
        let path = std::env::var_os("ORTUNE_TEST_ONEDNN").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("runtime/onednn-linux-x86_64/libdnnl.so.3"),
            std::path::PathBuf::from,
        );
        path.exists().then(|| Self::load(&path)).and_then(Result::ok)
    }

    fn open(path: &Path) -> Result<Self> {
        let failed = |reason: String| {
            Failure::new("KERNELS_NOT_LOADED", format!("cannot load oneDNN from {}: {reason}", path.display()))
        };
        // SAFETY: loading runs the library's initializers; setup has checked which library this is.
        let library =
            unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| failed(error.to_string()))?;
        // SAFETY: setup has pinned oneDNN 3.
        let api = unsafe { api::Api::find(&library) }.map_err(|error| failed(error.to_string()))?;
        // SAFETY: the library is never closed.
        let team = unsafe { team::Library::find(&library) }.map_err(|error| failed(error.to_string()))?;
        std::mem::forget(library);
        let mut engine = ptr::null_mut();
        // SAFETY: an out-pointer.
        check("make an engine", unsafe { (api.engine_create)(&raw mut engine, api::CPU, 0) })?;
        Ok(Self { api, engine, team })
    }

    /// As `3.11.0`.
    pub fn version(&self) -> String {
        // SAFETY: a static structure.
        let version = unsafe { &*(self.api.version)() };
        format!("{}.{}.{}", version.major, version.minor, version.patch)
    }

    /// The processor's instructions that it makes use of.
    pub fn instruction_set(&self) -> &'static str {
        // SAFETY: no pointers are involved.
        let isa = unsafe { (self.api.effective_isa)() };
        INSTRUCTION_SETS.iter().find(|(bits, _)| isa & bits == *bits).map_or("none", |(_, name)| name)
    }

    /// Whether these are AVX-512 or more.
    pub fn uses_avx512(&self) -> bool {
        self.uses(AVX512)
    }

    /// Whether those of AVX-512 for bfloat16 are among them.
    pub fn uses_avx512_bfloat16(&self) -> bool {
        self.uses(AVX512_BFLOAT16)
    }

    fn uses(&self, bits: i32) -> bool {
        // SAFETY: as above.
        let isa = unsafe { (self.api.effective_isa)() };
        isa & bits == bits
    }

    /// The threads of the calling thread's session.
    pub fn team(&'static self) -> Team {
        Team::new(&self.team, THREADS.get())
    }

    /// Has the calling thread's session run on so many threads.
    pub fn set_threads(&self, count: usize) {
        THREADS.set(count);
        self.team.set_threads(count);
    }
}

thread_local! {
    /// Threads of the session whose lane this thread is.
    static THREADS: Cell<usize> = const { Cell::new(1) };
}

/// `dnnl_cpu_isa_t`, the best first.
const INSTRUCTION_SETS: [(i32, &str); 6] = [
    (0xfef, "AMX"),
    (AVX512_BFLOAT16, "AVX-512 with bfloat16"),
    (AVX512, "AVX-512"),
    (0x7, "AVX2"),
    (0x3, "AVX"),
    (0x1, "SSE4.1"),
];
const AVX512: i32 = 0x27;
const AVX512_BFLOAT16: i32 = 0xe7;

fn check(doing: &str, status: api::Status) -> Result<()> {
    let (code, reason) = match status {
        0 => return Ok(()),
        1 => ("ONEDNN_FAILED", "there is not enough memory"),
        2 => ("ONEDNN_FAILED", "the arguments are invalid"),
        UNIMPLEMENTED => (NO_KERNEL, "it has no kernel for this"),
        _ => ("ONEDNN_FAILED", "it failed"),
    };
    Err(Failure::new(code, format!("oneDNN could not {doing}: {reason}")))
}

/// `dnnl_unimplemented`, and the code of the failure.
const UNIMPLEMENTED: api::Status = 3;
const NO_KERNEL: &str = "ONEDNN_NO_KERNEL";

/// What has been made, or `None` where oneDNN has no kernel for it on this processor.
pub fn offered<T>(made: Result<T>) -> Result<Option<T>> {
    match made {
        Err(failure) if failure.code() == NO_KERNEL => Ok(None),
        made => made.map(Some),
    }
}
