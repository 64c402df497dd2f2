//! Payloads. Offset numbers are u16.

use crate::payload::{Malformed, Payload};

/// | field | offset | width |
/// |---|---|---|
/// | latestRemovedXid | 0 | 4 |
/// | nredirected | 4 | 2 |
/// | ndead | 6 | 2 |
///
/// Data of block 0: `nredirected` pairs (from, to), `ndead` offset numbers, and as the rest those
/// that become unused.
pub(super) struct Prune<'a> {
    redirected: &'a [u8],
    dead: &'a [u8],
    unused: &'a [u8],
}

impl<'a> Prune<'a> {
    pub(super) fn parse(main: &[u8], data: &'a [u8]) -> Result<Prune<'a>, Malformed> {
        let mut payload = Payload::new(main);
        payload.u32()?; // latestRemovedXid: for queries on a standby
        let redirected_bytes = 4 * usize::from(payload.u16()?);
        let dead_bytes = 2 * usize::from(payload.u16()?);
        let lists = data.split_at_checked(redirected_bytes);
        let (redirected, data) = lists.ok_or(LISTS_TOO_SHORT)?;
        let (dead, unused) = data.split_at_checked(dead_bytes).ok_or(LISTS_TOO_SHORT)?;
        Ok(Prune {
            redirected,
            dead,
            unused: whole_offsets(unused)?,
        })
    }

    /// (from, to)
    pub(super) fn redirected(&self) -> impl Iterator<Item = (u16, u16)> {
        let pairs = self.redirected.as_chunks().0.iter();
        pairs.map(|&[a, b, c, d]| (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])))
    }

    pub(super) fn dead(&self) -> impl Iterator<Item = u16> {
        offsets(self.dead)
    }

    pub(super) fn unused(&self) -> impl Iterator<Item = u16> {
        offsets(self.unused)
    }
}

const LISTS_TOO_SHORT: Malformed = Malformed("fewer offset numbers than promised");

fn whole_offsets(data: &[u8]) -> Result<&[u8], Malformed> {
    match data.len() % 2 {
        0 => Ok(data),
        _ => Err(Malformed("half an offset number")),
    }
}

fn offsets(data: &[u8]) -> impl Iterator<Item = u16> {
    let offsets = data.as_chunks().0.iter();
    offsets.map(|&offset| u16::from_le_bytes(offset))
}

/// VACUUM is nunused (2 bytes); data of block 0: as many offset numbers.
pub(super) fn parse_vacuum<'a>(
    main: &[u8],
    data: &'a [u8],
) -> Result<impl Iterator<Item = u16> + use<'a>, Malformed> {
    let nunused = usize::from(Payload::new(main).u16()?);
    if data.len() != 2 * nunused {
        return Err(Malformed("other offset numbers than promised"));
    }
    Ok(offsets(data))
}

/// Bytes of an entry of FREEZE_PAGE.
const SIZE_OF_FREEZE: usize = 12;
const XLH_FREEZE_XVAC: u8 = 0x02;
const XLH_INVALID_XVAC: u8 = 0x04;
const FROZEN_TRANSACTION_ID: u32 = 2;

/// What becomes of one tuple by FREEZE_PAGE.
///
/// | field | offset | width |
/// |---|---|---|
/// | xmax | 0 | 4 |
/// | offnum | 4 | 2 |
/// | infomask2 | 6 | 2 |
/// | infomask | 8 | 2 |
/// | frzflags | 10 | 1 |
pub(super) struct Freeze {
    pub xmax: u32,
    pub offnum: u16,
    pub infomask2: u16,
    pub infomask: u16,
    frzflags: u8,
}

impl Freeze {
    /// FREEZE_PAGE is cutoff_xid (4 bytes) and the number of entries (2 bytes), which are the data
    /// of block 0.
    pub(super) fn parse_page<'a>(
        main: &[u8],
        data: &'a [u8],
    ) -> Result<impl Iterator<Item = Freeze> + use<'a>, Malformed> {
        let mut payload = Payload::new(main);
        payload.u32()?; // cutoff_xid: for queries on a standby
        let (entries, rest) = data.as_chunks::<SIZE_OF_FREEZE>();
        if entries.len() != usize::from(payload.u16()?) || !rest.is_empty() {
            return Err(Malformed("other tuples than promised"));
        }
        Ok(entries.iter().map(Freeze::from_bytes))
    }

    fn from_bytes(bytes: &[u8; SIZE_OF_FREEZE]) -> Freeze {
        let &[a, b, c, d, e, f, g, h, i, j, frzflags, _] = bytes;
        Freeze {
            xmax: u32::from_le_bytes([a, b, c, d]),
            offnum: u16::from_le_bytes([e, f]),
            infomask2: u16::from_le_bytes([g, h]),
            infomask: u16::from_le_bytes([i, j]),
            frzflags,
        }
    }

    /// What the xid of an old VACUUM FULL becomes.
    pub(super) fn xvac(&self) -> Option<u32> {
        match self.frzflags {
            flags if flags & XLH_INVALID_XVAC != 0 => Some(0),
            flags if flags & XLH_FREEZE_XVAC != 0 => Some(FROZEN_TRANSACTION_ID),
            _ => None,
        }
    }
}

/// VISIBLE is cutoff_xid (4 bytes) and the bits of the visibility map (1 byte).
pub(super) fn parse_visible(main: &[u8]) -> Result<u8, Malformed> {
    let mut payload = Payload::new(main);
    payload.u32()?; // cutoff_xid: for queries on a standby
    match payload.u8()? {
        bits @ 1..=3 => Ok(bits),
        _ => Err(Malformed("unknown bits of the visibility map")),
    }
}

const XLH_INSERT_ALL_VISIBLE_CLEARED: u8 = 0x01;
const XLH_INSERT_ALL_FROZEN_SET: u8 = 0x20;

/// | field | offset | width |
/// |---|---|---|
/// | flags | 0 | 1 |
/// | ntuples | 2 | 2 |
/// | offset numbers, unless `+INIT` | 4 | 2 each |
pub(super) struct MultiInsert<'a> {
    flags: u8,
    pub ntuples: u16,
    offsets: &'a [u8],
}

impl<'a> MultiInsert<'a> {
    pub(super) fn parse(main: &'a [u8]) -> Result<MultiInsert<'a>, Malformed> {
        let (&[flags, _, a, b], offsets) = main
            .split_first_chunk()
            .ok_or(Malformed("payload ends early"))?;
        Ok(MultiInsert {
            flags,
            ntuples: u16::from_le_bytes([a, b]),
            offsets,
        })
    }

    /// The offset number of the tuple with this index (from 0). On a new page they are 1, 2, …
    pub(super) fn offnum(&self, index: u16, anew: bool) -> Result<u16, Malformed> {
        if anew {
            return Ok(index.saturating_add(1));
        }
        let at = 2 * usize::from(index);
        let offset = offshoot_layout::le::u16_at(self.offsets, at);
        offset.ok_or(Malformed("fewer offset numbers than tuples"))
    }

    pub(super) fn clears_all_visible(&self) -> bool {
        self.flags & XLH_INSERT_ALL_VISIBLE_CLEARED != 0
    }

    /// All tuples of the page are frozen, so they are visible to everyone.
    pub(super) fn sets_all_frozen(&self) -> bool {
        self.flags & XLH_INSERT_ALL_FROZEN_SET != 0
    }
}
