//! Block references: which pages a record touches, with what image and data.
//!
//! One block reference header:
//!
//! | part | size | present |
//! |---|---|---|
//! | id | 1 | always, 0 to 32 |
//! | fork and flags | 1 | always |
//! | data length | 2 | always |
//! | image length, hole offset, image info | 2, 2, 1 | with an image |
//! | hole length | 2 | image compressed and with a hole |
//! | tablespace, database, relfilenode | 4 each | unless "same relation" |
//! | block number | 4 | always |

use std::ops::Range;

use smallvec::SmallVec;

use offshoot_layout::{BLCKSZ, BlockKey, Fork, RelKey};

use crate::payload::Cursor;

pub(crate) const BKPBLOCK_FORK_MASK: u8 = 0x0F;
pub(crate) const BKPBLOCK_HAS_IMAGE: u8 = 0x10;
pub(crate) const BKPBLOCK_HAS_DATA: u8 = 0x20;
pub(crate) const BKPBLOCK_WILL_INIT: u8 = 0x40;
pub(crate) const BKPBLOCK_SAME_REL: u8 = 0x80;

pub(crate) const BKPIMAGE_HAS_HOLE: u8 = 0x01;

/// One page that a record refers to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockRef {
    /// 0 to 32; ascending within a record, not always without gaps.
    pub id: u8,
    pub key: BlockKey,
    /// Redo builds the page from nothing.
    pub will_init: bool,
    pub image: Option<ImageRef>,
    /// The block's own data within the record's bytes; empty if it has none.
    pub data: Range<usize>,
}

/// A record's block references; few records have more than two.
pub type BlockRefs = SmallVec<[BlockRef; 2]>;

/// A full-page image inside a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageRef {
    /// The image is the page after the record; otherwise it is only there to compare with.
    pub apply: bool,
    pub compression: Compression,
    /// Where the bytes that were left out (all zero) begin; 0 without a hole.
    pub hole_offset: u16,
    pub hole_length: u16,
    /// The stored image within the record's bytes.
    pub bytes: Range<usize>,
}

/// How an image's bytes are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    None,
    Pglz,
    Lz4,
    Zstd,
}

/// The image info byte, whose bits moved between 14 and 15.
pub(crate) struct ImageInfo {
    pub(crate) has_hole: bool,
    pub(crate) apply: bool,
    pub(crate) compression: Compression,
}

impl ImageInfo {
    pub(crate) fn parse(info: u8, major: u32) -> Result<ImageInfo, String> {
        let (apply_bit, compressions): (u8, &[(u8, Compression)]) = if major < 15 {
            (0x04, &[(0x02, Compression::Pglz)])
        } else {
            let all = &[
                (0x04, Compression::Pglz),
                (0x08, Compression::Lz4),
                (0x10, Compression::Zstd),
            ];
            (0x02, all)
        };
        let rest = info & !(BKPIMAGE_HAS_HOLE | apply_bit);
        let known = compressions.iter().find(|(bit, _)| *bit == rest);
        let compression = match known {
            Some((_, compression)) => *compression,
            None if rest == 0 => Compression::None,
            None => return Err(format!("image info {info:#04x} is unknown")),
        };
        Ok(ImageInfo {
            has_hole: info & BKPIMAGE_HAS_HOLE != 0,
            apply: info & apply_bit != 0,
            compression,
        })
    }
}

impl BlockRef {
    /// Reads the header after its id byte. The ranges get their lengths here and their places
    /// from [`BlockRef::place_at`], once all headers are known.
    pub(crate) fn parse(
        id: u8,
        cursor: &mut Cursor<'_>,
        before: Option<&BlockRef>,
        major: u32,
    ) -> Result<BlockRef, String> {
        let flags = cursor.u8()?;
        let fork = Fork::from_number(flags & BKPBLOCK_FORK_MASK)
            .ok_or_else(|| format!("block {id}: fork {} is unknown", flags & BKPBLOCK_FORK_MASK))?;
        let data_len = usize::from(cursor.u16()?);
        if (flags & BKPBLOCK_HAS_DATA != 0) != (data_len > 0) {
            return Err(format!(
                "block {id}: data flag and {data_len} bytes disagree"
            ));
        }
        let image = match flags & BKPBLOCK_HAS_IMAGE {
            0 => None,
            _ => Some(ImageRef::parse(cursor, major).map_err(|why| format!("block {id}: {why}"))?),
        };
        let rel = parse_rel(id, flags & BKPBLOCK_SAME_REL != 0, fork, cursor, before)?;
        let block = cursor.u32()?;
        Ok(BlockRef {
            id,
            key: BlockKey { rel, block },
            will_init: flags & BKPBLOCK_WILL_INIT != 0,
            image,
            data: 0..data_len,
        })
    }

