//! `OrtTrainingSession`: the steps.

use std::collections::HashMap;
use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ort_sys::{OrtAllocator, OrtStatusPtr, OrtTrainingApi, OrtTrainingSession, OrtValue};

use crate::checkpoint::State;
use crate::error::{Failure, Result};
use crate::model_inputs::DeclaredInput;
use crate::models::Models;
use crate::options::{NativeSessionOptions, SessionOptions};
use crate::runtime::{Runtime, c_string, text};
use crate::tensor::{ElementType, OwnedTensor, Value};

/// What one of the two graphs takes and gives, without parameters and gradients.
pub struct Signature {
    pub inputs: Vec<DeclaredInput>,
    pub outputs: Vec<String>,
}

type Count = unsafe extern "system" fn(*const OrtTrainingSession, *mut usize) -> OrtStatusPtr;
type Name =
    unsafe extern "system" fn(*const OrtTrainingSession, usize, *mut OrtAllocator, *mut *const c_char) -> OrtStatusPtr;
type Step = unsafe extern "system" fn(
    *mut OrtTrainingSession,
    *const ort_sys::OrtRunOptions,
    usize,
    *const *const OrtValue,
    usize,
    *mut *mut OrtValue,
) -> OrtStatusPtr;

pub struct Session {
    runtime: &'static Runtime,
    training: &'static OrtTrainingApi,
    raw: *mut OrtTrainingSession,
    has_optimizer: bool,
    from_paths: bool,
    pub train: Signature,
    pub eval: Option<Signature>,
    /// Last: the session goes before the state it works on.
    state: Arc<State>,
}

// SAFETY: `raw` is used on the state's lane alone, and released there.
unsafe impl Send for Session {}
// SAFETY: as above; the other fields are immutable.
unsafe impl Sync for Session {}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: owned and released once; the state is still there.
        unsafe { (self.training.ReleaseTrainingSession)(self.raw) };
        self.state.has_session.store(false, Ordering::Relaxed);
    }
}

impl Session {
    pub fn create(state: Arc<State>, models: &Models, options: &NativeSessionOptions) -> Result<Self> {
        let (runtime, training) = (state.runtime, state.training);
        if state.has_session.load(Ordering::Relaxed) {
            return Err(Failure::new(
                "STATE_IN_USE",
                "this CheckpointState has an open TrainingSession already; dispose that one first",
            ));
        }
        let (train_inputs, eval_inputs) = models.inputs()?;
        // Every training model has this flag. Without the check the first step would fail, in terms of the library's own.
        if train_inputs.iter().all(|input| input.name != "lazy_reset_grad") {
            return Err(Failure::new(
                "INVALID_MODEL",
                "trainModel is no training model: it has no input 'lazy_reset_grad'; was another model given in its place?",
            ));
        }
        let options = SessionOptions::from_js(runtime, options)?;
        let raw = models.open(&state, &options)?;
        state.has_session.store(true, Ordering::Relaxed);
        let mut session = Self {
            runtime,
            training,
            raw,
            has_optimizer: models.has_optimizer(),
            from_paths: matches!(models, Models::Paths(_)),
            train: Signature { inputs: Vec::new(), outputs: Vec::new() },
            eval: None,
            state,
        };
        session.train = Signature {
            inputs: select(
                train_inputs,
                &session.names(
                    training.TrainingSessionGetTrainingModelInputCount,
                    training.TrainingSessionGetTrainingModelInputName,
                )?,
            ),
            outputs: session.names(
                training.TrainingSessionGetTrainingModelOutputCount,
                training.TrainingSessionGetTrainingModelOutputName,
            )?,
        };
        if let Some(inputs) = eval_inputs {
            session.eval = Some(Signature {
                inputs: select(
                    inputs,
                    &session.names(
                        training.TrainingSessionGetEvalModelInputCount,
                        training.TrainingSessionGetEvalModelInputName,
                    )?,
                ),
                outputs: session.names(
                    training.TrainingSessionGetEvalModelOutputCount,
                    training.TrainingSessionGetEvalModelOutputName,
                )?,
            });
        }
        Ok(session)
    }

    fn names(&self, count: Count, name: Name) -> Result<Vec<String>> {
        let mut total = 0;
        // SAFETY: a valid session and an out-pointer.
        self.runtime.check("count inputs and outputs", unsafe { count(self.raw, &raw mut total) })?;
        (0..total)
            .map(|index| {
                let mut pointer = ptr::null();
                // SAFETY: on success `pointer` is a string allocated for us, read before it is freed.
                unsafe {
                    let status = name(self.raw, index, self.runtime.allocator, &raw mut pointer);
                    self.runtime.check("name inputs and outputs", status)?;
                    let owned = text(pointer);
                    self.runtime.free(pointer);
                    Ok(owned)
                }
            })
            .collect()
    }

    fn step(&self, doing: &str, step: Step, mut feeds: Vec<OwnedTensor>, names: &[String]) -> Result<Vec<OwnedTensor>> {
        let values = feeds.iter_mut().map(|feed| feed.as_value(self.runtime)).collect::<Result<Vec<_>>>()?;
        let inputs: Vec<*const OrtValue> = values.iter().map(|value| value.raw.cast_const()).collect();
        let mut outputs = vec![ptr::null_mut(); names.len()];
        // SAFETY: arrays of the lengths given; null outputs are allocated by ONNX Runtime, in CPU memory.
        let status =
            unsafe { step(self.raw, ptr::null(), inputs.len(), inputs.as_ptr(), outputs.len(), outputs.as_mut_ptr()) };
        let outputs: Vec<Value> = outputs.into_iter().map(|raw| Value::new(self.runtime, raw)).collect();
        self.runtime.check(doing, status)?;
        outputs.iter().zip(names).map(|(output, name)| output.read(&format!("output '{name}'"))).collect()
    }

