//! WAL segment files: sizes and names.

use crate::Lsn;

/// Segment size of a cluster that was made without `--wal-segsize`.
pub const DEFAULT_SEGMENT_BYTES: u32 = 16 * 1024 * 1024;

/// Whether a cluster can have this segment size: a power of two, 1 MiB to 1 GiB.
#[must_use]
pub fn is_valid_size(seg_size: u32) -> bool {
    seg_size.is_power_of_two() && (1 << 20..=1 << 30).contains(&seg_size)
}

/// Start of the segment that holds `lsn`. The size must be valid.
#[must_use]
pub fn start_of(lsn: Lsn, seg_size: u32) -> Lsn {
    Lsn(lsn.0 & !u64::from(seg_size.wrapping_sub(1)))
}

/// Start of the segment after the one that holds `lsn`; `None` past the last LSN.
#[must_use]
pub fn start_of_next(lsn: Lsn, seg_size: u32) -> Option<Lsn> {
    start_of(lsn, seg_size).checked_add(u64::from(seg_size))
}

/// Name of the segment file that holds `lsn`: 24 upper-case hexadecimal digits.
/// The size must be valid; with size 0 every LSN falls into segment 0.
#[must_use]
pub fn file_name(tli: u32, lsn: Lsn, seg_size: u32) -> String {
    let segment = lsn.0.checked_div(u64::from(seg_size)).unwrap_or(0);
    let per_xlog_id = 0x1_0000_0000u64
        .checked_div(u64::from(seg_size))
        .unwrap_or(1);
    format!(
        "{tli:08X}{:08X}{:08X}",
        segment / per_xlog_id,
        segment % per_xlog_id
    )
}

/// TLI and start of the segment that a file is named after; `None` for any other name.
#[must_use]
pub fn parse_file_name(name: &str, seg_size: u32) -> Option<(u32, Lsn)> {
    let digits = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
    if name.len() != 24 || !name.bytes().all(digits) {
        return None;
    }
    let number = |at: usize| u32::from_str_radix(name.get(at..at + 8)?, 16).ok();
    let within = u64::from(number(16)?).checked_mul(u64::from(seg_size))?;
    let start = within
        .checked_add(u64::from(number(8)?) << 32)
        .filter(|_| within < 1 << 32)?;
    Some((number(0)?, Lsn(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_segment_size() {
        let cases = [
            (1, 0x100_0000, 16 << 20, "000000010000000000000001"),
            (2, 0x1_FF00_0028, 16 << 20, "0000000200000001000000FF"),
            (1, 0x1_FF00_0028, 1 << 20, "000000010000000100000FF0"),
            (10, 0x5_4000_0000, 1 << 30, "0000000A0000000500000001"),
        ];
        for (tli, lsn, seg_size, name) in cases {
            assert_eq!(file_name(tli, Lsn(lsn), seg_size), name);
            let start = start_of(Lsn(lsn), seg_size);
            assert_eq!(parse_file_name(name, seg_size), Some((tli, start)));
        }
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "",
            "00000001000000000000000",
            "0000000100000000000000011",
            "00000001000000000000000a",
            "000000010000000000000001.partial",
            "00000001.history",
            "000000010000000000000100",
        ] {
            assert_eq!(parse_file_name(name, 16 << 20), None, "{name}");
        }
    }

    #[test]
    fn sizes_are_powers_of_two_within_bounds() {
        for (size, valid) in [
            (1 << 20, true),
            (1 << 30, true),
            (1 << 31, false),
            (3 << 20, false),
        ] {
            assert_eq!(is_valid_size(size), valid, "{size}");
        }
        assert!(!is_valid_size(0));
        assert!(!is_valid_size(1 << 19));
    }

    #[test]
    fn segment_bounds() {
        assert_eq!(start_of(Lsn(0x123_4567), 1 << 20), Lsn(0x120_0000));
        assert_eq!(
            start_of_next(Lsn(0x120_0000), 1 << 20),
            Some(Lsn(0x130_0000))
        );
        assert_eq!(start_of_next(Lsn::MAX, 1 << 20), None);
    }
}
