//! The part of oneDNN's C API that is used (oneDNN 3, `dnnl.h`), found in the library by name.

use std::ffi::{c_char, c_int, c_uint, c_void};

use libloading::os::unix::Library;

/// Handles of oneDNN.
pub type Engine = *mut c_void;
pub type Stream = *mut c_void;
pub type MemoryDesc = *mut c_void;
pub type Memory = *mut c_void;
pub type PrimitiveDesc = *mut c_void;
pub type PrimitiveHandle = *mut c_void;
pub type Attributes = *mut c_void;
pub type PostOps = *mut c_void;

/// `dnnl_status_t`; 0 is success.
pub type Status = c_int;

/// `dnnl_dims_t`, of which as many count as there are dimensions.
pub const MAX_DIMS: usize = 12;
pub type Dims = [i64; MAX_DIMS];

pub const CPU: c_int = 1;
pub const IN_ORDER: c_uint = 1;
pub const FORWARD_TRAINING: c_int = 64;
pub const CONVOLUTION_DIRECT: c_int = 1;
pub const BFLOAT16: c_int = 2;
pub const FLOAT32: c_int = 3;
/// `dnnl_format_tag_any`: the primitive chooses.
pub const ANY: c_int = 1;

/// What `dnnl_primitive_desc_query_md` is asked for.
pub const WEIGHTS_MD: c_int = 131;
pub const DIFF_WEIGHTS_MD: c_int = 132;

/// What a memory is to a primitive (`DNNL_ARG_*`).
pub const SRC: c_int = 1;
pub const DST: c_int = 17;
pub const WEIGHTS: c_int = 33;
pub const DIFF_SRC: c_int = 129;
pub const DIFF_DST: c_int = 145;
pub const DIFF_WEIGHTS: c_int = 161;

/// `dnnl_exec_arg_t`
#[repr(C)]
pub struct Argument {
    pub what: c_int,
    pub memory: Memory,
}

/// `dnnl_version_t`
#[repr(C)]
pub struct Version {
    pub major: c_int,
    pub minor: c_int,
    pub patch: c_int,
    hash: *const c_char,
    cpu_runtime: c_uint,
    gpu_runtime: c_uint,
}

macro_rules! api {
    ($($field:ident = $symbol:literal: fn($($argument:ty),*) -> $result:ty;)*) => {
        /// Pointers into the library, which is never unloaded.
        pub struct Api {
            $(pub $field: unsafe extern "C" fn($($argument),*) -> $result,)*
        }

        impl Api {
            /// # Safety
            /// `library` must be oneDNN 3, and stay loaded.
            pub unsafe fn find(library: &Library) -> Result<Self, libloading::Error> {
                // SAFETY: the types are those of oneDNN 3's header.
                unsafe { Ok(Self { $($field: *library.get($symbol)?,)* }) }
            }
        }
    };
}

api! {
    version = b"dnnl_version\0": fn() -> *const Version;
    effective_isa = b"dnnl_get_effective_cpu_isa\0": fn() -> c_int;
    engine_create = b"dnnl_engine_create\0": fn(*mut Engine, c_int, usize) -> Status;
    stream_create = b"dnnl_stream_create\0": fn(*mut Stream, Engine, c_uint) -> Status;
    stream_wait = b"dnnl_stream_wait\0": fn(Stream) -> Status;
    stream_destroy = b"dnnl_stream_destroy\0": fn(Stream) -> Status;
    desc_with_strides = b"dnnl_memory_desc_create_with_strides\0":
        fn(*mut MemoryDesc, c_int, *const Dims, c_int, *const Dims) -> Status;
    desc_with_tag = b"dnnl_memory_desc_create_with_tag\0": fn(*mut MemoryDesc, c_int, *const Dims, c_int, c_int) -> Status;
    desc_clone = b"dnnl_memory_desc_clone\0": fn(*mut MemoryDesc, MemoryDesc) -> Status;
    desc_equal = b"dnnl_memory_desc_equal\0": fn(MemoryDesc, MemoryDesc) -> c_int;
    desc_size = b"dnnl_memory_desc_get_size\0": fn(MemoryDesc) -> usize;
    desc_destroy = b"dnnl_memory_desc_destroy\0": fn(MemoryDesc) -> Status;
    memory_create = b"dnnl_memory_create\0": fn(*mut Memory, MemoryDesc, Engine, *mut c_void) -> Status;
    memory_set_data = b"dnnl_memory_set_data_handle\0": fn(Memory, *mut c_void) -> Status;
    memory_destroy = b"dnnl_memory_destroy\0": fn(Memory) -> Status;
    attributes_create = b"dnnl_primitive_attr_create\0": fn(*mut Attributes) -> Status;
    attributes_set_post_ops = b"dnnl_primitive_attr_set_post_ops\0": fn(Attributes, PostOps) -> Status;
    attributes_destroy = b"dnnl_primitive_attr_destroy\0": fn(Attributes) -> Status;
    post_ops_create = b"dnnl_post_ops_create\0": fn(*mut PostOps) -> Status;
    post_ops_append_sum = b"dnnl_post_ops_append_sum\0": fn(PostOps, f32, i32, c_int) -> Status;
    post_ops_destroy = b"dnnl_post_ops_destroy\0": fn(PostOps) -> Status;
    convolution_forward = b"dnnl_convolution_forward_primitive_desc_create\0":
        fn(*mut PrimitiveDesc, Engine, c_int, c_int, MemoryDesc, MemoryDesc, MemoryDesc, MemoryDesc,
            *const Dims, *const Dims, *const Dims, *const Dims, Attributes) -> Status;
    convolution_backward_data = b"dnnl_convolution_backward_data_primitive_desc_create\0":
        fn(*mut PrimitiveDesc, Engine, c_int, MemoryDesc, MemoryDesc, MemoryDesc,
            *const Dims, *const Dims, *const Dims, *const Dims, PrimitiveDesc, Attributes) -> Status;
    convolution_backward_weights = b"dnnl_convolution_backward_weights_primitive_desc_create\0":
        fn(*mut PrimitiveDesc, Engine, c_int, MemoryDesc, MemoryDesc, MemoryDesc, MemoryDesc,
            *const Dims, *const Dims, *const Dims, *const Dims, PrimitiveDesc, Attributes) -> Status;
    reorder = b"dnnl_reorder_primitive_desc_create\0":
        fn(*mut PrimitiveDesc, MemoryDesc, Engine, MemoryDesc, Engine, Attributes) -> Status;
    desc_query_md = b"dnnl_primitive_desc_query_md\0": fn(PrimitiveDesc, c_int, c_int) -> MemoryDesc;
    primitive_desc_destroy = b"dnnl_primitive_desc_destroy\0": fn(PrimitiveDesc) -> Status;
    primitive_create = b"dnnl_primitive_create\0": fn(*mut PrimitiveHandle, PrimitiveDesc) -> Status;
    primitive_execute = b"dnnl_primitive_execute\0": fn(PrimitiveHandle, Stream, c_int, *const Argument) -> Status;
    primitive_destroy = b"dnnl_primitive_destroy\0": fn(PrimitiveHandle) -> Status;
}
