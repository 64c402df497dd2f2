//! Reading, writing and cutting a relation file that has a map.

use crate::env::settings;
use crate::error::Errno;
use crate::fetch::{self, Fetched};
use crate::map_file::Claim;
use crate::open_file::OpenFile;
use crate::{real, sys};
use libc::{c_void, iovec, off_t, ssize_t};
use offshoot_layout::{BLCKSZ, Page};
use std::ops::Range;
use std::sync::Arc;

const PAGE_BYTES: u64 = BLCKSZ as u64;

/// The blocks that `bytes` bytes at `offset` touch.
fn blocks_of(offset: off_t, bytes: usize) -> Range<u32> {
    let start = offset.max(0) as u64;
    let end = start.saturating_add(bytes as u64);
    let clamp = |block: u64| u32::try_from(block).unwrap_or(u32::MAX);
    if bytes == 0 {
        return 0..0;
    }
    clamp(start / PAGE_BYTES)..clamp(end.div_ceil(PAGE_BYTES))
}

/// `pread`.
///
/// # Safety
/// `buffer` is writable for `count` bytes.
pub unsafe fn read_at(
    file: &Arc<OpenFile>,
    buffer: *mut c_void,
    count: usize,
    offset: off_t,
) -> Result<ssize_t, Errno> {
    let is_one_page = count == BLCKSZ && offset % BLCKSZ as off_t == 0;
    // SAFETY: the caller's promise; a page is an array of bytes.
    let page = is_one_page.then(|| unsafe { &mut *buffer.cast::<Page>() });
    if fetch::ensure_local(file, blocks_of(offset, count), page)? == Fetched::Copied {
        return Ok(BLCKSZ as ssize_t);
    }
    // SAFETY: the caller's promise.
    result_of(unsafe { real::pread(file.fd, buffer, count, offset) })
}

/// `preadv`.
///
/// # Safety
/// `slices` points to `count` iovecs of writable memory.
pub unsafe fn read_vector_at(
    file: &Arc<OpenFile>,
    slices: *const iovec,
    count: libc::c_int,
    offset: off_t,
) -> Result<ssize_t, Errno> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes_of(slices, count) };
    fetch::ensure_local(file, blocks_of(offset, bytes), None)?;
    // SAFETY: the caller's promise.
    result_of(unsafe { real::preadv(file.fd, slices, count, offset) })
}

/// `read`.
///
/// # Safety
/// `buffer` is writable for `count` bytes.
pub unsafe fn read(
    file: &Arc<OpenFile>,
    buffer: *mut c_void,
    count: usize,
) -> Result<ssize_t, Errno> {
    let offset = sys::seek(file.fd, 0, libc::SEEK_CUR)?;
    fetch::ensure_local(file, blocks_of(offset, count), None)?;
    // SAFETY: the caller's promise.
    result_of(unsafe { real::read(file.fd, buffer, count) })
}

/// `pwrite`.
///
/// # Safety
/// `buffer` is readable for `count` bytes.
pub unsafe fn write_at(
    file: &Arc<OpenFile>,
    buffer: *const c_void,
    count: usize,
    offset: off_t,
) -> Result<ssize_t, Errno> {
    write_claimed(file, offset, count, || {
        // SAFETY: the caller's promise.
        unsafe { real::pwrite(file.fd, buffer, count, offset) }
    })
}

/// `pwritev`.
///
/// # Safety
/// `slices` points to `count` iovecs of readable memory.
pub unsafe fn write_vector_at(
    file: &Arc<OpenFile>,
    slices: *const iovec,
    count: libc::c_int,
    offset: off_t,
) -> Result<ssize_t, Errno> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes_of(slices, count) };
    write_claimed(file, offset, bytes, || {
        // SAFETY: the caller's promise.
        unsafe { real::pwritev(file.fd, slices, count, offset) }
    })
}

/// `write`, at the file's position; Postgres does not append to relation files (O_APPEND).
///
/// # Safety
/// `buffer` is readable for `count` bytes.
pub unsafe fn write(
    file: &Arc<OpenFile>,
    buffer: *const c_void,
    count: usize,
) -> Result<ssize_t, Errno> {
    let offset = sys::seek(file.fd, 0, libc::SEEK_CUR)?;
    write_claimed(file, offset, count, || {
        // SAFETY: the caller's promise.
        unsafe { real::write(file.fd, buffer, count) }
    })
}

