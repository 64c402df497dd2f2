//! The engine as a Node.js addon: unpack the arguments, call the engine, pack the reply.
//!
//! Errors cross as data: an `Error` with `code` (see `EngineError::code`) and `details`. A panic
//! inside is caught and crosses as code `internal`.

mod failure;
mod lock;
mod work;
