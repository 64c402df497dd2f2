//! pg_logical/replorigin_checkpoint: how far each replication origin has been replayed.

use offshoot_layout::Lsn;

const MAGIC: u32 = 0x1257_DADE;
/// node u16@0, 6 bytes of padding, remote LSN u64@8.
const ENTRY_BYTES: usize = 16;

/// One origin's progress.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OriginProgress {
    pub origin: u16,
    pub remote_lsn: Lsn,
}

/// Reads the file; `None` when its magic, length or CRC is wrong.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Vec<OriginProgress>> {
    let (body, crc) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    let (magic, entries) = body.split_at_checked(4)?;
    let right = magic == MAGIC.to_le_bytes()
        && entries.len() % ENTRY_BYTES == 0
        && crc == crc32c::crc32c(body).to_le_bytes();
    right.then(|| {
        entries
            .chunks_exact(ENTRY_BYTES)
            .filter_map(parse_entry)
            .collect()
    })
}

fn parse_entry(entry: &[u8]) -> Option<OriginProgress> {
    let origin = u16::from_le_bytes(entry.get(..2)?.try_into().ok()?);
    let remote_lsn = Lsn(u64::from_le_bytes(entry.get(8..16)?.try_into().ok()?));
    Some(OriginProgress { origin, remote_lsn })
}

/// Writes the file.
#[must_use]
pub fn build(origins: &[OriginProgress]) -> Vec<u8> {
    let mut bytes = MAGIC.to_le_bytes().to_vec();
    for entry in origins {
        bytes.extend_from_slice(&u64::from(entry.origin).to_le_bytes());
        bytes.extend_from_slice(&entry.remote_lsn.0.to_le_bytes());
    }
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_round_trips() {
        let origins = [
            OriginProgress {
                origin: 1,
                remote_lsn: Lsn(0x1234_5678_9ABC),
            },
            OriginProgress {
                origin: 0xFFFE,
                remote_lsn: Lsn(8),
            },
        ];
        assert_eq!(parse(&build(&origins)), Some(origins.to_vec()));
        assert_eq!(parse(&build(&[])), Some(Vec::new()));
    }

    #[test]
    fn broken_files_are_refused() {
        let good = build(&[OriginProgress {
            origin: 1,
            remote_lsn: Lsn(8),
        }]);
        assert_eq!(parse(b""), None);
        assert_eq!(parse(&good[..good.len() - 1]), None);
        for at in [0, 5, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(parse(&bad), None, "byte {at}");
        }
    }
}
