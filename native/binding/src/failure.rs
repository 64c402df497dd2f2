//! Errors as data.

use std::any::Any;
use std::collections::HashMap;

use napi::bindgen_prelude::{JsObjectValue, JsValue};
use napi::{Env, Error, Status};
use napi_derive::napi;

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
        Failure { code: code.to_owned(), message: message.into(), details: None }
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
        self.object(env).unwrap_or_else(|_| Error::new(Status::GenericFailure, message))
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
