//! Values of `versions`: an image of the page, or WAL records that make it from the one before.
//!
//! ```text
//! image    1 | codec u8 | hole offset u16 | hole length u16 | payload     (codec 0: nothing follows it)
//! records  2, 3 | see `record_group`
//! ```

use crate::EngineError;
use crate::record_group::{RecordGroup, TAG_PACKED, TAG_RECORDS};
use offshoot_layout::{BLCKSZ, Lsn, Page};

const TAG_IMAGE: u8 = 1;
const CODEC_ZEROS: u8 = 0;
const CODEC_RAW: u8 = 1;
const CODEC_LZ4: u8 = 2;
const IMAGE_HEADER_BYTES: usize = 5;
/// Longest image: the page as it is.
pub const IMAGE_BYTES_MAX: usize = IMAGE_HEADER_BYTES + BLCKSZ;
/// LZ4 has to save this much, or the page is kept as it is and costs no time to read.
const LZ4_SAVING_BYTES_MIN: usize = 256;

/// Of a page that is looked at before it is compressed; less is compressed at once.
const SAMPLED_BYTES_MIN: usize = 4096;
const SAMPLE_BYTES: usize = 512;
const STORE_PAGE_BYTES: usize = 4096;
/// Headers of the page and of the image.
const STORE_OVERHEAD_BYTES: usize = 16 + 1 + IMAGE_HEADER_BYTES;

/// A version as it lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version<'a> {
    Image(Image<'a>),
    Records(RecordGroup<'a>),
}

/// An encoded page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'a> {
    codec: u8,
    hole_offset: usize,
    hole_length: usize,
    payload: &'a [u8],
}

/// Reads the value of a key that ends with `lsn`.
///
/// # Errors
/// `Damaged`, for any bytes that this module does not write.
pub fn parse_version(value: &[u8], lsn: Lsn) -> Result<Version<'_>, EngineError> {
    match value.split_first() {
        Some((&TAG_IMAGE, rest)) => parse_image(rest).map(Version::Image),
        Some((&tag, rest)) if tag == TAG_RECORDS || tag == TAG_PACKED => {
            RecordGroup::parse(tag, rest, lsn).map(Version::Records)
        }
        Some((tag, _)) => Err(damaged(format!("unknown tag {tag}"))),
        None => Err(damaged("it is empty")),
    }
}

/// Appends a page as a value: a tag and the image.
pub fn encode_image(page: &Page, out: &mut Vec<u8>) {
    out.push(TAG_IMAGE);
    encode_page(page, Place::Alone, out);
}

/// What an encoded page lies beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is a value of its own.
    Alone,
    AmongOthers,
}

/// Appends a page: the hole between line pointers and tuples is left out when it holds zeros, the rest
/// compressed when that pays. A page of zeros takes one byte; at most `IMAGE_BYTES_MAX`.
pub fn encode_page(page: &Page, place: Place, out: &mut Vec<u8>) {
    if page.iter().all(|&byte| byte == 0) {
        return out.push(CODEC_ZEROS);
    }
    let (hole_offset, hole_length) = hole(page);
    let mut rest = [0; BLCKSZ];
    let rest_bytes = BLCKSZ - hole_length;
    rest[..hole_offset].copy_from_slice(&page[..hole_offset]);
    rest[hole_offset..rest_bytes].copy_from_slice(&page[hole_offset + hole_length..]);
    let header = out.len();
    if !is_worth_compressing(&rest[..rest_bytes], place) {
        put_header(out, CODEC_RAW, hole_offset, hole_length);
        out.extend_from_slice(&rest[..rest_bytes]);
        return;
    }
    put_header(out, CODEC_LZ4, hole_offset, hole_length);
    let payload = out.len();
    let room = lz4_flex::block::get_maximum_output_size(rest_bytes);
    out.resize(payload + room, 0);
    match lz4_flex::block::compress_into(&rest[..rest_bytes], &mut out[payload..]) {
        Ok(bytes) if bytes + LZ4_SAVING_BYTES_MIN <= rest_bytes => out.truncate(payload + bytes),
        _ => {
            out.truncate(payload);
            out[header] = CODEC_RAW;
            out.extend_from_slice(&rest[..rest_bytes]);
        }
    }
}

