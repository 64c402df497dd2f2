//! ReplicationOrigin (19): how far changes of other servers have been replicated.

mod effects;

pub(crate) use effects::{drop, set};

/// No origin.
pub(crate) const INVALID_ORIGIN: u16 = 0;
/// Marks changes that must not be replicated further; no origin of its own.
const DO_NOT_REPLICATE: u16 = u16::MAX;

/// Whether the id stands for an origin that has progress.
pub(crate) fn is_tracked(node: u16) -> bool {
    node != INVALID_ORIGIN && node != DO_NOT_REPLICATE
}
