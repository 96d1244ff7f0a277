//! Tensors on both sides: bytes with a type and dimensions towards JavaScript, `OrtValue` towards ONNX Runtime.

use std::ffi::c_void;
use std::fmt::Write as _;
use std::ptr;

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use ort_sys::{ONNXTensorElementDataType, OrtMemoryInfo, OrtTensorTypeAndShapeInfo, OrtValue};

use crate::error::{Failure, Result};
use crate::from_js::{Bytes, List};
use crate::runtime::Runtime;

/// The element types that cross the border. The numbers are those of `TensorProto.DataType` (ONNX).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    Float32 = 1,
    Uint8 = 2,
    Int64 = 7,
    Bool = 9,
}

impl ElementType {
    const ALL: [(Self, &str); 4] =
        [(Self::Uint8, "uint8"), (Self::Float32, "float32"), (Self::Int64, "int64"), (Self::Bool, "bool")];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(element, _)| *element == self).map_or("", |(_, name)| name)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(element, _)| *element)
    }

    pub fn from_onnx(number: i64) -> Option<Self> {
        Self::ALL.iter().find(|(element, _)| *element as i64 == number).map(|(element, _)| *element)
    }

    pub fn names() -> String {
        Self::ALL.map(|(_, name)| format!("'{name}'")).join(", ")
    }

    fn size(self) -> usize {
        match self {
            Self::Uint8 | Self::Bool => 1,
            Self::Float32 => 4,
            Self::Int64 => 8,
        }
    }

    fn to_ort(self) -> ONNXTensorElementDataType {
        match self {
            Self::Float32 => ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
            Self::Uint8 => ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
            Self::Int64 => ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
            Self::Bool => ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        }
    }
}

/// A tensor as JavaScript passes it in: `data` is its bytes.
#[napi(object, object_to_js = false)]
pub struct TensorIn {
    pub r#type: String,
    pub dims: List<f64>,
    pub data: Bytes,
}

/// A tensor as JavaScript gets it.
#[napi(object, object_from_js = false)]
pub struct TensorOut {
    pub r#type: &'static str,
    pub dims: Vec<f64>,
    pub data: Uint8Array,
}

/// Type and dimensions, without data.
#[napi(object, object_from_js = false)]
pub struct TensorInfo {
    pub r#type: String,
    pub dims: Vec<f64>,
}

/// A tensor in memory of our own.
pub struct OwnedTensor {
    pub element: ElementType,
    pub dims: Vec<i64>,
    data: Bytes,
}

impl OwnedTensor {
    pub fn zeros(element: ElementType, dims: Vec<i64>) -> Result<Self> {
        let bytes = byte_length(element, &dims)?;
        Ok(Self { element, dims, data: Bytes::zeros(bytes) })
    }

    /// Checks a tensor of JavaScript. `what` names it.
    pub fn from_js(what: &str, tensor: TensorIn) -> Result<Self> {
        let invalid = |message: String| Failure::new("INVALID_TENSOR", format!("{what}: {message}"));
        let element = ElementType::from_name(&tensor.r#type).ok_or_else(|| {
            invalid(format!("type must be one of {}, but is '{}'", ElementType::names(), tensor.r#type))
        })?;
        let dims = tensor
            .dims
            .0
            .iter()
            .map(|&dim| to_dimension(dim).ok_or_else(|| invalid(format!("dimension {dim} is not a count"))))
            .collect::<Result<Vec<i64>>>()?;
        let expected = byte_length(element, &dims).map_err(|failure| invalid(failure.into_message()))?;
        let given = tensor.data.as_slice().len();
        if given != expected {
            return Err(invalid(format!(
                "dimensions {} of {} take {} elements, but the data has {}",
                shape(&dims),
                element.name(),
                expected / element.size(),
                given / element.size()
            )));
        }
        let mut owned = Self { element, dims, data: tensor.data };
        if element == ElementType::Bool {
            // A C++ bool that is neither 0 nor 1 is undefined behaviour.
            owned.as_bytes_mut().iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
        }
        Ok(owned)
    }

    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        self.data.as_mut_slice()
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.data.as_slice()
    }

    /// An `OrtValue` over this memory.
    pub fn as_value(&mut self, runtime: &'static Runtime) -> Result<Value<'_>> {
        // SAFETY: the memory outlives the value, by its lifetime.
        unsafe { self.as_lasting_value(runtime) }
    }

    /// An `OrtValue` over this memory, for whoever keeps both together.
    ///
    /// # Safety
    /// The value must be dropped before the tensor.
    pub unsafe fn as_lasting_value(&mut self, runtime: &'static Runtime) -> Result<Value<'static>> {
        let data = self.data.as_mut_slice();
        // SAFETY: the memory is that long and lies on the CPU; the caller promises the rest.
        unsafe { Value::over(runtime, runtime.cpu, data.as_mut_ptr().cast(), data.len(), self.element, &self.dims) }
    }

    pub fn into_js(self) -> TensorOut {
        TensorOut {
            r#type: self.element.name(),
            dims: to_js_dims(&self.dims),
            data: Uint8Array::with_data_copied(self.as_bytes()),
        }
    }
}

/// An `OrtValue` of ours, released when dropped; `'a` is the memory it lies over, if that is not its own.
pub struct Value<'a> {
    runtime: &'static Runtime,
    pub raw: *mut OrtValue,
    memory: std::marker::PhantomData<&'a mut [u8]>,
}

impl Drop for Value<'_> {
    fn drop(&mut self) {
        // SAFETY: owned by this value and released once; null is allowed.
        unsafe { (self.runtime.ort.ReleaseValue)(self.raw) };
    }
}

