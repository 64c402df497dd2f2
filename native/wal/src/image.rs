//! From a stored image back to a page.

use std::cell::RefCell;
use std::io;

use offshoot_layout::{BLCKSZ, Page};
use zstd::bulk::Decompressor;

use crate::block::{BlockRef, Compression, ImageRef};
use crate::record::Record;
use crate::{WalError, pglz};

impl Record {
    /// Overwrites `page` with the image of one of this record's block references.
    ///
    /// The bytes are those the writer logged: `pd_lsn` is not stamped and the checksum is stale.
    ///
    /// # Errors
    /// [`WalError::InvalidImage`]: the block has no image, or its bytes do not give a page.
    pub fn restore_image(&self, block: &BlockRef, page: &mut Page) -> Result<(), WalError> {
        let image = block
            .image
            .as_ref()
            .ok_or_else(|| "there is none".to_owned());
        image
            .and_then(|image| self.unpack(image, page))
            .map_err(|reason| {
                let (lsn, block_id) = (self.start, block.id);
                WalError::InvalidImage {
                    lsn,
                    block_id,
                    reason,
                }
            })
    }

    fn unpack(&self, image: &ImageRef, page: &mut Page) -> Result<(), String> {
        let stored = self
            .bytes
            .get(image.bytes.clone())
            .ok_or("it lies outside the record")?;
        let (hole_offset, hole_length) = (
            usize::from(image.hole_offset),
            usize::from(image.hole_length),
        );
        let raw_len = BLCKSZ
            .checked_sub(hole_length)
            .filter(|raw_len| hole_offset <= *raw_len)
            .ok_or("its hole does not fit into a page")?;
        // Everything up to the hole is in place at once; only what follows has to move.
        decompress(image.compression, stored, &mut page[..raw_len])?;
        page.copy_within(hole_offset..raw_len, hole_offset + hole_length);
        page[hole_offset..hole_offset + hole_length].fill(0);
        Ok(())
    }
}

/// Fills `out` exactly.
fn decompress(compression: Compression, stored: &[u8], out: &mut [u8]) -> Result<(), String> {
    let expected = out.len();
    let written = match compression {
        Compression::None => copy(stored, out),
        Compression::Pglz => return pglz::decompress(stored, out),
        Compression::Lz4 => {
            lz4_flex::block::decompress_into(stored, out).map_err(|e| format!("lz4: {e}"))?
        }
        Compression::Zstd => unpack_zstd(stored, out).map_err(|e| format!("zstd: {e}"))?,
    };
    if written == expected {
        return Ok(());
    }
    Err(format!("it holds {written} bytes, not {expected}"))
}

thread_local! {
    /// Its tables of some 100 kB take longer to make than a page to unpack.
    static ZSTD: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Returns how much was written.
fn unpack_zstd(stored: &[u8], out: &mut [u8]) -> io::Result<usize> {
    ZSTD.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new()?),
        };
        decompressor.decompress_to_buffer(stored, out)
    })
}

/// Returns the bytes stored, so that a wrong number is reported like a wrong compression.
fn copy(stored: &[u8], out: &mut [u8]) -> usize {
    if stored.len() == out.len() {
        out.copy_from_slice(stored);
    }
    stored.len()
}
