//! A store's settings.

/// Limits of one store. The map is address space, not memory and not disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// The map's size at first; it doubles when it is full.
    pub map_size_initial_bytes: usize,
    /// The map grows no further than this.
    pub map_size_max_bytes: usize,
    /// Snapshots at once.
    pub readers_max: u32,
    /// How long the map waits for its readers to let it grow, a reader for a growing map, and `close`
    /// for the last snapshot.
    pub grow_wait_ms: u64,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions {
            map_size_initial_bytes: 1 << 30,
            map_size_max_bytes: 1 << 44,
            readers_max: 512,
            grow_wait_ms: 10_000,
        }
    }
}
