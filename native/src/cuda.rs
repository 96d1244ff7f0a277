//! The CUDA runtime that the CUDA provider has brought into the process: memory on the GPU for inputs, and how much of
//! it there is. Nothing here loads CUDA.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use napi_derive::napi;

use crate::error::{Failure, Result};
use crate::runtime::text;

/// Not loading, only finding what is loaded. `dlfcn.h` of glibc and musl; macOS has another number and no CUDA.
const RTLD_NOLOAD: c_int = if cfg!(target_os = "macos") { 0x10 } else { 4 };

/// By SONAME. Of two in a process (another ONNX Runtime may bring its own) either will do: the memory belongs to the
/// device's primary context, which they share.
const NAMES: [&str; 2] = ["libcudart.so.13", "libcudart.so.12"];

const HOST_TO_DEVICE: c_int = 1;

/// Functions of `cuda_runtime_api.h`; all but `error_string` return 0 or an error's number.
#[derive(Clone, Copy)]
pub struct Cuda {
    get_device: unsafe extern "C" fn(*mut c_int) -> c_int,
    set_device: unsafe extern "C" fn(c_int) -> c_int,
    malloc: unsafe extern "C" fn(*mut *mut c_void, usize) -> c_int,
    free: unsafe extern "C" fn(*mut c_void) -> c_int,
    memcpy: unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int,
    stream_synchronize: unsafe extern "C" fn(*mut c_void) -> c_int,
    mem_get_info: unsafe extern "C" fn(*mut usize, *mut usize) -> c_int,
    error_string: unsafe extern "C" fn(c_int) -> *const c_char,
}

impl Cuda {
    /// `None` where no CUDA runtime is loaded, or one that lacks a function.
    pub fn loaded() -> Option<&'static Self> {
        static FOUND: OnceLock<Cuda> = OnceLock::new();
        // Only what is found is kept: the provider brings CUDA in when the first session asks for it.
        if FOUND.get().is_none() {
            let found = NAMES.iter().find_map(|name| Self::find(name))?;
            return Some(FOUND.get_or_init(|| found));
        }
        FOUND.get()
    }

    fn find(name: &str) -> Option<Self> {
        // SAFETY: with RTLD_NOLOAD no library is loaded, so that no initializers run; the signatures are those of
        // `cuda_runtime_api.h`, the same in CUDA 12 and 13.
        unsafe {
            let library = Library::open(Some(name), RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD).ok()?;
            let cuda = Self {
                get_device: *library.get(b"cudaGetDevice\0").ok()?,
                set_device: *library.get(b"cudaSetDevice\0").ok()?,
                malloc: *library.get(b"cudaMalloc\0").ok()?,
                free: *library.get(b"cudaFree\0").ok()?,
                memcpy: *library.get(b"cudaMemcpy\0").ok()?,
                stream_synchronize: *library.get(b"cudaStreamSynchronize\0").ok()?,
                mem_get_info: *library.get(b"cudaMemGetInfo\0").ok()?,
                error_string: *library.get(b"cudaGetErrorString\0").ok()?,
            };
            // The functions must stay, whoever else closes the library.
            std::mem::forget(library);
            Some(cuda)
        }
    }

    fn check(&self, doing: &str, code: c_int) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: returns a static string for any number.
        let reason = unsafe { text((self.error_string)(code)) };
        Err(Failure::new("CUDA_FAILED", format!("CUDA could not {doing}: {reason} (error {code})")))
    }

    /// Runs `work` with `device` as the thread's current one, and sets back the one before.
    fn on_device<T>(&self, device: i32, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut before = 0;
        // SAFETY: an out-pointer of the right type.
        self.check("tell the current GPU", unsafe { (self.get_device)(&raw mut before) })?;
        if before == device {
            return work();
        }
        // SAFETY: no pointers are involved.
        self.check(&format!("use GPU {device}"), unsafe { (self.set_device)(device) })?;
        let result = work();
        // SAFETY: as above. The device was current a moment ago, so this fails only where all else does.
        let _ = unsafe { (self.set_device)(before) };
        result
    }

    /// Free and total bytes of a device.
    fn memory(&self, device: i32) -> Result<(usize, usize)> {
        self.on_device(device, || {
            let (mut free, mut total) = (0, 0);
            // SAFETY: out-pointers of the right types.
            let code = unsafe { (self.mem_get_info)(&raw mut free, &raw mut total) };
            self.check(&format!("tell the memory of GPU {device}"), code)?;
            Ok((free, total))
        })
    }
}

