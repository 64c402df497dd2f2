//! The engine as a Node.js addon: unpack the arguments, call the engine, pack the reply.
//!
//! Errors cross as data: an `Error` with `code` (see `failure`) and `details`. A panic
//! inside is caught and crosses as code `internal`.

// Test builds have no Node.js to register with, so nothing there calls what is exported.
#![cfg_attr(test, allow(dead_code))]

mod commit_times;
mod failure;
mod import_session;
mod lock;
mod numbers;
mod program;
mod retention;
mod splice;
mod tar_stream;
mod tenant;
mod wal_follower;
mod work;
