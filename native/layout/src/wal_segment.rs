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
