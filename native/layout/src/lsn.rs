//! A position in the WAL.

use std::fmt;
use std::str::FromStr;

/// Byte address in the WAL stream. `Lsn(0)` is Postgres' InvalidXLogRecPtr.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    pub const INVALID: Lsn = Lsn(0);
    /// On the wire: "the newest you have".
    pub const MAX: Lsn = Lsn(u64::MAX);

    #[must_use]
    pub fn is_valid(self) -> bool {
        self.0 != 0
    }

    /// Rounded up to the 8 bytes at which every record starts; saturates.
    #[must_use]
    pub fn align_up(self) -> Lsn {
        Lsn(self.0.checked_add(7).map_or(!7, |v| v & !7))
    }

    #[must_use]
    pub fn checked_add(self, bytes: u64) -> Option<Lsn> {
        self.0.checked_add(bytes).map(Lsn)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not two hexadecimal numbers of at most 32 bits joined by a slash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an LSN; write it as two hexadecimal numbers, like 0/16B5A50")]
pub struct ParseLsnError(pub String);

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseLsnError(text.to_owned());
        let half = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_hexdigit());
            digits
                .then(|| u32::from_str_radix(part, 16).ok())
                .flatten()
                .ok_or_else(error)
        };
        let (high, low) = text.split_once('/').ok_or_else(error)?;
        Ok(Lsn(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        for text in ["0/0", "0/16B5A50", "FFFFFFFF/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in [
            "",
            "/",
            "0",
            "0/",
            "/0",
            "0/1/2",
            "100000000/0",
            "+1/0",
            "0x1/0",
            "0/ 1",
        ] {
            assert!(text.parse::<Lsn>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn align_up_is_to_eight_and_saturates() {
        assert_eq!(Lsn(1).align_up(), Lsn(8));
        assert_eq!(Lsn(8).align_up(), Lsn(8));
        assert_eq!(Lsn::MAX.align_up(), Lsn(u64::MAX - 7));
    }
}
