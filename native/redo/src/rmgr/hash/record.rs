//! Main data of the records. SPLIT_PAGE and SPLIT_CLEANUP have none.
//!
//! | record | bytes |
//! |---|---|
//! | INIT_META_PAGE | num_tuples f64 @0, procid u32 @8, ffactor u16 @12 |
//! | INIT_BITMAP_PAGE | bmsize u16 @0 |
//! | INSERT | offnum u16 @0 |
//! | ADD_OVFL_PAGE | bmsize u16 @0, bmpage_found u8 @2 |
//! | SPLIT_ALLOCATE_PAGE | new_bucket u32 @0, old_bucket_flag u16 @4, new_bucket_flag u16 @6, flags u8 @8 |
//! | SPLIT_COMPLETE | old_bucket_flag u16 @0, new_bucket_flag u16 @2 |
//! | MOVE_PAGE_CONTENTS | ntups u16 @0, is_prim_bucket_same_wrt u8 @2 |
//! | SQUEEZE_PAGE | prevblkno u32 @0, nextblkno u32 @4, ntups u16 @8, is_prim_bucket_same_wrt u8 @10, is_prev_bucket_same_wrt u8 @11 |
//! | DELETE | clear_dead_marking u8 @0, is_primary_bucket_page u8 @1 |
//! | UPDATE_META_PAGE | ntuples f64 @0 |
//! | VACUUM_ONE_PAGE | latestRemovedXid u32 @0, ntuples i32 @4, offset numbers u16 @8 … |

use offshoot_layout::item::max_align;
use offshoot_layout::le;

use crate::payload::{Malformed, Payload};

/// An index tuple is at least its header: TID, and `t_info` with the size in its lower 13 bits.
const INDEX_TUPLE_HEADER_BYTES: usize = 8;
const T_INFO: usize = 6;
const INDEX_SIZE_MASK: u16 = 0x1FFF;
/// Tuples that a page has room for at most (MaxIndexTuplesPerPage).
const MAX_INDEX_TUPLES: usize = 408;

pub(super) struct InitMetaPage {
    pub num_tuples: f64,
    pub procid: u32,
    pub ffactor: u16,
}

impl InitMetaPage {
    pub(super) fn parse(main: &[u8]) -> Result<InitMetaPage, Malformed> {
        let mut payload = Payload::new(main);
        Ok(InitMetaPage {
            num_tuples: f64::from_bits(payload.u64()?),
            procid: payload.u32()?,
            ffactor: payload.u16()?,
        })
    }
}

/// A page joins a bucket's chain.
pub(super) struct AddOvflPage {
    pub bmsize: u16,
    /// The page had been freed before, and its bit has been found on a bitmap page.
    pub bmpage_found: bool,
}

impl AddOvflPage {
    pub(super) fn parse(main: &[u8]) -> Result<AddOvflPage, Malformed> {
        let mut payload = Payload::new(main);
        Ok(AddOvflPage {
            bmsize: payload.u16()?,
            bmpage_found: payload.u8()? != 0,
        })
    }
}

/// A bucket is about to be split in two.
pub(super) struct SplitAllocatePage {
    pub new_bucket: u32,
    pub old_bucket_flag: u16,
    pub new_bucket_flag: u16,
    flags: u8,
}

impl SplitAllocatePage {
    pub(super) fn parse(main: &[u8]) -> Result<SplitAllocatePage, Malformed> {
        let mut payload = Payload::new(main);
        Ok(SplitAllocatePage {
            new_bucket: payload.u32()?,
            old_bucket_flag: payload.u16()?,
            new_bucket_flag: payload.u16()?,
            flags: payload.u8()?,
        })
    }

    /// XLH_SPLIT_META_UPDATE_MASKS.
    pub(super) fn has_masks(&self) -> bool {
        self.flags & 1 != 0
    }

    /// XLH_SPLIT_META_UPDATE_SPLITPOINT.
    pub(super) fn has_splitpoint(&self) -> bool {
        self.flags & 2 != 0
    }
}

