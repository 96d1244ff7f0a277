//! `OrtCheckpointState`: parameters, optimizer state and properties. It owns the lane that its session shares.

use std::ffi::c_char;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use ort_sys::{OrtCheckpointState, OrtPropertyType, OrtTrainingApi};

use crate::error::{Failure, Result};
use crate::runtime::{Runtime, c_string, text, trim_memory};
use crate::tensor::{ElementType, OwnedTensor, Value, read_info, shape, unsupported};

/// The native state. A session holds it too, so it outlives every session made from it.
pub struct State {
    pub runtime: &'static Runtime,
    pub training: &'static OrtTrainingApi,
    pub raw: *mut OrtCheckpointState,
    /// ONNX Runtime copies parameters by means of the one session that belongs to a state.
    pub has_session: AtomicBool,
}

// SAFETY: `raw` is used on the state's lane alone, and released there.
unsafe impl Send for State {}
// SAFETY: as above.
unsafe impl Sync for State {}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: owned, released once, after the session (which holds an `Arc` of this state).
        unsafe { (self.training.ReleaseCheckpointState)(self.raw) };
        trim_memory();
    }
}

pub enum Property {
    Int(i64),
    Float(f32),
    Text(String),
}

impl State {
    fn load(load: impl FnOnce(&OrtTrainingApi, *mut *mut OrtCheckpointState) -> ort_sys::OrtStatusPtr) -> Result<Self> {
        let runtime = Runtime::get()?;
        let training = runtime.training()?;
        let mut raw = ptr::null_mut();
        runtime.check("load the checkpoint", load(training, &raw mut raw))?;
        Ok(Self { runtime, training, raw, has_session: AtomicBool::new(false) })
    }

    pub fn from_path(path: &str) -> Result<Self> {
        if !Path::new(path).is_file() {
            return Err(Failure::new("FILE_NOT_FOUND", format!("there is no checkpoint file {path}")));
        }
        let c_path = c_string("path", path)?;
        // SAFETY: a NUL-terminated path and an out-pointer.
        Self::load(|training, out| unsafe { (training.LoadCheckpoint)(c_path.as_ptr(), out) })
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        // SAFETY: the buffer is read during the call only.
        Self::load(|training, out| unsafe {
            (training.LoadCheckpointFromBuffer)(bytes.as_ptr().cast(), bytes.len(), out)
        })
    }

    pub fn save(&self, path: &str, include_optimizer_state: bool) -> Result<()> {
        let c_path = c_string("path", path)?;
        // SAFETY: a valid state and path.
        let status = unsafe { (self.training.SaveCheckpoint)(self.raw, c_path.as_ptr(), include_optimizer_state) };
        self.runtime.check(&format!("save the checkpoint to {path}"), status)
    }

    fn needs_session(&self, doing: &str) -> Result<()> {
        if self.has_session.load(Ordering::Relaxed) {
            return Ok(());
        }
        let message = format!("to {doing}, a TrainingSession made from this CheckpointState must be open");
        Err(Failure::new("NO_SESSION", message))
    }

    pub fn parameter_info(&self, name: &str) -> Result<(ElementType, Vec<i64>)> {
        let c_name = c_string("parameter name", name)?;
        let mut info = ptr::null_mut();
        // SAFETY: valid state and name; `read_info` releases what it is given.
        unsafe {
            let status = (self.training.GetParameterTypeAndShape)(self.raw, c_name.as_ptr(), &raw mut info);
            self.runtime.check(&format!("find the parameter '{name}'"), status)?;
            let (number, dims) = read_info(self.runtime, info)?;
            let element = ElementType::from_onnx(number);
            Ok((element.ok_or_else(|| unsupported(&format!("parameter '{name}'"), number))?, dims))
        }
    }

    pub fn get_parameter(&self, name: &str) -> Result<OwnedTensor> {
        self.needs_session("read a parameter")?;
        let c_name = c_string("parameter name", name)?;
        let mut raw = ptr::null_mut();
        // SAFETY: valid state and name; the value is ours and lies in CPU memory, by the allocator.
        let status =
            unsafe { (self.training.GetParameter)(self.raw, c_name.as_ptr(), self.runtime.allocator, &raw mut raw) };
        self.runtime.check(&format!("read the parameter '{name}'"), status)?;
        Value::new(self.runtime, raw).read(&format!("parameter '{name}'"))
    }

    pub fn update_parameter(&self, name: &str, mut tensor: OwnedTensor) -> Result<()> {
        self.needs_session("update a parameter")?;
        let (element, dims) = self.parameter_info(name)?;
        if tensor.element != element || tensor.dims != dims {
            return Err(Failure::new(
                "INVALID_TENSOR",
                format!(
                    "parameter '{name}' is {} {}, but the new value is {} {}",
                    element.name(),
                    shape(&dims),
                    tensor.element.name(),
                    shape(&tensor.dims)
                ),
            ));
        }
        let c_name = c_string("parameter name", name)?;
        let value = tensor.as_value(self.runtime)?;
        // SAFETY: valid state, name and value; the value is copied.
        let status = unsafe { (self.training.UpdateParameter)(self.raw, c_name.as_ptr(), value.raw) };
        self.runtime.check(&format!("update the parameter '{name}'"), status)
    }

    pub fn add_property(&self, name: &str, value: &Property) -> Result<()> {
        let c_name = c_string("property name", name)?;
        let c_text = c_string("property value", if let Property::Text(text) = value { text } else { "" })?;
        let (kind, pointer): (_, *const ()) = match value {
            Property::Int(value) => (OrtPropertyType::OrtIntProperty, ptr::from_ref(value).cast()),
            Property::Float(value) => (OrtPropertyType::OrtFloatProperty, ptr::from_ref(value).cast()),
            Property::Text(_) => (OrtPropertyType::OrtStringProperty, c_text.as_ptr().cast()),
        };
        // SAFETY: the pointer's target is of the kind that is named, and is copied.
        let status = unsafe { (self.training.AddProperty)(self.raw, c_name.as_ptr(), kind, pointer) };
        self.runtime.check(&format!("add the property '{name}'"), status)
    }

    pub fn get_property(&self, name: &str) -> Result<Property> {
        let c_name = c_string("property name", name)?;
        let mut kind = OrtPropertyType::OrtIntProperty;
        let mut pointer: *const () = ptr::null();
        // SAFETY: on success `pointer` leads to a value of `kind`, allocated for us. Read unaligned, as nothing is
        // promised about its alignment.
        unsafe {
            let status = (self.training.GetProperty)(
                self.raw,
                c_name.as_ptr(),
                self.runtime.allocator,
                &raw mut kind,
                &raw mut pointer,
            );
            self.runtime.check(&format!("read the property '{name}'"), status)?;
            let property = match kind {
                OrtPropertyType::OrtIntProperty => Property::Int(pointer.cast::<i64>().read_unaligned()),
                OrtPropertyType::OrtFloatProperty => Property::Float(pointer.cast::<f32>().read_unaligned()),
                OrtPropertyType::OrtStringProperty => Property::Text(text(pointer.cast::<c_char>())),
            };
            self.runtime.free(pointer);
            Ok(property)
        }
    }
}
