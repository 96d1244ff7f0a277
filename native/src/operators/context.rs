//! What an operator gets from ONNX Runtime: attributes, tensors, and the session's threads.

use std::ffi::{CStr, c_void};
use std::ops::Range;
use std::{ptr, slice};

use ort_sys::{OrtKernelContext, OrtKernelInfo, OrtValue};

use super::invalid;
use crate::error::Result;
use crate::runtime::Runtime;
use crate::tensor::{read_info, shape};

/// Elements that a thread works on at a time: of half a dozen tensors, well within its cache.
const BLOCK: usize = 8192;

pub struct Attributes {
    pub runtime: &'static Runtime,
    pub info: *const OrtKernelInfo,
}

impl Attributes {
    pub fn float(&self, name: &CStr) -> Result<f32> {
        let mut value = 0.0;
        // SAFETY: valid as long as the kernel is being made; an out-pointer.
        let status =
            unsafe { (self.runtime.ort.KernelInfoGetAttribute_float)(self.info, name.as_ptr(), &raw mut value) };
        self.runtime.check(&format!("read the attribute {}", name.to_string_lossy()), status).map(|()| value)
    }

    pub fn integer(&self, name: &CStr) -> Result<i64> {
        let mut value = 0;
        // SAFETY: as above.
        let status =
            unsafe { (self.runtime.ort.KernelInfoGetAttribute_int64)(self.info, name.as_ptr(), &raw mut value) };
        self.runtime.check(&format!("read the attribute {}", name.to_string_lossy()), status).map(|()| value)
    }
}

/// A float32 tensor that the operator may write to, too: of one shape with the others, and apart from them.
#[derive(Clone, Copy)]
pub struct Column {
    data: *mut f32,
    length: usize,
}

// SAFETY: parts are handed out by `part` alone, whose callers keep them apart.
unsafe impl Send for Column {}
// SAFETY: as above.
unsafe impl Sync for Column {}

impl Column {
    /// # Safety
    /// `range` must lie within the tensor, and no other part that overlaps it may be in use.
    pub unsafe fn part<'a>(self, range: &Range<usize>) -> &'a mut [f32] {
        // SAFETY: as promised by the caller.
        unsafe { slice::from_raw_parts_mut(self.data.add(range.start), range.len()) }
    }

    fn overlaps(self, other: Self) -> bool {
        let (start, other_start) = (self.data.addr(), other.data.addr());
        start < other_start + 4 * other.length && other_start < start + 4 * self.length
    }
}

pub struct Context {
    runtime: &'static Runtime,
    raw: *mut OrtKernelContext,
    inputs: usize,
}

impl Context {
    pub fn new(runtime: &'static Runtime, raw: *mut OrtKernelContext) -> Result<Self> {
        let mut inputs = 0;
        // SAFETY: valid while the operator computes; an out-pointer.
        let status = unsafe { (runtime.ort.KernelContext_GetInputCount)(raw, &raw mut inputs) };
        runtime.check("count the inputs", status)?;
        Ok(Self { runtime, raw, inputs })
    }

    /// An input's data and dimensions; `None` where it is left out. ONNX Runtime has checked that it is float32.
    fn input(&self, index: usize) -> Result<Option<(Column, Vec<i64>)>> {
        let (runtime, ort) = (self.runtime, self.runtime.ort);
        let mut value: *const OrtValue = ptr::null();
        if index < self.inputs {
            // SAFETY: valid while the operator computes; an out-pointer.
            let status = unsafe { (ort.KernelContext_GetInput)(self.raw, index, &raw mut value) };
            runtime.check("find an input", status)?;
        }
        if value.is_null() {
            return Ok(None);
        }
        let (mut info, mut data) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: a valid tensor; `info` is released by `read_info`.
        let (_, dims) = unsafe {
            runtime.check("describe an input", (ort.GetTensorTypeAndShape)(value, &raw mut info))?;
            runtime.check("read an input", (ort.GetTensorMutableData)(value.cast_mut(), &raw mut data))?;
            read_info(runtime, info)?
        };
        let length = dims.iter().try_fold(1_usize, |length, &dim| length.checked_mul(usize::try_from(dim).ok()?));
        let length = length.ok_or_else(|| invalid(format!("input {index} has the shape {}", shape(&dims))))?;
        Ok(Some((Column { data: data.cast(), length }, dims)))
    }

