//! `OrtTrainingSession`: the steps.

use std::collections::{HashMap, HashSet};
use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ort_sys::{OrtAllocator, OrtStatusPtr, OrtTrainingApi, OrtTrainingSession, OrtValue};

use crate::binding::{Binding, Gpu};
use crate::checkpoint::State;
use crate::cuda::Cuda;
use crate::error::{Failure, Result};
use crate::model_io::{Declared, DeclaredTensor, Dimension};
use crate::models::Models;
use crate::onednn::OneDnn;
use crate::options::{NativeSessionOptions, SessionOptions};
use crate::runtime::{Runtime, c_string, text, trim_memory};
use crate::tensor::{ElementType, OwnedTensor};

/// What one of the two graphs takes and gives, without parameters and gradients, and what its last step left bound.
#[derive(Default)]
pub struct Signature {
    pub inputs: Vec<DeclaredTensor>,
    pub outputs: Vec<String>,
    /// For each output: whether its shape follows from those of the inputs.
    lasting: Vec<bool>,
    binding: Mutex<Option<Binding>>,
}

impl Signature {
    fn new(mut declared: Declared, inputs: &[String], outputs: Vec<String>) -> Self {
        let inputs = select(&mut declared.inputs, inputs);
        let sizes: HashSet<&Dimension> = inputs.iter().filter_map(|input| input.dims.as_ref()).flatten().collect();
        let follows = |dim: &Dimension| match dim {
            Dimension::Fixed(_) => true,
            Dimension::Named(_) => sizes.contains(dim),
            Dimension::Any => false,
        };
        let lasts = |name: &String| {
            let output = declared.outputs.iter().find(|output| output.name == *name);
            output.and_then(|output| output.dims.as_ref()).is_some_and(|dims| dims.iter().all(follows))
        };
        let lasting = outputs.iter().map(lasts).collect();
        Self { inputs, outputs, lasting, binding: Mutex::default() }
    }

    fn binding(&self) -> MutexGuard<'_, Option<Binding>> {
        self.binding.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    /// Where larger inputs lie, if not on the CPU.
    gpu: Option<Gpu>,
    has_optimizer: bool,
    from_paths: bool,
    pub train: Signature,
    pub eval: Option<Signature>,
    /// Last: the session goes before the state it works on.
    state: Arc<State>,
}

// SAFETY: `raw` and what is bound are used on the state's lane alone, and released there.
unsafe impl Send for Session {}
// SAFETY: as above; the bindings are behind locks, the other fields are immutable.
unsafe impl Sync for Session {}

impl Drop for Session {
    fn drop(&mut self) {
        // Values go before the session whose steps wrote to them.
        for signature in [Some(&self.train), self.eval.as_ref()].into_iter().flatten() {
            signature.binding().take();
        }
        // SAFETY: owned and released once; the state is still there.
        unsafe { (self.training.ReleaseTrainingSession)(self.raw) };
        self.state.has_session.store(false, Ordering::Relaxed);
        trim_memory();
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
        let (train, eval) = models.declared()?;
        // Every training model has this flag. Without the check the first step would fail, in terms of the library's own.
        if train.inputs.iter().all(|input| input.name != "lazy_reset_grad") {
            return Err(Failure::new(
                "INVALID_MODEL",
                "trainModel is no training model: it has no input 'lazy_reset_grad'; was another model given in its place?",
            ));
        }
        let native = SessionOptions::from_js(runtime, options)?;
        if let Some(onednn) = OneDnn::loaded() {
            // Sessions are made and run on their state's lane, whose threads these are.
            onednn.set_threads(options.threads());
        }
        let raw = models.open(&state, &native)?;
        state.has_session.store(true, Ordering::Relaxed);
        let mut session = Self {
            runtime,
            training,
            raw,
            gpu: None,
            has_optimizer: models.has_optimizer(),
            from_paths: matches!(models, Models::Paths(_)),
            train: Signature::default(),
            eval: None,
            state,
        };
        // By now the CUDA provider has loaded the CUDA runtime. Without it, inputs are fed from the CPU.
        if let (Some(device), Some(cuda)) = (options.gpu(), Cuda::loaded()) {
            session.gpu = Some(Gpu::new(runtime, cuda, device)?);
        }
        let inputs = session.names(
            training.TrainingSessionGetTrainingModelInputCount,
            training.TrainingSessionGetTrainingModelInputName,
        )?;
        let outputs = session.names(
            training.TrainingSessionGetTrainingModelOutputCount,
            training.TrainingSessionGetTrainingModelOutputName,
        )?;
        session.train = Signature::new(train, &inputs, outputs);
        if let Some(eval) = eval {
            let inputs = session
                .names(training.TrainingSessionGetEvalModelInputCount, training.TrainingSessionGetEvalModelInputName)?;
            let outputs = session.names(
                training.TrainingSessionGetEvalModelOutputCount,
                training.TrainingSessionGetEvalModelOutputName,
            )?;
            session.eval = Some(Signature::new(eval, &inputs, outputs));
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

    fn step(
        &self,
        doing: &str,
        step: Step,
        signature: &Signature,
        feeds: Vec<OwnedTensor>,
    ) -> Result<Vec<OwnedTensor>> {
        let mut slot = signature.binding();
        // Taken out, so that a step that fails leaves nothing behind; what does not fit goes before the new is made.
        let mut binding = if let Some(mut binding) = slot.take_if(|binding| binding.fits(&feeds)) {
            binding.feed(&feeds)?;
            binding
        } else {
            slot.take();
            Binding::new(self.runtime, self.gpu.as_ref(), feeds, signature.outputs.len())?
        };
        let (inputs, mut outputs) = (binding.inputs(), binding.outputs());
        // SAFETY: arrays of the lengths given; outputs that are null are allocated by ONNX Runtime, in CPU memory, the
        // others are written to.
        let status =
            unsafe { step(self.raw, ptr::null(), inputs.len(), inputs.as_ptr(), outputs.len(), outputs.as_mut_ptr()) };
        binding.keep_outputs(self.runtime, outputs);
        self.runtime.check(doing, status)?;
        let tensors = binding.read_outputs(&signature.outputs, &signature.lasting)?;
        *slot = Some(binding);
        Ok(tensors)
    }

    pub fn train_step(&self, feeds: Vec<OwnedTensor>) -> Result<Vec<OwnedTensor>> {
        self.step("run the train step", self.training.TrainStep, &self.train, feeds)
    }

    pub fn eval_step(&self, feeds: Vec<OwnedTensor>) -> Result<Vec<OwnedTensor>> {
        self.step("run the eval step", self.training.EvalStep, self.eval_signature()?, feeds)
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

/// Takes out the declared tensors of these names, in this order.
fn select(declared: &mut Vec<DeclaredTensor>, names: &[String]) -> Vec<DeclaredTensor> {
    let mut by_name: HashMap<String, DeclaredTensor> =
        declared.drain(..).map(|tensor| (tensor.name.clone(), tensor)).collect();
    names.iter().filter_map(|name| by_name.remove(name)).collect()
}
