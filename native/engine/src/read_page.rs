//! GetPage: the newest image at or below the LSN, and the records after it.

use crate::extent::image_in_extent;
use crate::key_filter::Probe;
use crate::keys::{
    VERSION_KEY_BYTES, extent_key, lsn_at_end, sized_rel, slru_page_key, slru_segment_rel,
    version_key,
};
use crate::page_cache::PageState;
use crate::read_stats::{PageSource, PageTrace};
use crate::record_group::{RecordGroup, StoredRecord};
use crate::redo_record::RecordChain;
use crate::value::{Image, Version, parse_version};
use crate::{Checksums, EngineError, Link, View};
use offshoot_layout::slru::SLRU_PAGES_PER_SEGMENT;
use offshoot_layout::{BlockKey, Fork, Lsn, Page, RelKey, SlruKind, page};
use offshoot_store::Table;
use std::ops::Bound;
use std::sync::Arc;

/// Room for a group's records; more are no harm.
const GROUP_RECORDS_EXPECTED: usize = 64;

/// Of a page of which nothing is stored, by its size alone.
const NOT_THERE: PageTrace = PageTrace {
    source: PageSource::Zeros,
    timelines: 0,
    records: 0,
};

/// What a page is made from.
enum Base<'s> {
    Image(Image<'s>),
    Zeros,
    /// Nothing is left to be done.
    Made(Arc<Page>),
}

impl View {
    /// Makes a page, over whatever `page` held. Behind the fork's end, and where nothing was ever
    /// written, it is zeros; so is every page of a free space map or visibility map that does not exist.
    ///
    /// # Errors
    /// `MissingRelation` for other forks; `Redo`, `Damaged`, `Store` when the page cannot be made:
    /// `page` is then to be thrown away.
    pub fn page(&self, key: &BlockKey, page: &mut Page) -> Result<(), EngineError> {
        self.page_traced(key, page).map(|_| ())
    }

    /// The same, and how it was made.
    pub(crate) fn page_traced(
        &self,
        key: &BlockKey,
        page: &mut Page,
    ) -> Result<PageTrace, EngineError> {
        let history = self.size_history(&key.rel)?;
        let Some(blocks) = history.blocks else {
            self.page_of_missing(&key.rel, page)?;
            return Ok(NOT_THERE);
        };
        if key.block >= blocks {
            page.fill(0);
            return Ok(NOT_THERE);
        }
        let trace = self.make(key, history.void_before(key.block), page)?;
        if self.cluster()?.checksums == Checksums::On {
            page::set_checksum(page, key.block);
        }
        Ok(trace)
    }

    /// Makes a page of an SLRU; zeros behind its segment's end and where nothing was written.
    ///
    /// # Errors
    /// `MissingSlruSegment`; as `page`.
    pub fn slru_page(
        &self,
        kind: SlruKind,
        page_number: u32,
        page: &mut Page,
    ) -> Result<(), EngineError> {
        let segno = page_number / SLRU_PAGES_PER_SEGMENT;
        let in_segment = page_number % SLRU_PAGES_PER_SEGMENT;
        let history = self.size_history(&slru_segment_rel(kind, segno))?;
        let Some(pages) = history.blocks else {
            return Err(self.missing_segment(kind, segno));
        };
        if in_segment >= pages {
            page.fill(0);
            return Ok(());
        }
        let key = slru_page_key(kind, page_number);
        self.make(&key, history.void_before(in_segment), page)?;
        Ok(())
    }

    /// Pages of an SLRU segment, at most 32.
    ///
    /// # Errors
    /// `MissingSlruSegment`, `Store`, `Damaged`.
    pub fn slru_segment_pages(&self, kind: SlruKind, segno: u32) -> Result<u32, EngineError> {
        let pages = self.size(&slru_segment_rel(kind, segno))?;
        let pages = pages.ok_or_else(|| self.missing_segment(kind, segno))?;
        Ok(pages.min(SLRU_PAGES_PER_SEGMENT))
    }

    fn missing_segment(&self, kind: SlruKind, segno: u32) -> EngineError {
        EngineError::MissingSlruSegment {
            directory: kind.directory(),
            segno,
            lsn: self.lsn(),
        }
    }

    fn page_of_missing(&self, rel: &RelKey, page: &mut Page) -> Result<(), EngineError> {
        match rel.fork {
            Fork::Fsm | Fork::Vm => {
                page.fill(0);
                Ok(())
            }
            Fork::Main | Fork::Init => Err(EngineError::MissingRelation {
                rel: *rel,
                lsn: self.lsn(),
            }),
        }
    }

    /// From the versions that are not older than `void_before`.
    fn make(
        &self,
        key: &BlockKey,
        void_before: Lsn,
        page: &mut Page,
    ) -> Result<PageTrace, EngineError> {
        let mut records = RecordChain::default();
        let (base, timelines) = self.base_of(key, void_before, &mut records)?;
        let trace = |source| PageTrace {
            source,
            timelines,
            records: u32::try_from(records.len()).unwrap_or(u32::MAX),
        };
        let unchanged = match base {
            Base::Image(image) => {
                image.decode(page)?;
                PageSource::Image
            }
            Base::Zeros => {
                page.fill(0);
                PageSource::Zeros
            }
            Base::Made(made) => {
                *page = *made;
                return Ok(trace(PageSource::Cache));
            }
        };
        let Some(state) = records.state() else {
            return Ok(trace(unchanged));
        };
        records.apply(self, key, page)?;
        self.timeline().cache().put(state, page);
        Ok(trace(PageSource::Redo))
    }

