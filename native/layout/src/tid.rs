//! Tuple identifiers (ItemPointerData): three u16, of which the first two are the block number's
//! halves, **high half first**.

/// Bytes of a tuple identifier.
pub const SIZE_OF_TID: usize = 6;

/// Where a tuple is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tid {
    pub block: u32,
    pub offset: u16,
}

impl Tid {
    /// From its six bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SIZE_OF_TID]) -> Tid {
        let [a, b, c, d, e, f] = bytes;
        let high = u16::from_le_bytes([a, b]) as u32;
        let low = u16::from_le_bytes([c, d]) as u32;
        Tid {
            block: high << 16 | low,
            offset: u16::from_le_bytes([e, f]),
        }
    }

    /// The identifier at byte `at`, `None` past the end.
    #[must_use]
    pub fn read(bytes: &[u8], at: usize) -> Option<Tid> {
        crate::le::bytes_at(bytes, at).map(Tid::from_bytes)
    }

    /// Its six bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; SIZE_OF_TID] {
        let [a, b] = ((self.block >> 16) as u16).to_le_bytes();
        let [c, d] = (self.block as u16).to_le_bytes();
        let [e, f] = self.offset.to_le_bytes();
        [a, b, c, d, e, f]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn high_half_of_the_block_comes_first() {
        let tid = Tid {
            block: 0x0102_0304,
            offset: 0x0506,
        };
        assert_eq!(tid.to_bytes(), [0x02, 0x01, 0x04, 0x03, 0x06, 0x05]);
        assert_eq!(Tid::from_bytes(tid.to_bytes()), tid);
        assert_eq!(Tid::read(&[0, 2, 1, 4, 3, 6, 5], 1), Some(tid));
        assert_eq!(Tid::read(&[0; 6], 1), None);
    }
}
