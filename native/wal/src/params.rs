//! What must be known of a cluster to read or write its WAL.

use offshoot_layout::wal_page::{self, XLOG_BLCKSZ};
use offshoot_layout::{Lsn, wal_segment};

use crate::{LSN_LIMIT, WalError};

/// Longest record that is taken, in bytes, unless the decoder is told another limit.
/// Postgres 16 and later write none above 1020 MiB; earlier ones in practice do not either.
pub const RECORD_BYTES_MAX_DEFAULT: u32 = 1020 * 1024 * 1024;

/// Identity of one timeline's WAL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalParams {
    /// Postgres major version, like 15.
    pub major: u32,
    /// `system_identifier` of the cluster.
    pub system_id: u64,
    /// Bytes of a WAL segment file: a power of two, 1 MiB to 1 GiB.
    pub seg_size: u32,
    /// The timeline (TLI) that is read or written.
    pub tli: u32,
}

impl WalParams {
    /// Checks the parameters and returns the version's page magic.
    ///
    /// # Errors
    /// [`WalError::InvalidParams`]: unknown major, or no valid segment size.
    pub fn magic(&self) -> Result<u16, WalError> {
        if !wal_segment::is_valid_size(self.seg_size) {
            let reason = format!(
                "segment size {}; supported: a power of two from 1048576 to 1073741824",
                self.seg_size
            );
            return Err(WalError::InvalidParams { reason });
        }
        wal_page::magic(self.major).ok_or_else(|| WalError::InvalidParams {
            reason: format!("major version {}; supported: 14 to 18", self.major),
        })
    }

    /// A stream can begin at a page's first byte or behind its header, not within.
    pub(crate) fn check_start(&self, start: Lsn) -> Result<(), WalError> {
        let offset = (start.0 % XLOG_BLCKSZ as u64) as usize;
        let page = Lsn(start.0 - offset as u64);
        let reason = if start.0 >= LSN_LIMIT {
            format!("start {start} is beyond any WAL")
        } else if offset > 0 && offset < wal_page::header_size_at(page, self.seg_size) {
            format!("start {start} is inside a page header")
        } else {
            return Ok(());
        };
        Err(WalError::InvalidParams { reason })
    }
}
