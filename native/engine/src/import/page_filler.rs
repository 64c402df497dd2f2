//! Cuts file contents into pages and files them as images, many at a time.

use offshoot_layout::{BLCKSZ, BlockKey, Lsn, Page};
use offshoot_store::Durability;

use crate::value::encode_image;
use crate::{EngineError, PageWriter};

/// Pages that are encoded and committed at once.
const BATCH_PAGES: usize = 512;

/// Pages of one file arrive in order; a file begins with `begin`.
pub struct PageFiller {
    /// Every page is filed here, whatever its own LSN is: redo looks at that one.
    lsn: Lsn,
    next: Option<BlockKey>,
    /// The last page so far, if it is not complete.
    partial: Vec<u8>,
    keys: Vec<BlockKey>,
    pages: Vec<Page>,
    /// One for each thread; kept, since fresh memory costs more than filling it.
    encoded: [Encoded; 2],
    filed_pages: u64,
}

/// Encoded pages back to back.
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
            keys: Vec::with_capacity(BATCH_PAGES),
            pages: Vec::with_capacity(BATCH_PAGES),
            encoded: Default::default(),
            filed_pages: 0,
        }
    }

    /// Pages taken so far, filed or about to be.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.filed_pages + self.pages.len() as u64
    }

    /// What follows is the file whose first page is `first`.
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
            if self.pages.len() == BATCH_PAGES {
                self.flush(writer)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, page: Page) {
        if let Some(key) = &mut self.next {
            self.keys.push(*key);
            self.pages.push(page);
            // A file of the last segment can end at the last block number.
            key.block = key.block.wrapping_add(1);
        }
    }

    /// Files what has gathered.
    ///
    /// # Errors
    /// `Store`.
    pub fn flush(&mut self, writer: &mut PageWriter) -> Result<(), EngineError> {
        let (first, second) = self.pages.split_at(self.pages.len() / 2);
        let [one, other] = &mut self.encoded;
        // A panic in either is a bug here; the caller's catch makes an error of it.
        std::thread::scope(|scope| {
            if !first.is_empty() {
                scope.spawn(|| one.fill(first));
            }
            other.fill(second);
        });
        if first.is_empty() {
            self.encoded[0].clear();
        }
        let values = self.encoded.iter().flat_map(Encoded::values);
        let images = self.keys.iter().zip(values);
        writer.commit_with_images(Durability::Later, self.lsn, images)?;
        self.filed_pages += self.pages.len() as u64;
        self.keys.clear();
        self.pages.clear();
        Ok(())
    }
}

impl Encoded {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn fill(&mut self, pages: &[Page]) {
        self.clear();
        for page in pages {
            encode_image(page, &mut self.bytes);
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
