//! How fast the decoder is on WAL that Postgres wrote, into a new record each time and into the
//! same, and how fast its records are parsed again, as reading a page does.
//!
//! `cargo run --release -p offshoot-wal --example decode_speed -- MAJOR DATA_DIR FROM TO`: the
//! segments in `DATA_DIR/pg_wal` from LSN FROM to before LSN TO.

mod segments;

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use offshoot_layout::Lsn;
use offshoot_wal::{Record, WalDecoder, WalParams};
use segments::{params_of, read_segments};

/// As the receiver's reads come, roughly.
const CHUNK_BYTES: usize = 128 * 1024;
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [major, data_dir, from, to] = arguments.as_slice() else {
        return Err("arguments: MAJOR DATA_DIR FROM TO".into());
    };
    let data_dir = PathBuf::from(data_dir);
    let params = params_of(&data_dir, major.parse()?)?;
    let (from, to) = (from.parse()?, to.parse()?);
    let wal = read_segments(&data_dir, &params, from, to)?;
    let stored = stored_records(params, from, &wal)?;
    for _ in 0..ROUNDS {
        print_rate("next", || decode(params, from, &wal, false))?;
        print_rate("next_into", || decode(params, from, &wal, true))?;
        print_rate("parse", || parse(&stored, params.major))?;
        print_rate("CRC alone", || Ok(crc(&stored)))?;
    }
    Ok(())
}

/// Records as they are kept: bytes and start.
type Stored = Vec<(Vec<u8>, Lsn)>;
/// How many, and their bytes.
type Count = (usize, usize);

fn decode(
    params: WalParams,
    from: Lsn,
    wal: &[u8],
    in_place: bool,
) -> Result<Count, Box<dyn Error>> {
    let mut decoder = WalDecoder::new(params, from, None)?;
    let mut record = Record::default();
    let (mut records, mut bytes) = (0, 0);
    for chunk in wal.chunks(CHUNK_BYTES) {
        decoder.feed(chunk);
        loop {
            if in_place {
                if !decoder.next_into(&mut record)? {
                    break;
                }
            } else {
                match decoder.next()? {
                    Some(next) => record = next,
                    None => break,
                }
            }
            records += 1;
            bytes += record.bytes.len();
        }
    }
    Ok((records, bytes))
}

fn parse(stored: &Stored, major: u32) -> Result<Count, Box<dyn Error>> {
    for (bytes, start) in stored {
        std::hint::black_box(Record::parse(bytes, *start, *start, major)?);
    }
    Ok(count(stored))
}

/// What of `parse` is the CRC.
fn crc(stored: &Stored) -> Count {
    for (bytes, _) in stored {
        std::hint::black_box(crc32c::crc32c(bytes));
    }
    count(stored)
}

fn count(stored: &Stored) -> Count {
    let bytes = stored.iter().map(|(bytes, _)| bytes.len()).sum();
    (stored.len(), bytes)
}

fn stored_records(params: WalParams, from: Lsn, wal: &[u8]) -> Result<Stored, Box<dyn Error>> {
    let mut decoder = WalDecoder::new(params, from, None)?;
    decoder.feed(wal);
    let mut stored = Vec::new();
    while let Some(record) = decoder.next()? {
        stored.push((record.bytes.clone(), record.start));
    }
    Ok(stored)
}

fn print_rate(
    what: &str,
    work: impl Fn() -> Result<Count, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let (records, bytes) = work()?;
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{what:9} {records} records, {} MB in {seconds:.3} s: {:.2} million records/s, {:.0} MB/s",
        bytes / 1_000_000,
        records as f64 / seconds / 1e6,
        bytes as f64 / seconds / 1e6,
    );
    Ok(())
}
