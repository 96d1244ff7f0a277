//! `NativeSession`, the JavaScript object of a session: it copies what is passed in and queues the work.

use std::collections::HashMap;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Either, Object, ToNapiValue};
use napi_derive::napi;

use crate::checkpoint_object::NativeCheckpoint;
use crate::error::{Failure, Result};
use crate::feeds::check_feeds;
use crate::from_js::{Bytes, List};
use crate::lane::Lane;
use crate::models::{Models, Three};
use crate::options::NativeSessionOptions;
use crate::session::{Session, Signature};
use crate::tensor::{OwnedTensor, TensorIn, TensorOut};

/// The models of a session: all as paths or all as bytes.
#[napi(object, object_to_js = false)]
pub struct NativeModels {
    pub train: Either<String, Bytes>,
    pub eval: Option<Either<String, Bytes>>,
    pub optimizer: Option<Either<String, Bytes>>,
}

impl NativeModels {
    fn same_kind(self) -> Result<Models> {
        match self.train {
            Either::A(train) => Ok(Models::Paths(Three {
                train,
                eval: path("evalModel", self.eval)?,
                optimizer: path("optimizerModel", self.optimizer)?,
            })),
            Either::B(train) => Ok(Models::Bytes(Three {
                train,
                eval: bytes("evalModel", self.eval)?,
                optimizer: bytes("optimizerModel", self.optimizer)?,
            })),
        }
    }
}

type Source = Option<Either<String, Bytes>>;

fn path(what: &str, source: Source) -> Result<Option<String>> {
    match source {
        None => Ok(None),
        Some(Either::A(path)) => Ok(Some(path)),
        Some(Either::B(_)) => Err(mixed(what, "bytes, and trainModel as a path")),
    }
}

fn bytes(what: &str, source: Source) -> Result<Option<Bytes>> {
    match source {
        None => Ok(None),
        Some(Either::B(bytes)) if bytes.as_slice().is_empty() => Err(empty(what)),
        Some(Either::B(bytes)) => Ok(Some(bytes)),
        Some(Either::A(_)) => Err(mixed(what, "a path, and trainModel as bytes")),
    }
}

/// ONNX Runtime takes a model without bytes as one that was not given.
fn empty(what: &str) -> Failure {
    Failure::new("INVALID_MODEL", format!("{what} has no bytes; is its memory detached?"))
}

fn mixed(what: &str, how: &str) -> Failure {
    let message = format!("the models must be all paths or all bytes, but {what} is given as {how}");
    Failure::new("INVALID_ARGUMENT", message)
}

/// The JavaScript object. Its memory goes on the lane: at `dispose`, or when it is collected.
#[napi]
pub struct NativeSession {
    lane: Lane,
    session: Option<Arc<Session>>,
}

impl Drop for NativeSession {
    fn drop(&mut self) {
        let session = self.session.take();
        self.lane.run(move || drop(session));
    }
}

impl NativeSession {
    fn session(&self) -> Result<Arc<Session>> {
        self.session.clone().ok_or_else(|| Failure::new("DISPOSED", "this TrainingSession has been disposed"))
    }

    fn promise<'env, T: Send + 'static, J: ToNapiValue + 'static>(
        &self,
        env: &'env Env,
        job: impl FnOnce(&Session) -> Result<T> + Send + 'static,
        to_js: impl FnOnce(&Env, T) -> napi::Result<J> + Send + 'static,
    ) -> napi::Result<Object<'env>> {
        let session = self.session()?;
        self.lane.promise(env, move || job(&session), to_js)
    }
}

#[napi]
pub fn create_session<'env>(
    env: &'env Env,
    checkpoint: &NativeCheckpoint,
    models: NativeModels,
    options: NativeSessionOptions,
) -> napi::Result<Object<'env>> {
    let state = checkpoint.state()?;
    let lane = checkpoint.lane.clone();
    let models = models.same_kind()?;
    checkpoint.lane.promise(
        env,
        move || Session::create(state, &models, &options),
        move |_, session| Ok(NativeSession { lane, session: Some(Arc::new(session)) }),
    )
}

fn tensors_to_js(tensors: Vec<OwnedTensor>) -> Vec<TensorOut> {
    tensors.into_iter().map(OwnedTensor::into_js).collect()
}

fn input_names(signature: &Signature) -> Vec<String> {
    signature.inputs.iter().map(|input| input.name.clone()).collect()
}

