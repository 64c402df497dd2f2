//! Turns WAL into page versions, sizes and files of one timeline.
//!
//! Bytes in, record by record: `redo` says what a record does (its effects), this module files it at
//! the record's end LSN. Nothing here knows where the bytes come from.

mod copies;
mod database;
mod resume;
mod trimmed;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use offshoot_layout::slru::SLRU_PAGES_PER_SEGMENT;
use offshoot_layout::{BLCKSZ, BlockKey, ControlFile, Fork, Lsn, Page, RelKey, SlruKind};
use offshoot_redo::opcode::{ImplicitRedo, Opcode};
use offshoot_redo::rmgr_table::OPCODES;
use offshoot_redo::{
    Effect, OriginAdvance, PageBase, RedoContext, RedoError, SlruTruncation, StateChange, Target,
    apply_checkpoint_state, record_name,
};
use offshoot_store::{Durability, Store};
use offshoot_wal::{Record, WalDecoder, WalParams};

use copies::Copies;
use trimmed::ForSlru;

use crate::commit_times::{CommitLog, Ending};
use crate::keys::slru_segment_rel;
use crate::record_group::IMPLICIT_BLOCK;
use crate::{CheckPointState, EngineError, FileKey, FileKind, PageWriter, RecordAt, View};

/// A batch of small changes is committed when it takes this much memory: the more of them there are, the more go to
/// the same parts of the store.
const BATCH_BYTES_MAX: usize = 32 << 20;
/// One of images when it takes this much, since a larger one makes them no cheaper.
const IMAGES_BYTES_MAX: usize = 16 << 20;
/// On the average a change of a batch of images takes more than this.
const SMALL_CHANGE_BYTES: usize = 1 << 10;
/// And any batch that takes this much, while nothing else is being committed: no work is as little as waiting for it.
const BATCH_BYTES_MIN: usize = 4 << 20;
/// Records of a page between two images of it: more take longer to read, fewer take more room.
const CHAIN_RECORDS_MAX: u16 = 128;
/// Below this wal_level, WAL leaves out what we need.
pub(crate) const WAL_LEVEL_REPLICA: i32 = 1;

/// Records of one type that are stored but cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedCount {
    /// As pg_waldump names it.
    pub name: String,
    pub count: u64,
}

/// Takes in one timeline's WAL. Everything is filed in LSN order; `commit` makes it visible.
pub struct Ingest {
    decoder: WalDecoder,
    store: Arc<Store>,
    writer: PageWriter,
    durability: Durability,
    state: CheckPointState,
    /// What the state that was filed last says.
    filed: Option<ControlFile>,
    /// Whether the state may be another one since it was last compared with what is filed.
    state_moved: bool,
    context: RedoContext,
    /// End of the last record that was taken in whole.
    taken: Lsn,
    /// What the last commit reached.
    committed: Lsn,
    /// What the commit reaches that is under way.
    committing: Option<Lsn>,
    records: u64,
    commits: CommitLog,
    /// Progress of the replication origins that moved.
    origins: HashMap<u16, Lsn>,
    /// Every record type without redo, and how often a page depends on one.
    unsupported: BTreeMap<&'static str, u64>,
    /// While the WAL is that of a base backup.
    copies: Option<Copies>,
    /// Memory of the last record and of its effects, for the next.
    record: Record,
    effects: Vec<Effect>,
}

impl Ingest {
    /// Goes on at `start`, the end of the last record that was taken in, with the state that was filed
    /// with it. `writer` is the timeline's only one.
    ///
    /// # Errors
    /// `Wal` when `start` or `params` are impossible.
    pub fn new(
        params: WalParams,
        start: Lsn,
        store: Arc<Store>,
        mut writer: PageWriter,
        state: CheckPointState,
        durability: Durability,
    ) -> Result<Ingest, EngineError> {
        let previous = state.last_record_start;
        let decoder = WalDecoder::new(params, start, previous.is_valid().then_some(previous))?;
        let control = &state.control;
        let context = RedoContext {
            major: params.major,
            checksums: control.data_checksum_version != 0,
            wal_log_hints: control.wal_log_hints,
            track_commit_timestamp: control.track_commit_timestamp,
        };
        writer.write_images(context, CHAIN_RECORDS_MAX);
        let commits = CommitLog::resume(&store, writer.timeline().index())?;
        Ok(Ingest {
            decoder,
            store,
            writer,
            durability,
            state,
            filed: None,
            state_moved: true,
            context,
            taken: start,
            committed: start,
            committing: None,
            records: 0,
            commits,
            origins: HashMap::new(),
            unsupported: names_without_redo().map(|name| (name, 0)).collect(),
            copies: None,
            record: Record::default(),
            effects: Vec::new(),
        })
    }

