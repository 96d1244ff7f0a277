//! The models of a session, all as paths or all as bytes, and how a session is opened from them.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{BufReader, Cursor};
use std::path::Path;
use std::ptr;

use ort_sys::OrtTrainingSession;

use crate::checkpoint::State;
use crate::error::{Failure, Result};
use crate::from_js::Bytes;
use crate::model_io::{Declared, read_model};
use crate::options::SessionOptions;
use crate::runtime::c_string;

/// One for each model; the names are those of the arguments in JavaScript.
pub struct Three<T> {
    pub train: T,
    pub eval: Option<T>,
    pub optimizer: Option<T>,
}

pub enum Models {
    Paths(Three<String>),
    Bytes(Three<Bytes>),
}

impl Models {
    pub fn has_optimizer(&self) -> bool {
        match self {
            Self::Paths(paths) => paths.optimizer.is_some(),
            Self::Bytes(bytes) => bytes.optimizer.is_some(),
        }
    }

    /// What the training model and the eval model declare.
    pub fn declared(&self) -> Result<(Declared, Option<Declared>)> {
        match self {
            Self::Paths(paths) => Ok((
                declared_in_file("trainModel", &paths.train)?,
                paths.eval.as_ref().map(|path| declared_in_file("evalModel", path)).transpose()?,
            )),
            Self::Bytes(bytes) => Ok((
                declared_in_bytes("trainModel", bytes.train.as_slice())?,
                bytes.eval.as_ref().map(|bytes| declared_in_bytes("evalModel", bytes.as_slice())).transpose()?,
            )),
        }
    }

    /// Creates the native session.
    pub fn open(&self, state: &State, options: &SessionOptions) -> Result<*mut OrtTrainingSession> {
        match self {
            Self::Paths(paths) => open_paths(state, options, paths),
            Self::Bytes(bytes) => open_bytes(state, options, bytes),
        }
    }
}

fn declared_in_file(what: &str, path: &str) -> Result<Declared> {
    let unusable = |reason: String| Failure::new("FILE_NOT_FOUND", format!("cannot open {what} {path}: {reason}"));
    // To open a pipe would wait, with the whole lane, for somebody to write.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(unusable("it is not a regular file".into()));
    }
    let file = File::open(path).map_err(|error| unusable(error.to_string()))?;
    read_model(BufReader::new(file)).map_err(|()| damaged(what, path))
}

fn declared_in_bytes(what: &str, bytes: &[u8]) -> Result<Declared> {
    read_model(Cursor::new(bytes)).map_err(|()| damaged(what, "given as bytes"))
}

fn damaged(what: &str, place: &str) -> Failure {
    Failure::new("INVALID_MODEL", format!("{what} ({place}) is no ONNX model: it ends early or is damaged"))
}

fn open_paths(state: &State, options: &SessionOptions, paths: &Three<String>) -> Result<*mut OrtTrainingSession> {
    let (runtime, training) = (state.runtime, state.training);
    if let Some(path) = paths.optimizer.as_ref().filter(|path| !Path::new(path).is_file()) {
        return Err(Failure::new("FILE_NOT_FOUND", format!("there is no file {path} for optimizerModel")));
    }
    let optional = |path: &Option<String>| path.as_ref().map(|path| c_string("model path", path)).transpose();
    let train = c_string("model path", &paths.train)?;
    let (eval, optimizer) = (optional(&paths.eval)?, optional(&paths.optimizer)?);
    let pointer = |path: &Option<CString>| path.as_ref().map_or(ptr::null(), |path| path.as_ptr());
    let mut raw = ptr::null_mut();
    // SAFETY: valid env, options, state and paths; the optional ones may be null.
    let status = unsafe {
        (training.CreateTrainingSession)(
            runtime.env,
            options.raw,
            state.raw,
            train.as_ptr(),
            pointer(&eval),
            pointer(&optimizer),
            &raw mut raw,
        )
    };
    runtime.check("create the training session", status).map(|()| raw)
}

fn open_bytes(state: &State, options: &SessionOptions, bytes: &Three<Bytes>) -> Result<*mut OrtTrainingSession> {
    let (runtime, training) = (state.runtime, state.training);
    let parts = |bytes: Option<&Bytes>| match bytes.map(Bytes::as_slice) {
        Some(bytes) => (bytes.as_ptr().cast(), bytes.len()),
        None => (ptr::null(), 0),
    };
    let (train, train_length) = parts(Some(&bytes.train));
    let (eval, eval_length) = parts(bytes.eval.as_ref());
    let (optimizer, optimizer_length) = parts(bytes.optimizer.as_ref());
    let mut raw = ptr::null_mut();
    // SAFETY: valid env, options and state; buffers of the lengths given, read during the call only.
    let status = unsafe {
        (training.CreateTrainingSessionFromBuffer)(
            runtime.env,
            options.raw,
            state.raw,
            train,
            train_length,
            eval,
            eval_length,
            optimizer,
            optimizer_length,
            &raw mut raw,
        )
    };
    runtime.check("create the training session", status).map(|()| raw)
}
