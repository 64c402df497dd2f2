//! A record to be written.

use offshoot_layout::{BlockKey, Lsn};

use crate::block::{
    BKPBLOCK_HAS_DATA, BKPBLOCK_HAS_IMAGE, BKPBLOCK_SAME_REL, BKPBLOCK_WILL_INIT, BKPIMAGE_HAS_HOLE,
};
use crate::header::{self, RecordHeader, SIZE_OF_RECORD_HEADER};
use crate::{Compression, WalError};

/// What a record shall hold; [`RecordDraft::to_bytes`] writes it as Postgres would.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecordDraft {
    pub rmid: u8,
    pub info: u8,
    pub xid: u32,
    pub origin: Option<u16>,
    pub top_xid: Option<u32>,
    pub blocks: Vec<BlockDraft>,
    pub main: Vec<u8>,
}

/// A block reference to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockDraft {
    pub id: u8,
    pub key: BlockKey,
    pub will_init: bool,
    pub image: Option<ImageDraft>,
    /// At most 65535 bytes.
    pub data: Vec<u8>,
}

/// An image to be written; `stored` is already compressed and without its hole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageDraft {
    pub apply: bool,
    pub compression: Compression,
    pub hole_offset: u16,
    pub hole_length: u16,
    pub stored: Vec<u8>,
}

impl RecordDraft {
    /// The record's bytes, without padding. `prev` is the start of the record before it.
    ///
    /// # Errors
    /// [`WalError::InvalidParams`]: a part is longer than its length field can say.
    pub fn to_bytes(&self, prev: Lsn, major: u32) -> Result<Vec<u8>, WalError> {
        let mut out = vec![0; SIZE_OF_RECORD_HEADER];
        let mut before = None;
        for block in &self.blocks {
            block.write_header(&mut out, before, major)?;
            before = Some(block);
        }
        if let Some(origin) = self.origin {
            out.push(253);
            out.extend(origin.to_le_bytes());
        }
        if let Some(top_xid) = self.top_xid {
            out.push(252);
            out.extend(top_xid.to_le_bytes());
        }
        self.write_main_header(&mut out)?;
        for block in &self.blocks {
            out.extend(block.image.iter().flat_map(|image| &image.stored));
            out.extend(&block.data);
        }
        out.extend(&self.main);
        self.write_record_header(&mut out, prev)?;
        Ok(out)
    }

    fn write_main_header(&self, out: &mut Vec<u8>) -> Result<(), WalError> {
        match u8::try_from(self.main.len()) {
            Ok(0) => {}
            Ok(len) => out.extend([255, len]),
            Err(_) => {
                out.push(254);
                out.extend(length::<u32>("main data", self.main.len())?.to_le_bytes());
            }
        }
        Ok(())
    }

    fn write_record_header(&self, out: &mut [u8], prev: Lsn) -> Result<(), WalError> {
        let header = RecordHeader {
            total_len: length("record", out.len())?,
            xid: self.xid,
            prev,
            info: self.info,
            rmid: self.rmid,
            crc: 0,
        };
        out[..SIZE_OF_RECORD_HEADER].copy_from_slice(&header.to_bytes());
        header::seal(out);
        Ok(())
    }
}

impl BlockDraft {
    fn write_header(
        &self,
        out: &mut Vec<u8>,
        before: Option<&BlockDraft>,
        major: u32,
    ) -> Result<(), WalError> {
        let same_rel = before.is_some_and(|before| before.is_same_relation(self));
        let flag = |condition, bit| if condition { bit } else { 0 };
        let flags = self.key.rel.fork as u8
            | flag(self.image.is_some(), BKPBLOCK_HAS_IMAGE)
            | flag(!self.data.is_empty(), BKPBLOCK_HAS_DATA)
            | flag(self.will_init, BKPBLOCK_WILL_INIT)
            | flag(same_rel, BKPBLOCK_SAME_REL);
        out.extend([self.id, flags]);
        out.extend(length::<u16>("block data", self.data.len())?.to_le_bytes());
        if let Some(image) = &self.image {
            image.write_header(out, major)?;
        }
        if !same_rel {
            let rel = self.key.rel;
            for oid in [rel.spcnode, rel.dbnode, rel.relnode] {
                out.extend(oid.to_le_bytes());
            }
        }
        out.extend(self.key.block.to_le_bytes());
        Ok(())
    }

    fn is_same_relation(&self, other: &BlockDraft) -> bool {
        let (a, b) = (self.key.rel, other.key.rel);
        (a.spcnode, a.dbnode, a.relnode) == (b.spcnode, b.dbnode, b.relnode)
    }
}

impl ImageDraft {
    fn write_header(&self, out: &mut Vec<u8>, major: u32) -> Result<(), WalError> {
        out.extend(length::<u16>("image", self.stored.len())?.to_le_bytes());
        out.extend(self.hole_offset.to_le_bytes());
        let (apply_bit, pglz_bit) = if major < 15 {
            (0x04, 0x02)
        } else {
            (0x02, 0x04)
        };
        let compression_bit = match self.compression {
            Compression::None => 0,
            Compression::Pglz => pglz_bit,
            Compression::Lz4 => 0x08,
            Compression::Zstd => 0x10,
        };
        let has_hole = self.hole_length > 0;
        let hole_bit = if has_hole { BKPIMAGE_HAS_HOLE } else { 0 };
        out.push(hole_bit | compression_bit | if self.apply { apply_bit } else { 0 });
        if has_hole && self.compression != Compression::None {
            out.extend(self.hole_length.to_le_bytes());
        }
        Ok(())
    }
}

fn length<T: TryFrom<usize>>(what: &str, len: usize) -> Result<T, WalError> {
    T::try_from(len).map_err(|_| WalError::InvalidParams {
        reason: format!("{what} of {len} bytes is too long"),
    })
}
