//! global/pg_control and the CheckPoint structure inside it.

mod check_point;
mod control_file;
mod validate;

pub use check_point::{CheckPoint, SIZE_OF_CHECK_POINT};
pub use control_file::{ControlFile, DbState, PG_CONTROL_FILE_BYTES};
