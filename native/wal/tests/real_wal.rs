//! WAL of a real Postgres 15 against what its own pg_waldump makes of it (see data/README.md).

#![allow(clippy::unwrap_used)] // A failing helper fails its test.

use std::collections::BTreeMap;

use offshoot_layout::{ControlFile, Lsn, Page, page};
use offshoot_wal::{Compression, Record, WalDecoder, WalParams};

const RANGE: &str = include_str!("data/range.txt");
const WALDUMP: &str = include_str!("data/waldump.txt");
/// In the order of their numbers.
const RESOURCE_MANAGERS: [&str; 22] = [
    "XLOG",
    "Transaction",
    "Storage",
    "CLOG",
    "Database",
    "Tablespace",
    "MultiXact",
    "RelMap",
    "Standby",
    "Heap2",
    "Heap",
    "Btree",
    "Hash",
    "Gin",
    "Gist",
    "Sequence",
    "SPGist",
    "BRIN",
    "CommitTs",
    "ReplicationOrigin",
    "Generic",
    "LogicalMessage",
];
const XLOG_FPI: u8 = 0xB0;
const XLOG_OVERWRITE_CONTRECORD: u8 = 0xD0;

fn params() -> WalParams {
    let control = ControlFile::parse(include_bytes!("data/pg_control")).unwrap();
    WalParams {
        major: 15,
        system_id: control.system_identifier,
        seg_size: control.xlog_seg_size,
        tli: control.check_point_copy.this_timeline_id,
    }
}

fn range() -> (Lsn, Lsn) {
    let (start, end) = RANGE.trim().split_once(' ').unwrap();
    (start.parse().unwrap(), end.parse().unwrap())
}

fn stream() -> Vec<u8> {
    zstd::stream::decode_all(include_bytes!("data/stream.zst").as_slice()).unwrap()
}

fn decode(chunk_bytes: usize) -> Vec<Record> {
    let (start, end) = range();
    let mut decoder = WalDecoder::new(params(), start, None).unwrap();
    let mut records = Vec::new();
    for chunk in stream().chunks(chunk_bytes) {
        decoder.feed(chunk);
        while let Some(record) = decoder.next().unwrap() {
            records.push(record);
        }
    }
    assert_eq!(decoder.position(), end);
    records
}

/// A record as `pg_waldump -b` shows it: a line, and one for each block; descriptions left out.
fn as_waldump_shows(record: &Record) -> Vec<String> {
    let images: usize = record
        .blocks
        .iter()
        .flat_map(|b| &b.image)
        .map(|i| i.bytes.len())
        .sum();
    let total = record.bytes.len();
    let lsn = |lsn: Lsn| format!("{:X}/{:08X}", lsn.0 >> 32, lsn.0 as u32);
    let mut lines = vec![format!(
        "rmgr: {:<11} len (rec/tot): {:>6}/{:>6}, tx: {:>10}, lsn: {}, prev {}",
        RESOURCE_MANAGERS[usize::from(record.rmid)],
        total - images,
        total,
        record.xid,
        lsn(record.start),
        lsn(record.prev),
    )];
    lines.extend(record.blocks.iter().map(block_as_waldump_shows));
    lines
}

fn block_as_waldump_shows(block: &offshoot_wal::BlockRef) -> String {
    let rel = block.key.rel;
    let fork = ["main", "fsm", "vm", "init"][rel.fork as usize];
    let (id, number) = (block.id, block.key.block);
    let names = format!("{}/{}/{}", rel.spcnode, rel.dbnode, rel.relnode);
    let mut line = format!("\tblkref #{id}: rel {names} fork {fork} blk {number}");
    let Some(image) = &block.image else {
        return line;
    };
    let (offset, length) = (image.hole_offset, image.hole_length);
    let purpose = if image.apply {
        ""
    } else {
        " for WAL verification"
    };
    line += &format!(" (FPW{purpose}); hole: offset: {offset}, length: {length}");
    let method = match image.compression {
        Compression::None => return line,
        Compression::Pglz => "pglz",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    };
    let saved = 8192 - usize::from(length) - image.bytes.len();
    line + &format!(", compression saved: {saved}, method: {method}")
}

#[test]
fn every_record_is_as_pg_waldump_shows_it() {
    let shown: Vec<String> = decode(usize::MAX)
        .iter()
        .flat_map(as_waldump_shows)
        .collect();
    let expected: Vec<&str> = WALDUMP
        .lines()
        .map(|line| line.split(", desc: ").next().unwrap())
        .collect();
    assert_eq!(shown, expected);
}

