//! XLOG (0): checkpoints, counters and settings, and page images.

mod apply;
mod check_point;
mod effects;
mod record;

pub(crate) use apply::hint_without_image;
pub(crate) use check_point::{
    checkpoint_online, checkpoint_shutdown, end_of_recovery, fpw_change, next_oid,
    parameter_change as parameter_change_state,
};
pub(crate) use effects::parameter_change;
pub use record::ParameterChange;
