//! Which relations exist, and how large they are.

use crate::key_filter::{DATABASE_BYTES, Probe};
use crate::keys::{parse_size_key, size_key};
use crate::sizes::SizeEntry;
use crate::{EngineError, Link, View};
use offshoot_layout::{BLCKSZ, Fork, Lsn, RelKey, SlruKind};
use offshoot_pageproto::RelationEntry;
use offshoot_store::Table;
use std::collections::BTreeMap;

/// Tablespace of relations below `base/`.
pub const PG_DEFAULT_TABLESPACE: u32 = 1663;

impl View {
    /// Every fork that exists in a database's part of a tablespace, with its blocks; in key order.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub fn relations(&self, spcnode: u32, dbnode: u32) -> Result<Vec<(RelKey, u32)>, EngineError> {
        let mut merged = BTreeMap::new();
        let of_database = RelKey {
            spcnode,
            dbnode,
            relnode: 0,
            fork: Fork::Main,
        };
        let key = size_key(0, &of_database, Lsn::INVALID);
        for link in self.chain_with(Probe::of_prefix(Table::Sizes, &key, DATABASE_BYTES)) {
            self.add_relations(*link, spcnode, dbnode, &mut merged)?;
        }
        let exist = |(rel, blocks): (RelKey, Option<u32>)| blocks.map(|blocks| (rel, blocks));
        Ok(merged.into_iter().filter_map(exist).collect())
    }

    /// The body of the page service's `relations` answer.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub fn relations_listing(&self, spcnode: u32, dbnode: u32) -> Result<Vec<u8>, EngineError> {
        let mut listing = Vec::new();
        for (rel, blocks) in self.relations(spcnode, dbnode)? {
            let entry = RelationEntry {
                relnode: rel.relnode,
                fork: rel.fork,
                blocks,
            };
            entry.write(&mut listing);
        }
        Ok(listing)
    }

    /// Bytes of all forks that a database has in the default tablespace; 0 when it is unknown.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub fn database_bytes(&self, dbnode: u32) -> Result<u64, EngineError> {
        let relations = self.relations(PG_DEFAULT_TABLESPACE, dbnode)?;
        let blocks: u64 = relations.iter().map(|(_, blocks)| u64::from(*blocks)).sum();
        Ok(blocks * BLCKSZ as u64)
    }

    /// The segments that an SLRU has, each with its pages.
    ///
    /// # Errors
    /// `Store`, `Damaged`.
    pub fn slru_segments(&self, kind: SlruKind) -> Result<Vec<(u32, u32)>, EngineError> {
        let segments = self.relations(0, kind as u32)?;
        Ok(segments
            .into_iter()
            .map(|(rel, pages)| (rel.relnode, pages))
            .collect())
    }

    /// Steps from relation to relation, past the histories in between.
    fn add_relations(
        &self,
        link: Link,
        spcnode: u32,
        dbnode: u32,
        merged: &mut BTreeMap<RelKey, Option<u32>>,
    ) -> Result<(), EngineError> {
        let mut from = RelKey {
            spcnode,
            dbnode,
            relnode: 0,
            fork: Fork::Main,
        };
        loop {
            let key = size_key(link.timeline, &from, Lsn::INVALID);
            let Some((found, _)) = self.snapshot().seek_ge(Table::Sizes, &key)? else {
                return Ok(());
            };
            // Timeline, tablespace and database.
            if found.get(..12) != Some(&key[..12]) {
                return Ok(());
            }
            let (rel, _) = parse_size_key(found)
                .ok_or_else(|| EngineError::damaged("size key", format!("{found:02x?}")))?;
            if !merged.contains_key(&rel)
                && let Some(entry) = self.size_on(link, &rel)?
            {
                merged.insert(rel, entry.blocks);
            }
            match after(rel) {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    fn size_on(&self, link: Link, rel: &RelKey) -> Result<Option<SizeEntry>, EngineError> {
        let newest = crate::sizes::newest_entry(self.snapshot(), link.timeline, rel, link.lsn)?;
        Ok(newest.map(|(_, entry)| entry))
    }
}

/// The next key there could be in the same database.
fn after(rel: RelKey) -> Option<RelKey> {
    if let Some(fork) = Fork::from_number(rel.fork as u8 + 1) {
        return Some(RelKey { fork, ..rel });
    }
    Some(RelKey {
        relnode: rel.relnode.checked_add(1)?,
        fork: Fork::Main,
        ..rel
    })
}
