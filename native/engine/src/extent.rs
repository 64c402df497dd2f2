//! Values of `extents`: the images of up to 16 neighbouring blocks of a fork, each to be read alone.
//!
//! ```text
//! slots u8 | length u16 for each slot | images, back to back     (length 0: the extent says nothing of it)
//! ```
//! Slot *n* is block 16 · (number in the key) + *n*. An image is as in a version, without the tag.

use crate::EngineError;
use crate::value::{IMAGE_BYTES_MAX, Image, Place, encode_page, parse_image};
use offshoot_layout::Page;

/// Blocks of one extent. More would save little of what LMDB rounds up to, and cost room in every batch.
pub const EXTENT_BLOCKS: u32 = 16;
/// Longest extent.
pub const EXTENT_BYTES_MAX: usize = 1 + EXTENT_BLOCKS as usize * (2 + IMAGE_BYTES_MAX);

const SLOTS_MAX: usize = EXTENT_BLOCKS as usize;
const LENGTH_BYTES: usize = size_of::<u16>();
const _: () = assert!(IMAGE_BYTES_MAX <= u16::MAX as usize);

/// Appends an extent. `pages` begin with slot 0; `None` and what is missing at the end are pages of which
/// the extent says nothing. Without any page, nothing is appended.
pub fn encode_extent<'p>(
    pages: impl ExactSizeIterator<Item = Option<&'p Page>>,
    out: &mut Vec<u8>,
) {
    debug_assert!(pages.len() <= SLOTS_MAX);
    let start = out.len();
    out.push(pages.len() as u8);
    out.resize(start + 1 + pages.len() * LENGTH_BYTES, 0);
    let first_image = out.len();
    for (slot, page) in pages.enumerate() {
        if let Some(page) = page {
            let image = out.len();
            encode_page(page, Place::AmongOthers, out);
            let length = (out.len() - image) as u16;
            let at = start + 1 + slot * LENGTH_BYTES;
            out[at..at + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        }
    }
    if out.len() == first_image {
        out.truncate(start);
    }
}

/// The image of a block, found by its place in the extent; `None` when the extent says nothing of it.
///
/// # Errors
/// `Damaged`, for any bytes that `encode_extent` does not write.
pub fn image_in_extent(value: &[u8], block: u32) -> Result<Option<Image<'_>>, EngineError> {
    let (lengths, images) = directory(value).ok_or_else(|| damaged("its directory is cut off"))?;
    let slot = (block % EXTENT_BLOCKS) as usize;
    let mut at = 0;
    let mut found = None;
    for (number, length) in lengths.iter().enumerate() {
        let length = usize::from(u16::from_be_bytes(*length));
        if number == slot && length > 0 {
            found = Some(at..at + length);
        }
        at += length;
    }
    if at != images.len() {
        let bytes = images.len();
        return Err(damaged(format!("{bytes} bytes of images, not {at}")));
    }
    found.map(|range| parse_image(&images[range])).transpose()
}

/// Whether the extent has an image of the block, by its directory alone.
///
/// # Errors
/// `Damaged`.
pub fn extent_holds(value: &[u8], block: u32) -> Result<bool, EngineError> {
    let (lengths, _) = directory(value).ok_or_else(|| damaged("its directory is cut off"))?;
    let length = lengths.get((block % EXTENT_BLOCKS) as usize);
    Ok(length.is_some_and(|length| *length != [0; LENGTH_BYTES]))
}

/// Lengths and images.
fn directory(value: &[u8]) -> Option<(&[[u8; LENGTH_BYTES]], &[u8])> {
    let (&slots, rest) = value.split_first()?;
    let slots = usize::from(slots);
    if !(1..=SLOTS_MAX).contains(&slots) {
        return None;
    }
    let (lengths, images) = rest.split_at_checked(slots * LENGTH_BYTES)?;
    Some((lengths.as_chunks().0, images))
}

fn damaged(reason: impl ToString) -> EngineError {
    EngineError::damaged("extent", reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use offshoot_layout::BLCKSZ;

    const NOISE: u8 = 0xFF;

    /// Zeros, a page of one byte, or one that cannot be compressed.
    fn page(kind: u8) -> Page {
        let mut state = 1_u32;
        std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match kind {
                NOISE => (state >> 24) as u8,
                kind => kind,
            }
        })
    }

    fn encoded(pages: &[Option<Page>]) -> Vec<u8> {
        let mut value = Vec::new();
        encode_extent(pages.iter().map(Option::as_ref), &mut value);
        value
    }

    #[test]
    fn every_page_is_found_and_absent_ones_are_not_zeros() {
        let full = [Some(page(NOISE)); SLOTS_MAX];
        for pages in [
            &full[..],
            &full[..1],
            &[Some(page(0))],
            &[None, None, Some(page(7))],
            &[Some(page(0)), None, Some(page(NOISE)), None, Some(page(1))],
        ] {
            let value = encoded(pages);
            assert!(value.len() <= EXTENT_BYTES_MAX);
            for block in 0..EXTENT_BLOCKS {
                let expected = pages.get(block as usize).copied().flatten();
                let image = image_in_extent(&value, block + 5 * EXTENT_BLOCKS).unwrap();
                let decoded = image.map(|image| {
                    let mut page = [0xEE; BLCKSZ];
                    image.decode(&mut page).unwrap();
                    page
                });
                assert!(decoded == expected, "block {block}");
                assert_eq!(extent_holds(&value, block).unwrap(), expected.is_some());
            }
        }
        assert_eq!(encoded(&full).len(), EXTENT_BYTES_MAX);
    }

    #[test]
    fn an_extent_that_says_nothing_is_none() {
        let mut out = vec![9];
        for pages in [&[][..], &[None, None]] {
            encode_extent(pages.iter().copied(), &mut out);
            assert_eq!(out, [9]);
        }
    }

    #[test]
    fn damage_is_an_error() {
        let value = encoded(&[Some(page(7)), None, Some(page(NOISE))]);
        let mut long = value.clone();
        long.push(0);
        let mut many = value.clone();
        many[0] = 17;
        let mut codec = value.clone();
        codec[7] = 9;
        for value in [
            &[][..],
            &[0],
            &[1, 0],
            &value[..5],
            &value[..value.len() - 1],
            &long,
            &many,
            &codec,
        ] {
            let found = image_in_extent(value, 0);
            assert!(
                matches!(found, Err(EngineError::Damaged { .. })),
                "{value:02x?}"
            );
        }
    }
}
