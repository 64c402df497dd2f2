//! Lines on standard error, which is Postgres' log.

use crate::sys;
use std::fmt;

/// Writes one line with this process' id in front. Newlines inside become spaces.
pub fn line(text: fmt::Arguments<'_>) {
    let text = text.to_string().replace(['\n', '\r'], " ");
    let line = format!("offshoot preload [{}]: {text}\n", sys::pid());
    sys::write_stderr(line.as_bytes());
}
