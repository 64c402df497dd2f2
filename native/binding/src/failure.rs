//! Errors as data.

use std::any::Any;
use std::collections::HashMap;

use napi::bindgen_prelude::{JsObjectValue, JsValue};
use napi::{Env, Error, Status};
use napi_derive::napi;
use offshoot_engine::{EngineError, StoreError};
use offshoot_redo::RedoError;

/// An error of the engine: `code` is stable, `message` is for people.
#[napi(object, js_name = "NativeError")]
#[derive(Debug, Clone)]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub details: Option<HashMap<String, String>>,
}

impl Failure {
    pub fn new(code: &str, message: impl Into<String>) -> Failure {
        Failure {
            code: code.to_owned(),
            message: message.into(),
            details: None,
        }
    }

    /// An argument from JavaScript that no correct caller passes.
    pub fn argument(message: impl Into<String>) -> Failure {
        Failure::new("argument", message)
    }

    /// What a panic carried.
    pub fn panic(payload: &(dyn Any + Send)) -> Failure {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("without a message");
        Failure::new("internal", format!("the engine panicked: {text}"))
    }

    /// A JavaScript `Error` with `code` and, if there are any, `details`.
    pub fn into_js(self, env: &Env) -> Error {
        let message = self.message.clone();
        self.object(env)
            .unwrap_or_else(|_| Error::new(Status::GenericFailure, message))
    }

    fn object(self, env: &Env) -> napi::Result<Error> {
        let mut error = env.create_error(Error::new(Status::GenericFailure, self.message))?;
        error.set_named_property("code", self.code)?;
        if let Some(details) = self.details {
            error.set_named_property("details", details)?;
        }
        Ok(Error::from(error.to_unknown()))
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        Failure::new(code(&error), error.to_string())
    }
}

/// Stable names; `packages/engine` gives each its meaning for users.
pub fn code(error: &EngineError) -> &'static str {
    match error {
        EngineError::Store(error) => store_code(error),
        EngineError::UnknownTimeline(_)
        | EngineError::MissingRelation { .. }
        | EngineError::MissingSlruSegment { .. } => "not_found",
        EngineError::TimelineConflict(_)
        | EngineError::StillAttached(_)
        | EngineError::BadRequest(_) => "argument",
        EngineError::NotReadable { .. } => "not_readable",
        EngineError::Damaged { .. } => "corrupt",
        EngineError::OtherFormat { .. } => "other_format",
        EngineError::Redo(RedoError::Unsupported { .. }) => "unsupported_record",
        EngineError::Wal(_)
        | EngineError::Redo(_)
        | EngineError::Archive { .. }
        | EngineError::BadSource(_) => "bad_source",
        EngineError::UnsupportedSource(_) => "unsupported",
    }
}

fn store_code(error: &StoreError) -> &'static str {
    match error {
        StoreError::DiskFull(_) => "disk_full",
        StoreError::MapFull { .. } => "store_full",
        StoreError::GrowTimeout { .. } | StoreError::ReadersFull { .. } => "busy",
        StoreError::Closed | StoreError::StillRead => "closed",
        StoreError::AlreadyOpen => "locked",
        StoreError::Unusable(_) => "corrupt",
        StoreError::Io(_) => "io",
        StoreError::KeyLength(_) | StoreError::Lmdb(_) | StoreError::MapMustGrow => "internal",
    }
}
