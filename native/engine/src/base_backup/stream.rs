//! Makes the archive, a chunk at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use offshoot_layout::slru::SLRU_PAGES_PER_SEGMENT;
use offshoot_layout::version::Version;
use offshoot_layout::{BLCKSZ, BlockKey, Lsn, Page, RelFile, RelKey, SlruKind};

use super::plan::{Step, first_steps, last_steps, segments, slru_path};
use super::start::{Start, fabricate};
use super::tar_writer::{TarWriter, end, pad};
use super::{BaseBackupOptions, Contents};
use crate::{CheckPointState, EngineError, FileKey, Tenant, View};

/// Longest chunk.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Pages that are made at once.
const RUN_PAGES: u32 = 64;

/// The archive; it holds no snapshot of the store between chunks.
pub struct BaseBackup {
    tenant: Arc<Tenant>,
    index: u32,
    lsn: Lsn,
    contents: Contents,
    version: Version,
    start: Start,
    tar: TarWriter,
    steps: VecDeque<Step>,
    /// Contents of the current member that are still to come.
    rest: Option<Rest>,
    /// Made, but not handed out.
    buffer: Vec<u8>,
    ended: bool,
}

enum Rest {
    Blocks {
        source: RelKey,
        next: u32,
        behind: u32,
    },
    Zeros {
        bytes: u64,
    },
}

impl Tenant {
    /// Begins an archive. Nothing of it is made yet, but whether it can be made is known.
    ///
    /// # Errors
    /// `NotReadable`, `UnknownTimeline`, `Damaged`, `Store`.
    pub fn base_backup(
        self: &Arc<Tenant>,
        index: u32,
        options: &BaseBackupOptions,
    ) -> Result<BaseBackup, EngineError> {
        let view = self.readable_view(index, options.lsn)?;
        let lsn = view.lsn();
        let state = view.file(&CheckPointState::FILE)?;
        let state = state.ok_or_else(|| EngineError::damaged("checkpoint state", "it is missing"));
        let state = CheckPointState::parse(state?)?;
        let catalog_version = state.control.catalog_version_no;
        let version = Version::of_catalog(catalog_version)
            .ok_or_else(|| EngineError::damaged("checkpoint state", catalog_version))?;
        let start = fabricate(&state, lsn, version.major)?;
        let mut steps = first_steps(&view, &version, options.contents)?;
        steps.extend(last_steps(&start, options.wal));
        let mtime_seconds = u64::try_from(state.control.check_point_copy.time).unwrap_or(0);
        Ok(BaseBackup {
            tenant: Arc::clone(self),
            index,
            lsn,
            contents: options.contents,
            version,
            start,
            tar: TarWriter { mtime_seconds },
            steps,
            rest: None,
            buffer: Vec::new(),
            ended: false,
        })
    }
}

impl BaseBackup {
    /// The LSN that the archive shows.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The next chunk, at most 1 MiB; `None` at the end.
    ///
    /// # Errors
    /// `Redo` and the like for a page that cannot be made, `Store`, `UnknownTimeline`. The archive
    /// cannot be continued then.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, EngineError> {
        if self.buffer.len() < CHUNK_BYTES_MAX && !self.ended {
            let view = self.tenant.readable_view(self.index, Some(self.lsn))?;
            while self.buffer.len() < CHUNK_BYTES_MAX && !self.ended {
                self.advance(&view)?;
            }
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let behind = self
            .buffer
            .split_off(self.buffer.len().min(CHUNK_BYTES_MAX));
        Ok(Some(std::mem::replace(&mut self.buffer, behind)))
    }

