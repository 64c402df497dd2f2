//! Fuzz targets of the decoder and the record parser: see README.md for the long run.

#![allow(clippy::unwrap_used)] // A failing helper fails its test.

mod fuzz_support;

use std::sync::OnceLock;

use offshoot_layout::{ControlFile, Lsn};
use offshoot_wal::generate::WalStream;
use offshoot_wal::{Compression, Record, WalDecoder, WalError, WalParams};
use proptest::prelude::*;

use fuzz_support::{
    Choices, Counting, Target, check_memory, corpus, draft_of, mutate, resealed, run_for_seconds,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Beyond what is fed: a page, a zstd decompressor's tables, an error's text.
const MEMORY_MAX: usize = 512 * 1024;
const PAGE: u64 = 8192;

const TARGETS: [Target; 5] = [
    ("arbitrary_stream", arbitrary_stream),
    ("mutated_stream", mutated_stream),
    ("resealed_records", resealed_records),
    ("arbitrary_record", arbitrary_record),
    ("mutated_image", mutated_image),
];

const KINDS: [Compression; 4] = [
    Compression::None,
    Compression::Pglz,
    Compression::Lz4,
    Compression::Zstd,
];

/// WAL of a real Postgres, and its records.
struct Real {
    params: WalParams,
    start: Lsn,
    bytes: Vec<u8>,
    records: Vec<Record>,
}

fn real() -> &'static Real {
    static REAL: OnceLock<Real> = OnceLock::new();
    REAL.get_or_init(|| {
        let control = ControlFile::parse(include_bytes!("data/pg_control")).unwrap();
        let params = WalParams {
            major: 15,
            system_id: control.system_identifier,
            seg_size: control.xlog_seg_size,
            tli: control.check_point_copy.this_timeline_id,
        };
        let (start, _) = include_str!("data/range.txt").split_once(' ').unwrap();
        let start = start.parse().unwrap();
        let packed = include_bytes!("data/stream.zst");
        let bytes = zstd::stream::decode_all(packed.as_slice()).unwrap();
        let mut decoder = WalDecoder::new(params, start, None).unwrap();
        decoder.feed(&bytes);
        let records = std::iter::from_fn(|| decoder.next().unwrap()).collect();
        Real {
            params,
            start,
            bytes,
            records,
        }
    })
}

/// Takes what was fed; every image is unpacked.
fn drain(decoder: &mut WalDecoder, mut take: impl FnMut(&Record)) -> Result<(), WalError> {
    let mut record = Record::default();
    while decoder.next_into(&mut record)? {
        touch_everything(&record);
        take(&record);
    }
    Ok(())
}

fn touch_everything(record: &Record) {
    let mut page = [0; 8192];
    assert!(record.main.end <= record.bytes.len());
    assert_eq!(record.main_data().len(), record.main.len());
    for block in &record.blocks {
        assert_eq!(record.block_data(block).len(), block.data.len());
        assert!(
            record
                .block(block.id)
                .is_some_and(|found| std::ptr::eq(found, block))
        );
        // Whether it can be restored is not the point.
        drop(record.restore_image(block, &mut page));
    }
}

/// What comes of the bytes: the records, and the error if there is one.
fn outcome<'a>(
    mut decoder: WalDecoder,
    chunks: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Record>, Option<WalError>) {
    let mut records: Vec<Record> = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk);
        let result = drain(&mut decoder, |record| {
            assert!(
                records
                    .last()
                    .is_none_or(|last| { last.end <= record.start && last.start >= record.prev })
            );
            records.push(record.clone());
        });
        if let Err(error) = result {
            assert_eq!(decoder.next(), Err(error.clone()));
            return (records, Some(error));
        }
    }
    (records, None)
}

