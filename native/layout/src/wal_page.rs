//! Header of a WAL page.
//!
//! | field | offset | width |
//! |---|---|---|
//! | xlp_magic | 0 | 2 |
//! | xlp_info | 2 | 2 |
//! | xlp_tli | 4 | 4 |
//! | xlp_pageaddr | 8 | 8 |
//! | xlp_rem_len | 16 | 4 (then 4 of padding) |
//! | xlp_sysid | 24 | 8, long header only |
//! | xlp_seg_size | 32 | 4, long header only |
//! | xlp_xlog_blcksz | 36 | 4, long header only |

use crate::{LayoutError, Lsn, le, version::Version};

/// Bytes of a WAL page.
pub const XLOG_BLCKSZ: usize = 8192;
/// Header of every page but a segment's first.
pub const SIZE_OF_SHORT_HEADER: usize = 24;
/// Header of a segment's first page.
pub const SIZE_OF_LONG_HEADER: usize = 40;

/// `xlp_info`: the page begins with the rest of a record from the page before.
pub const XLP_FIRST_IS_CONTRECORD: u16 = 0x0001;
/// `xlp_info`: the header has the long form.
pub const XLP_LONG_HEADER: u16 = 0x0002;
/// `xlp_info`: images in the page may be dropped by an archiver; means nothing to a reader.
pub const XLP_BKP_REMOVABLE: u16 = 0x0004;
/// `xlp_info`: the record that should have continued here was abandoned.
pub const XLP_FIRST_IS_OVERWRITE_CONTRECORD: u16 = 0x0008;
/// Every bit a page may have.
pub const XLP_ALL_FLAGS: u16 = 0x000F;

/// `xlp_magic` of a major version, if it is a known one.
#[must_use]
pub fn magic(major: u32) -> Option<u16> {
    Version::of_major(major).map(|version| version.wal_magic)
}

/// A parsed page header; nothing in it is validated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalPageHeader {
    pub magic: u16,
    pub info: u16,
    pub tli: u32,
    /// LSN of the page's first byte.
    pub pageaddr: Lsn,
    /// Bytes still to come of the record that continues here.
    pub rem_len: u32,
    /// Present exactly when `info` has [`XLP_LONG_HEADER`].
    pub long: Option<LongHeader>,
}

/// What a segment's first page says about the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LongHeader {
    pub system_id: u64,
    pub seg_size: u32,
    pub xlog_blcksz: u32,
}

impl WalPageHeader {
    /// Reads the header at the start of `bytes`.
    ///
    /// # Errors
    /// [`LayoutError::TooShort`] if the header, in the form its flags claim, does not fit.
    pub fn parse(bytes: &[u8]) -> Result<WalPageHeader, LayoutError> {
        Self::parse_short(bytes)
            .and_then(|header| header.with_long_part(bytes))
            .ok_or(LayoutError::TooShort {
                structure: "WAL page header",
                needed: Self::size_claimed(bytes),
                got: bytes.len(),
            })
    }

    fn parse_short(bytes: &[u8]) -> Option<WalPageHeader> {
        let header = bytes.get(..SIZE_OF_SHORT_HEADER)?;
        Some(WalPageHeader {
            magic: le::u16_at(header, 0)?,
            info: le::u16_at(header, 2)?,
            tli: le::u32_at(header, 4)?,
            pageaddr: Lsn(le::u64_at(header, 8)?),
            rem_len: le::u32_at(header, 16)?,
            long: None,
        })
    }

    fn with_long_part(self, bytes: &[u8]) -> Option<WalPageHeader> {
        if self.info & XLP_LONG_HEADER == 0 {
            return Some(self);
        }
        let long = Some(LongHeader {
            system_id: le::u64_at(bytes, 24)?,
            seg_size: le::u32_at(bytes, 32)?,
            xlog_blcksz: le::u32_at(bytes, 36)?,
        });
        Some(WalPageHeader { long, ..self })
    }

    fn size_claimed(bytes: &[u8]) -> usize {
        match le::u16_at(bytes, 2) {
            Some(info) if info & XLP_LONG_HEADER != 0 => SIZE_OF_LONG_HEADER,
            _ => SIZE_OF_SHORT_HEADER,
        }
    }

    /// Bytes the header takes: 40 with the long part, else 24.
    #[must_use]
    pub fn size(&self) -> usize {
        if self.long.is_some() {
            SIZE_OF_LONG_HEADER
        } else {
            SIZE_OF_SHORT_HEADER
        }
    }

    /// Writes the header to the start of `page`; [`XLP_LONG_HEADER`] follows from `long`.
    pub fn write(&self, page: &mut [u8; XLOG_BLCKSZ]) {
        let long_flag = if self.long.is_some() {
            XLP_LONG_HEADER
        } else {
            0
        };
        let info = self.info & !XLP_LONG_HEADER | long_flag;
        page[0..2].copy_from_slice(&self.magic.to_le_bytes());
        page[2..4].copy_from_slice(&info.to_le_bytes());
        page[4..8].copy_from_slice(&self.tli.to_le_bytes());
        page[8..16].copy_from_slice(&self.pageaddr.0.to_le_bytes());
        page[16..20].copy_from_slice(&self.rem_len.to_le_bytes());
        page[20..24].fill(0);
        if let Some(long) = self.long {
            page[24..32].copy_from_slice(&long.system_id.to_le_bytes());
            page[32..36].copy_from_slice(&long.seg_size.to_le_bytes());
            page[36..40].copy_from_slice(&long.xlog_blcksz.to_le_bytes());
        }
    }
}

/// Size of the header that the page at `pageaddr` must have.
#[must_use]
pub fn header_size_at(pageaddr: Lsn, seg_size: u32) -> usize {
    if pageaddr.0 & u64::from(seg_size.wrapping_sub(1)) == 0 {
        SIZE_OF_LONG_HEADER
    } else {
        SIZE_OF_SHORT_HEADER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(long: Option<LongHeader>) -> WalPageHeader {
        WalPageHeader {
            magic: 0xD110,
            info: XLP_FIRST_IS_CONTRECORD | if long.is_some() { XLP_LONG_HEADER } else { 0 },
            tli: 3,
            pageaddr: Lsn(0x1_0200_0000),
            rem_len: 77,
            long,
        }
    }

    #[test]
    fn both_forms_round_trip() {
        let long = LongHeader {
            system_id: 1 << 40,
            seg_size: 1 << 24,
            xlog_blcksz: 8192,
        };
        for header in [header(None), header(Some(long))] {
            let mut page = [0xEE; XLOG_BLCKSZ];
            header.write(&mut page);
            assert_eq!(WalPageHeader::parse(&page), Ok(header));
            assert_eq!(page[header.size()], 0xEE);
            let short = WalPageHeader::parse(&page[..header.size() - 1]);
            assert!(matches!(short, Err(LayoutError::TooShort { .. })));
        }
    }

    #[test]
    fn segment_starts_have_the_long_header() {
        assert_eq!(
            header_size_at(Lsn(0x200_0000), 1 << 24),
            SIZE_OF_LONG_HEADER
        );
        assert_eq!(
            header_size_at(Lsn(0x200_2000), 1 << 24),
            SIZE_OF_SHORT_HEADER
        );
        assert_eq!(
            header_size_at(Lsn(0x210_0000), 1 << 20),
            SIZE_OF_LONG_HEADER
        );
    }
}
