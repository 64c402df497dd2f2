//! Cuts file contents into pages and files them in extents, many at a time.

use offshoot_layout::slru::SLRU_PAGES_PER_SEGMENT;
use offshoot_layout::{BLCKSZ, BlockKey, Lsn, Page, RELSEG_BLOCKS};
use offshoot_store::Durability;

use crate::extent::{EXTENT_BLOCKS, encode_extent};
use crate::{EngineError, PageWriter};

/// Pages that are encoded and committed at once, and those that complete the last extent.
const BATCH_PAGES: usize = 512;
const PAGES_MAX: usize = BATCH_PAGES + EXTENT_BLOCKS as usize;

// Files begin with an extent: none has pages of two.
const _: () = assert!(RELSEG_BLOCKS.is_multiple_of(EXTENT_BLOCKS));
const _: () = assert!(SLRU_PAGES_PER_SEGMENT.is_multiple_of(EXTENT_BLOCKS));

/// Pages of one file arrive in order; a file begins with `begin`, at an extent's first block.
pub struct PageFiller {
    /// Every page is filed here, whatever its own LSN is: redo looks at that one.
    lsn: Lsn,
    next: Option<BlockKey>,
    /// The last page so far, if it is not complete.
    partial: Vec<u8>,
    pages: Vec<Page>,
    extents: Vec<Extent>,
    /// One for each thread; kept, since fresh memory costs more than filling it.
    encoded: [Encoded; 2],
    filed_pages: u64,
}

/// Neighbours among the pages, of one extent.
#[derive(Clone, Copy)]
struct Extent {
    first: BlockKey,
    /// Where in `PageFiller::pages` they begin; they end where the next one's begin.
    start: usize,
}

/// Encoded extents back to back.
#[derive(Default)]
struct Encoded {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl PageFiller {
    #[must_use]
    pub fn new(lsn: Lsn) -> PageFiller {
        PageFiller {
            lsn,
            next: None,
            partial: Vec::with_capacity(BLCKSZ),
            pages: Vec::with_capacity(PAGES_MAX),
            extents: Vec::new(),
            encoded: Default::default(),
            filed_pages: 0,
        }
    }

    /// Pages taken so far, filed or about to be.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.filed_pages + self.pages.len() as u64
    }

    /// What follows is the file whose first page is `first`: a segment of a relation or of an SLRU.
    pub fn begin(&mut self, first: BlockKey) {
        self.partial.clear();
        self.next = Some(first);
    }

    /// Takes the next bytes of the file; commits what has gathered when it is much.
    ///
    /// # Errors
    /// `Store`.
    pub fn write(&mut self, mut data: &[u8], writer: &mut PageWriter) -> Result<(), EngineError> {
        while !data.is_empty() {
            if self.pages.len() >= BATCH_PAGES && self.is_extent_complete() {
                self.flush(writer)?;
            }
            if self.partial.is_empty()
                && let Some((page, rest)) = data.split_first_chunk::<BLCKSZ>()
            {
                self.push(*page);
                data = rest;
            } else {
                let (part, rest) = data.split_at(data.len().min(BLCKSZ - self.partial.len()));
                self.partial.extend_from_slice(part);
                data = rest;
                if let Ok(page) = Page::try_from(&self.partial[..]) {
                    self.push(page);
                    self.partial.clear();
                }
            }
        }
        Ok(())
    }

    /// Whether the next page begins another extent. After a file that ends within one, that is known
    /// when the next file begins.
    fn is_extent_complete(&self) -> bool {
        let next = self.next.as_ref();
        next.is_none_or(|next| next.block.is_multiple_of(EXTENT_BLOCKS))
    }

    fn push(&mut self, page: Page) {
        let Some(key) = &mut self.next else {
            return;
        };
        if key.block.is_multiple_of(EXTENT_BLOCKS) {
            self.extents.push(Extent {
                first: *key,
                start: self.pages.len(),
            });
        }
        self.pages.push(page);
        // A file of the last segment can end at the last block number.
        key.block = key.block.wrapping_add(1);
    }

    /// Files what has gathered; the last extent has to be complete.
    ///
    /// # Errors
    /// `Store`.
    pub fn flush(&mut self, writer: &mut PageWriter) -> Result<(), EngineError> {
        let (first, second) = self.extents.split_at(self.extents.len() / 2);
        let border = second.first().map_or(0, |extent| extent.start);
        let (pages, behind) = (&self.pages, self.pages.len());
        let [one, other] = &mut self.encoded;
        // A panic in either is a bug here; the caller's catch makes an error of it.
        std::thread::scope(|scope| {
            if !first.is_empty() {
                scope.spawn(|| one.fill(first, pages, border));
            }
            other.fill(second, pages, behind);
        });
        if first.is_empty() {
            self.encoded[0].clear();
        }
        let values = self.encoded.iter().flat_map(Encoded::values);
        let extents = self.extents.iter().map(|extent| &extent.first).zip(values);
        writer.commit_with_extents(Durability::Later, self.lsn, extents)?;
        self.filed_pages += self.pages.len() as u64;
        self.extents.clear();
        self.pages.clear();
        Ok(())
    }
}

impl Encoded {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// The pages of the last extent end before `behind`.
    fn fill(&mut self, extents: &[Extent], pages: &[Page], behind: usize) {
        self.clear();
        let starts = extents.iter().map(|extent| extent.start);
        let ends = starts.clone().skip(1).chain([behind]);
        for (start, end) in starts.zip(ends) {
            encode_extent(pages[start..end].iter().map(Some), &mut self.bytes);
            self.ends.push(self.bytes.len());
        }
    }

    fn values(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| &self.bytes[start..end])
    }
}
