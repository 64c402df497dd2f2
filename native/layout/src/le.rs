//! Little-endian fields at byte offsets; records and pages are packed, so nothing is ever cast.

/// `N` bytes at `offset`, or `None` where they reach past the end.
#[must_use]
pub fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

macro_rules! field_reader {
    ($name:ident, $type:ty) => {
        #[doc = concat!("The `", stringify!($type), "` at `offset`, or `None` past the end.")]
        #[must_use]
        pub fn $name(bytes: &[u8], offset: usize) -> Option<$type> {
            bytes_at(bytes, offset).map(<$type>::from_le_bytes)
        }
    };
}

field_reader!(u16_at, u16);
field_reader!(u32_at, u32);
field_reader!(u64_at, u64);
field_reader!(i32_at, i32);
field_reader!(i64_at, i64);
field_reader!(f64_at, f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_in_place_and_never_past_the_end() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(u16_at(&bytes, 1), Some(0x0302));
        assert_eq!(u32_at(&bytes, 4), Some(0x0807_0605));
        assert_eq!(u64_at(&bytes, 0), Some(0x0807_0605_0403_0201));
        assert_eq!(u32_at(&bytes, 5), None);
        assert_eq!(u64_at(&bytes, usize::MAX), None);
    }
}