fn put_header(out: &mut Vec<u8>, codec: u8, hole_offset: usize, hole_length: usize) {
    out.push(codec);
    out.extend_from_slice(&(hole_offset as u16).to_be_bytes());
    out.extend_from_slice(&(hole_length as u16).to_be_bytes());
}

/// Whether compressing it saves room, by what two small parts of it say. An index on random keys is nearly all
/// that a build of it logs; compressing its pages would take half the time that storing them takes, and save
/// a tenth, of which nothing is left when each lies alone.
fn is_worth_compressing(rest: &[u8], place: Place) -> bool {
    if rest.len() < SAMPLED_BYTES_MIN {
        return true;
    }
    let mut packed = [0; lz4_flex::block::get_maximum_output_size(SAMPLE_BYTES)];
    let parts = [rest.len() / 4, rest.len() - SAMPLE_BYTES];
    let sizes = parts.map(|at| {
        let sample = &rest[at..at + SAMPLE_BYTES];
        lz4_flex::block::compress_into(sample, &mut packed).unwrap_or(SAMPLE_BYTES)
    });
    let expected = rest.len() * (sizes[0] + sizes[1]) / (2 * SAMPLE_BYTES);
    match place {
        Place::Alone => room_alone(expected - expected / 8) < room_alone(rest.len()),
        Place::AmongOthers => expected <= rest.len() - rest.len() / 8,
    }
}

/// What a value of so many bytes takes in LMDB: beside others on a page if it is short, else whole pages.
fn room_alone(bytes: usize) -> usize {
    match bytes < STORE_PAGE_BYTES / 2 {
        true => bytes,
        false => (bytes + STORE_OVERHEAD_BYTES).next_multiple_of(STORE_PAGE_BYTES),
    }
}

impl Image<'_> {
    /// Makes the page, over whatever `page` held.
    ///
    /// # Errors
    /// `Damaged` when the payload does not decompress to a page.
    pub fn decode(&self, page: &mut Page) -> Result<(), EngineError> {
        if self.codec == CODEC_ZEROS {
            page.fill(0);
            return Ok(());
        }
        let rest_bytes = BLCKSZ - self.hole_length;
        let rest = &mut page[..rest_bytes];
        if self.codec == CODEC_RAW {
            rest.copy_from_slice(self.payload);
        } else {
            match lz4_flex::block::decompress_into(self.payload, rest) {
                Ok(bytes) if bytes == rest_bytes => {}
                Ok(bytes) => return Err(damaged(format!("{bytes} bytes of {rest_bytes}"))),
                Err(error) => return Err(damaged(error)),
            }
        }
        let hole_end = self.hole_offset + self.hole_length;
        page.copy_within(self.hole_offset..rest_bytes, hole_end);
        page[self.hole_offset..hole_end].fill(0);
        Ok(())
    }
}

/// Offset and length of the zeros between pd_lower and pd_upper; length 0 when there are none.
fn hole(page: &Page) -> (usize, usize) {
    let field = |at: usize| usize::from(u16::from_le_bytes([page[at], page[at + 1]]));
    let (lower, upper) = (field(12), field(14));
    let sane = (24..upper).contains(&lower) && upper <= BLCKSZ;
    match sane && page[lower..upper].iter().all(|&byte| byte == 0) {
        true => (lower, upper - lower),
        false => (0, 0),
    }
}

