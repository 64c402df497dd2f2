//! What the fuzz targets of this crate and of `redo` are made of.
//!
//! A target is a function of [`Choices`]. The tests that always run draw them with proptest,
//! which makes a failing case small; the long run ([`run_for_seconds`]) draws as many as fit
//! into its time and prints the failing one so that it can be run again alone.

// Each crate's targets use a part of this.
#![allow(dead_code, unused_imports)]

mod choices;
mod corpus;
mod draft;
mod memory;
mod mutate;
mod run;

pub use choices::Choices;
pub use corpus::{Entry, corpus};
pub use draft::draft_of;
pub use memory::{Counting, check_memory};
pub use mutate::{mutate, resealed};
pub use run::{Target, run_for_seconds};
