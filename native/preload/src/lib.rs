//! The library that stock Postgres is started with (`LD_PRELOAD`): its relation files fill themselves
//! from a page server. See the README of this folder.

// The crate's own tests are linked without the hooks, which are its only callers.
#![cfg_attr(test, allow(dead_code))]

mod address;
mod arrivals;
mod client;
mod connection;
mod env;
mod error;
mod fetch;
mod handshake;
mod hooks;
mod inbox;
mod install;
mod interrupt;
mod limits;
mod listing;
mod log;
mod map_file;
mod materialise;
mod message;
mod open_file;
mod path;
mod path_lock;
mod promotion;
mod read_ahead;
mod real;
mod refusal;
mod relation_io;
mod removal;
mod session_catalogs;
mod spare_files;
mod statements;
mod stream;
mod sys;