/// Reads what `encode_page` wrote.
///
/// # Errors
/// `Damaged`, for any bytes that it does not write.
pub fn parse_image(rest: &[u8]) -> Result<Image<'_>, EngineError> {
    if rest == [CODEC_ZEROS] {
        return Ok(Image {
            codec: CODEC_ZEROS,
            hole_offset: 0,
            hole_length: BLCKSZ,
            payload: &[],
        });
    }
    let Some((header, payload)) = rest.split_first_chunk::<IMAGE_HEADER_BYTES>() else {
        return Err(damaged("its header is cut off"));
    };
    let image = Image {
        codec: header[0],
        hole_offset: usize::from(u16::from_be_bytes([header[1], header[2]])),
        hole_length: usize::from(u16::from_be_bytes([header[3], header[4]])),
        payload,
    };
    if image.hole_offset + image.hole_length > BLCKSZ {
        return Err(damaged("its hole ends behind the page"));
    }
    match image.codec {
        CODEC_LZ4 => Ok(image),
        CODEC_RAW if payload.len() == BLCKSZ - image.hole_length => Ok(image),
        CODEC_RAW => Err(damaged(format!("{} raw bytes", payload.len()))),
        codec => Err(damaged(format!("unknown codec {codec}"))),
    }
}

fn damaged(reason: impl ToString) -> EngineError {
    EngineError::damaged("page version", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(lower: u16, upper: u16, fill: impl Fn(usize) -> u8) -> Page {
        let mut page = [0; BLCKSZ];
        for (at, byte) in page.iter_mut().enumerate() {
            *byte = fill(at);
        }
        page[12..14].copy_from_slice(&lower.to_le_bytes());
        page[14..16].copy_from_slice(&upper.to_le_bytes());
        page
    }

    fn noise(at: usize) -> u8 {
        let mixed = (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed ^ mixed >> 31).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 56) as u8
    }

    fn outside(lower: usize, upper: usize) -> impl Fn(usize) -> u8 {
        move |at| match (lower..upper).contains(&at) {
            true => 0,
            false => noise(at),
        }
    }

    #[test]
    fn images_come_back_as_they_were() {
        let mut dirty_hole = page(100, 8000, outside(100, 8000));
        dirty_hole[4000] = 1;
        for (name, page, bytes) in [
            ("zeros", [0; BLCKSZ], 2..=2),
            ("noise", page(0, 0, noise), 8198..=8198),
            ("a hole", page(100, 8000, outside(100, 8000)), 298..=298),
            ("all hole", page(24, 8192, outside(24, 8192)), 30..=30),
            ("a hole with something in it", dirty_hole, 200..=1000),
            ("hole out of order", page(8000, 100, |_| 7), 20..=100),
            ("hole behind the end", page(24, 9000, |_| 7), 20..=100),
            ("text", page(40, 40, |at| b"some text "[at % 10]), 20..=300),
        ] {
            let mut value = Vec::new();
            encode_image(&page, &mut value);
            assert!(bytes.contains(&value.len()), "{name}: {}", value.len());
            let Version::Image(image) = parse_version(&value, Lsn(8)).unwrap() else {
                panic!("{name} is no image");
            };
            let mut back = [0xEE; BLCKSZ];
            image.decode(&mut back).unwrap();
            assert!(back == page, "{name}");
        }
    }

    #[test]
    fn damage_is_an_error() {
        let mut lz4 = Vec::new();
        encode_image(&page(40, 40, |at| b"some text "[at % 10]), &mut lz4);
        let cut = &lz4[..lz4.len() - 3];
        for value in [
            &[][..],
            &[0],
            &[9, 9, 9],
            &[1],
            &[1, 1, 0, 0, 0],
            &[1, 1, 0, 0, 0, 0, 7],
            &[1, 3, 0, 0, 0, 0, 7],
            &[1, 2, 0x20, 0, 0, 1, 7],
            &[1, 2, 0, 0, 0, 0],
            &[2, 0, 0],
            cut,
        ] {
            let result = parse_version(value, Lsn(8)).and_then(|version| match version {
                Version::Image(image) => image.decode(&mut [0; BLCKSZ]),
                Version::Records(group) => {
                    let mut room = Vec::new();
                    let mut records = group.records(&mut room)?;
                    records.try_for_each(|record| record.map(|_| ()))
                }
            });
            assert!(
                matches!(result, Err(EngineError::Damaged { .. })),
                "{value:?}"
            );
        }
    }
}