    /// Appends a little to the buffer.
    fn advance(&mut self, view: &View) -> Result<(), EngineError> {
        if let Some(rest) = self.rest.take() {
            return self.go_on(view, rest);
        }
        match self.steps.pop_front() {
            None => {
                end(&mut self.buffer);
                self.ended = true;
                Ok(())
            }
            Some(Step::Directory(path)) => self.tar.directory(&path, &mut self.buffer),
            Some(Step::Bytes { path, bytes }) => self.whole(&path, &bytes),
            Some(Step::Stored { path, file }) => self.stored(view, &path, &file),
            Some(Step::SlruSegment {
                kind,
                segment,
                pages,
            }) => self.slru_segment(view, kind, segment, pages),
            Some(Step::Relations { spcnode, dbnode }) => {
                let mut steps = segments(view, spcnode, dbnode, self.contents)?;
                steps.append(&mut self.steps);
                self.steps = steps;
                Ok(())
            }
            Some(Step::Segment {
                file,
                source,
                blocks,
            }) => self.segment(&file, source, blocks),
            Some(Step::Wal { path, bytes }) => self.wal(&path, bytes),
        }
    }

    fn go_on(&mut self, view: &View, rest: Rest) -> Result<(), EngineError> {
        match rest {
            Rest::Blocks {
                source,
                next,
                behind,
            } => {
                let until = behind.min(next.saturating_add(RUN_PAGES));
                let mut page: Page = [0; BLCKSZ];
                for block in next..until {
                    view.page(&BlockKey { rel: source, block }, &mut page)?;
                    self.buffer.extend_from_slice(&page);
                }
                if until < behind {
                    self.rest = Some(Rest::Blocks {
                        source,
                        next: until,
                        behind,
                    });
                }
            }
            Rest::Zeros { bytes } => {
                let length = bytes.min(CHUNK_BYTES_MAX as u64);
                self.buffer.resize(self.buffer.len() + length as usize, 0);
                if bytes > length {
                    self.rest = Some(Rest::Zeros {
                        bytes: bytes - length,
                    });
                }
            }
        }
        Ok(())
    }

    fn whole(&mut self, path: &str, bytes: &[u8]) -> Result<(), EngineError> {
        self.tar.file(path, bytes.len() as u64, &mut self.buffer)?;
        self.buffer.extend_from_slice(bytes);
        pad(bytes.len() as u64, &mut self.buffer);
        Ok(())
    }

    fn stored(&mut self, view: &View, path: &str, file: &FileKey) -> Result<(), EngineError> {
        let content = view.file(file)?;
        let missing = || EngineError::damaged(path, "it is no longer in the store");
        self.whole(path, content.ok_or_else(missing)?)
    }

    fn slru_segment(
        &mut self,
        view: &View,
        kind: SlruKind,
        segment: u32,
        pages: u32,
    ) -> Result<(), EngineError> {
        let bytes = u64::from(pages) * BLCKSZ as u64;
        self.tar
            .file(&slru_path(kind, segment), bytes, &mut self.buffer)?;
        let mut page: Page = [0; BLCKSZ];
        for number in (segment * SLRU_PAGES_PER_SEGMENT..).take(pages as usize) {
            view.slru_page(kind, number, &mut page)?;
            self.buffer.extend_from_slice(&page);
        }
        Ok(())
    }

    fn segment(&mut self, file: &RelFile, source: RelKey, blocks: u32) -> Result<(), EngineError> {
        let mut path = String::new();
        file.write_path(self.version.major, &mut path)
            .map_err(|_| EngineError::damaged("relation", file.rel))?;
        self.tar
            .file(&path, u64::from(blocks) * BLCKSZ as u64, &mut self.buffer)?;
        let next = file.first_block();
        if blocks > 0 {
            self.rest = Some(Rest::Blocks {
                source,
                next,
                behind: next + blocks,
            });
        }
        Ok(())
    }

    fn wal(&mut self, path: &str, bytes: u32) -> Result<(), EngineError> {
        self.tar.file(path, u64::from(bytes), &mut self.buffer)?;
        self.buffer.extend_from_slice(&self.start.first_page[..]);
        let zeros = u64::from(bytes) - self.start.first_page.len() as u64;
        if zeros > 0 {
            self.rest = Some(Rest::Zeros { bytes: zeros });
        }
        Ok(())
    }
}