/// Memory on a GPU, freed when dropped.
pub struct DeviceMemory {
    cuda: &'static Cuda,
    device: i32,
    pointer: *mut c_void,
    bytes: usize,
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        // SAFETY: allocated by `allocate` and freed once. A failure would only leak.
        let _ = self
            .cuda
            .on_device(self.device, || self.cuda.check("free memory", unsafe { (self.cuda.free)(self.pointer) }));
    }
}

impl DeviceMemory {
    pub fn allocate(cuda: &'static Cuda, device: i32, bytes: usize) -> Result<Self> {
        cuda.on_device(device, || {
            let mut pointer = ptr::null_mut();
            // SAFETY: an out-pointer of the right type.
            let code = unsafe { (cuda.malloc)(&raw mut pointer, bytes) };
            cuda.check(&format!("allocate {bytes} bytes on GPU {device} for an input"), code)?;
            Ok(Self { cuda, device, pointer, bytes })
        })
    }

    pub fn pointer(&self) -> *mut c_void {
        self.pointer
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Copies all of the memory from the host; done when the call returns.
    pub fn upload(&self, from: &[u8]) -> Result<()> {
        if from.len() != self.bytes {
            let message = format!("{} bytes for {} bytes of GPU memory", from.len(), self.bytes);
            return Err(Failure::new("INTERNAL", message));
        }
        let cuda = self.cuda;
        cuda.on_device(self.device, || {
            // SAFETY: both sides have `bytes` bytes.
            let code = unsafe { (cuda.memcpy)(self.pointer, from.as_ptr().cast(), self.bytes, HOST_TO_DEVICE) };
            cuda.check("copy an input to the GPU", code)?;
            // From pageable memory the last part of a copy may still be on its way when `cudaMemcpy` returns, and
            // ONNX Runtime's streams do not wait for the default stream.
            // SAFETY: null is the default stream.
            cuda.check("copy an input to the GPU", unsafe { (cuda.stream_synchronize)(ptr::null_mut()) })
        })
    }
}

/// What `cudaMemory` tells, in bytes.
#[napi(object, object_from_js = false)]
pub struct CudaMemory {
    pub free: f64,
    pub total: f64,
}

/// The memory of a GPU; `null` while no CUDA runtime is loaded.
#[napi]
#[allow(clippy::cast_precision_loss)] // Exact up to 2^53 bytes.
pub fn cuda_memory(device: i32) -> napi::Result<Option<CudaMemory>> {
    let Some(cuda) = Cuda::loaded() else { return Ok(None) };
    let (free, total) = cuda.memory(device)?;
    Ok(Some(CudaMemory { free: free as f64, total: total as f64 }))
}

#[cfg(test)]
pub mod fake;

#[cfg(test)]
mod tests {
    use super::{Cuda, DeviceMemory, fake};

    fn message<T>(result: crate::error::Result<T>) -> String {
        result.err().map(crate::error::Failure::into_message).unwrap_or_default()
    }

    #[test]
    fn memory_is_allocated_filled_and_freed_on_its_device() {
        let Ok(memory) = DeviceMemory::allocate(&fake::CUDA, 1, 4) else { panic!("refused") };
        assert!(memory.upload(&[1, 2, 3, 4]).is_ok());
        assert!(memory.upload(&[5, 6, 7, 8]).is_ok());
        assert_eq!(fake::blocks(), [(1, vec![5, 6, 7, 8])]);
        assert_eq!(fake::CUDA.memory(0).ok(), Some((fake::TOTAL - 4, fake::TOTAL)));
        assert_eq!(message(memory.upload(&[1])), "1 bytes for 4 bytes of GPU memory");
        drop(memory);
        assert_eq!(fake::blocks(), []);
        assert_eq!(fake::current(), 0);
    }

    #[test]
    fn failures_say_what_was_tried_where() {
        let too_much = fake::TOTAL + 1;
        assert_eq!(
            message(DeviceMemory::allocate(&fake::CUDA, 1, too_much)),
            format!("CUDA could not allocate {too_much} bytes on GPU 1 for an input: out of memory (error 2)")
        );
        assert_eq!(fake::current(), 0);
        assert_eq!(message(fake::CUDA.memory(7)), "CUDA could not use GPU 7: invalid device ordinal (error 101)");
    }

    #[test]
    fn nothing_is_found_where_nothing_is_loaded() {
        assert!(Cuda::loaded().is_none());
    }
}