#[napi]
impl NativeSession {
    #[napi]
    pub fn train_input_names(&self) -> napi::Result<Vec<String>> {
        Ok(input_names(&self.session()?.train))
    }

    #[napi]
    pub fn train_output_names(&self) -> napi::Result<Vec<String>> {
        Ok(self.session()?.train.outputs.clone())
    }

    #[napi]
    pub fn eval_input_names(&self) -> napi::Result<Vec<String>> {
        Ok(self.session()?.eval.as_ref().map(input_names).unwrap_or_default())
    }

    #[napi]
    pub fn eval_output_names(&self) -> napi::Result<Vec<String>> {
        Ok(self.session()?.eval.as_ref().map(|eval| eval.outputs.clone()).unwrap_or_default())
    }

    /// Outputs in the order of `trainOutputNames`.
    #[napi]
    pub fn train_step<'env>(&self, env: &'env Env, feeds: HashMap<String, TensorIn>) -> napi::Result<Object<'env>> {
        let feeds = check_feeds("the train step", &self.session()?.train.inputs, feeds)?;
        self.promise(env, move |session| session.train_step(feeds), |_, outputs| Ok(tensors_to_js(outputs)))
    }

    /// Outputs in the order of `evalOutputNames`.
    #[napi]
    pub fn eval_step<'env>(&self, env: &'env Env, feeds: HashMap<String, TensorIn>) -> napi::Result<Object<'env>> {
        let feeds = check_feeds("the eval step", &self.session()?.eval_signature()?.inputs, feeds)?;
        self.promise(env, move |session| session.eval_step(feeds), |_, outputs| Ok(tensors_to_js(outputs)))
    }

    #[napi]
    pub fn optimizer_step<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.promise(env, Session::optimizer_step, |_, ()| Ok(()))
    }

    #[napi]
    pub fn lazy_reset_grad<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.promise(env, Session::lazy_reset_grad, |_, ()| Ok(()))
    }

    #[napi]
    pub fn set_learning_rate<'env>(&self, env: &'env Env, rate: f64) -> napi::Result<Object<'env>> {
        #[allow(clippy::cast_possible_truncation)] // ONNX Runtime computes with 32-bit rates.
        let narrow = rate as f32;
        if !narrow.is_finite() || narrow < 0.0 {
            let message = format!("the learning rate must be a 32-bit number from 0, but is {rate}");
            return Err(Failure::new("INVALID_ARGUMENT", message).into());
        }
        self.promise(env, move |session| session.set_learning_rate(narrow), |_, ()| Ok(()))
    }

    #[napi]
    pub fn get_learning_rate<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.promise(env, Session::learning_rate, |_, rate| Ok(f64::from(rate)))
    }

    #[napi]
    pub fn parameters_size<'env>(&self, env: &'env Env, trainable_only: bool) -> napi::Result<Object<'env>> {
        self.promise(env, move |session| session.parameters_size(trainable_only), |_, size| Ok(size))
    }

    #[napi]
    pub fn copy_parameters_to_buffer<'env>(&self, env: &'env Env, trainable_only: bool) -> napi::Result<Object<'env>> {
        self.promise(
            env,
            move |session| session.copy_parameters_to_buffer(trainable_only),
            |_, buffer| Ok(buffer.into_js()),
        )
    }

    #[napi]
    pub fn copy_buffer_to_parameters<'env>(
        &self,
        env: &'env Env,
        buffer: TensorIn,
        trainable_only: bool,
    ) -> napi::Result<Object<'env>> {
        let buffer = OwnedTensor::from_js("parameter buffer", buffer)?;
        self.promise(env, move |session| session.copy_buffer_to_parameters(buffer, trainable_only), |_, ()| Ok(()))
    }

    #[napi]
    pub fn export_model_for_inferencing<'env>(
        &self,
        env: &'env Env,
        path: String,
        output_names: List<String>,
    ) -> napi::Result<Object<'env>> {
        self.promise(env, move |session| session.export(&path, &output_names.0), |_, ()| Ok(()))
    }

    /// Frees the session behind all that is queued.
    #[napi]
    pub fn dispose<'env>(&mut self, env: &'env Env) -> napi::Result<Object<'env>> {
        let session = self.session.take();
        self.lane.promise(
            env,
            move || {
                drop(session);
                Ok(())
            },
            |_, ()| Ok(()),
        )
    }
}
