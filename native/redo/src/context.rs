//! What redo must know of the cluster besides the record.

/// Settings that decide what a record means; from pg_control, kept up to date by
/// [`crate::Effect::Parameters`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RedoContext {
    /// Postgres major version; only 15 is accepted.
    pub major: u32,
    /// Whether pages carry data checksums.
    pub checksums: bool,
    /// `wal_log_hints`: hint-bit changes are logged as images even without checksums.
    pub wal_log_hints: bool,
    /// Whether commits have entries in pg_commit_ts. Used by `effects` and
    /// `apply_checkpoint_state` only: redo does what was once filed.
    pub track_commit_timestamp: bool,
}
