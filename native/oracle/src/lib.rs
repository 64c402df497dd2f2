//! Judges redo by Postgres' own page images. See README.md.

mod arguments;
mod base;
mod compare;
mod dump;
mod error;
mod final_state;
pub mod masks;
mod pages;
mod replay;
mod report;
mod same;
#[cfg(test)]
mod tests;
mod text;
mod verify;
mod wal_directory;

pub use arguments::{Arguments, USAGE};
pub use compare::run;
pub use error::OracleError;
pub use report::{Counts, Difference, DifferenceKind, FinalReport, Report};
pub use same::{SAME_USAGE, SameArguments, SameReport, compare_directories};
pub use text::{opcodes_json, opcodes_text};