/// Cuts the file (or makes it longer): what lay behind never comes back from the server.
pub fn truncate(file: &Arc<OpenFile>, bytes: off_t) -> Result<(), Errno> {
    let inside = bytes.max(0) % BLCKSZ as off_t;
    let kept = blocks_of(0, usize::try_from(bytes).unwrap_or(0));
    if inside != 0 {
        fetch::ensure_local(file, kept.end - 1..kept.end, None)?;
    }
    file.map.truncate(kept.end)?;
    // SAFETY: no memory is passed.
    result_of(unsafe { real::ftruncate(file.fd, bytes) } as ssize_t).map(drop)
}

/// `posix_fadvise(WILLNEED)`; 0 bytes mean "to the end".
pub fn will_need(file: &Arc<OpenFile>, offset: off_t, bytes: off_t) {
    let blocks = match usize::try_from(bytes) {
        Ok(0) | Err(_) => blocks_of(offset, 1).start..file.map.remote_blocks(),
        Ok(bytes) => blocks_of(offset, bytes),
    };
    fetch::advise(file, blocks);
}

/// Claims given back when dropped, unless the write happened.
struct Claims<'a> {
    file: &'a OpenFile,
    blocks: Vec<u32>,
}

impl Claims<'_> {
    fn take(&mut self, block: u32) -> Result<(), Errno> {
        loop {
            match self.file.map.claim(block) {
                Claim::Won => self.blocks.push(block),
                Claim::Local => {}
                Claim::Filling => {
                    self.file.map.wait_while_filling(block)?;
                    continue;
                }
            }
            return Ok(());
        }
    }

    /// Blocks below `end` have been written whole.
    fn written(&mut self, end: u32) {
        self.blocks.retain(|&block| {
            if block < end {
                self.file.map.fill(block);
            }
            block >= end
        });
    }
}

impl Drop for Claims<'_> {
    fn drop(&mut self) {
        for &block in &self.blocks {
            self.file.map.release(block);
        }
    }
}

/// Writes while nobody else may write the blocks that are not local yet; then they are.
///
/// After a short write the blocks that were not written whole are absent again: Postgres treats that as
/// failed and still has the pages.
fn write_claimed(
    file: &Arc<OpenFile>,
    offset: off_t,
    bytes: usize,
    write: impl FnOnce() -> ssize_t,
) -> Result<ssize_t, Errno> {
    let blocks = blocks_of(offset, bytes);
    if settings().is_none() || blocks.clone().all(|block| file.map.is_local(block)) {
        return result_of(write());
    }
    ensure_edges_local(file, offset, bytes, &blocks)?;
    let mut claims = Claims {
        file,
        blocks: Vec::with_capacity(blocks.len()),
    };
    for block in blocks {
        claims.take(block)?;
    }
    let written = result_of(write())?;
    let end = (offset + written as off_t) / BLCKSZ as off_t;
    claims.written(u32::try_from(end).unwrap_or(u32::MAX));
    Ok(written)
}

/// A block that is overwritten in part needs the rest of it first.
fn ensure_edges_local(
    file: &Arc<OpenFile>,
    offset: off_t,
    bytes: usize,
    blocks: &Range<u32>,
) -> Result<(), Errno> {
    let end = offset + bytes as off_t;
    let cuts = [(offset, blocks.start), (end, blocks.end.saturating_sub(1))];
    for (at, block) in cuts {
        if at % BLCKSZ as off_t != 0 {
            fetch::ensure_local(file, block..block + 1, None)?;
        }
    }
    Ok(())
}

fn result_of(result: ssize_t) -> Result<ssize_t, Errno> {
    if result < 0 {
        return Err(Errno::last());
    }
    Ok(result)
}

/// # Safety
/// `slices` points to `count` iovecs.
unsafe fn bytes_of(slices: *const iovec, count: libc::c_int) -> usize {
    let count = usize::try_from(count).unwrap_or(0);
    if slices.is_null() {
        return 0;
    }
    // SAFETY: the caller's promise.
    let slices = unsafe { std::slice::from_raw_parts(slices, count) };
    slices
        .iter()
        .fold(0, |sum, slice| sum.saturating_add(slice.iov_len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_touched() {
        let cases = [
            (0, 0, 0..0),
            (0, 1, 0..1),
            (0, 8192, 0..1),
            (0, 8193, 0..2),
            (8191, 2, 0..2),
            (8192, 8192, 1..2),
            (8192, 81920, 1..11),
        ];
        for (offset, bytes, blocks) in cases {
            assert_eq!(blocks_of(offset, bytes), blocks, "{offset} {bytes}");
        }
    }
}