    /// Bytes of image and data together.
    pub(crate) fn payload_len(&self) -> usize {
        self.image.as_ref().map_or(0, |image| image.bytes.len()) + self.data.len()
    }

    /// Moves the ranges to where the payload of this block begins; returns where it ends.
    pub(crate) fn place_at(&mut self, mut offset: usize) -> usize {
        if let Some(image) = &mut self.image {
            image.bytes = offset..offset + image.bytes.len();
            offset = image.bytes.end;
        }
        self.data = offset..offset + self.data.len();
        self.data.end
    }
}

fn parse_rel(
    id: u8,
    same_rel: bool,
    fork: Fork,
    cursor: &mut Cursor<'_>,
    before: Option<&BlockRef>,
) -> Result<RelKey, String> {
    if same_rel {
        let before = before.ok_or_else(|| format!("block {id}: no relation before the first"))?;
        return Ok(RelKey {
            fork,
            ..before.key.rel
        });
    }
    Ok(RelKey {
        spcnode: cursor.u32()?,
        dbnode: cursor.u32()?,
        relnode: cursor.u32()?,
        fork,
    })
}

impl ImageRef {
    fn parse(cursor: &mut Cursor<'_>, major: u32) -> Result<ImageRef, String> {
        let stored_len = usize::from(cursor.u16()?);
        let hole_offset = cursor.u16()?;
        let info = ImageInfo::parse(cursor.u8()?, major)?;
        let compressed = info.compression != Compression::None;
        let hole_length = match (info.has_hole, compressed) {
            (false, _) => 0,
            (true, true) => cursor.u16()?,
            (true, false) => BLCKSZ.saturating_sub(stored_len) as u16,
        };
        let image = ImageRef {
            apply: info.apply,
            compression: info.compression,
            hole_offset,
            hole_length,
            bytes: 0..stored_len,
        };
        if image.is_consistent(info.has_hole) {
            return Ok(image);
        }
        Err(format!(
            "image of {stored_len} bytes with a hole of {hole_length} at {hole_offset} is impossible"
        ))
    }

    fn is_consistent(&self, has_hole: bool) -> bool {
        let (offset, length) = (usize::from(self.hole_offset), usize::from(self.hole_length));
        let hole_fits = if has_hole {
            offset > 0 && length > 0 && offset + length <= BLCKSZ
        } else {
            offset == 0
        };
        let stored_len = self.bytes.len();
        let length_fits = match self.compression {
            Compression::None => stored_len + length == BLCKSZ,
            _ => stored_len < BLCKSZ,
        };
        hole_fits && length_fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_bits_moved_between_14_and_15() {
        use Compression::{Lz4, None, Pglz, Zstd};
        let cases = [
            (14, 0x00, Ok((false, false, None))),
            (14, 0x05, Ok((true, true, None))),
            (14, 0x07, Ok((true, true, Pglz))),
            (14, 0x02, Ok((false, false, Pglz))),
            (14, 0x08, Err("image info 0x08 is unknown")),
            (15, 0x03, Ok((true, true, None))),
            (15, 0x05, Ok((true, false, Pglz))),
            (15, 0x0B, Ok((true, true, Lz4))),
            (18, 0x12, Ok((false, true, Zstd))),
            (15, 0x0C, Err("image info 0x0c is unknown")),
            (15, 0x20, Err("image info 0x20 is unknown")),
        ];
        for (major, bits, expected) in cases {
            let info = ImageInfo::parse(bits, major);
            let found = info.map(|i| (i.has_hole, i.apply, i.compression));
            assert_eq!(
                found,
                expected.map_err(str::to_owned),
                "{major} {bits:#04x}"
            );
        }
    }
}
