//! ONNX Runtime's training API as a Node addon: it loads the library, keeps every native object on a thread of its
//! own, and knows nothing of networks. `src/runtime/` is its typed face; nothing else should load it.

// Tests are built without the registration of exports, which would make all of it look unused.
#![cfg_attr(test, allow(dead_code))]

mod binding;
mod checkpoint;
mod checkpoint_object;
mod cuda;
mod error;
mod feeds;
mod from_js;
mod lane;
mod model_io;
mod models;
mod onednn;
mod operators;
mod options;
mod runtime;
mod session;
mod session_object;
mod tensor;