#[test]
fn chunks_of_any_size_give_the_same_records() {
    let whole = decode(usize::MAX);
    for chunk_bytes in [1, 7, 24, 4096, 8192, 100_000] {
        assert_eq!(decode(chunk_bytes), whole, "{chunk_bytes}");
    }
}

#[test]
fn any_record_boundary_can_be_resumed_from() {
    let bytes = stream();
    let (start, _) = range();
    let records = decode(usize::MAX);
    for pair in records.windows(2) {
        let (before, next) = (&pair[0], &pair[1]);
        let mut decoder = WalDecoder::new(params(), before.end, Some(before.start)).unwrap();
        decoder.feed(&bytes[(before.end.0 - start.0) as usize..]);
        assert_eq!(decoder.next().unwrap().as_ref(), Some(next));
    }
}

#[test]
fn any_lsn_can_be_resumed_from() {
    let bytes = stream();
    let (start, end) = range();
    let records = decode(usize::MAX);
    let first_page = start.0.next_multiple_of(8192);
    // A step that meets every offset of a page.
    for lsn in (first_page..end.0).step_by(997).map(Lsn) {
        let mut decoder = WalDecoder::find_next_record(params(), lsn).unwrap();
        let from = (decoder.feed_position().0 - start.0) as usize;
        let mut chunks = bytes[from..].chunks(50_000);
        let found = loop {
            if let Some(record) = decoder.next().unwrap() {
                break Some(record);
            }
            match chunks.next() {
                Some(chunk) => decoder.feed(chunk),
                None => break None,
            }
        };
        let expected = records.iter().find(|record| record.start >= lsn);
        assert_eq!(found.as_ref(), expected, "{lsn}");
    }
}

#[test]
fn a_reused_record_holds_nothing_of_the_one_before() {
    let mut decoder = WalDecoder::new(params(), range().0, None).unwrap();
    decoder.feed(&stream());
    let mut record = Record::default();
    for expected in decode(usize::MAX) {
        assert!(decoder.next_into(&mut record).unwrap());
        assert_eq!(record, expected);
    }
    assert!(!decoder.next_into(&mut record).unwrap());
}

#[test]
fn stored_records_parse_to_the_same() {
    for record in decode(usize::MAX) {
        let again = Record::parse(&record.bytes, record.start, record.end, 15);
        assert_eq!(again, Ok(record));
    }
}

#[test]
fn the_vector_has_a_switch_an_abandoned_record_and_the_optional_headers() {
    let records = decode(usize::MAX);
    let segment_bytes = u64::from(params().seg_size);
    let switch = records.iter().find(|r| r.is_switch()).unwrap();
    assert_eq!(switch.end.0 % segment_bytes, 0);
    assert!(switch.end.0 - switch.start.0 > 24);
    let is_notice = |r: &&Record| r.rmid == 0 && r.opcode() == XLOG_OVERWRITE_CONTRECORD;
    assert!(records.iter().any(|r| is_notice(&r)));
    assert!(records.iter().any(|r| r.origin == Some(1)));
    assert!(records.iter().any(|r| r.top_xid.is_some()));
}

/// Images of one index build by block number, `pd_lsn` zeroed.
type Pages = BTreeMap<u32, Box<Page>>;

#[test]
fn all_compressions_restore_the_same_pages() {
    let mut builds: BTreeMap<u32, (Compression, Pages)> = BTreeMap::new();
    for record in decode(usize::MAX) {
        for block in record.blocks.iter().filter(|b| b.image.is_some()) {
            let mut restored = Box::new([0xEE; 8192]);
            record.restore_image(block, &mut restored).unwrap();
            assert!(page::is_new(&restored) || page::pd_pagesize_version(&restored) == 0x2004);
            let relnode = block.key.rel.relnode;
            // The build logs with the relation's own relfilenode, which is no catalog's.
            if (record.rmid, record.opcode()) == (0, XLOG_FPI) && relnode > 16_384 {
                page::set_pd_lsn(&mut restored, Lsn(0));
                let compression = block.image.as_ref().unwrap().compression;
                let build = builds.entry(relnode).or_insert((compression, Pages::new()));
                build.1.insert(block.key.block, restored);
            }
        }
    }
    let builds: Vec<_> = builds.into_values().collect();
    let used: Vec<_> = builds.iter().map(|(compression, _)| *compression).collect();
    let expected = [
        Compression::None,
        Compression::Pglz,
        Compression::Lz4,
        Compression::Zstd,
    ];
    assert_eq!(used, expected);
    for (compression, pages) in &builds {
        assert!(pages.len() >= 3);
        assert!(
            *pages == builds[0].1,
            "{compression:?} differs from the stored pages"
        );
    }
}
