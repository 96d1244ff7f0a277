//! A CUDA runtime over the host's memory, for tests: two devices, each thread with memory of its own.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};

use super::{Cuda, HOST_TO_DEVICE};

pub const TOTAL: usize = 1 << 20;

/// Its device and memory.
type Block = (c_int, Box<[u8]>);

// A test has its thread to itself.
thread_local! {
    static CURRENT: Cell<c_int> = const { Cell::new(0) };
    /// By address.
    static BLOCKS: RefCell<HashMap<usize, Block>> = RefCell::default();
    static SYNCHRONIZED: Cell<bool> = const { Cell::new(true) };
}

pub static CUDA: Cuda =
    Cuda { get_device, set_device, malloc, free, memcpy, stream_synchronize, mem_get_info, error_string };

/// The blocks that are allocated: device and content. Panics while a copy may still be on its way.
pub fn blocks() -> Vec<(i32, Vec<u8>)> {
    assert!(SYNCHRONIZED.get());
    BLOCKS.with_borrow(|blocks| blocks.values().map(|(device, block)| (*device, block.to_vec())).collect())
}

pub fn current() -> i32 {
    CURRENT.get()
}

unsafe extern "C" fn get_device(device: *mut c_int) -> c_int {
    // SAFETY: an out-pointer, as CUDA demands.
    unsafe { *device = CURRENT.get() };
    0
}

/// There are two devices.
unsafe extern "C" fn set_device(device: c_int) -> c_int {
    if !(0..2).contains(&device) {
        return 101;
    }
    CURRENT.set(device);
    0
}

unsafe extern "C" fn malloc(pointer: *mut *mut c_void, bytes: usize) -> c_int {
    if bytes > TOTAL {
        return 2;
    }
    let mut block = vec![0_u8; bytes].into_boxed_slice();
    let address = block.as_mut_ptr();
    // SAFETY: an out-pointer, as CUDA demands.
    unsafe { *pointer = address.cast() };
    BLOCKS.with_borrow_mut(|blocks| blocks.insert(address as usize, (CURRENT.get(), block)));
    0
}

unsafe extern "C" fn free(pointer: *mut c_void) -> c_int {
    BLOCKS.with_borrow_mut(|blocks| match blocks.remove(&(pointer as usize)) {
        Some((device, _)) if device == CURRENT.get() => 0,
        _ => 1,
    })
}

unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, bytes: usize, kind: c_int) -> c_int {
    BLOCKS.with_borrow_mut(|blocks| match blocks.get_mut(&(to as usize)) {
        Some((device, block)) if *device == CURRENT.get() && kind == HOST_TO_DEVICE && bytes <= block.len() => {
            // SAFETY: as CUDA demands, `from` has `bytes` bytes.
            block[..bytes].copy_from_slice(unsafe { std::slice::from_raw_parts(from.cast(), bytes) });
            SYNCHRONIZED.set(false);
            0
        }
        _ => 1,
    })
}

unsafe extern "C" fn stream_synchronize(stream: *mut c_void) -> c_int {
    SYNCHRONIZED.set(stream.is_null());
    0
}

unsafe extern "C" fn mem_get_info(free: *mut usize, total: *mut usize) -> c_int {
    // SAFETY: out-pointers, as CUDA demands.
    unsafe {
        *free = TOTAL - blocks().iter().map(|(_, block)| block.len()).sum::<usize>();
        *total = TOTAL;
    }
    0
}

unsafe extern "C" fn error_string(code: c_int) -> *const c_char {
    match code {
        2 => c"out of memory".as_ptr(),
        101 => c"invalid device ordinal".as_ptr(),
        _ => c"invalid argument".as_ptr(),
    }
}
