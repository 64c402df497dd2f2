//! Transaction ids are compared in a circle of 2^32; ids below 3 are permanent.

/// The first id of an ordinary transaction; 0 is "none", 1 bootstrap, 2 frozen.
pub const FIRST_NORMAL_TRANSACTION_ID: u32 = 3;

/// Whether the id is one of an ordinary transaction.
#[must_use]
pub fn is_normal(xid: u32) -> bool {
    xid >= FIRST_NORMAL_TRANSACTION_ID
}

/// Whether `a` is before `b` in a plain circle (multixact ids and their offsets).
#[must_use]
pub fn circle_precedes(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// Whether `a` is before `b`; permanent ids are before all others.
#[must_use]
pub fn precedes(a: u32, b: u32) -> bool {
    if is_normal(a) && is_normal(b) {
        circle_precedes(a, b)
    } else {
        a < b
    }
}

/// `next` (epoch in the high word), moved past `xid` if that is not yet before it.
#[must_use]
pub fn next_past(next: u64, xid: u32) -> u64 {
    let next_low = (next as u32).max(FIRST_NORMAL_TRANSACTION_ID);
    if !is_normal(xid) || precedes(xid, next_low) {
        return next;
    }
    let low = xid.wrapping_add(1).max(FIRST_NORMAL_TRANSACTION_ID);
    // A smaller number that is not before the old one lies beyond the wraparound.
    let epoch = (next >> 32) + u64::from(low < next_low);
    (epoch & 0xFFFF_FFFF) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_xid_moves_forward_only() {
        let epoch = |epoch: u64, xid: u32| epoch << 32 | u64::from(xid);
        let cases = [
            (epoch(0, 100), 100, epoch(0, 101)),
            (epoch(0, 100), 99, epoch(0, 100)),
            (epoch(0, 100), 150, epoch(0, 151)),
            (epoch(0, 100), 0, epoch(0, 100)),
            (epoch(0, 100), 2, epoch(0, 100)),
            (epoch(4, u32::MAX), u32::MAX, epoch(5, 3)),
            (epoch(4, u32::MAX - 1), 7, epoch(5, 8)),
            // From before the wraparound: already past.
            (epoch(5, 10), u32::MAX, epoch(5, 10)),
            // A next id that is none counts as the first that can be one.
            (epoch(1, 0), 0xFFFF_FFF0, epoch(1, 0)),
            (epoch(0xFFFF_FFFF, u32::MAX), u32::MAX, epoch(0, 3)),
        ];
        for (next, xid, expected) in cases {
            assert_eq!(next_past(next, xid), expected, "{next:x} {xid}");
        }
    }

    #[test]
    fn permanent_ids_precede_all() {
        assert!(precedes(2, u32::MAX));
        assert!(precedes(u32::MAX, 3));
        assert!(!precedes(3, u32::MAX));
        assert!(precedes(1, 2));
    }
}