    /// The newest image, and in `records` what came after it; or the page itself, if it was made before. At
    /// one LSN, what `versions` says is newer than what an extent says. With it, how many timelines were looked at.
    fn base_of(
        &self,
        key: &BlockKey,
        void_before: Lsn,
        records: &mut RecordChain,
    ) -> Result<(Base<'_>, u32), EngineError> {
        let mut room = Vec::new();
        let mut timelines = 0;
        for link in self.chain_with_page(key) {
            if link.lsn < void_before {
                break;
            }
            timelines += 1;
            let in_extent = self.newest_in_extent(*link, key, void_before)?;
            let filed = in_extent.as_ref().map_or(void_before, |(lsn, _)| *lsn);
            let oldest = version_key(link.timeline, key, filed);
            let newest = version_key(link.timeline, key, link.lsn);
            let range = (Bound::Included(&oldest[..]), Bound::Included(&newest[..]));
            for entry in self
                .snapshot()
                .range_back(Table::Versions, range.0, range.1)?
            {
                let (found, value) = entry?;
                match parse_version(value, lsn_at_end(found).unwrap_or_default())? {
                    Version::Image(image) => return Ok((Base::Image(image), timelines)),
                    Version::Records(group) => {
                        let group = records_until(group, link.lsn, &mut room)?;
                        if let Some(newest) = group.last()
                            && records.is_empty()
                        {
                            let (timeline, key, end) = (link.timeline, *key, newest.end);
                            let state = PageState { timeline, key, end };
                            if let Some(made) = self.timeline().cache().get(&state) {
                                return Ok((Base::Made(made), timelines));
                            }
                            records.begin(state);
                        }
                        for record in group.iter().rev() {
                            if records.push_older(self, record)? {
                                return Ok((Base::Zeros, timelines));
                            }
                        }
                    }
                }
            }
            if let Some((_, image)) = in_extent {
                return Ok((Base::Image(image), timelines));
            }
        }
        Ok((Base::Zeros, timelines))
    }

    /// The page after everything that is stored, whatever size its fork has by now; zeros when there is
    /// nothing. Its checksum is not set.
    ///
    /// # Errors
    /// As `page`.
    pub(crate) fn newest_page(&self, key: &BlockKey, page: &mut Page) -> Result<(), EngineError> {
        let (rel, block) = sized_rel(key);
        let history = self.size_history(&rel)?;
        if history.blocks.is_none() {
            page.fill(0);
            return Ok(());
        }
        self.make(key, history.void_before(block), page)?;
        Ok(())
    }

    /// Records that have to be applied to an image to make the page; as many or more when the fork was cut
    /// since.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub(crate) fn chain_length(&self, key: &BlockKey) -> Result<u16, EngineError> {
        let probe = Probe::of_key(Table::Versions, &version_key(0, key, Lsn::INVALID));
        for link in self.chain_with(probe) {
            let newest = version_key(link.timeline, key, link.lsn);
            let found = self.snapshot().seek_le(Table::Versions, &newest)?;
            let page_prefix = VERSION_KEY_BYTES - size_of::<u64>();
            if let Some((found, value)) = found
                && found.get(..page_prefix) == Some(&newest[..page_prefix])
            {
                let lsn = lsn_at_end(found).unwrap_or_default();
                return Ok(match parse_version(value, lsn)? {
                    Version::Image(_) => 0,
                    Version::Records(group) => group.chain_length(),
                });
            }
        }
        Ok(0)
    }

    /// The timelines that may have anything of the page.
    pub(crate) fn chain_with_page(&self, key: &BlockKey) -> impl Iterator<Item = &Link> {
        let single = Probe::of_key(Table::Versions, &version_key(0, key, Lsn::INVALID));
        let extent = Probe::of_key(Table::Extents, &extent_key(0, key, Lsn::INVALID));
        self.chain_with_any(move |link| [Some(single), link.has_extents.then_some(extent)])
    }

    /// The newest image of the page in an extent of one timeline, and the LSN it is filed under.
    pub(crate) fn newest_in_extent(
        &self,
        link: Link,
        key: &BlockKey,
        void_before: Lsn,
    ) -> Result<Option<(Lsn, Image<'_>)>, EngineError> {
        if !link.has_extents {
            return Ok(None);
        }
        let oldest = extent_key(link.timeline, key, void_before);
        let newest = extent_key(link.timeline, key, link.lsn);
        let range = (Bound::Included(&oldest[..]), Bound::Included(&newest[..]));
        for entry in self
            .snapshot()
            .range_back(Table::Extents, range.0, range.1)?
        {
            let (found, value) = entry?;
            if let Some(image) = image_in_extent(value, key.block)? {
                return Ok(Some((lsn_at_end(found).unwrap_or_default(), image)));
            }
        }
        Ok(None)
    }
}

/// A group's records up to `last`; `room` is for those that have to be unpacked.
fn records_until<'r>(
    group: RecordGroup<'r>,
    last: Lsn,
    room: &'r mut Vec<u8>,
) -> Result<Vec<StoredRecord<'r>>, EngineError> {
    let expected = usize::from(group.chain_length()).min(GROUP_RECORDS_EXPECTED);
    let mut wanted = Vec::with_capacity(expected);
    for record in group.records(room)? {
        let record = record?;
        if record.end > last {
            break;
        }
        wanted.push(record);
    }
    Ok(wanted)
}
