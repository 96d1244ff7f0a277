//! `NativeCheckpoint`, the JavaScript object of a checkpoint state: it copies what is passed in and queues the work.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{BigInt, Either, Either3, Object, ToNapiValue};
use napi_derive::napi;

use crate::checkpoint::{Property, State};
use crate::error::{Failure, Result};
use crate::from_js::Bytes;
use crate::lane::Lane;
use crate::tensor::{OwnedTensor, TensorIn, TensorInfo, to_js_dims};

/// The JavaScript object. Its memory goes on the lane: at `dispose`, or when it is collected.
#[napi]
pub struct NativeCheckpoint {
    pub(crate) lane: Lane,
    state: Option<Arc<State>>,
}

impl Drop for NativeCheckpoint {
    fn drop(&mut self) {
        let state = self.state.take();
        self.lane.run(move || drop(state));
    }
}

impl NativeCheckpoint {
    pub(crate) fn state(&self) -> Result<Arc<State>> {
        self.state.clone().ok_or_else(|| Failure::new("DISPOSED", "this CheckpointState has been disposed"))
    }

    fn promise<'env, T: Send + 'static, J: ToNapiValue + 'static>(
        &self,
        env: &'env Env,
        job: impl FnOnce(&State) -> Result<T> + Send + 'static,
        to_js: impl FnOnce(&Env, T) -> napi::Result<J> + Send + 'static,
    ) -> napi::Result<Object<'env>> {
        let state = self.state()?;
        self.lane.promise(env, move || job(&state), to_js)
    }
}

#[napi]
pub fn load_checkpoint(env: &Env, source: Either<String, Bytes>) -> napi::Result<Object<'_>> {
    let lane = Lane::start(*env)?;
    let to_js = {
        let lane = lane.clone();
        |_: &Env, state| Ok(NativeCheckpoint { lane, state: Some(Arc::new(state)) })
    };
    match source {
        Either::A(path) => lane.promise(env, move || State::from_path(&path), to_js),
        Either::B(bytes) => lane.promise(env, move || State::from_bytes(bytes.as_slice()), to_js),
    }
}

#[napi]
impl NativeCheckpoint {
    #[napi]
    pub fn save<'env>(
        &self,
        env: &'env Env,
        path: String,
        include_optimizer_state: bool,
    ) -> napi::Result<Object<'env>> {
        self.promise(env, move |state| state.save(&path, include_optimizer_state), |_, ()| Ok(()))
    }

    #[napi]
    pub fn get_parameter<'env>(&self, env: &'env Env, name: String) -> napi::Result<Object<'env>> {
        self.promise(env, move |state| state.get_parameter(&name), |_, tensor| Ok(tensor.into_js()))
    }

    #[napi]
    pub fn update_parameter<'env>(&self, env: &'env Env, name: String, tensor: TensorIn) -> napi::Result<Object<'env>> {
        let tensor = OwnedTensor::from_js(&format!("parameter '{name}'"), tensor)?;
        self.promise(env, move |state| state.update_parameter(&name, tensor), |_, ()| Ok(()))
    }

    #[napi]
    pub fn parameter_info<'env>(&self, env: &'env Env, name: String) -> napi::Result<Object<'env>> {
        self.promise(
            env,
            move |state| state.parameter_info(&name),
            |_, (element, dims)| Ok(TensorInfo { r#type: element.name().into(), dims: to_js_dims(&dims) }),
        )
    }

    #[napi]
    pub fn add_property<'env>(
        &self,
        env: &'env Env,
        name: String,
        value: Either3<BigInt, f64, String>,
    ) -> napi::Result<Object<'env>> {
        let value = match value {
            Either3::A(value) => {
                let (value, lossless) = value.get_i64();
                if !lossless {
                    let message = format!("property '{name}' does not fit into a signed 64-bit integer");
                    return Err(Failure::new("INVALID_ARGUMENT", message).into());
                }
                Property::Int(value)
            }
            Either3::B(value) => {
                #[allow(clippy::cast_possible_truncation)] // The format has 32-bit floats; the docs say so.
                let narrow = value as f32;
                if narrow.is_infinite() && value.is_finite() {
                    let message = format!("property '{name}' does not fit into a 32-bit float: {value:e}");
                    return Err(Failure::new("INVALID_ARGUMENT", message).into());
                }
                Property::Float(narrow)
            }
            Either3::C(value) => Property::Text(value),
        };
        self.promise(env, move |state| state.add_property(&name, &value), |_, ()| Ok(()))
    }

    #[napi]
    pub fn get_property<'env>(&self, env: &'env Env, name: String) -> napi::Result<Object<'env>> {
        self.promise(
            env,
            move |state| state.get_property(&name),
            |_, property| {
                Ok(match property {
                    Property::Int(value) => Either3::A(BigInt::from(value)),
                    Property::Float(value) => Either3::B(f64::from(value)),
                    Property::Text(value) => Either3::C(value),
                })
            },
        )
    }

    /// Frees the state behind all that is queued; while a session made from it lives, the session keeps it.
    #[napi]
    pub fn dispose<'env>(&mut self, env: &'env Env) -> napi::Result<Object<'env>> {
        let state = self.state.take();
        self.lane.promise(
            env,
            move || {
                drop(state);
                Ok(())
            },
            |_, ()| Ok(()),
        )
    }
}
