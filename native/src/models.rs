//! The models of a session, all as paths or all as bytes, and how a session is opened from them.

use std::ffi::CString;
use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::Path;
use std::ptr;

use ort_sys::OrtTrainingSession;

use crate::checkpoint::State;
use crate::error::{Failure, Result};
use crate::model_inputs::{DeclaredInput, read_model};
use crate::options::SessionOptions;
use crate::runtime::c_string;

/// The source of a model, as a session is made from it.
pub enum Model {
    Path(String),
    Bytes(Vec<u8>),
}

impl Model {
    /// `what` names the model in errors.
    pub fn inputs(&self, what: &str) -> Result<Vec<DeclaredInput>> {
        match self {
            Self::Path(path) => {
                let file = File::open(path)
                    .map_err(|error| Failure::new("FILE_NOT_FOUND", format!("cannot open {what} {path}: {error}")))?;
                read_model(BufReader::new(file))
            }
            Self::Bytes(bytes) => read_model(Cursor::new(bytes)),
        }
        .map_err(|()| {
            let place = if let Self::Path(path) = self { path.as_str() } else { "given as bytes" };
            Failure::new("INVALID_MODEL", format!("{what} ({place}) is no ONNX model: it ends early or is damaged"))
        })
    }
}

pub struct Models {
    pub train: Model,
    pub eval: Option<Model>,
    pub optimizer: Option<Model>,
}

/// Creates the native session; also says whether from paths.
pub fn open(state: &State, options: &SessionOptions, models: &Models) -> Result<(*mut OrtTrainingSession, bool)> {
    let (runtime, training) = (state.runtime, state.training);
    let mut raw = ptr::null_mut();
    if let Model::Path(train) = &models.train {
        let train = model_path("trainModel", train)?;
        let eval = optional(models.eval.as_ref(), "evalModel", as_path)?;
        let optimizer = optional(models.optimizer.as_ref(), "optimizerModel", as_path)?;
        let pointer = |path: &Option<CString>| path.as_ref().map_or(ptr::null(), |path| path.as_ptr());
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
        runtime.check("create the training session", status)?;
        return Ok((raw, true));
    }
    let train = as_bytes("trainModel", &models.train)?;
    let eval = optional(models.eval.as_ref(), "evalModel", as_bytes)?;
    let optimizer = optional(models.optimizer.as_ref(), "optimizerModel", as_bytes)?;
    let pointer = |bytes: Option<&[u8]>| bytes.map_or((ptr::null(), 0), |bytes| (bytes.as_ptr().cast(), bytes.len()));
    let (eval, eval_length) = pointer(eval);
    let (optimizer, optimizer_length) = pointer(optimizer);
    // SAFETY: valid env, options and state; buffers of the lengths given, read during the call only.
    let status = unsafe {
        (training.CreateTrainingSessionFromBuffer)(
            runtime.env,
            options.raw,
            state.raw,
            train.as_ptr().cast(),
            train.len(),
            eval,
            eval_length,
            optimizer,
            optimizer_length,
            &raw mut raw,
        )
    };
    runtime.check("create the training session", status)?;
    Ok((raw, false))
}

fn optional<'a, T>(
    model: Option<&'a Model>,
    what: &str,
    read: impl FnOnce(&str, &'a Model) -> Result<T>,
) -> Result<Option<T>> {
    model.map(|model| read(what, model)).transpose()
}

fn model_path(what: &str, path: &str) -> Result<CString> {
    if !Path::new(path).is_file() {
        return Err(Failure::new("FILE_NOT_FOUND", format!("there is no file {path} for {what}")));
    }
    c_string(what, path)
}

fn as_path(what: &str, model: &Model) -> Result<CString> {
    if let Model::Path(path) = model { model_path(what, path) } else { Err(mixed(what)) }
}

fn as_bytes<'a>(what: &str, model: &'a Model) -> Result<&'a [u8]> {
    if let Model::Bytes(bytes) = model { Ok(bytes) } else { Err(mixed(what)) }
}

fn mixed(what: &str) -> Failure {
    Failure::new(
        "INVALID_ARGUMENT",
        format!("the models must be all paths or all bytes, but {what} differs from trainModel"),
    )
}