    /// A single number; `None` where it is left out.
    pub fn number(&self, index: usize) -> Result<Option<f32>> {
        let Some((column, dims)) = self.input(index)? else { return Ok(None) };
        if column.length != 1 {
            return Err(invalid(format!("input {index} must be a single number, but has the shape {}", shape(&dims))));
        }
        // SAFETY: one element, which nobody writes to while the operator reads it.
        Ok(Some(unsafe { column.data.read() }))
    }

    /// Tensors of one shape that do not overlap; `None` for those that are left out.
    pub fn columns<const N: usize>(&self, indices: [usize; N]) -> Result<[Option<Column>; N]> {
        let mut columns = [None; N];
        let mut expected: Option<Vec<i64>> = None;
        for (at, &index) in indices.iter().enumerate() {
            let Some((column, dims)) = self.input(index)? else { continue };
            let expected = expected.get_or_insert_with(|| dims.clone());
            if *expected != dims {
                let (dims, expected) = (shape(&dims), shape(expected));
                return Err(invalid(format!(
                    "input {index} must have the parameter's shape {expected}, but has {dims}"
                )));
            }
            if let Some(other) =
                columns[..at].iter().position(|other| other.is_some_and(|other| column.overlaps(other)))
            {
                let other = indices[other];
                return Err(invalid(format!("input {index} must be memory of its own, but is input {other}'s")));
            }
            columns[at] = Some(column);
        }
        Ok(columns)
    }

    /// Running averages with their share, which go together.
    pub fn with_share(&self, averages: Option<Column>, share: usize) -> Result<Option<(Column, f32)>> {
        match (averages, self.number(share)?) {
            (Some(averages), Some(share)) => Ok(Some((averages, share))),
            (None, None) => Ok(None),
            _ => Err(invalid(format!("an average needs its share, input {share}, and a share its average"))),
        }
    }

    /// Runs `work` on all elements of a column, in blocks, on the session's threads.
    pub fn blocks(&self, column: Column, work: impl Fn(Range<usize>) + Sync) -> Result<()> {
        let blocks = Blocks { length: column.length, work };
        if column.length <= BLOCK {
            blocks.run(0);
            return Ok(());
        }
        blocks.share(self.runtime, self.raw)
    }

    /// Sets the output.
    pub fn finish(&self) -> Result<()> {
        let ort = self.runtime.ort;
        let (mut value, mut data) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: one dimension; on success the output is a bool [1].
        unsafe {
            let status = (ort.KernelContext_GetOutput)(self.raw, 0, [1].as_ptr(), 1, &raw mut value);
            self.runtime.check("make the output", status)?;
            self.runtime.check("write the output", (ort.GetTensorMutableData)(value, &raw mut data))?;
            data.cast::<bool>().write(true);
        }
        Ok(())
    }
}

struct Blocks<F> {
    length: usize,
    work: F,
}

impl<F: Fn(Range<usize>) + Sync> Blocks<F> {
    fn run(&self, index: usize) {
        let start = index * BLOCK;
        (self.work)(start..self.length.min(start + BLOCK));
    }

    /// Runs a block, for C.
    ///
    /// # Safety
    /// `blocks` must point to blocks of this very type.
    unsafe extern "C" fn enter(blocks: *mut c_void, index: usize) {
        // SAFETY: as promised by the caller.
        unsafe { &*blocks.cast::<Self>() }.run(index);
    }

    /// Runs all blocks on the threads of the session whose operator computes.
    fn share(&self, runtime: &Runtime, context: *const OrtKernelContext) -> Result<()> {
        let count = self.length.div_ceil(BLOCK);
        // SAFETY: `self` outlives the call, which returns when all blocks are done.
        let status = unsafe {
            let data = ptr::from_ref(self).cast_mut().cast();
            (runtime.ort.KernelContext_ParallelFor)(context, Self::enter, count, 0, data)
        };
        runtime.check("share the work among the threads", status)
    }
}
