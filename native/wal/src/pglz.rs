//! Postgres' own compression of page images.
//!
//! A control byte announces eight items, lowest bit first. A 0 bit is one literal byte. A 1 bit
//! is a copy of bytes already written: two bytes hold length - 3 (low nibble of the first) and
//! the distance back (high nibble of the first and the second); at length 18 one more byte is
//! added to the length. A copy may overlap what it writes.

const LENGTH_WITH_EXTENSION: usize = 18;

/// Fills `out` completely from all of `source`.
pub(crate) fn decompress(source: &[u8], out: &mut [u8]) -> Result<(), String> {
    let mut input = source.iter().copied();
    let mut written = 0;
    while let Some(control) = input.next() {
        for bit in 0..8 {
            if input.len() == 0 {
                break;
            }
            written += if control >> bit & 1 == 0 {
                copy_literal(&mut input, out, written)
            } else {
                copy_match(&mut input, out, written)
            }
            .ok_or_else(|| format!("pglz data is damaged after {written} bytes"))?;
        }
    }
    if written == out.len() {
        return Ok(());
    }
    Err(format!(
        "pglz data holds {written} bytes, not {}",
        out.len()
    ))
}

fn copy_literal(input: &mut impl Iterator<Item = u8>, out: &mut [u8], at: usize) -> Option<usize> {
    *out.get_mut(at)? = input.next()?;
    Some(1)
}

fn copy_match(input: &mut impl Iterator<Item = u8>, out: &mut [u8], at: usize) -> Option<usize> {
    let first = usize::from(input.next()?);
    let distance = (first & 0xF0) << 4 | usize::from(input.next()?);
    let mut length = (first & 0x0F) + 3;
    if length == LENGTH_WITH_EXTENSION {
        length += usize::from(input.next()?);
    }
    let from = at.checked_sub(distance).filter(|_| distance > 0)?;
    if at + length > out.len() {
        return None;
    }
    // Byte by byte on purpose: the source may run into what is being written.
    for offset in 0..length {
        out[at + offset] = out[from + offset];
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_overlapping_copies() {
        let cases: [(&[u8], &[u8]); 4] = [
            (&[0b000, b'a', b'b', b'c'], b"abc"),
            (&[0b010, b'a', 0x00, 1], b"aaaa"),
            (&[0b100, b'a', b'b', 0x02, 2, b'z'], b"abababaz"),
            (&[], b""),
        ];
        for (source, expected) in cases {
            let mut out = vec![0; expected.len()];
            decompress(source, &mut out).unwrap();
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn lengths_from_18_take_one_more_byte() {
        let mut out = [0; 1 + 18 + 200];
        decompress(&[0b10, 7, 0x0F, 1, 200], &mut out).unwrap();
        assert_eq!(out, [7; 219]);
    }

    #[test]
    fn distances_take_twelve_bits() {
        let mut source = Vec::new();
        for chunk in (0..512u32).collect::<Vec<_>>().chunks(8) {
            source.push(0);
            source.extend(chunk.iter().map(|v| *v as u8 ^ (*v >> 8) as u8));
        }
        source.extend([1, 0x20, 0x00]);
        let mut out = [0; 515];
        decompress(&source, &mut out).unwrap();
        assert_eq!(out[512..], out[..3]);
    }

    #[test]
    fn damage_is_an_error() {
        let cases: [(&[u8], usize); 6] = [
            (&[1, 0x00, 1], 3),
            (&[0b10, b'a', 0x00, 0], 4),
            (&[0b10, b'a', 0x00, 2], 4),
            (&[0b10, b'a', 0x00, 1], 3),
            (&[0b10, b'a', 0x0F, 1], 30),
            (&[0b00, b'a', b'b'], 3),
        ];
        for (source, raw_len) in cases {
            assert!(
                decompress(source, &mut vec![0; raw_len]).is_err(),
                "{source:?}"
            );
        }
    }
}