/// Neither chunks nor a record's reuse change what is decoded, and memory stays bounded.
fn check_stream(
    choices: &mut Choices<'_>,
    bytes: &[u8],
    decoder: impl Fn() -> Option<WalDecoder>,
) -> Vec<Record> {
    let (Some(mut first), Some(second), Some(third)) = (decoder(), decoder(), decoder()) else {
        return Vec::new();
    };
    // The input's own buffer may be twice as long, and a record is a copy.
    let _ = check_memory(MEMORY_MAX + 4 * bytes.len(), || {
        first.feed(bytes);
        drain(&mut first, |_| {})
    });
    let whole = outcome(second, std::iter::once(bytes));
    let magnitude = choices.below(17);
    let chunk = 1 + choices.below(1 << magnitude);
    let in_chunks = outcome(third, bytes.chunks(chunk));
    assert_eq!(in_chunks, whole, "chunks of {chunk}");
    whole.0
}

fn arbitrary_stream(choices: &mut Choices<'_>) {
    let params = WalParams {
        major: 13 + choices.below(7) as u32,
        system_id: 42,
        seg_size: 1 << (19 + choices.below(13)),
        tli: 1,
    };
    let limit = choices.edge();
    let start = Lsn(u64::from(choices.edge()) << choices.below(34));
    let resumes = choices.one_in(2);
    let bytes = choices.some_bytes(3000);
    check_stream(choices, &bytes, || {
        let decoder = if resumes {
            WalDecoder::find_next_record(params, start)
        } else {
            WalDecoder::new(params, start, None)
        };
        let mut decoder = decoder.ok()?;
        decoder.set_record_bytes_max(limit);
        Some(decoder)
    });
}

/// Some pages of real WAL, damaged, from any LSN on: what comes before the damage is right.
fn mutated_stream(choices: &mut Choices<'_>) {
    let real = real();
    let first_page = real.start.0.next_multiple_of(PAGE);
    let in_stream = (first_page - real.start.0) as usize;
    let pages = (real.bytes.len() - in_stream) / PAGE as usize;
    let page = choices.below(pages);
    let from = in_stream + page * PAGE as usize;
    let original = &real.bytes[from..][..(1 + choices.below(6)).min(pages - page) * PAGE as usize];
    let page_start = Lsn(first_page + page as u64 * PAGE);
    let lsn = Lsn(page_start.0 + choices.below(PAGE as usize) as u64);
    let mut bytes = original.to_vec();
    mutate(choices, &mut bytes);
    let records = check_stream(choices, &bytes, || {
        Some(WalDecoder::find_next_record(real.params, lsn).unwrap())
    });
    let same = original.iter().zip(&bytes).take_while(|(a, b)| a == b);
    let right_until = Lsn(page_start.0 + same.count() as u64);
    let expected: Vec<_> = real
        .records
        .iter()
        .filter(|record| record.start >= lsn && record.end <= right_until)
        .collect();
    assert!(records.iter().take(expected.len()).eq(expected));
}

/// Damaged records whose CRC is right, in a stream that is.
fn resealed_records(choices: &mut Choices<'_>) {
    let params = WalParams {
        major: 14 + choices.below(5) as u32,
        system_id: 42,
        seg_size: 1 << 20,
        tli: 1,
    };
    let start = Lsn(0x20_0000);
    let mut stream = WalStream::new(params, start, Lsn(8)).unwrap();
    let (mut prev, mut written) = (8, Vec::new());
    for _ in 0..1 + choices.below(5) {
        let mut record = any_record(choices).to_vec();
        mutate(choices, &mut record);
        let record = resealed(record, prev);
        prev = stream.append_bytes(&record).0;
        written.push(record);
    }
    let records = check_stream(choices, stream.bytes(), || {
        Some(WalDecoder::new(params, start, Some(Lsn(8))).unwrap())
    });
    for (record, written) in records.iter().zip(&written) {
        assert_eq!(&record.bytes, written);
    }
}

