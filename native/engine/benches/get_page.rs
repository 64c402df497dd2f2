//! GetPage by batches of pagestream frames, warm, on one thread: pages per second.
//!
//! `cargo bench -p offshoot-engine` prints one JSON document per case.

#![allow(clippy::unwrap_used, reason = "a bench that cannot be set up fails")]

#[path = "heap_page/mod.rs"]
mod heap_page;
#[path = "../tests/support/mod.rs"]
mod support;

use heap_page::{Random, Table, heap_page};
use offshoot_engine::extent::EXTENT_BLOCKS;
use offshoot_engine::{Checksums, Durability, TimelineSpec};
use offshoot_layout::{Fork, Lsn};
use offshoot_pageproto::{Header, Request, Version, write_request};
use std::time::{Duration, Instant};
use support::{TestTenant, block, rel};

const BLOCKS: u32 = 16_384;
const BATCH: u32 = 64;
const TIME: Duration = Duration::from_secs(1);

/// How the pages came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filed {
    /// As an import files them.
    InExtents,
    /// As WAL does.
    OneByOne,
}

/// The relation on timeline 1, and a branch 2 of it with one page of its own.
fn filled(kind: Table, filed: Filed, checksums: Checksums) -> TestTenant {
    let tenant = support::tenant(checksums);
    let mut random = Random(1);
    let mut writer = tenant.writer(1).unwrap();
    let table = rel(16_384, Fork::Main);
    for first in (0..BLOCKS).step_by(EXTENT_BLOCKS as usize) {
        let pages: Vec<_> = (0..EXTENT_BLOCKS)
            .map(|_| heap_page(kind, &mut random))
            .collect();
        if filed == Filed::InExtents {
            let pages = pages.iter().map(|page| Some(&**page));
            writer.extent(&block(table, first), Lsn(8), pages);
            continue;
        }
        for (number, page) in (first..).zip(&pages) {
            writer.image(&block(table, number), Lsn(8), page);
        }
    }
    writer.extend(&table, Lsn(8), BLOCKS).unwrap();
    writer.commit(Durability::Later).unwrap();
    tenant.timeline(1).unwrap().advance_last_record_lsn(Lsn(8));
    let spec = TimelineSpec {
        index: 2,
        parent: Some((1, Lsn(8))),
        last_record_lsn: Lsn(16),
        readable_from: Lsn(8),
    };
    tenant.attach(&spec).unwrap();
    let mut writer = tenant.writer(2).unwrap();
    writer.image(&block(table, 7), Lsn(16), &heap_page(kind, &mut random));
    writer.commit(Durability::Later).unwrap();
    tenant
}

fn frames(block_numbers: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut frames = Vec::new();
    for number in block_numbers {
        let key = block(rel(16_384, Fork::Main), number);
        let header = Header {
            request_id: 0,
            request_lsn: Lsn::MAX,
            not_modified_since: Lsn(8),
        };
        write_request(&mut frames, Version::V3, &header, &Request::GetPage { key });
    }
    frames
}

fn run(name: &str, tenant: &TestTenant, timeline: u32, mut number: impl FnMut(u32) -> u32) {
    let started = Instant::now();
    let mut asked = 0;
    while started.elapsed() < TIME {
        let frames = frames((asked..asked + BATCH).map(&mut number));
        let reply = tenant.pages(timeline, Version::V3, &frames).unwrap();
        assert_eq!(reply.handled, BATCH as usize);
        assert_eq!(reply.reply[5], 102, "a page");
        asked += BATCH;
    }
    let per_second = f64::from(asked) / started.elapsed().as_secs_f64();
    println!("{{\"name\":\"{name}\",\"unit\":\"pages/s\",\"value\":{per_second:.0}}}");
}

fn main() {
    for (table, filed, checksums) in [
        (Table::Orders, Filed::InExtents, Checksums::Off),
        (Table::Orders, Filed::OneByOne, Checksums::Off),
        (Table::Orders, Filed::InExtents, Checksums::On),
        (Table::Accounts, Filed::InExtents, Checksums::Off),
        (Table::Comments, Filed::InExtents, Checksums::Off),
        (Table::Comments, Filed::OneByOne, Checksums::Off),
    ] {
        let tenant = filled(table, filed, checksums);
        let case = format!("{table:?} {filed:?}, checksums {checksums:?}");
        let usage = tenant.stats().unwrap();
        let per_page = usage.used_bytes / u64::from(BLOCKS);
        println!("{{\"name\":\"stored, {case}\",\"unit\":\"bytes/page\",\"value\":{per_page}}}");
        let mut random = Random(2);
        run(&format!("sequential, {case}"), &tenant, 1, |n| n % BLOCKS);
        run(&format!("random, {case}"), &tenant, 1, |_| {
            random.next() as u32 % BLOCKS
        });
        let branch = format!("sequential on a branch, {case}");
        run(&branch, &tenant, 2, |n| n % BLOCKS);
    }
}
