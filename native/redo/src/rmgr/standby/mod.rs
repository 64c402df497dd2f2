//! Standby (8): RUNNING_XACTS bounds nextXid and says the oldest transaction still running.

mod check_point;

pub(crate) use check_point::running_xacts;
