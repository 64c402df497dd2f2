//! Index tuples.
//!
//! | field | offset | width |
//! |---|---|---|
//! | t_tid | 0 | 6 |
//! | t_info | 6 | 2: size (bits 0–12), INDEX_ALT_TID_MASK (bit 13), varlenas, nulls |
//! | key | 8 | |
//!
//! With INDEX_ALT_TID_MASK `t_tid` is no row. In a posting list tuple, one key for many rows, its
//! block number says where the TIDs of the rows begin, its offset number how many there are. In a
//! pivot tuple, one of an inner page or a high key, its block number is the child (downlink).

use offshoot_layout::Tid;
use offshoot_layout::item::max_align;
use offshoot_layout::le::u16_at;
use offshoot_layout::tid::SIZE_OF_TID;

use crate::payload::Malformed;

/// Bytes before the key.
pub(super) const SIZE_OF_INDEX_TUPLE: usize = 8;
/// Bytes of the block number in `t_tid`.
pub(super) const SIZE_OF_BLOCK: usize = 4;
const T_INFO: usize = 6;
const INDEX_SIZE_MASK: u16 = 0x1FFF;
pub(super) const INDEX_ALT_TID_MASK: u16 = 0x2000;
/// In the offset number of `t_tid`.
const BT_IS_POSTING: u16 = 0x2000;
const BT_OFFSET_MASK: u16 = 0x0FFF;

const TOO_SHORT: Malformed = Malformed("an index tuple is shorter than its size");
const BAD_POSTING: Malformed = Malformed("a posting list reaches out of its tuple");

/// The tuple's own statement of its size.
pub(super) fn size(tuple: &[u8]) -> Result<usize, Malformed> {
    let size = usize::from(u16_at(tuple, T_INFO).ok_or(TOO_SHORT)? & INDEX_SIZE_MASK);
    if size < SIZE_OF_INDEX_TUPLE {
        return Err(Malformed("an index tuple is smaller than its header"));
    }
    Ok(size)
}

/// The first tuple with its filling up to a multiple of 8, and the bytes behind it.
pub(super) fn split_first(tuples: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    tuples
        .split_at_checked(max_align(size(tuples)?))
        .ok_or(TOO_SHORT)
}

/// The first six bytes.
pub(super) fn t_tid(tuple: &[u8]) -> Result<[u8; SIZE_OF_TID], Malformed> {
    tuple.first_chunk().copied().ok_or(TOO_SHORT)
}

pub(super) fn set_t_tid(tuple: &mut [u8], tid: [u8; SIZE_OF_TID]) -> Result<(), Malformed> {
    *tuple.first_chunk_mut().ok_or(TOO_SHORT)? = tid;
    Ok(())
}

/// Where the TIDs are in a posting list tuple, and how many; `None` for another tuple.
fn posting(tuple: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let info = u16_at(tuple, T_INFO).ok_or(TOO_SHORT)?;
    let tid = Tid::from_bytes(t_tid(tuple)?);
    if info & INDEX_ALT_TID_MASK == 0 || tid.offset & BT_IS_POSTING == 0 {
        return Ok(None);
    }
    let (start, count) = (tid.block as usize, usize::from(tid.offset & BT_OFFSET_MASK));
    let fits = start >= SIZE_OF_INDEX_TUPLE
        && start <= tuple.len()
        && count > 0
        && count * SIZE_OF_TID <= tuple.len() - start;
    fits.then_some(Some((start, count))).ok_or(BAD_POSTING)
}

/// A leaf tuple without its rows: header and key.
pub(super) fn header_and_key(tuple: &[u8]) -> Result<&[u8], Malformed> {
    let end = match posting(tuple)? {
        Some((start, _)) => start,
        None => size(tuple)?,
    };
    tuple.get(..end).ok_or(TOO_SHORT)
}

/// The TIDs of the rows of a leaf tuple, six bytes each.
pub(super) fn rows(tuple: &[u8]) -> Result<&[u8], Malformed> {
    match posting(tuple)? {
        Some((start, count)) => tuple.get(start..start + count * SIZE_OF_TID),
        None => tuple.get(..SIZE_OF_TID),
    }
    .ok_or(BAD_POSTING)
}

/// Puts a row into a posting list at index `at`, which pushes the last row out: that one is
/// returned, to become the new tuple's (_bt_swap_posting).
pub(super) fn swap_posting(
    tuple: &mut [u8],
    tid: [u8; SIZE_OF_TID],
    at: u16,
) -> Result<[u8; SIZE_OF_TID], Malformed> {
    let (start, count) = posting(tuple)?.ok_or(Malformed("the tuple is no posting list"))?;
    let (at, last) = (usize::from(at), start + (count - 1) * SIZE_OF_TID);
    if at == 0 || at >= count {
        return Err(Malformed("the row would not go inside the posting list"));
    }
    let pushed_out = t_tid(tuple.get(last..).ok_or(BAD_POSTING)?)?;
    let place = start + at * SIZE_OF_TID;
    tuple.copy_within(place..last, place + SIZE_OF_TID);
    set_t_tid(tuple.get_mut(place..).ok_or(BAD_POSTING)?, tid)?;
    Ok(pushed_out)
}

/// Bytes of a tuple with such a key for so many rows.
pub(super) fn size_of(header_and_key: usize, rows: usize) -> usize {
    match rows {
        1 => header_and_key,
        _ => max_align(header_and_key + rows * SIZE_OF_TID),
    }
}

/// Completes the header of a tuple of [`size_of`] bytes which holds header and key of another
/// tuple, and the rows of several behind it. The one row of a plain tuple stays to be set.
pub(super) fn set_header(
    tuple: &mut [u8],
    header_and_key: usize,
    rows: usize,
) -> Result<(), Malformed> {
    let kept = u16_at(tuple, T_INFO).ok_or(TOO_SHORT)? & !(INDEX_SIZE_MASK | INDEX_ALT_TID_MASK);
    let mut info = kept | tuple.len() as u16 & INDEX_SIZE_MASK;
    if rows > 1 {
        info |= INDEX_ALT_TID_MASK;
        let tid = Tid {
            block: header_and_key as u32,
            offset: rows as u16 & BT_OFFSET_MASK | BT_IS_POSTING,
        };
        set_t_tid(tuple, tid.to_bytes())?;
    }
    tuple
        .get_mut(T_INFO..SIZE_OF_INDEX_TUPLE)
        .ok_or(TOO_SHORT)?
        .copy_from_slice(&info.to_le_bytes());
    Ok(())
}

/// A pivot tuple without a key, whose block number is `child`.
pub(super) fn pivot_without_key(child: u32) -> [u8; SIZE_OF_INDEX_TUPLE] {
    let tid = Tid {
        block: child,
        offset: 0,
    };
    let [a, b, c, d, e, f] = tid.to_bytes();
    let [g, h] = (SIZE_OF_INDEX_TUPLE as u16 | INDEX_ALT_TID_MASK).to_le_bytes();
    [a, b, c, d, e, f, g, h]
}
