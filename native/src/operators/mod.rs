//! Operators of ortune's own, of the domain `ortune`, for sessions on the CPU: updates that do in one pass over memory what
//! takes the stock kernels many, and layers on oneDNN, whose maps lie channels-last, [N, H, W, C]. How a graph calls them,
//! onnx/native-update.ts and onnx/channels-last.ts know.

mod adam;
mod context;
// The transforms are written for its vectors, and setup has oneDNN for no other processor.
#[cfg(target_arch = "x86_64")]
mod layers;
mod sgd;
mod update;

use std::ffi::{CStr, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use ort_sys::{
    ONNXTensorElementDataType, ORT_API_VERSION, OrtApi, OrtCustomOp, OrtCustomOpDomain,
    OrtCustomOpInputOutputCharacteristic, OrtErrorCode, OrtKernelContext, OrtKernelInfo, OrtMemType, OrtStatusPtr,
};

use crate::error::{Failure, Result};
#[cfg(target_arch = "x86_64")]
use crate::onednn::OneDnn;
use crate::runtime::{Runtime, c_string};
use context::{Attributes, Context};

const DOMAIN: &CStr = c"ortune";

/// An input or output.
#[derive(Clone, Copy)]
struct Slot {
    element: ONNXTensorElementDataType,
    optional: bool,
}

const fn slot(element: ONNXTensorElementDataType) -> Slot {
    Slot { element, optional: false }
}

const FLOAT: Slot = slot(ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
#[cfg(target_arch = "x86_64")]
const BFLOAT16: Slot = slot(ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16);
const BOOL: Slot = slot(ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL);
const UINT8: Slot = slot(ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8);

impl Slot {
    /// May be left out.
    const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    const fn characteristic(self) -> Characteristic {
        if self.optional { Characteristic::INPUT_OUTPUT_OPTIONAL } else { Characteristic::INPUT_OUTPUT_REQUIRED }
    }
}

trait Operator: Sized + Sync {
    const NAME: &'static CStr;
    const INPUTS: &'static [Slot];
    /// By default bool [1]: true, once the operator is done.
    const OUTPUTS: &'static [Slot] = &[BOOL];
    /// An input whose memory an output may take over, where nobody else reads it any more.
    const IN_PLACE: Option<&'static InPlace> = None;

    fn create(attributes: &Attributes) -> Result<Self>;
    fn compute(&self, context: &Context) -> Result<()>;
}

struct InPlace {
    input: c_int,
    output: c_int,
}

/// Updates, which any library with custom operators can run. Sessions refer to these for as long as they live.
static UPDATES: [OrtCustomOp; 2] = [table::<adam::AdamUpdate>(), table::<sgd::SgdUpdate>()];

fn operators() -> impl Iterator<Item = &'static OrtCustomOp> {
    UPDATES.iter().chain(layers())
}

/// Those that need oneDNN, where it is loaded.
#[cfg(target_arch = "x86_64")]
fn layers() -> &'static [OrtCustomOp] {
    if OneDnn::loaded().is_some() { &layers::LAYERS } else { &[] }
}

#[cfg(not(target_arch = "x86_64"))]
const fn layers() -> &'static [OrtCustomOp] {
    &[]
}

/// Names of the operators. Those of one name, one after another, differ in the types that they take.
pub fn names() -> Vec<String> {
    // SAFETY: `name` takes any pointer and returns a static string.
    let name = |op: &OrtCustomOp| op.GetName.map(|name| unsafe { CStr::from_ptr(name(op)) });
    let mut names: Vec<String> = operators().filter_map(name).map(|name| name.to_string_lossy().into_owned()).collect();
    names.dedup();
    names
}

/// The operators' domain, which must live as long as the sessions; `None` where the library was built without custom
/// operators.
pub fn domain(ort: &OrtApi) -> Option<*mut OrtCustomOpDomain> {
    let succeeds = |status: OrtStatusPtr| {
        // SAFETY: a status is released once; null is allowed.
        unsafe { (ort.ReleaseStatus)(status.0) };
        status.0.is_null()
    };
    let mut raw = ptr::null_mut();
    // SAFETY: a NUL-terminated name, an out-pointer, and operators that stay where they are.
    unsafe {
        let created = succeeds((ort.CreateCustomOpDomain)(DOMAIN.as_ptr(), &raw mut raw));
        (created && operators().all(|op| succeeds((ort.CustomOpDomain_Add)(raw, op)))).then_some(raw)
    }
}

