use std::sync::atomic::{AtomicU64, Ordering};

/// What all connections of a pump have passed on since its start, and what they hold now, in bytes.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub to_client: AtomicU64,
    pub to_compute: AtomicU64,
    pub held: AtomicU64,
}

/// `Totals` at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    pub to_client: u64,
    pub to_compute: u64,
    /// Read, and not taken by the other side yet.
    pub held: u64,
}

impl Totals {
    pub fn sums(&self) -> Sums {
        Sums {
            to_client: self.to_client.load(Ordering::Relaxed),
            to_compute: self.to_compute.load(Ordering::Relaxed),
            held: self.held.load(Ordering::Relaxed),
        }
    }
}
