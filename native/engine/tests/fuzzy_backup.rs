//! A made-up cluster changes at random while its files are copied at random: late, torn, padded, or not at
//! all. What is served from the backup's end on is what the cluster held there. Nothing is refused but pages
//! of a database made of another's files, of which the backup saw only something later.
//! `OFFSHOOT_TEST_FUZZY_CASES` runs more cases, `OFFSHOOT_TEST_FUZZY_SEED` begins at another.

#![allow(clippy::unwrap_used, clippy::panic)]

mod changing_cluster;
mod source;

use changing_cluster::{COPY, Cluster, Memory};
use offshoot_engine::{EngineError, FileKey, FileKind, Tenant, TimelineSpec};
use offshoot_layout::{BLCKSZ, BlockKey, Fork, Lsn, Page, RelKey, SlruKind, page};
use offshoot_redo::RedoError;
use source::{INDEX, archive, options, tenant};

const BRANCH: u32 = INDEX + 1;

/// What was compared; a test that refuses everything shows nothing.
#[derive(Default, Debug)]
struct Seen {
    right: u64,
    refused: u64,
    uncertain: u64,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// `true`: the map has no bit that production's has not. The heap page of a copied database may be known
/// as all visible when its source became so after the copy: that is a hint, without an LSN.
fn is_right(rel: &RelKey, made: &Page, expected: &Page) -> bool {
    match rel.fork {
        Fork::Main if rel.dbnode == COPY => {
            let mut hinted = *expected;
            page::set_pd_flags(&mut hinted, page::pd_flags(expected) | page::PD_ALL_VISIBLE);
            made == expected || *made == hinted
        }
        Fork::Vm => made
            .iter()
            .zip(expected)
            .skip(24)
            .all(|(ours, theirs)| ours & !theirs == 0),
        _ => made == expected,
    }
}

/// Its LSN, flags, and the words of its content that are not the same as the one before.
fn told(page: &Page) -> String {
    let words = page[32..].as_chunks::<4>().0.iter();
    let mut words: Vec<u32> = words.map(|word| u32::from_le_bytes(*word)).collect();
    words.dedup();
    let (lsn, flags) = (page::pd_lsn(page), page::pd_flags(page));
    format!("{lsn} {flags:x} {words:?}")
}

fn check(tenant: &Tenant, index: u32, lsn: Lsn, memory: &Memory, seen: &mut Seen) {
    let view = tenant.readable_view(index, Some(lsn)).unwrap();
    for (rel, pages) in &memory.relations {
        let size = view.size(rel).unwrap();
        let size = size.unwrap_or_else(|| panic!("{rel} is missing")) as usize;
        assert!(size <= pages.len() || rel.dbnode == COPY, "{rel}: {size}");
        // A copy can have pages that its source got later: they are nothing, or refused.
        let expected = pages.iter().chain(std::iter::repeat(&[0; BLCKSZ]));
        for (block, expected) in (0..).zip(expected.take(size.max(pages.len()))) {
            let mut made = [0xEE; BLCKSZ];
            match view.page(&BlockKey { rel: *rel, block }, &mut made) {
                Ok(()) => {
                    let right = is_right(rel, &made, expected);
                    assert!(
                        right,
                        "{rel} block {block} at {lsn} is {}, not {}",
                        told(&made),
                        told(expected)
                    );
                    seen.right += 1;
                }
                Err(EngineError::Redo(RedoError::Unsupported { .. }))
                    if memory.uncertain.contains(&(*rel, block as usize)) =>
                {
                    seen.refused += 1;
                }
                Err(error) => panic!("{rel} block {block} at {lsn}: {error}"),
            }
        }
    }
    for rel in &memory.gone {
        assert_eq!(view.size(rel).unwrap(), None, "{rel}");
    }
    let mut made = [0xEE; BLCKSZ];
    view.slru_page(SlruKind::Xact, 0, &mut made).unwrap();
    assert!(made == memory.xact, "pg_xact at {lsn}");
    let copy = view
        .file(&FileKey::new(FileKind::Database, 1663, 6))
        .unwrap();
    assert_eq!(copy.is_some(), memory.copied);
}

fn run(seed: u64, seen: &mut Seen) {
    let mut cluster = Cluster::new(seed);
    let files = cluster.back_up();
    let (backup_end, at_end) = (cluster.end(), cluster.memory());
    for _ in 0..20 {
        cluster.change();
    }
    let (tenant, _dir) = tenant();
    let mut session = tenant.begin_import(options()).unwrap();
    session.begin_archive(0).unwrap();
    session.write(&archive(&files)).unwrap();
    session.finish_backup().unwrap();
    for chunk in cluster.wal().chunks(5000) {
        session.wal(chunk).unwrap();
    }
    let last_record_lsn = match session.finish(backup_end) {
        Ok(imported) => imported.last_record_lsn,
        Err(EngineError::BadSource(text)) if text.contains("import again") => {
            seen.uncertain += 1;
            return;
        }
        Err(error) => panic!("{error}"),
    };
    assert_eq!(last_record_lsn, cluster.end());
    for (index, parent) in [(INDEX, None), (BRANCH, Some((INDEX, backup_end)))] {
        let end = if parent.is_none() {
            last_record_lsn
        } else {
            backup_end
        };
        let spec = TimelineSpec {
            index,
            parent,
            last_record_lsn: end,
            readable_from: backup_end,
        };
        tenant.attach(&spec).unwrap();
    }
    check(&tenant, INDEX, backup_end, &at_end, seen);
    check(&tenant, BRANCH, backup_end, &at_end, seen);
    check(&tenant, INDEX, last_record_lsn, &cluster.memory(), seen);
}

#[test]
fn what_is_served_of_a_fuzzy_backup_is_right() {
    let first = number("OFFSHOOT_TEST_FUZZY_SEED", 1);
    let mut seen = Seen::default();
    for seed in first..first + number("OFFSHOOT_TEST_FUZZY_CASES", 60) {
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed, &mut seen)));
        assert!(result.is_ok(), "seed {seed}");
    }
    println!("{seen:?}");
    assert!(seen.right > 50 * seen.refused, "{seen:?}");
}
