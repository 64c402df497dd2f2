//! Cursor over a record's main data. Fields are packed little-endian and may be unaligned.

use offshoot_layout::{Fork, Lsn, RelKey};

/// The payload is not what the record's type promises; says what is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed(pub &'static str);

const TOO_SHORT: Malformed = Malformed("payload ends early");

/// Reads fields in order; never past the end.
#[derive(Clone)]
pub struct Payload<'a> {
    bytes: &'a [u8],
}

macro_rules! field {
    ($name:ident, $type:ty) => {
        #[doc = concat!("The next `", stringify!($type), "`.")]
        pub fn $name(&mut self) -> Result<$type, Malformed> {
            let bytes = self.take(size_of::<$type>())?;
            bytes
                .try_into()
                .map(<$type>::from_le_bytes)
                .map_err(|_| TOO_SHORT)
        }
    };
}

impl<'a> Payload<'a> {
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Payload<'a> {
        Payload { bytes }
    }

    field!(u8, u8);
    field!(u16, u16);
    field!(u32, u32);
    field!(i32, i32);
    field!(u64, u64);
    field!(i64, i64);

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.bytes.split_at_checked(count).ok_or(TOO_SHORT)?;
        self.bytes = tail;
        Ok(head)
    }

    /// A position in the WAL, eight bytes.
    pub fn lsn(&mut self) -> Result<Lsn, Malformed> {
        self.u64().map(Lsn)
    }

    /// An `int` that counts things, so it may not be negative.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.i32()?).map_err(|_| Malformed("negative count"))
    }

    /// Passes over `count` items of `size` bytes.
    pub fn skip_items(&mut self, count: usize, size: usize) -> Result<(), Malformed> {
        self.take(count.checked_mul(size).ok_or(TOO_SHORT)?)
            .map(|_| ())
    }

    /// `count` numbers of 32 bits; allocates no more than the payload holds.
    pub fn u32s(&mut self, count: usize) -> Result<Vec<u32>, Malformed> {
        let bytes = self.take(count.checked_mul(4).ok_or(TOO_SHORT)?)?;
        let mut items = Payload::new(bytes);
        (0..count).map(|_| items.u32()).collect()
    }

    /// The main fork of a RelFileNode: tablespace, database, relfilenode (12 bytes).
    pub fn rel(&mut self) -> Result<RelKey, Malformed> {
        Ok(RelKey {
            spcnode: self.u32()?,
            dbnode: self.u32()?,
            relnode: self.u32()?,
            fork: Fork::Main,
        })
    }

    /// Bytes up to the next NUL, which is passed over.
    pub fn c_string(&mut self) -> Result<&'a [u8], Malformed> {
        let end = self.bytes.iter().position(|&byte| byte == 0);
        let text = self.take(end.ok_or(Malformed("string without its NUL"))?)?;
        self.take(1)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_order_and_stops_at_the_end() {
        let mut payload = Payload::new(&[1, 2, 0, 3, 0, 0, 0, b'a', 0, 9]);
        assert_eq!(payload.u8(), Ok(1));
        assert_eq!(payload.u16(), Ok(2));
        assert_eq!(payload.u32(), Ok(3));
        assert_eq!(payload.c_string(), Ok(&b"a"[..]));
        assert_eq!(payload.c_string(), Err(Malformed("string without its NUL")));
        assert_eq!(payload.u16(), Err(TOO_SHORT));
        assert_eq!(payload.u8(), Ok(9));
    }

    #[test]
    fn counts_beyond_the_payload_allocate_nothing() {
        for count in [2, usize::MAX, usize::MAX / 4] {
            assert_eq!(Payload::new(&[0; 7]).u32s(count), Err(TOO_SHORT));
            assert_eq!(Payload::new(&[0; 7]).skip_items(count, 16), Err(TOO_SHORT));
        }
        assert!(Payload::new(&(-1i32).to_le_bytes()).count().is_err());
    }
}
