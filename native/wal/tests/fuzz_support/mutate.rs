//! Damage to bytes that were right.

use super::Choices;

/// A few changes; none at all with spent choices.
pub fn mutate(choices: &mut Choices<'_>, bytes: &mut Vec<u8>) {
    for _ in 0..choices.below(8) {
        mutate_once(choices, bytes);
    }
}

fn mutate_once(choices: &mut Choices<'_>, bytes: &mut Vec<u8>) {
    let at = choices.below(bytes.len());
    let count = choices.below(40).min(bytes.len() - at);
    match choices.below(8) {
        0 => set(bytes, at, &[choices.byte()]),
        1 => {
            let bit = 1 << choices.below(8);
            let byte = bytes.get(at).map_or(0, |byte| byte ^ bit);
            set(bytes, at, &[byte]);
        }
        2 => set(bytes, at, &choices.edge().to_le_bytes()[..2]),
        3 => set(bytes, at, &choices.edge().to_le_bytes()),
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(at..at + count)),
        6 => {
            let copied = bytes[at..at + count].to_vec();
            let to = choices.below(bytes.len() + 1);
            bytes.splice(to..to, copied);
        }
        _ => {
            let inserted = choices.some_bytes(40);
            bytes.splice(at..at, inserted);
        }
    }
}

/// As much of `value` as there is room for.
fn set(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (byte, new) in bytes[at..].iter_mut().zip(value) {
        *byte = *new;
    }
}

/// A record whose length and CRC are right, whatever else is not, and which follows `prev`.
pub fn resealed(mut record: Vec<u8>, prev: u64) -> Vec<u8> {
    record.resize(record.len().max(24), 0);
    let total_len = (record.len() as u32).to_le_bytes();
    record[0..4].copy_from_slice(&total_len);
    record[8..16].copy_from_slice(&prev.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&record[24..]), &record[..20]);
    record[20..24].copy_from_slice(&crc.to_le_bytes());
    record
}