/// How ONNX Runtime gets to know an operator.
const fn table<O: Operator>() -> OrtCustomOp {
    OrtCustomOp {
        version: ORT_API_VERSION,
        CreateKernel: None,
        GetName: Some(name::<O>),
        GetExecutionProviderType: Some(provider),
        GetInputType: Some(input_type::<O>),
        GetInputTypeCount: Some(input_count::<O>),
        GetOutputType: Some(output_type::<O>),
        GetOutputTypeCount: Some(output_count::<O>),
        KernelCompute: None,
        KernelDestroy: Some(destroy::<O>),
        GetInputCharacteristic: Some(input_characteristic::<O>),
        GetOutputCharacteristic: Some(output_characteristic::<O>),
        GetInputMemoryType: Some(input_memory),
        GetVariadicInputMinArity: None,
        GetVariadicInputHomogeneity: None,
        GetVariadicOutputMinArity: None,
        GetVariadicOutputHomogeneity: None,
        CreateKernelV2: Some(create::<O>),
        KernelComputeV2: Some(compute::<O>),
        InferOutputShapeFn: None,
        GetStartVersion: None,
        GetEndVersion: None,
        GetMayInplace: if O::IN_PLACE.is_some() { Some(may_in_place::<O>) } else { None },
        ReleaseMayInplace: if O::IN_PLACE.is_some() { Some(release_in_place) } else { None },
        GetAliasMap: None,
        ReleaseAliasMap: None,
    }
}

type Characteristic = OrtCustomOpInputOutputCharacteristic;

unsafe extern "system" fn name<O: Operator>(_: *const OrtCustomOp) -> *const std::ffi::c_char {
    O::NAME.as_ptr()
}

/// Null: the CPU.
unsafe extern "system" fn provider(_: *const OrtCustomOp) -> *const std::ffi::c_char {
    ptr::null()
}

unsafe extern "system" fn input_type<O: Operator>(_: *const OrtCustomOp, index: usize) -> ONNXTensorElementDataType {
    O::INPUTS[index].element
}

unsafe extern "system" fn input_count<O: Operator>(_: *const OrtCustomOp) -> usize {
    O::INPUTS.len()
}

unsafe extern "system" fn output_type<O: Operator>(_: *const OrtCustomOp, index: usize) -> ONNXTensorElementDataType {
    O::OUTPUTS[index].element
}

unsafe extern "system" fn output_count<O: Operator>(_: *const OrtCustomOp) -> usize {
    O::OUTPUTS.len()
}

unsafe extern "system" fn input_characteristic<O: Operator>(_: *const OrtCustomOp, index: usize) -> Characteristic {
    O::INPUTS[index].characteristic()
}

unsafe extern "system" fn output_characteristic<O: Operator>(_: *const OrtCustomOp, index: usize) -> Characteristic {
    O::OUTPUTS[index].characteristic()
}

/// One pair: the inputs' and the outputs' indices are lists, which ONNX Runtime only reads.
unsafe extern "system" fn may_in_place<O: Operator>(inputs: *mut *mut c_int, outputs: *mut *mut c_int) -> usize {
    let Some(pair) = O::IN_PLACE else { return 0 };
    // SAFETY: out-pointers; the lists are constants.
    unsafe {
        inputs.write(ptr::from_ref(&pair.input).cast_mut());
        outputs.write(ptr::from_ref(&pair.output).cast_mut());
    }
    1
}

unsafe extern "system" fn release_in_place(_: *mut c_int, _: *mut c_int) {}

unsafe extern "system" fn input_memory(_: *const OrtCustomOp, _: usize) -> OrtMemType {
    OrtMemType::OrtMemTypeDefault
}

/// An operator of a node of a session.
struct Kernel<O> {
    runtime: &'static Runtime,
    operator: O,
}

unsafe extern "system" fn create<O: Operator>(
    _: *const OrtCustomOp,
    ort: *const OrtApi,
    info: *const OrtKernelInfo,
    kernel: *mut *mut c_void,
) -> OrtStatusPtr {
    // SAFETY: the library's own API.
    guarded(unsafe { &*ort }, || {
        let runtime = Runtime::get()?;
        let made = Box::new(Kernel { runtime, operator: O::create(&Attributes { runtime, info })? });
        // SAFETY: an out-pointer; what it takes goes back to `destroy`.
        unsafe { kernel.write(Box::into_raw(made).cast()) };
        Ok(())
    })
}

unsafe extern "system" fn compute<O: Operator>(kernel: *mut c_void, raw: *mut OrtKernelContext) -> OrtStatusPtr {
    // SAFETY: what `create` made, not yet destroyed.
    let Kernel { runtime, operator } = unsafe { &*kernel.cast::<Kernel<O>>() };
    guarded(runtime.ort, || {
        let context = Context::new(runtime, raw)?;
        operator.compute(&context)
    })
}

unsafe extern "system" fn destroy<O: Operator>(kernel: *mut c_void) {
    if !kernel.is_null() {
        // SAFETY: what `create` made, destroyed once.
        drop(unsafe { Box::from_raw(kernel.cast::<Kernel<O>>()) });
    }
}

/// Tells a failure to ONNX Runtime, which adds the node's name. Nothing may unwind into C++.
fn guarded(ort: &OrtApi, work: impl FnOnce() -> Result<()>) -> OrtStatusPtr {
    let message = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return OrtStatusPtr::default(),
        Ok(Err(failure)) => failure.into_message(),
        Err(_) => "the operator failed unexpectedly".into(),
    };
    let message = c_string("message", &message).unwrap_or_default();
    // SAFETY: a NUL-terminated message, which is copied.
    unsafe { (ort.CreateStatus)(OrtErrorCode::ORT_INVALID_ARGUMENT, message.as_ptr()) }
}

fn invalid(message: String) -> Failure {
    Failure::new("INVALID_ARGUMENT", message)
}