fn any_record(choices: &mut Choices<'_>) -> &'static [u8] {
    if choices.one_in(2) {
        let record = choices.of(&real().records);
        &record.bytes[..record.bytes.len().min(20_000)]
    } else {
        &choices.of(corpus()).record
    }
}

fn arbitrary_record(choices: &mut Choices<'_>) {
    let major = 13 + choices.below(7) as u32;
    let mut bytes = vec![0; 24];
    bytes[16] = choices.byte();
    bytes[17] = choices.byte();
    bytes.extend(choices.some_bytes(600));
    let bytes = resealed(bytes, 8);
    check_memory(MEMORY_MAX, || {
        if let Ok(record) = Record::parse(&bytes, Lsn(8), Lsn(16), major) {
            touch_everything(&record);
        }
    });
}

/// An image of each kind of compression, damaged, in each major version that has it.
fn mutated_image(choices: &mut Choices<'_>) {
    let kind = *choices.of(&KINDS);
    let has_kind = |record: &&Record| {
        let images = record.blocks.iter().flat_map(|block| &block.image);
        images.into_iter().any(|image| image.compression == kind)
    };
    let records: Vec<_> = real().records.iter().filter(has_kind).collect();
    let record = *choices.of(&records);
    let mut draft = draft_of(record, |_| true);
    let images = draft.blocks.iter_mut().flat_map(|block| &mut block.image);
    let mut changed = false;
    for image in images {
        let original = image.clone();
        mutate(choices, &mut image.stored);
        if choices.one_in(4) {
            image.hole_offset = choices.edge() as u16;
            image.hole_length = choices.edge() as u16;
        }
        image.stored.truncate(9000);
        changed |= *image != original;
    }
    let major = *choices.of(majors_with(kind));
    let bytes = draft.to_bytes(record.prev, major).unwrap();
    check_memory(MEMORY_MAX, || {
        let parsed = Record::parse(&bytes, record.start, record.end, major);
        let Ok(parsed) = parsed else {
            assert!(changed);
            return;
        };
        touch_everything(&parsed);
        if !changed {
            check_same_pages(record, &parsed);
        }
    });
}

fn majors_with(kind: Compression) -> &'static [u32] {
    match kind {
        Compression::None | Compression::Pglz => &[14, 15, 16, 17, 18],
        Compression::Lz4 | Compression::Zstd => &[15, 16, 17, 18],
    }
}

fn check_same_pages(expected: &Record, found: &Record) {
    for (block, again) in expected.blocks.iter().zip(&found.blocks) {
        if block.image.is_some() {
            let (mut page, mut same) = ([1; 8192], [2; 8192]);
            expected.restore_image(block, &mut page).unwrap();
            found.restore_image(again, &mut same).unwrap();
            assert!(page == same);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_streams(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        arbitrary_stream(&mut Choices::new(&bytes));
    }

    #[test]
    fn mutated_streams(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        mutated_stream(&mut Choices::new(&bytes));
    }

    #[test]
    fn mutated_records_with_a_right_crc(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        resealed_records(&mut Choices::new(&bytes));
    }

    #[test]
    fn arbitrary_records(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        arbitrary_record(&mut Choices::new(&bytes));
    }

    #[test]
    fn mutated_images(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        mutated_image(&mut Choices::new(&bytes));
    }
}

#[test]
fn every_real_image_unpacks_to_the_same_in_every_major() {
    let mut seen = Vec::new();
    for record in &real().records {
        let images = record.blocks.iter().flat_map(|block| &block.image);
        let Some(kind) = images.map(|image| image.compression).next_back() else {
            continue;
        };
        seen.push(kind);
        for major in majors_with(kind) {
            let bytes = draft_of(record, |_| true)
                .to_bytes(record.prev, *major)
                .unwrap();
            let again = Record::parse(&bytes, record.start, record.end, *major).unwrap();
            check_same_pages(record, &again);
        }
    }
    assert!(KINDS.iter().all(|kind| seen.contains(kind)));
}

#[test]
#[should_panic(expected = "bytes in use")]
fn memory_is_counted() {
    check_memory(1000, || vec![0u8; 2000]);
}

#[test]
#[ignore = "as long as OFFSHOOT_FUZZ_SECONDS says: README.md"]
fn fuzz() {
    run_for_seconds(&TARGETS);
}
