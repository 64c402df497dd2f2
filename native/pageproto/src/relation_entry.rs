//! Entries of a relations listing (`relations` command): the forks that exist in one database.
//!
//! ```text
//! relnode u32 | fork u8 | blocks u32 | reserved u32 = 0        13 bytes, entries back to back
//! ```

use crate::ProtoError;
use crate::take::Take;
use offshoot_layout::Fork;

/// Bytes of one entry.
pub const RELATION_ENTRY_BYTES: usize = 13;

/// One fork of one relation of the listed database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelationEntry {
    pub relnode: u32,
    pub fork: Fork,
    pub blocks: u32,
}

impl RelationEntry {
    /// Appends the entry.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relnode.to_be_bytes());
        out.push(self.fork as u8);
        out.extend_from_slice(&self.blocks.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
    }

    fn parse(bytes: &[u8]) -> Result<RelationEntry, ProtoError> {
        let mut take = Take::new(bytes, "relations entry");
        let relnode = take.u32()?;
        let fork = take.u8()?;
        let entry = RelationEntry {
            relnode,
            fork: Fork::from_number(fork).ok_or(ProtoError::UnknownFork(fork))?,
            blocks: take.u32()?,
        };
        take.u32()?;
        Ok(entry)
    }
}

/// The entries of a whole listing, in the order they came.
///
/// Each item is an error (`Truncated`, `UnknownFork`) where the bytes are not an entry.
pub fn relation_entries(
    bytes: &[u8],
) -> impl Iterator<Item = Result<RelationEntry, ProtoError>> + '_ {
    bytes.chunks(RELATION_ENTRY_BYTES).map(RelationEntry::parse)
}
