//! Runs engine calls off the event loop and turns what comes out into promises.

use std::panic::{AssertUnwindSafe, catch_unwind};

use napi::bindgen_prelude::{AsyncTask, ToNapiValue, TypeName};
use napi::{Env, Error, Status, Task};

use crate::failure::Failure;

type Call<T> = Box<dyn FnOnce() -> Result<T, Failure> + Send>;

/// A value that an engine call returns, and how it becomes JavaScript's.
pub trait Reply: Send + 'static {
    type Js: ToNapiValue + TypeName;
    fn into_js(self) -> Self::Js;
}

/// One call, run on libuv's pool.
pub struct Work<T: Reply> {
    call: Option<Call<T>>,
}

/// A promise for what `call` returns; it rejects with the failure's code and details.
pub fn promise<T: Reply>(
    call: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> AsyncTask<Work<T>> {
    AsyncTask::new(Work {
        call: Some(Box::new(call)),
    })
}

/// Runs `call` here; a panic inside becomes a failure.
pub fn caught<T>(call: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // What the closure touched stays behind the engine's own locks, which do not poison; a value
    // left half-changed by a panic belongs to the call that failed.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(Failure::panic(&*panic)))
}

/// Runs `call` on the event loop's thread: only for what neither waits nor reads much.
///
/// # Errors
/// Throws the failure as a JavaScript `Error`.
pub fn now<T>(env: &Env, call: impl FnOnce() -> Result<T, Failure>) -> napi::Result<T> {
    caught(call).map_err(|failure| failure.into_js(env))
}

impl<T: Reply> Task for Work<T> {
    type Output = Result<T, Failure>;
    type JsValue = T::Js;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let call = self.call.take();
        let call = call.ok_or_else(|| Error::new(Status::GenericFailure, "a call ran twice"))?;
        Ok(caught(call))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        output
            .map(T::into_js)
            .map_err(|failure| failure.into_js(&env))
    }
}

impl Reply for () {
    type Js = ();
    fn into_js(self) {}
}