/// An overflow page becomes free, its tuples those of an earlier page of the chain.
pub(super) struct SqueezePage {
    pub prevblkno: u32,
    pub nextblkno: u32,
    pub ntups: u16,
    /// The page that the tuples go to is the one before the freed page.
    pub is_prev_bucket_same_wrt: bool,
}

impl SqueezePage {
    pub(super) fn parse(main: &[u8]) -> Result<SqueezePage, Malformed> {
        let mut payload = Payload::new(main);
        let (prevblkno, nextblkno) = (payload.u32()?, payload.u32()?);
        let ntups = payload.u16()?;
        payload.u8()?; // is_prim_bucket_same_wrt: what to lock
        Ok(SqueezePage {
            prevblkno,
            nextblkno,
            ntups,
            is_prev_bucket_same_wrt: payload.u8()? != 0,
        })
    }
}

/// Offset numbers, as many as a page can have.
pub(super) struct OffsetNumbers {
    count: usize,
    numbers: [u16; MAX_INDEX_TUPLES],
}

impl OffsetNumbers {
    /// All of `bytes`.
    pub(super) fn parse(bytes: &[u8]) -> Result<OffsetNumbers, Malformed> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(Malformed("half an offset number"));
        }
        let mut numbers = [0; MAX_INDEX_TUPLES];
        let places = numbers.get_mut(..pairs.len());
        let places = places.ok_or(Malformed("more items than a page has room for"))?;
        for (place, pair) in places.iter_mut().zip(pairs) {
            *place = u16::from_le_bytes(*pair);
        }
        Ok(OffsetNumbers {
            count: pairs.len(),
            numbers,
        })
    }

    pub(super) fn as_slice(&self) -> &[u16] {
        self.numbers.get(..self.count).unwrap_or_default()
    }
}

/// The offset numbers in the main data of VACUUM_ONE_PAGE.
pub(super) fn parse_vacuum_one_page(main: &[u8]) -> Result<OffsetNumbers, Malformed> {
    let mut payload = Payload::new(main);
    payload.u32()?; // latestRemovedXid
    let count = payload.count()?;
    OffsetNumbers::parse(payload.take(count.saturating_mul(2))?)
}

/// The size that an index tuple says it has, with nothing but its bytes behind it looked at.
fn index_tuple_size(bytes: &[u8]) -> Result<usize, Malformed> {
    let info = le::u16_at(bytes, T_INFO).ok_or(Malformed("index tuple ends early"))?;
    let size = usize::from(info & INDEX_SIZE_MASK);
    if size < INDEX_TUPLE_HEADER_BYTES {
        return Err(Malformed("index tuple without its header"));
    }
    Ok(size)
}

/// Bytes that are one index tuple.
pub(super) fn index_tuple(bytes: &[u8]) -> Result<&[u8], Malformed> {
    if index_tuple_size(bytes)? != bytes.len() {
        return Err(Malformed("index tuple of another size"));
    }
    Ok(bytes)
}

/// Calls `each` with each of `count` index tuples and the offset number it goes to: first come all
/// offset numbers, then the tuples, each filled up to a multiple of 8.
pub(super) fn for_each_moved_tuple(
    data: &[u8],
    count: u16,
    mut each: impl FnMut(u16, &[u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let numbers = usize::from(count) * 2;
    let (offsets, mut tuples) = data
        .split_at_checked(numbers)
        .ok_or(Malformed("moved tuples end early"))?;
    for offset in offsets.as_chunks::<2>().0 {
        let size = max_align(index_tuple_size(tuples)?);
        let (tuple, rest) = tuples
            .split_at_checked(size)
            .ok_or(Malformed("moved tuples end early"))?;
        each(u16::from_le_bytes(*offset), tuple)?;
        tuples = rest;
    }
    if !tuples.is_empty() {
        return Err(Malformed("more moved tuples than offset numbers"));
    }
    Ok(())
}
