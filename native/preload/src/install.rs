//! Writing fetched pages into the local file: only over blocks that are still absent, neighbours in one
//! write.

use crate::error::Errno;
use crate::map_file::Claim;
use crate::open_file::OpenFile;
use crate::sys;
use offshoot_layout::{BLCKSZ, Page};
use std::sync::Arc;

/// Most pages written at once; below the kernel's limit of 1024.
const RUN_PAGES_MAX: usize = 64;

/// Neighbouring pages of one file, claimed and not yet written. Claims are given back if it is dropped.
pub struct Run<'a> {
    file: Option<Arc<OpenFile>>,
    first_block: u32,
    pages: Vec<&'a Page>,
}

impl<'a> Run<'a> {
    pub fn new() -> Self {
        Run {
            file: None,
            first_block: 0,
            pages: Vec::new(),
        }
    }

    /// Whether the page can join without a gap.
    pub fn fits(&self, file: &Arc<OpenFile>, block: u32) -> bool {
        let same = |own: &Arc<OpenFile>| Arc::ptr_eq(own, file);
        self.pages.is_empty()
            || (self.file.as_ref().is_some_and(same)
                && self.first_block as usize + self.pages.len() == block as usize
                && self.pages.len() < RUN_PAGES_MAX)
    }

    /// Claims the block for a page that `fits`; says no if the local file is right about it by now.
    pub fn push(&mut self, file: &Arc<OpenFile>, block: u32, page: &'a Page) -> bool {
        if file.is_closed() || file.map.claim(block) != Claim::Won {
            return false;
        }
        if self.pages.is_empty() {
            self.file = Some(Arc::clone(file));
            self.first_block = block;
        }
        self.pages.push(page);
        true
    }

    /// Writes the pages. When that fails they are absent as before.
    pub fn write(&mut self) -> Result<(), Errno> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let mut slices: Vec<_> = self.pages.iter().map(|page| slice_of(page)).collect();
        let offset = i64::from(self.first_block) * BLCKSZ as i64;
        let result = sys::write_all_at(file.fd, &mut slices, offset);
        let blocks = self.first_block..self.first_block + self.pages.len() as u32;
        for block in blocks {
            match result {
                Ok(()) => file.map.fill(block),
                Err(_) => file.map.release(block),
            }
        }
        self.pages.clear();
        result
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            for at in 0..self.pages.len() as u32 {
                file.map.release(self.first_block + at);
            }
        }
    }
}

fn slice_of(page: &Page) -> libc::iovec {
    libc::iovec {
        iov_base: page.as_ptr().cast_mut().cast(),
        iov_len: BLCKSZ,
    }
}
