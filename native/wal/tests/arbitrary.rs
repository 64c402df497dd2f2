//! Bytes that nobody meant: no panic, and chunks never change what is decoded.

#![allow(clippy::unwrap_used)] // A failing helper fails its test.

use offshoot_layout::{Lsn, RelFile};
use offshoot_wal::generate::{RecordDraft, WalStream};
use offshoot_wal::{Record, WalDecoder, WalError, WalParams};
use proptest::prelude::*;

const PARAMS: WalParams = WalParams {
    major: 15,
    system_id: 42,
    seg_size: 1 << 20,
    tli: 1,
};
const START: Lsn = Lsn(0x10_0000);
const INSERT: [u8; 60] = [
    0x3c, 0x00, 0x00, 0x00, 0xd6, 0x02, 0x00, 0x00, 0xe0, 0xb7, 0x74, 0x01, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x0a, 0x00, 0x00, 0xfe, 0x44, 0x6c, 0x7c, 0x00, 0x20, 0x0b, 0x00, 0x7f, 0x06, 0x00, 0x00,
    0x05, 0x00, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0x03, 0x01, 0x00,
    0x02, 0x08, 0x18, 0x00, 0x0b, 0x61, 0x62, 0x20, 0x20, 0x02, 0x00, 0x08,
];

/// Everything the decoder says about the bytes: its records, and how it ended.
fn outcome<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Record>, Option<WalError>) {
    let mut decoder = WalDecoder::new(PARAMS, START, None).unwrap();
    let mut records = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk);
        loop {
            match decoder.next() {
                Ok(Some(record)) => records.push(record),
                Ok(None) => break,
                Err(error) => return (records, Some(error)),
            }
        }
    }
    (records, None)
}

/// Cuts at the given points, taken modulo the length.
fn chunks<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut points: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    points.extend([0, bytes.len()]);
    points.sort_unstable();
    points
        .windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}

fn stream_of(lengths: &[usize], with_switch: bool) -> Vec<u8> {
    let mut stream = WalStream::new(PARAMS, START, Lsn(8)).unwrap();
    for (index, length) in lengths.iter().enumerate() {
        let main = vec![index as u8; *length];
        stream
            .append(&RecordDraft {
                rmid: 10,
                main,
                ..RecordDraft::default()
            })
            .unwrap();
    }
    if with_switch {
        stream.append_switch().unwrap();
        stream
            .append(&RecordDraft {
                rmid: 10,
                main: vec![1; 9],
                ..Default::default()
            })
            .unwrap();
    }
    stream.bytes().to_vec()
}

/// A record whose CRC is right, whatever else is not.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let len = (bytes.len() as u32).to_le_bytes();
    bytes[0..4].copy_from_slice(&len);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[24..]), &bytes[..20]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn touch_everything(record: &Record) {
    let mut page = [0; 8192];
    assert!(record.main.end <= record.bytes.len());
    assert_eq!(record.main_data().len(), record.main.len());
    for block in &record.blocks {
        assert_eq!(record.block_data(block).len(), block.data.len());
        // Whether it can be restored is not the point.
        drop(record.restore_image(block, &mut page));
    }
}

proptest! {
    #[test]
    fn chunks_do_not_matter(
        lengths in prop::collection::vec(1usize..20_000, 1..12),
        with_switch: bool,
        cuts in prop::collection::vec(any::<usize>(), 0..40),
    ) {
        let bytes = stream_of(&lengths, with_switch);
        let whole = outcome(std::iter::once(bytes.as_slice()));
        prop_assert_eq!(whole.0.len(), lengths.len() + if with_switch { 2 } else { 0 });
        prop_assert_eq!(outcome(chunks(&bytes, &cuts).into_iter()), whole);
    }

    #[test]
    fn damaged_streams_end_in_the_same_error_in_any_chunks(
        lengths in prop::collection::vec(1usize..20_000, 1..6),
        damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let mut bytes = stream_of(&lengths, false);
        for (place, value) in damage {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        let whole = outcome(std::iter::once(bytes.as_slice()));
        prop_assert_eq!(outcome(chunks(&bytes, &cuts).into_iter()), whole);
    }

    #[test]
    fn arbitrary_streams_do_not_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..4096),
        start in 0u64..1 << 22,
    ) {
        if let Ok(mut decoder) = WalDecoder::new(PARAMS, Lsn(start), None) {
            decoder.feed(&bytes);
            while let Ok(Some(record)) = decoder.next() {
                touch_everything(&record);
            }
        }
    }

    #[test]
    fn arbitrary_payloads_do_not_panic(
        payload in prop::collection::vec(any::<u8>(), 0..600),
        major in 13u32..20,
    ) {
        let mut bytes = vec![0; 24];
        bytes.extend(payload);
        if let Ok(record) = Record::parse(&sealed(bytes), Lsn(8), Lsn(16), major) {
            touch_everything(&record);
        }
    }

    #[test]
    fn mutated_records_do_not_panic(
        damage in prop::collection::vec((24usize..60, any::<u8>()), 1..4),
        extra in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut bytes = INSERT.to_vec();
        for (place, value) in damage {
            bytes[place] = value;
        }
        bytes.extend(extra);
        if let Ok(record) = Record::parse(&sealed(bytes), Lsn(8), Lsn(16), 15) {
            touch_everything(&record);
        }
    }

    #[test]
    fn arbitrary_images_do_not_panic(
        stored in prop::collection::vec(any::<u8>(), 0..500),
        info in 0u8..32,
        hole in (any::<u16>(), any::<u16>()),
    ) {
        let mut bytes = vec![0; 24];
        bytes.extend([0, 0x10, 0, 0]);
        bytes.extend((stored.len() as u16).to_le_bytes());
        bytes.extend(hole.0.to_le_bytes());
        bytes.push(info);
        if info & 1 != 0 && info > 3 {
            bytes.extend(hole.1.to_le_bytes());
        }
        bytes.extend([0; 16]);
        bytes.extend(&stored);
        if let Ok(record) = Record::parse(&sealed(bytes), Lsn(8), Lsn(16), 15) {
            touch_everything(&record);
        }
    }

    #[test]
    fn relation_file_names_round_trip_or_are_refused(path in "(base|global|pg_tblspc)/[0-9]{1,11}(/PG_15_202209061)?(/[0-9]{1,11}){0,2}(_fsm|_vm|_init)?(\\.[0-9]{1,6})?") {
        if let Some(file) = RelFile::parse(path.as_bytes(), 15) {
            let mut written = String::new();
            file.write_path(15, &mut written).unwrap();
            prop_assert_eq!(written, path);
        }
    }
}
