//! An archive of a table goes into a store: bytes per second, from memory, with the sync at the end.
//!
//! `cargo bench -p offshoot-engine --bench import` prints one JSON document per case.

#![allow(clippy::unwrap_used, reason = "a bench that cannot be set up fails")]

#[path = "heap_page/mod.rs"]
mod heap_page;
#[path = "../tests/source/mod.rs"]
mod source;

use heap_page::{Random, Table, heap_page};
use std::time::Instant;

const PAGES: usize = 48 << 10;
/// As they come from the replication connection, more or less.
const CHUNK_BYTES: usize = 1 << 20;

fn main() {
    for table in [Table::Orders, Table::Accounts, Table::Comments] {
        import(table);
    }
}

fn import(table: Table) {
    let mut random = Random(1);
    let mut pages = Vec::with_capacity(PAGES * 8192);
    for _ in 0..PAGES {
        pages.extend_from_slice(&heap_page(table, &mut random)[..]);
    }
    let mut files = source::backup_files();
    files.push(("base/5/17000".to_owned(), pages));
    let archive = source::archive(&files);
    drop(files);
    let stream = source::wal();
    for round in 0..3 {
        let (tenant, _dir) = source::tenant();
        let started = Instant::now();
        let mut session = tenant.begin_import(source::options()).unwrap();
        session.begin_archive(0).unwrap();
        for chunk in archive.chunks(CHUNK_BYTES) {
            session.write(chunk).unwrap();
        }
        session.finish_backup().unwrap();
        session.wal(stream.bytes()).unwrap();
        let written = started.elapsed();
        session.finish(stream.end()).unwrap();
        let seconds = started.elapsed().as_secs_f64();
        let rate = archive.len() as f64 / seconds / 1e6;
        let sync = seconds - written.as_secs_f64();
        let used = tenant.stats().unwrap().used_bytes as f64 / PAGES as f64;
        println!(
            "{{\"name\":\"import of {table:?}, round {round}\",\"unit\":\"MB/s\",\"value\":{rate:.0},\
             \"seconds\":{seconds:.2},\"sync_seconds\":{sync:.2},\"stored_bytes_per_page\":{used:.0}}}"
        );
    }
}
