//! The WAL of a directory goes into a store: what following costs without a log, a source or Node.js.
//!
//! `OFFSHOOT_BENCH_WAL=…/pg_wal cargo bench -p offshoot-engine --bench ingest` prints one JSON document per
//! round. The directory holds segments of 16 MiB of one timeline that follow each other, of Postgres 15; the
//! first whole record of the first one is the first that is taken. Pages begin with the images in the WAL, so
//! it should begin soon after a checkpoint. For a profile, put `perf record -g` before the program that cargo
//! names.

#![allow(clippy::unwrap_used, reason = "a bench that cannot be set up fails")]

#[path = "../tests/source/mod.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use offshoot_engine::Ingest;
use offshoot_layout::{Lsn, wal_segment};
use offshoot_wal::{WalDecoder, WalParams};

const ROUNDS: usize = 3;
const SEGMENT_BYTES: u32 = 16 << 20;
/// As an indexer reads them from its log.
const CHUNK_BYTES: usize = 1 << 20;
/// Of a page's header that begins a segment: where the system identifier is.
const SYSTEM_ID_AT: usize = 24;

/// WAL to take in.
struct Wal {
    params: WalParams,
    segments: Vec<PathBuf>,
    /// Of the first segment.
    begins: Lsn,
}

fn main() {
    let Ok(directory) = std::env::var("OFFSHOOT_BENCH_WAL") else {
        eprintln!(
            "ingest: OFFSHOOT_BENCH_WAL names no directory of WAL segments; nothing to measure"
        );
        return;
    };
    let wal = Wal::of(Path::new(&directory));
    for round in 0..ROUNDS {
        measure(&wal, round);
    }
}

impl Wal {
    fn of(directory: &Path) -> Wal {
        let mut found: Vec<(u32, Lsn, PathBuf)> = fs::read_dir(directory)
            .unwrap()
            .filter_map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name()?.to_str()?;
                let (tli, start) = wal_segment::parse_file_name(name, SEGMENT_BYTES)?;
                Some((tli, start, path.clone()))
            })
            .collect();
        found.sort();
        let (tli, begins, first) = found.first().unwrap().clone();
        let header = fs::read(first).unwrap();
        let system_id = header[SYSTEM_ID_AT..].first_chunk().unwrap();
        Wal {
            params: WalParams {
                major: 15,
                system_id: u64::from_le_bytes(*system_id),
                seg_size: SEGMENT_BYTES,
                tli,
            },
            segments: found.into_iter().map(|(_, _, path)| path).collect(),
            begins,
        }
    }

    fn first_record(&self) -> Lsn {
        let mut decoder = WalDecoder::find_next_record(self.params, self.begins).unwrap();
        decoder.feed(&fs::read(&self.segments[0]).unwrap());
        decoder.next().unwrap().unwrap().start
    }
}

fn measure(wal: &Wal, round: usize) {
    let (tenant, _dir) = source::imported(&source::wal());
    let start = wal.first_record();
    let mut ingest = tenant
        .resume_ingest(source::INDEX, wal.params, Some(start))
        .unwrap();
    let before = tenant.stats().unwrap().used_bytes;
    let began = Instant::now();
    let cpu_began = cpu_seconds();
    feed_all(wal, start, &mut ingest);
    ingest.commit().unwrap();
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu_began);
    let bytes = (ingest.position().0 - start.0) as f64;
    let stored = (tenant.stats().unwrap().used_bytes - before) as f64;
    println!(
        "{{\"name\":\"ingest of WAL, round {round}\",\"unit\":\"MB/s\",\"value\":{:.0},\"seconds\":{seconds:.2},\
         \"cpu_seconds\":{cpu:.2},\"records\":{},\"wal_bytes\":{bytes},\"stored_per_wal_byte\":{:.3}}}",
        bytes / seconds / 1e6,
        ingest.records(),
        stored / bytes
    );
}

/// Up to where the WAL ends: behind its last record are zeros, or what a recycled segment held.
fn feed_all(wal: &Wal, start: Lsn, ingest: &mut Ingest) {
    let mut skip = (start.0 - wal.begins.0) as usize;
    for segment in &wal.segments {
        let bytes = fs::read(segment).unwrap();
        for chunk in bytes[skip..].chunks(CHUNK_BYTES) {
            if let Err(error) = ingest.feed(chunk) {
                assert!(last_segment(ingest, wal), "{error}");
                return;
            }
        }
        skip = 0;
    }
}

fn last_segment(ingest: &Ingest, wal: &Wal) -> bool {
    let number = (ingest.position().0 - wal.begins.0) / u64::from(SEGMENT_BYTES);
    number + 1 == wal.segments.len() as u64
}

/// Of this process, in user and kernel mode: other work on the machine hardly touches it.
fn cpu_seconds() -> f64 {
    // SAFETY: a struct of numbers, for which zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: it points to a struct of the right type, which the call fills.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
