//! What JavaScript passes in, copied while it is read. To read a property may run a getter, which can detach or shrink the
//! memory of what was read before: no view outlives its own reading.

use napi::bindgen_prelude::{Array, FromNapiValue, TypeName, Uint8ArraySlice, ValidateNapiValue};
use napi::{Error, Status, ValueType, sys};

/// Bytes in memory of our own, of any alignment that kernels may want.
pub struct Bytes {
    length: usize,
    words: Vec<u64>,
}

impl Bytes {
    pub fn zeros(length: usize) -> Self {
        Self { length, words: vec![0; length.div_ceil(8)] }
    }

    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `words` holds at least `length` bytes, and any byte pattern is a valid u64.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.length) }
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.length) }
    }
}

impl FromNapiValue for Bytes {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: as promised by the caller; nothing of JavaScript runs while there is the view.
        let view = unsafe { Uint8ArraySlice::from_napi_value(env, value) }
            .map_err(|_| Error::new(Status::InvalidArg, "expected a Uint8Array"))?;
        let mut bytes = Self::zeros(view.len());
        bytes.as_mut_slice().copy_from_slice(&view);
        Ok(bytes)
    }
}

impl TypeName for Bytes {
    fn type_name() -> &'static str {
        "Uint8Array"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ValidateNapiValue for Bytes {
    unsafe fn validate(env: sys::napi_env, value: sys::napi_value) -> napi::Result<sys::napi_value> {
        // SAFETY: as promised by the caller.
        unsafe { Uint8ArraySlice::validate(env, value) }
    }
}

/// An array, of which the `length` may be far above what it holds: nothing is allocated for what is not there.
pub struct List<T>(pub Vec<T>);

impl<T: FromNapiValue> FromNapiValue for List<T> {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: as promised by the caller.
        let array = unsafe { Array::from_napi_value(env, value) }?;
        let at = |index| {
            let missing = || Error::new(Status::InvalidArg, format!("element {index} of the array is undefined"));
            array.get(index)?.ok_or_else(missing)
        };
        (0..array.len()).map(at).collect::<napi::Result<_>>().map(Self)
    }
}

impl<T> TypeName for List<T> {
    fn type_name() -> &'static str {
        "Array"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl<T: FromNapiValue> ValidateNapiValue for List<T> {
    unsafe fn validate(env: sys::napi_env, value: sys::napi_value) -> napi::Result<sys::napi_value> {
        // SAFETY: as promised by the caller.
        unsafe { Vec::<T>::validate(env, value) }
    }
}