impl Value<'_> {
    pub fn new(runtime: &'static Runtime, raw: *mut OrtValue) -> Self {
        Self { runtime, raw, memory: std::marker::PhantomData }
    }

    /// A value over memory of another's.
    ///
    /// # Safety
    /// `data` must have the `bytes` bytes that the type and the dimensions take, where `info` says, for as long as the
    /// value lives.
    pub unsafe fn over(
        runtime: &'static Runtime,
        info: *const OrtMemoryInfo,
        data: *mut c_void,
        bytes: usize,
        element: ElementType,
        dims: &[i64],
    ) -> Result<Self> {
        let (mut raw, element) = (ptr::null_mut(), element.to_ort());
        // SAFETY: as promised by the caller; the dimensions are copied.
        let status = unsafe {
            let create = runtime.ort.CreateTensorWithDataAsOrtValue;
            create(info, data, bytes, dims.as_ptr(), dims.len(), element, &raw mut raw)
        };
        runtime.check("make a tensor", status)?;
        Ok(Self::new(runtime, raw))
    }

    /// Copies a CPU tensor out of ONNX Runtime's memory. `what` names it.
    pub fn read(&self, what: &str) -> Result<OwnedTensor> {
        let (runtime, ort) = (self.runtime, self.runtime.ort);
        let mut info = ptr::null_mut();
        // SAFETY: the value is valid; `info` is released by `read_info`.
        let (number, dims) = unsafe {
            runtime.check("describe a tensor", (ort.GetTensorTypeAndShape)(self.raw, &raw mut info))?;
            read_info(runtime, info)?
        };
        let element = ElementType::from_onnx(number).ok_or_else(|| unsupported(what, number))?;
        let mut owned = OwnedTensor::zeros(element, dims)?;
        let mut data = ptr::null_mut();
        // SAFETY: a tensor of this type and shape has as many bytes at `data`, which may be null if there are none.
        unsafe {
            runtime.check("read a tensor", (ort.GetTensorMutableData)(self.raw, &raw mut data))?;
            let target = owned.as_bytes_mut();
            if !target.is_empty() {
                ptr::copy_nonoverlapping(data.cast(), target.as_mut_ptr(), target.len());
            }
        }
        Ok(owned)
    }
}

/// Reads and releases a description: the ONNX number of the element type, and the dimensions.
///
/// # Safety
/// `info` must be a valid description that the caller owns; it is gone afterwards.
pub unsafe fn read_info(runtime: &Runtime, info: *mut OrtTensorTypeAndShapeInfo) -> Result<(i64, Vec<i64>)> {
    let ort = runtime.ort;
    let mut element = ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    let mut rank = 0;
    // SAFETY: as promised by the caller; `dims` has room for `rank` numbers.
    unsafe {
        let mut read = || {
            runtime.check("read a type", (ort.GetTensorElementType)(info, &raw mut element))?;
            runtime.check("read a rank", (ort.GetDimensionsCount)(info, &raw mut rank))?;
            let mut dims = vec![0; rank];
            runtime.check("read a shape", (ort.GetDimensions)(info, dims.as_mut_ptr(), rank))?;
            Ok((element as i64, dims))
        };
        let result = read();
        (ort.ReleaseTensorTypeAndShapeInfo)(info);
        result
    }
}

pub fn unsupported(what: &str, number: i64) -> Failure {
    let names = ElementType::names();
    let message = format!("{what} has the ONNX element type {number}; supported are {names}");
    Failure::new("UNSUPPORTED_TYPE", message)
}

/// `[4,224,224,3]`
pub fn shape(dims: &[i64]) -> String {
    let mut text = String::from("[");
    for (index, dim) in dims.iter().enumerate() {
        let _ = write!(text, "{}{dim}", if index == 0 { "" } else { "," });
    }
    text + "]"
}

#[allow(clippy::cast_precision_loss)] // JavaScript's numbers are exact up to 2^53, far above what fits in memory.
pub fn to_js_dims(dims: &[i64]) -> Vec<f64> {
    dims.iter().map(|&dim| dim as f64).collect()
}

#[allow(clippy::cast_possible_truncation)] // Whole and within 0..2^53, so exact.
fn to_dimension(dim: f64) -> Option<i64> {
    (dim >= 0.0 && dim.fract() == 0.0 && dim <= 9_007_199_254_740_991.0).then_some(dim as i64)
}

fn byte_length(element: ElementType, dims: &[i64]) -> Result<usize> {
    dims.iter()
        .try_fold(element.size(), |bytes, &dim| bytes.checked_mul(usize::try_from(dim).ok()?))
        .filter(|&bytes| isize::try_from(bytes).is_ok())
        .ok_or_else(|| Failure::new("INVALID_TENSOR", format!("dimensions {} are too large", shape(dims))))
}