    pub fn train_step(&self, feeds: Vec<OwnedTensor>) -> Result<Vec<OwnedTensor>> {
        self.step("run the train step", self.training.TrainStep, feeds, &self.train.outputs)
    }

    pub fn eval_step(&self, feeds: Vec<OwnedTensor>) -> Result<Vec<OwnedTensor>> {
        self.step("run the eval step", self.training.EvalStep, feeds, &self.eval_signature()?.outputs)
    }

    pub fn optimizer_step(&self) -> Result<()> {
        self.needs_optimizer()?;
        // SAFETY: a valid session; null run options are the defaults.
        let status = unsafe { (self.training.OptimizerStep)(self.raw, ptr::null()) };
        self.runtime.check("run the optimizer step", status)
    }

    pub fn lazy_reset_grad(&self) -> Result<()> {
        // SAFETY: a valid session.
        let status = unsafe { (self.training.LazyResetGrad)(self.raw) };
        self.runtime.check("reset the gradients", status)
    }

    pub fn set_learning_rate(&self, rate: f32) -> Result<()> {
        self.needs_optimizer()?;
        // SAFETY: a valid session.
        let status = unsafe { (self.training.SetLearningRate)(self.raw, rate) };
        self.runtime.check("set the learning rate", status)
    }

    fn needs_optimizer(&self) -> Result<()> {
        if self.has_optimizer {
            return Ok(());
        }
        Err(Failure::new(
            "NO_OPTIMIZER_MODEL",
            "this TrainingSession was created without optimizerModel, which optimizer steps and the learning rate need",
        ))
    }

    pub fn eval_signature(&self) -> Result<&Signature> {
        self.eval.as_ref().ok_or_else(|| {
            Failure::new(
                "NO_EVAL_MODEL",
                "this TrainingSession was created without evalModel, which evaluation and export need",
            )
        })
    }

    pub fn learning_rate(&self) -> Result<f32> {
        self.needs_optimizer()?;
        let mut rate = 0.0;
        // SAFETY: a valid session and an out-pointer.
        let status = unsafe { (self.training.GetLearningRate)(self.raw, &raw mut rate) };
        self.runtime.check("read the learning rate", status).map(|()| rate)
    }

    pub fn parameters_size(&self, trainable_only: bool) -> Result<i64> {
        let mut size = 0_usize;
        // SAFETY: a valid session and an out-pointer.
        let status = unsafe { (self.training.GetParametersSize)(self.raw, &raw mut size, trainable_only) };
        self.runtime.check("count the parameters", status)?;
        i64::try_from(size).map_err(|error| Failure::new("INTERNAL", error.to_string()))
    }

    pub fn copy_parameters_to_buffer(&self, trainable_only: bool) -> Result<OwnedTensor> {
        let mut buffer = OwnedTensor::zeros(ElementType::Float32, vec![self.parameters_size(trainable_only)?])?;
        let value = buffer.as_value(self.runtime)?;
        // SAFETY: the buffer has exactly the size that the session asked for.
        let status = unsafe { (self.training.CopyParametersToBuffer)(self.raw, value.raw, trainable_only) };
        self.runtime.check("copy the parameters", status)?;
        drop(value);
        Ok(buffer)
    }

    pub fn copy_buffer_to_parameters(&self, mut buffer: OwnedTensor, trainable_only: bool) -> Result<()> {
        let expected = self.parameters_size(trainable_only)?;
        if buffer.dims != [expected] {
            let message = format!(
                "the parameters take {expected} numbers, but the buffer has {}",
                buffer.dims.iter().product::<i64>()
            );
            return Err(Failure::new("INVALID_TENSOR", message));
        }
        let value = buffer.as_value(self.runtime)?;
        // SAFETY: the buffer has exactly the size that the session asks for, and is copied.
        let status = unsafe { (self.training.CopyBufferToParameters)(self.raw, value.raw, trainable_only) };
        self.runtime.check("set the parameters", status)
    }

    pub fn export(&self, path: &str, outputs: &[String]) -> Result<()> {
        self.eval_signature()?;
        if !self.from_paths {
            return Err(Failure::new(
                "EXPORT_NEEDS_PATHS",
                "ONNX Runtime exports from the file of evalModel, so the session's models must be given as paths, \
                 not as bytes",
            ));
        }
        let c_path = c_string("path", path)?;
        let names = outputs.iter().map(|name| c_string("output name", name)).collect::<Result<Vec<CString>>>()?;
        let pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: valid session, path and `pointers.len()` names.
        let status = unsafe {
            (self.training.ExportModelForInferencing)(self.raw, c_path.as_ptr(), pointers.len(), pointers.as_ptr())
        };
        self.runtime.check(&format!("export the model to {path}"), status)
    }
}

/// The declared inputs of these names, in this order.
fn select(declared: Vec<DeclaredInput>, names: &[String]) -> Vec<DeclaredInput> {
    let mut by_name: HashMap<String, DeclaredInput> =
        declared.into_iter().map(|input| (input.name.clone(), input)).collect();
    names.iter().filter_map(|name| by_name.remove(name)).collect()
}
