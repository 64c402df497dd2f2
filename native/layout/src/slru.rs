//! The transaction-status files ("simple LRU" areas) that WAL maintains.

/// An SLRU area; the numbers are those of the page protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum SlruKind {
    /// pg_xact: two bits per transaction.
    Xact = 0,
    /// pg_multixact/members.
    MultiXactMembers = 1,
    /// pg_multixact/offsets.
    MultiXactOffsets = 2,
    /// pg_commit_ts.
    CommitTs = 3,
}

/// Pages of one segment file.
pub const SLRU_PAGES_PER_SEGMENT: u32 = 32;

impl SlruKind {
    pub const ALL: [SlruKind; 4] = [
        SlruKind::Xact,
        SlruKind::MultiXactMembers,
        SlruKind::MultiXactOffsets,
        SlruKind::CommitTs,
    ];

    #[must_use]
    pub fn from_number(number: u8) -> Option<SlruKind> {
        SlruKind::ALL.get(usize::from(number)).copied()
    }

    /// Directory below the data directory.
    #[must_use]
    pub fn directory(self) -> &'static str {
        match self {
            SlruKind::Xact => "pg_xact",
            SlruKind::MultiXactMembers => "pg_multixact/members",
            SlruKind::MultiXactOffsets => "pg_multixact/offsets",
            SlruKind::CommitTs => "pg_commit_ts",
        }
    }

    /// The area and segment number of a path such as `pg_xact/000A`.
    #[must_use]
    pub fn parse_path(path: &[u8]) -> Option<(SlruKind, u32)> {
        SlruKind::ALL.into_iter().find_map(|kind| {
            let name = path.strip_prefix(kind.directory().as_bytes())?;
            let segment = parse_segment_name(name.strip_prefix(b"/")?)?;
            Some((kind, segment))
        })
    }
}

/// Name of a segment file: at least four upper-case hexadecimal digits.
#[must_use]
pub fn segment_name(segment: u32) -> String {
    format!("{segment:04X}")
}

/// The number a segment file's name stands for; `None` if it is no such name.
///
/// Postgres takes names of 4 to 6 digits, without leading zeros beyond the fourth.
#[must_use]
pub fn parse_segment_name(name: &[u8]) -> Option<u32> {
    let canonical = name.len() == 4 || (matches!(name.len(), 5 | 6) && name[0] != b'0');
    if !canonical {
        return None;
    }
    name.iter().try_fold(0, |number: u32, digit| match digit {
        b'0'..=b'9' => Some(number << 4 | u32::from(digit - b'0')),
        b'A'..=b'F' => Some(number << 4 | u32::from(digit - b'A' + 10)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_names_round_trip() {
        for segment in [0, 1, 0xABCD, 0xFFFF, 0x14078, 0xFF_FFFF] {
            let name = segment_name(segment);
            assert_eq!(parse_segment_name(name.as_bytes()), Some(segment));
        }
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "", "000", "00001", "00a0", "0000000", "00G0", "+001", "0000.tmp",
        ] {
            assert_eq!(parse_segment_name(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn paths_name_the_area() {
        let cases = [
            ("pg_xact/0000", Some((SlruKind::Xact, 0))),
            (
                "pg_multixact/members/0010",
                Some((SlruKind::MultiXactMembers, 16)),
            ),
            (
                "pg_multixact/offsets/0001",
                Some((SlruKind::MultiXactOffsets, 1)),
            ),
            ("pg_commit_ts/00FF", Some((SlruKind::CommitTs, 255))),
            ("pg_xact0000", None),
            ("pg_subtrans/0000", None),
            ("pg_xact/", None),
        ];
        for (path, expected) in cases {
            assert_eq!(SlruKind::parse_path(path.as_bytes()), expected, "{path}");
        }
        for (number, kind) in SlruKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
    }
}
