//! Shapes and layouts of memory, as oneDNN takes them.

use std::ffi::c_int;
use std::ptr;

use super::api::{self, Api, Dims, MAX_DIMS};
use super::{OneDnn, check};
use crate::error::{Failure, Result};

/// What lies in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Number {
    Float32,
    Bfloat16,
}

impl Number {
    const fn code(self) -> c_int {
        match self {
            Self::Float32 => api::FLOAT32,
            Self::Bfloat16 => api::BFLOAT16,
        }
    }
}

/// Numbers, shape and layout of memory.
pub struct Desc {
    pub(super) onednn: &'static OneDnn,
    pub(super) raw: api::MemoryDesc,
}

impl Drop for Desc {
    fn drop(&mut self) {
        // SAFETY: owned, destroyed once.
        unsafe { (self.onednn.api.desc_destroy)(self.raw) };
    }
}

pub(super) fn dims(lengths: &[usize]) -> Result<Dims> {
    let mut dims = [0; MAX_DIMS];
    for (dim, &length) in dims.iter_mut().zip(lengths) {
        *dim = i64::try_from(length).map_err(|error| Failure::new("INTERNAL", error.to_string()))?;
    }
    Ok(dims)
}

impl Desc {
    fn api(&self) -> &'static Api {
        &self.onednn.api
    }

    /// Of these lengths, with so many elements from one index to the next along each.
    pub fn strided(onednn: &'static OneDnn, number: Number, lengths: &[usize], strides: &[usize]) -> Result<Self> {
        let (lengths_, strides, count) = (dims(lengths)?, dims(strides)?, count(lengths)?);
        let mut raw = ptr::null_mut();
        // SAFETY: arrays of oneDNN's own length, and an out-pointer.
        let status = unsafe {
            (onednn.api.desc_with_strides)(&raw mut raw, count, &raw const lengths_, number.code(), &raw const strides)
        };
        check("describe memory", status).map(|()| Self { onednn, raw })
    }

    /// Float32, row-major.
    pub fn plain(onednn: &'static OneDnn, lengths: &[usize]) -> Result<Self> {
        let mut strides = vec![1; lengths.len()];
        for axis in (1..lengths.len()).rev() {
            strides[axis - 1] = strides[axis] * lengths[axis];
        }
        Self::strided(onednn, Number::Float32, lengths, &strides)
    }

    /// A map of the logical shape [N, C, H, W] that lies channels-last.
    pub fn map(onednn: &'static OneDnn, number: Number, [batch, height, width, channels]: [usize; 4]) -> Result<Self> {
        let row = width * channels;
        Self::strided(onednn, number, &[batch, channels, height, width], &[height * row, 1, row, channels])
    }

    /// Of these lengths, in the layout that a primitive chooses.
    pub fn any(onednn: &'static OneDnn, number: Number, lengths: &[usize]) -> Result<Self> {
        let (lengths_, count) = (dims(lengths)?, count(lengths)?);
        let mut raw = ptr::null_mut();
        // SAFETY: an array of oneDNN's own length, and an out-pointer.
        let status =
            unsafe { (onednn.api.desc_with_tag)(&raw mut raw, count, &raw const lengths_, number.code(), api::ANY) };
        check("describe memory", status).map(|()| Self { onednn, raw })
    }

    pub fn equals(&self, other: &Self) -> bool {
        // SAFETY: two valid descriptions.
        unsafe { (self.api().desc_equal)(self.raw, other.raw) != 0 }
    }

    /// Float32 numbers that take as much memory.
    pub fn length(&self) -> usize {
        // SAFETY: a valid description.
        unsafe { (self.api().desc_size)(self.raw) }.div_ceil(4)
    }
}

fn count(lengths: &[usize]) -> Result<c_int> {
    c_int::try_from(lengths.len()).map_err(|error| Failure::new("INTERNAL", error.to_string()))
}
