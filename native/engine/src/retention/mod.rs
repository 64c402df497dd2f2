//! What is removed from a store: all of timelines that are gone, and of the others what nobody can read any more.

mod collect;
mod commit_runs;
mod files;
mod holders;
mod measure;
mod pages;
mod reclaim;
mod removal;
mod sizes;
mod window;

pub use collect::{Collected, Kept, Look};
pub use holders::Holders;
pub use measure::Measured;
pub use reclaim::Reclaimed;
pub use window::Window;

/// How much is done in one go. Between two of them whoever else reads or writes has its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion {
    /// Entries that one transaction removes.
    pub entries_max: usize,
    /// Bytes of entries that one transaction removes; one entry may be more.
    pub bytes_max: usize,
}

impl Default for Portion {
    fn default() -> Portion {
        Portion {
            entries_max: 1000,
            bytes_max: 8 << 20,
        }
    }
}
