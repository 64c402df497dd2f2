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

/// A page as what `pwritev` takes; it must stay borrowed during that call.
pub fn slice_of(page: &Page) -> libc::iovec {
    libc::iovec {
        iov_base: page.as_ptr().cast_mut().cast(),
        iov_len: BLCKSZ,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map_file::{self, MapFile};
    use offshoot_layout::{Fork, RelFile, RelKey};
    use std::ffi::CString;

    struct Opened {
        directory: tempfile::TempDir,
        _data: sys::Fd,
        file: Arc<OpenFile>,
    }

    fn open(blocks: u32) -> Opened {
        let directory = tempfile::tempdir().unwrap();
        let create = |name: &str, bytes: usize| {
            let path = CString::new(directory.path().join(name).to_str().unwrap()).unwrap();
            let fd = sys::open(&path, libc::O_RDWR | libc::O_CREAT, 0o600).unwrap();
            sys::ftruncate(fd.raw(), bytes as i64).unwrap();
            fd
        };
        let content = map_file::new_content(blocks, 0);
        let map = create("map", 0);
        sys::write_start(map.raw(), &content).unwrap();
        let data = create("data", blocks as usize * BLCKSZ);
        let rel = RelKey {
            spcnode: 1663,
            dbnode: 5,
            relnode: 100,
            fork: Fork::Main,
        };
        let map = MapFile::map(&map, content.len()).unwrap();
        let file = OpenFile::new(data.raw(), RelFile { rel, segment: 0 }, map);
        Opened {
            directory,
            _data: data,
            file: Arc::new(file),
        }
    }

    static PAGES: [Page; 4] = [[1; BLCKSZ], [2; BLCKSZ], [3; BLCKSZ], [4; BLCKSZ]];

    #[test]
    fn nobody_else_may_write_between_push_and_write() {
        let opened = open(4);
        let file = &opened.file;
        let mut run = Run::new();
        for (block, page) in (0..).zip(&PAGES[..3]) {
            assert!(run.fits(file, block) && run.push(file, block, page));
            assert_eq!(file.map.claim(block), Claim::Filling);
        }
        assert!(!run.fits(file, 0) && !run.fits(file, 4) && run.fits(file, 3));
        run.write().unwrap();
        assert!((0..3).all(|block| file.map.is_local(block)) && file.map.is_absent(3));
        let data = std::fs::read(opened.directory.path().join("data")).unwrap();
        assert!(data[..3 * BLCKSZ] == PAGES[..3].concat() && data[3 * BLCKSZ..] == [0; BLCKSZ]);
    }

    #[test]
    fn what_is_local_by_now_is_not_pushed() {
        let opened = open(4);
        let file = &opened.file;
        assert_eq!(file.map.claim(1), Claim::Won);
        file.map.fill(1);
        file.map.truncate(3).unwrap();
        let mut run = Run::new();
        assert!(run.push(file, 0, &PAGES[0]));
        assert!(!run.push(file, 1, &PAGES[1]) && !run.push(file, 3, &PAGES[3]));
    }

    #[test]
    fn pages_that_are_not_written_are_absent_again() {
        let opened = open(4);
        let file = &opened.file;
        let mut run = Run::new();
        assert!(run.push(file, 2, &PAGES[2]));
        drop(run);
        assert!(file.map.is_absent(2));

        let read_only = CString::new("/dev/null").unwrap();
        let fd = sys::open(&read_only, libc::O_RDONLY, 0).unwrap();
        let other = open(4);
        let map = Arc::into_inner(other.file).unwrap().map;
        let file = Arc::new(OpenFile::new(fd.raw(), file.file, map));
        let mut run = Run::new();
        assert!(run.push(&file, 2, &PAGES[2]));
        assert_eq!(run.write(), Err(Errno(libc::EBADF)));
        assert!(file.map.is_absent(2));
    }
}
