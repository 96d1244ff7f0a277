//! Operators of ortune's own, of the domain `ortune`, for sessions on the CPU: in one pass over memory what takes the
//! stock kernels many. How a graph calls them, onnx/native-update.ts knows.

mod adam;
mod context;
mod sgd;
mod update;

use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use ort_sys::{
    ONNXTensorElementDataType, ORT_API_VERSION, OrtApi, OrtCustomOp, OrtCustomOpDomain,
    OrtCustomOpInputOutputCharacteristic, OrtErrorCode, OrtKernelContext, OrtKernelInfo, OrtMemType, OrtStatusPtr,
};

use crate::error::{Failure, Result};
use crate::runtime::{Runtime, c_string};
use context::{Attributes, Context};

const DOMAIN: &CStr = c"ortune";

/// All inputs are float32; the output is bool [1]: true, once the operator is done.
trait Operator: Sized + Sync {
    const NAME: &'static CStr;
    const INPUTS: usize;
    /// So many of the inputs, the first ones, must be there; the others may be left out.
    const REQUIRED: usize;

    fn create(attributes: &Attributes) -> Result<Self>;
    fn compute(&self, context: &Context) -> Result<()>;
}

// Sessions refer to these for as long as they live.
static OPERATORS: [OrtCustomOp; 2] = [table::<adam::AdamUpdate>(), table::<sgd::SgdUpdate>()];

/// Names of the operators.
pub fn names() -> Vec<String> {
    // SAFETY: `name` takes any pointer and returns a static string.
    let name = |op: &OrtCustomOp| op.GetName.map(|name| unsafe { CStr::from_ptr(name(op)) });
    OPERATORS.iter().filter_map(name).map(|name| name.to_string_lossy().into_owned()).collect()
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
        (created && OPERATORS.iter().all(|op| succeeds((ort.CustomOpDomain_Add)(raw, op)))).then_some(raw)
    }
}

/// How ONNX Runtime gets to know an operator.
const fn table<O: Operator>() -> OrtCustomOp {
    OrtCustomOp {
        version: ORT_API_VERSION,
        CreateKernel: None,
        GetName: Some(name::<O>),
        GetExecutionProviderType: Some(provider),
        GetInputType: Some(input_type),
        GetInputTypeCount: Some(input_count::<O>),
        GetOutputType: Some(output_type),
        GetOutputTypeCount: Some(output_count),
        KernelCompute: None,
        KernelDestroy: Some(destroy::<O>),
        GetInputCharacteristic: Some(input_characteristic::<O>),
        GetOutputCharacteristic: Some(output_characteristic),
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
        GetMayInplace: None,
        ReleaseMayInplace: None,
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

unsafe extern "system" fn input_type(_: *const OrtCustomOp, _: usize) -> ONNXTensorElementDataType {
    ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
}

unsafe extern "system" fn input_count<O: Operator>(_: *const OrtCustomOp) -> usize {
    O::INPUTS
}

unsafe extern "system" fn output_type(_: *const OrtCustomOp, _: usize) -> ONNXTensorElementDataType {
    ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL
}

unsafe extern "system" fn output_count(_: *const OrtCustomOp) -> usize {
    1
}

unsafe extern "system" fn input_characteristic<O: Operator>(_: *const OrtCustomOp, index: usize) -> Characteristic {
    if index < O::REQUIRED { Characteristic::INPUT_OUTPUT_REQUIRED } else { Characteristic::INPUT_OUTPUT_OPTIONAL }
}

unsafe extern "system" fn output_characteristic(_: *const OrtCustomOp, _: usize) -> Characteristic {
    Characteristic::INPUT_OUTPUT_REQUIRED
}

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
        operator.compute(&context)?;
        context.finish()
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
