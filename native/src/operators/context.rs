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

    /// So many whole numbers, none of them negative.
    pub fn lengths<const N: usize>(&self, name: &CStr) -> Result<[usize; N]> {
        let (mut values, mut count) = ([0_i64; N], N);
        // SAFETY: room for `count` numbers, which is set to how many there are.
        let status = unsafe {
            (self.runtime.ort.KernelInfoGetAttributeArray_int64)(
                self.info,
                name.as_ptr(),
                values.as_mut_ptr(),
                &raw mut count,
            )
        };
        self.runtime.check(&format!("read the attribute {}", name.to_string_lossy()), status)?;
        let wrong = || invalid(format!("the attribute {} must be {N} lengths", name.to_string_lossy()));
        let mut lengths = [0; N];
        for (length, value) in lengths.iter_mut().zip(values) {
            *length = usize::try_from(value).map_err(|_| wrong())?;
        }
        if count == N { Ok(lengths) } else { Err(wrong()) }
    }

    pub fn integer(&self, name: &CStr) -> Result<i64> {
        let mut value = 0;
        // SAFETY: as above.
        let status =
            unsafe { (self.runtime.ort.KernelInfoGetAttribute_int64)(self.info, name.as_ptr(), &raw mut value) };
        self.runtime.check(&format!("read the attribute {}", name.to_string_lossy()), status).map(|()| value)
    }
}

/// A tensor of four dimensions.
#[derive(Clone, Copy)]
pub struct Map<E = f32> {
    pub data: *mut E,
    pub dims: [usize; 4],
}

impl<E: Copy> Map<E> {
    /// Places of all its pictures.
    pub const fn rows(self) -> usize {
        self.dims[0] * self.dims[1] * self.dims[2]
    }

    pub const fn length(self) -> usize {
        self.rows() * self.dims[3]
    }

    pub const fn column(self) -> Column<E> {
        Column::new(self.data, self.length())
    }
}

/// A tensor that the operator may write to, too: of one shape with the others, and apart from them.
#[derive(Clone, Copy)]
pub struct Column<E = f32> {
    data: *mut E,
    length: usize,
}

// SAFETY: parts are handed out by `part` alone, whose callers keep them apart.
unsafe impl<E: Send> Send for Column<E> {}
// SAFETY: as above.
unsafe impl<E: Send> Sync for Column<E> {}

impl<E: Copy> Column<E> {
    pub const fn new(data: *mut E, length: usize) -> Self {
        Self { data, length }
    }

    pub const fn data(self) -> *mut E {
        self.data
    }

    /// # Safety
    /// `range` must lie within the tensor, and no other part that overlaps it may be in use.
    pub unsafe fn part<'a>(self, range: &Range<usize>) -> &'a mut [E] {
        // SAFETY: as promised by the caller.
        unsafe { slice::from_raw_parts_mut(self.data.add(range.start), range.len()) }
    }

    fn overlaps(self, other: Self) -> bool {
        let (start, other_start) = (self.data.addr(), other.data.addr());
        start < other_start + size_of::<E>() * other.length && other_start < start + size_of::<E>() * self.length
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

    /// An input's data and dimensions; `None` where it is left out. ONNX Runtime has checked its type, which `E` must be.
    fn input<E>(&self, index: usize) -> Result<Option<(Column<E>, Vec<i64>)>> {
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

    /// A map [N, H, W, C], or weights [out, in, height, width]; `None` where it is left out.
    pub fn optional_map<E>(&self, index: usize) -> Result<Option<Map<E>>> {
        let Some((column, dims)) = self.input::<E>(index)? else { return Ok(None) };
        let lengths: Vec<usize> = dims.iter().filter_map(|&dim| usize::try_from(dim).ok()).collect();
        let dims = <[usize; 4]>::try_from(lengths).map_err(|_| {
            invalid(format!("input {index} must have four dimensions, but has the shape {}", shape(&dims)))
        })?;
        Ok(Some(Map { data: column.data, dims }))
    }

    pub fn map<E>(&self, index: usize) -> Result<Map<E>> {
        self.optional_map(index)?.ok_or_else(|| invalid(format!("input {index} is needed")))
    }

    /// A map of a known shape; `None` where it is left out.
    pub fn map_like<E>(&self, index: usize, dims: [usize; 4]) -> Result<Option<Map<E>>> {
        let map = self.optional_map::<E>(index)?;
        match map {
            Some(map) if map.dims != dims => {
                Err(invalid(format!("input {index} must have the shape {dims:?}, but has {:?}", map.dims)))
            }
            map => Ok(map),
        }
    }

    /// Bytes of a known shape.
    pub fn bytes(&self, index: usize, dims: [usize; 4]) -> Result<*mut u8> {
        let map = self.map_like(index, dims)?.ok_or_else(|| invalid(format!("input {index} is needed")))?;
        Ok(map.data)
    }

    /// Whether an optional input is there.
    pub fn has(&self, index: usize) -> Result<bool> {
        Ok(self.input::<u8>(index)?.is_some())
    }

    /// So many numbers.
    pub fn vector(&self, index: usize, length: usize) -> Result<Column> {
        let (column, dims) = self.input(index)?.ok_or_else(|| invalid(format!("input {index} is needed")))?;
        if column.length != length {
            return Err(invalid(format!(
                "input {index} must have {length} numbers, but has the shape {}",
                shape(&dims)
            )));
        }
        Ok(column)
    }

    /// A flag.
    pub fn flag(&self, index: usize) -> Result<bool> {
        let (column, _) = self.input::<u8>(index)?.ok_or_else(|| invalid(format!("input {index} is needed")))?;
        if column.length != 1 {
            return Err(invalid(format!("input {index} must be a single flag")));
        }
        // SAFETY: one element, which ONNX Runtime has checked to be a bool.
        Ok(unsafe { column.data.read() } != 0)
    }

    /// Makes an output of this shape; `None` where nobody wants it.
    pub fn output<T>(&self, index: usize, dims: &[usize]) -> Result<Option<*mut T>> {
        let ort = self.runtime.ort;
        let lengths: Vec<i64> = dims.iter().filter_map(|&dim| i64::try_from(dim).ok()).collect();
        let (mut value, mut data) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: dimensions and out-pointers; the element type is the operator's own.
        unsafe {
            let status =
                (ort.KernelContext_GetOutput)(self.raw, index, lengths.as_ptr(), lengths.len(), &raw mut value);
            self.runtime.check("make an output", status)?;
            if value.is_null() {
                return Ok(None);
            }
            self.runtime.check("write an output", (ort.GetTensorMutableData)(value, &raw mut data))?;
        }
        Ok(Some(data.cast()))
    }

    /// An output that must be there.
    pub fn needed<T>(&self, index: usize, dims: &[usize]) -> Result<*mut T> {
        self.output(index, dims)?.ok_or_else(|| invalid(format!("output {index} is needed")))
    }

    /// A single number; `None` where it is left out.
    pub fn number(&self, index: usize) -> Result<Option<f32>> {
        let Some((column, dims)) = self.input::<f32>(index)? else { return Ok(None) };
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

    /// Sets the one output: done.
    pub fn finish(&self) -> Result<()> {
        let done = self.needed::<bool>(0, &[1])?;
        // SAFETY: the output is a bool [1].
        unsafe { done.write(true) };
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
