//! Bytes from the disk or the network that nobody should have written: errors, never panics, and no
//! more memory than they are worth. `OFFSHOOT_TEST_HOSTILE_CASES` runs more cases.

#![allow(clippy::unwrap_used, clippy::panic)]

mod changing_cluster;
mod source;

use changing_cluster::Cluster;
use offshoot_engine::base_backup::{BaseBackupOptions, Contents, WalSegment};
use offshoot_engine::{EngineError, FileKind, StoreOptions, Tenant, TimelineSpec};
use offshoot_layout::{BLCKSZ, BlockKey, Lsn, SlruKind};
use offshoot_store::{Durability, Store, StoreError, Table};
use source::{INDEX, archive, options, tenant};
use std::sync::Arc;

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % end.max(1) as u64) as usize
    }

    /// Some bytes become others; or some go, or the end goes.
    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(bytes.len());
            match self.below(8) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..bytes.len().min(at + 1 + self.0 as usize % 9))),
                2 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][self.below(5)],
                _ => bytes[at] ^= 1 << self.below(8),
            }
        }
    }
}

fn cases() -> u64 {
    let cases = std::env::var("OFFSHOOT_TEST_HOSTILE_CASES");
    cases.map_or(150, |text| text.parse().unwrap())
}

/// Makes the checksums of the tar's headers right again, where they still begin at a block.
fn seal(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

fn import(tenant: &Arc<Tenant>, archive: &[u8], wal: &[u8], end: Lsn) -> Result<Lsn, EngineError> {
    let mut session = tenant.begin_import(options())?;
    session.begin_archive(0)?;
    for chunk in archive.chunks(10_000) {
        session.write(chunk)?;
    }
    session.finish_backup()?;
    session.wal(wal)?;
    Ok(session.finish(end)?.last_record_lsn)
}

#[test]
fn spoiled_archives_and_wal_are_errors_or_harmless() {
    let mut random = Random(0x1234_5678);
    let mut refused = 0;
    for seed in 0..cases() {
        let mut cluster = Cluster::new(seed);
        let mut bytes = archive(&cluster.back_up());
        let mut wal = cluster.wal().to_vec();
        match random.below(3) {
            0 => random.spoil(&mut wal),
            1 => random.spoil(&mut bytes),
            _ => {
                // In headers, where lengths and names are.
                let blocks = bytes.len() / 512;
                for _ in 0..blocks {
                    let at = random.below(blocks) * 512;
                    if &bytes[at + 257..at + 262] == b"ustar" {
                        let field = at + [0, 5, 124, 128, 135, 156][random.below(6)];
                        bytes[field] = b"0123457/.x"[random.below(10)];
                        break;
                    }
                }
                seal(&mut bytes);
            }
        }
        let (tenant, _dir) = tenant();
        refused += u64::from(import(&tenant, &bytes, &wal, cluster.end()).is_err());
    }
    assert!(refused > cases() / 4, "{refused}");
}

/// Reads all there is, whatever comes of it.
fn read_all(tenant: &Arc<Tenant>, lsn: Lsn) -> (u64, u64) {
    let (mut right, mut refused) = (0, 0);
    let mut count = |result: Result<(), EngineError>| match result {
        Ok(()) => right += 1,
        Err(_) => refused += 1,
    };
    let view = tenant.view(INDEX, lsn).unwrap();
    let mut page = [0; BLCKSZ];
    for (spc, db) in [(1663, 5), (1663, 6), (1664, 0), (0, 0)] {
        let relations = view.relations(spc, db);
        for (rel, blocks) in relations.unwrap_or_default() {
            for block in 0..blocks.min(20) {
                count(view.page(&BlockKey { rel, block }, &mut page));
            }
        }
    }
    for kind in SlruKind::ALL {
        count(view.slru_page(kind, 0, &mut page));
    }
    for kind in [FileKind::RelMap, FileKind::TwoPhase, FileKind::Origins] {
        count(view.files(kind).map(drop));
    }
    drop(view);
    let options = BaseBackupOptions {
        lsn: Some(lsn),
        contents: Contents::Full,
        wal: WalSegment::FirstPage,
    };
    let archive = tenant.base_backup(INDEX, &options);
    count(archive.and_then(|mut archive| {
        // A spoiled length is not gone through to its end.
        for _ in 0..40 {
            if archive.next_chunk()?.is_none() {
                break;
            }
        }
        Ok(())
    }));
    (right, refused)
}

#[test]
fn spoiled_entries_of_the_store_are_errors_or_harmless() {
    let mut random = Random(0x8765_4321);
    let (mut right, mut refused) = (0, 0);
    for seed in 0..cases() / 5 {
        let mut cluster = Cluster::new(seed);
        let bytes = archive(&cluster.back_up());
        let (made, dir) = tenant();
        let Ok(end) = import(&made, &bytes, cluster.wal(), cluster.end()) else {
            continue;
        };
        made.close().unwrap();
        drop(made);
        let path = dir.path().join("tenant");
        let store = Store::open(&path, StoreOptions::default()).unwrap();
        for table in Table::ALL {
            spoil_entries(&store, table, &mut random);
        }
        store.close().unwrap();
        let tenant = Arc::new(Tenant::open(&path, StoreOptions::default()).unwrap());
        let spec = TimelineSpec {
            index: INDEX,
            parent: None,
            last_record_lsn: end,
            readable_from: end,
        };
        tenant.attach(&spec).unwrap();
        let counts = read_all(&tenant, end);
        right += counts.0;
        refused += counts.1;
    }
    assert!(right > 0 && refused > 0, "{right} {refused}");
}

fn spoil_entries(store: &Store, table: Table, random: &mut Random) {
    let snapshot = store.read().unwrap();
    let entries = snapshot.prefix(table, &INDEX.to_be_bytes()).unwrap();
    let entries: Vec<(Vec<u8>, Vec<u8>)> = entries
        .map(|entry| entry.unwrap())
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect();
    drop(snapshot);
    store
        .write::<(), StoreError>(Durability::Later, |txn| {
            for (key, value) in &entries {
                if random.below(4) == 0 {
                    let mut value = value.clone();
                    random.spoil(&mut value);
                    txn.put(table, key, &value)?;
                }
            }
            Ok(())
        })
        .unwrap();
}
