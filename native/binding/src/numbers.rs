//! Numbers that cross as BigInt.

use napi::bindgen_prelude::BigInt;
use offshoot_layout::Lsn;

use crate::failure::Failure;

/// An unsigned 64-bit number; `name` is the argument's, for the error text.
pub fn unsigned(name: &str, value: &BigInt) -> Result<u64, Failure> {
    match value.get_u64() {
        (false, number, true) => Ok(number),
        _ => Err(Failure::argument(format!(
            "{name} is not an unsigned 64-bit number"
        ))),
    }
}

/// A signed 64-bit number.
pub fn signed(name: &str, value: &BigInt) -> Result<i64, Failure> {
    match value.get_i64() {
        (number, true) => Ok(number),
        _ => Err(Failure::argument(format!(
            "{name} is not a signed 64-bit number"
        ))),
    }
}

pub fn lsn(name: &str, value: &BigInt) -> Result<Lsn, Failure> {
    unsigned(name, value).map(Lsn)
}

pub fn bigint(lsn: Lsn) -> BigInt {
    BigInt::from(lsn.0)
}