    /// End of the last whole record.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.decoder.position()
    }

    /// End of the last record that is committed.
    #[must_use]
    pub fn committed(&self) -> Lsn {
        self.committed
    }

    /// End of the last record that can be read: before a WAL's first record is committed, that of the WAL before.
    #[must_use]
    pub fn readable(&self) -> Lsn {
        self.writer.timeline().last_record_lsn()
    }

    /// Start of the last record; `None` when what comes follows on nothing.
    #[must_use]
    pub fn last_record_start(&self) -> Option<Lsn> {
        let start = self.state.last_record_start;
        start.is_valid().then_some(start)
    }

    /// Records taken in so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Which records pages depend on that cannot be applied.
    #[must_use]
    pub fn unsupported(&self) -> Vec<UnsupportedCount> {
        let counts = self.unsupported.iter().filter(|(_, count)| **count > 0);
        counts
            .map(|(name, count)| UnsupportedCount {
                name: (*name).to_owned(),
                count: *count,
            })
            .collect()
    }

    /// What comes is the WAL of a base backup, whose files are there: they may be newer than the WAL.
    /// `settle_copies` ends that.
    pub(crate) fn watch_copies(&mut self) {
        self.copies = Some(Copies::default());
    }

    /// Takes the next bytes of the WAL. Full batches are committed while the next one is collected:
    /// `committed` says how far that has come.
    ///
    /// # Errors
    /// `Wal`, `Redo`: the WAL makes no sense. `Store`. In either case this ingest is at its end; what
    /// was committed stays.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        self.decoder.feed(bytes);
        let mut record = std::mem::take(&mut self.record);
        while self.decoder.next_into(&mut record)? {
            self.take(&record)?;
            if self.is_due() {
                self.commit_behind()?;
            }
        }
        self.record = record;
        Ok(())
    }

    /// Makes visible what was taken in, together with the state at its end.
    ///
    /// # Errors
    /// `Store`.
    pub fn commit(&mut self) -> Result<(), EngineError> {
        self.settle()?;
        let end = self.taken;
        let any_records = end > self.committed;
        if any_records {
            self.file_state(self.state, end);
        }
        self.commit_batch()?;
        // A WAL that follows on nothing begins behind what can be read: its start alone is no end of a record.
        if any_records {
            self.committed = end;
            self.writer.timeline().advance_last_record_lsn(end);
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        let bytes = self.writer.pending_bytes();
        let images = bytes > self.writer.pending_len() * SMALL_CHANGE_BYTES;
        bytes >= BATCH_BYTES_MAX
            || (bytes >= IMAGES_BYTES_MAX && images)
            || (bytes >= BATCH_BYTES_MIN && self.writer.is_idle())
    }

    /// Lets what was taken in become visible soon, after what was before.
    fn commit_behind(&mut self) -> Result<(), EngineError> {
        self.writer.prepare();
        self.settle()?;
        let end = self.taken;
        self.file_state(self.state, end);
        self.commits.file(&mut self.writer);
        self.writer.commit_behind(self.durability, end)?;
        self.committing = Some(end);
        Ok(())
    }

    /// Waits for the commit that is under way.
    fn settle(&mut self) -> Result<(), EngineError> {
        self.writer.settle()?;
        if let Some(end) = self.committing.take() {
            self.committed = end;
        }
        Ok(())
    }

    fn take(&mut self, record: &Record) -> Result<(), EngineError> {
        let mut effects = std::mem::take(&mut self.effects);
        offshoot_redo::effects_into(record, &self.context, &mut effects)?;
        if effects.iter().any(needs_what_was_before) {
            self.commit()?;
        }
        let for_slru = ForSlru::of(record, &self.context)?;
        for effect in effects.drain(..) {
            self.file(record, &for_slru, effect)?;
        }
        self.effects = effects;
        if let Some((fate, time)) = offshoot_redo::rmgr::xact::fate(record) {
            let (start, end) = (record.start, record.end);
            let ending = Ending {
                start,
                end,
                time,
                fate,
            };
            self.commits.add(&ending, &mut self.writer);
        }
        self.state.last_record_start = record.start;
        self.taken = record.end;
        self.records += 1;
        if std::mem::take(&mut self.state_moved) {
            let covering = self.state.covering_next_xids();
            if self.filed != Some(covering.control) && self.filed != Some(self.state.control) {
                self.file_state(covering, record.end);
            }
        }
        Ok(())
    }

    /// The state holds from `end` until the next that is filed.
    fn file_state(&mut self, state: CheckPointState, end: Lsn) {
        self.writer
            .file(&CheckPointState::FILE, end, Some(&state.encode()));
        self.filed = Some(state.control);
    }

    fn file(
        &mut self,
        record: &Record,
        for_slru: &ForSlru<'_>,
        effect: Effect,
    ) -> Result<(), EngineError> {
        let end = record.end;
        match effect {
            Effect::CheckPoint => {
                let check_point = &mut self.state.control.check_point_copy;
                let change = apply_checkpoint_state(check_point, record, &self.context)?;
                self.state_moved |= change == StateChange::Changed;
            }
            Effect::Page {
                block_id,
                key,
                base,
            } => self.page(record, block_id, &key, base)?,
            Effect::VmClear { key } | Effect::FsmTruncate { key } => self.implicit(record, &key)?,
            Effect::Create { rel } => self.create(&rel, end)?,
            Effect::Truncate { rel, blocks } => {
                self.changed_after_copy(rel.spcnode, rel.dbnode, record);
                self.writer.truncate(&rel, end, blocks)?;
            }
            Effect::DropRelation { spc, db, rel } => {
                self.changed_after_copy(spc, db, record);
                for fork in Fork::ALL {
                    let rel = RelKey {
                        spcnode: spc,
                        dbnode: db,
                        relnode: rel,
                        fork,
                    };
                    self.writer.drop_relation(&rel, end)?;
                }
            }
            Effect::Slru { kind, page } => {
                let bytes = for_slru.bytes(kind, page)?;
                self.writer
                    .slru_record(kind, page, end, record.start, &bytes)?;
            }
            Effect::SlruZero { kind, page } => self.slru_zero(kind, page, end)?,
            Effect::SlruTruncate(truncation) => self.slru_truncate(&truncation, end)?,
            Effect::DatabaseCreate { spc, db } => self.create_database(spc, db, end),
            Effect::DatabaseCopy {
                spc,
                db,
                src_spc,
                src_db,
            } => {
                self.changed_after_copy(spc, db, record);
                self.copy_database((src_spc, src_db), (spc, db), record)?;
            }
            Effect::DatabaseDrop { db, spcs } => {
                for spc in spcs {
                    self.changed_after_copy(spc, db, record);
                    self.drop_database(spc, db, record)?;
                }
            }
            Effect::RelMap { spc, db, bytes } => {
                self.changed_after_copy(spc, db, record);
                let file = FileKey::new(FileKind::RelMap, spc, db);
                self.writer.file(&file, end, Some(&bytes));
            }
            effect => self.small_file(effect, end)?,
        }
        Ok(())
    }

    /// A fork that has an init fork beside it is not logged: what a base backup holds of it is void,
    /// as it is after any recovery.
    fn create(&mut self, rel: &RelKey, end: Lsn) -> Result<(), EngineError> {
        if rel.fork == Fork::Init {
            for fork in [Fork::Main, Fork::Fsm, Fork::Vm] {
                self.writer.drop_relation(&RelKey { fork, ..*rel }, end)?;
            }
        }
        self.writer.extend(rel, end, 0)
    }

    /// Files that a record carries whole, and settings.
    fn small_file(&mut self, effect: Effect, end: Lsn) -> Result<(), EngineError> {
        let mut put = |kind, a, b, content: Option<&[u8]>| {
            self.writer.file(&FileKey::new(kind, a, b), end, content);
        };
        match effect {
            // Where production has it means nothing here.
            Effect::TablespaceCreate { spc, .. } => put(FileKind::TableSpace, spc, 0, Some(b"")),
            Effect::TablespaceDrop { spc } => put(FileKind::TableSpace, spc, 0, None),
            Effect::TwoPhase { xid, bytes } => put(FileKind::TwoPhase, xid, 0, Some(&bytes)),
            Effect::TwoPhaseEnd { xid } => put(FileKind::TwoPhase, xid, 0, None),
            Effect::OriginDrop { node } => {
                // Not forgotten: what the store says may be older.
                self.origins.insert(node, Lsn::INVALID);
                put(FileKind::Origins, u32::from(node), 0, None);
            }
            Effect::Origin {
                node,
                remote_lsn,
                advance,
            } => {
                self.advance_origin(node, remote_lsn, advance, end)?;
            }
            Effect::Parameters(change) => {
                if change.wal_level < WAL_LEVEL_REPLICA {
                    let text =
                        format!("wal_level became minimal at {end}; WAL has gaps from there");
                    return Err(EngineError::UnsupportedSource(text));
                }
                self.state.set_parameters(&change);
                self.state_moved = true;
                self.context.wal_log_hints = self.state.control.wal_log_hints;
                self.context.track_commit_timestamp = self.state.control.track_commit_timestamp;
                self.writer.write_images(self.context, CHAIN_RECORDS_MAX);
            }
            _ => {}
        }
        Ok(())
    }

    /// A page as the record leaves it when that needs nothing older, else the record.
    fn page(
        &mut self,
        record: &Record,
        block_id: u8,
        key: &BlockKey,
        base: PageBase,
    ) -> Result<(), EngineError> {
        let blocks = key.block.checked_add(1);
        let blocks = blocks.ok_or_else(|| EngineError::damaged("WAL", format!("{key}")))?;
        self.writer.extend(&key.rel, record.end, blocks)?;
        if let Some(copies) = &mut self.copies
            && base != PageBase::Previous
        {
            copies.page_remade(key, record);
        }
        if base == PageBase::Image {
            // One record can carry 32 images: each page keeps its own only.
            let mut made: Page = [0; BLCKSZ];
            match offshoot_redo::redo(record, Target::Block(block_id), &mut made, &self.context) {
                Ok(_) => {
                    self.writer.image(key, record.end, &made);
                    return Ok(());
                }
                Err(RedoError::Unsupported { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.count_if_unsupported(record);
        let at = record_at(record, block_id, base);
        match base {
            PageBase::Image => self.writer.record(key, at, &record.bytes),
            _ => {
                let bytes = trimmed::without_images(record, self.context.major)?;
                self.writer.record(key, at, &bytes);
            }
        }
        Ok(())
    }

    fn count_if_unsupported(&mut self, record: &Record) {
        if let Some(count) = record_name(record).and_then(|name| self.unsupported.get_mut(name)) {
            *count += 1;
        }
    }

    /// A map page that the record changes without referencing it.
    fn implicit(&mut self, record: &Record, key: &BlockKey) -> Result<(), EngineError> {
        if self
            .writer
            .size(&key.rel)?
            .is_some_and(|blocks| blocks > key.block)
        {
            let at = record_at(record, IMPLICIT_BLOCK, PageBase::Previous);
            let bytes = trimmed::without_images(record, self.context.major)?;
            self.writer.record(key, at, &bytes);
        }
        Ok(())
    }

    fn slru_zero(&mut self, kind: SlruKind, number: u32, end: Lsn) -> Result<(), EngineError> {
        if kind == SlruKind::MultiXactOffsets && self.slru_page_exists(kind, number)? {
            // The first multixact of the page was filed already, with the last one of the page
            // before: older minor releases log the new page only afterwards.
            return Ok(());
        }
        self.writer.slru_image(kind, number, end, &[0; BLCKSZ])
    }

    fn slru_page_exists(&mut self, kind: SlruKind, number: u32) -> Result<bool, EngineError> {
        let segment = slru_segment_rel(kind, number / SLRU_PAGES_PER_SEGMENT);
        let pages = self.writer.size(&segment)?;
        Ok(pages.is_some_and(|pages| pages > number % SLRU_PAGES_PER_SEGMENT))
    }

    fn slru_truncate(&mut self, truncation: &SlruTruncation, end: Lsn) -> Result<(), EngineError> {
        let segments = self.current_view()?.slru_segments(truncation.kind)?;
        for (segment, _) in segments {
            if truncation.removes(segment) {
                self.writer
                    .drop_slru_segment(truncation.kind, segment, end)?;
            }
        }
        Ok(())
    }

    fn advance_origin(
        &mut self,
        node: u16,
        remote_lsn: Lsn,
        advance: OriginAdvance,
        end: Lsn,
    ) -> Result<(), EngineError> {
        let known = match self.origins.get(&node) {
            Some(known) => *known,
            None => self.stored_origin(node)?,
        };
        if advance == OriginAdvance::Force || remote_lsn > known {
            self.origins.insert(node, remote_lsn);
            let content = remote_lsn.0.to_be_bytes();
            self.writer.file(&origin_file(node), end, Some(&content));
        }
        Ok(())
    }

    fn stored_origin(&self, node: u16) -> Result<Lsn, EngineError> {
        let view = self.committed_view()?;
        let content = view.file(&origin_file(node))?;
        content.map_or(Ok(Lsn::INVALID), parse_origin)
    }

    /// The timeline after everything taken in so far, which is committed for that.
    fn current_view(&mut self) -> Result<View, EngineError> {
        self.commit_batch()?;
        self.committed_view()
    }

    /// The timeline after the last commit.
    fn committed_view(&self) -> Result<View, EngineError> {
        Ok(View::new(
            self.store.read()?,
            self.writer.timeline(),
            Lsn::MAX,
        ))
    }

    fn commit_if_full(&mut self) -> Result<(), EngineError> {
        if self.writer.pending_bytes() >= IMAGES_BYTES_MAX {
            self.commit_batch()?;
        }
        Ok(())
    }

    /// What is filed so far, however far the record at hand has come. It is filed again when this record is taken
    /// in again, and nothing before it is: see `needs_what_was_before`.
    fn commit_batch(&mut self) -> Result<(), EngineError> {
        self.settle()?;
        self.commits.file(&mut self.writer);
        self.writer.commit(self.durability)
    }
}

/// Whether the effect looks at the store, or changes what pending records mean: all before it is committed
/// first, as whole records. So a record that is committed in parts is the first that may be taken in again;
/// if others before it were, they would meet their own future in the store.
fn needs_what_was_before(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::DatabaseCopy { .. }
            | Effect::DatabaseDrop { .. }
            | Effect::SlruTruncate(_)
            | Effect::Parameters(_)
    )
}

fn record_at(record: &Record, block_id: u8, base: PageBase) -> RecordAt {
    RecordAt {
        start: record.start,
        end: record.end,
        block_id,
        base,
    }
}

fn names_without_redo() -> impl Iterator<Item = &'static str> {
    let lacks_redo = |opcode: &&Opcode| matches!(opcode.implicit, Some(ImplicitRedo::Unsupported));
    let opcodes = OPCODES.iter().filter(lacks_redo);
    opcodes.map(|opcode| opcode.name)
}

/// How far one replication origin has come: its remote LSN, big-endian.
pub(crate) fn origin_file(node: u16) -> FileKey {
    FileKey::new(FileKind::Origins, u32::from(node), 0)
}

pub(crate) fn parse_origin(content: &[u8]) -> Result<Lsn, EngineError> {
    let bytes = content.try_into();
    let bytes = bytes.map_err(|_| EngineError::damaged("replication origin", content.len()))?;
    Ok(Lsn(u64::from_be_bytes(bytes)))
}
