//! Reads a tar archive (ustar, GNU and pax extensions) from chunks of any size, in bounded memory.
//!
//! Sans-IO: the caller hands in bytes and takes events out; file contents are lent, never gathered.

use tar::{EntryType, Header};

use crate::error::EngineError;

const BLOCK: usize = 512;
/// Longest extension record (long name, pax header) that is accepted, bytes.
pub const EXTENSION_BYTES_MAX: u64 = 64 * 1024;
/// Pad of a file's last block.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// What an archive member is; only files have contents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TarKind {
    File,
    Directory,
    Link,
}

/// One member of the archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TarEntry {
    /// Path without a leading `./` and without a trailing slash; bytes that are not UTF-8 are replaced.
    pub path: String,
    pub kind: TarKind,
    /// Bytes of contents that follow; 0 unless a file.
    pub size: u64,
}

/// What the reader found next.
#[derive(PartialEq, Eq, Debug)]
pub enum TarEvent<'a> {
    Entry(TarEntry),
    /// Contents of the last entry, in order.
    Data(&'a [u8]),
    /// The last entry is complete.
    EntryEnd,
}

enum State {
    Header,
    Extension {
        kind: Extension,
        remaining: u64,
        padding: u64,
    },
    Data {
        remaining: u64,
        padding: u64,
    },
    Padding {
        remaining: u64,
    },
    Finished,
}

#[derive(Clone, Copy)]
enum Extension {
    LongName,
    LongLink,
    Pax,
    PaxGlobal,
}

/// See the module's comment. Make one per archive.
pub struct TarReader {
    state: State,
    /// Bytes of a header block, or of an extension record, gathered so far.
    gathered: Vec<u8>,
    zero_blocks: u8,
    long_name: Option<Vec<u8>>,
    pax_size: Option<u64>,
    /// Offset of the next byte, for error texts.
    offset: u64,
}

impl Default for TarReader {
    fn default() -> Self {
        Self::new()
    }
}

impl TarReader {
    #[must_use]
    pub fn new() -> Self {
        TarReader {
            state: State::Header,
            gathered: Vec::with_capacity(BLOCK),
            zero_blocks: 0,
            long_name: None,
            pax_size: None,
            offset: 0,
        }
    }

    /// The next event in `input`, which is advanced past what was used; `None` when it is used up.
    ///
    /// # Errors
    /// `Archive` when the bytes are no tar archive that this reader knows.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<TarEvent<'a>>, EngineError> {
        loop {
            match &mut self.state {
                State::Header => {
                    if !self.gather(input, BLOCK) {
                        return Ok(None);
                    }
                    if let Some(entry) = self.header()? {
                        return Ok(Some(TarEvent::Entry(entry)));
                    }
                }
                State::Extension {
                    kind,
                    remaining,
                    padding,
                } => {
                    let (kind, length, pad) = (*kind, *remaining, *padding);
                    // The limit was checked when the header was read, so this fits.
                    if !self.gather(input, length as usize) {
                        return Ok(None);
                    }
                    self.extension(kind)?;
                    self.state = State::Padding { remaining: pad };
                }
                State::Data {
                    remaining: 0,
                    padding,
                } => {
                    self.state = State::Padding {
                        remaining: *padding,
                    };
                    return Ok(Some(TarEvent::EntryEnd));
                }
                State::Data { remaining, .. } => {
                    let length = input
                        .len()
                        .min(usize::try_from(*remaining).unwrap_or(usize::MAX));
                    if length == 0 {
                        return Ok(None);
                    }
                    *remaining -= length as u64;
                    return Ok(Some(TarEvent::Data(self.take(input, length))));
                }
                State::Padding { remaining: 0 } => self.state = State::Header,
                State::Padding { remaining } => {
                    let length = input.len().min(*remaining as usize);
                    if length == 0 {
                        return Ok(None);
                    }
                    *remaining -= length as u64;
                    self.take(input, length);
                }
                State::Finished => {
                    let length = input.len();
                    if self.take(input, length).iter().any(|&byte| byte != 0) {
                        return Err(self.broken("bytes after the archive's end"));
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// To be called when there is no more input.
    ///
    /// # Errors
    /// `Archive` when the archive's end mark has not been read.
    pub fn finish(&self) -> Result<(), EngineError> {
        match self.state {
            State::Finished => Ok(()),
            _ => Err(self.broken("the archive ends early")),
        }
    }

    fn broken(&self, reason: impl Into<String>) -> EngineError {
        EngineError::Archive {
            offset: self.offset,
            reason: reason.into(),
        }
    }

    fn take<'a>(&mut self, input: &mut &'a [u8], length: usize) -> &'a [u8] {
        let (taken, rest) = input.split_at(length);
        *input = rest;
        self.offset += length as u64;
        taken
    }

    /// Whether `gathered` now holds `wanted` bytes.
    fn gather(&mut self, input: &mut &[u8], wanted: usize) -> bool {
        let length = input.len().min(wanted - self.gathered.len());
        let taken = self.take(input, length);
        self.gathered.extend_from_slice(taken);
        self.gathered.len() == wanted
    }

    /// Handles the gathered header block; an entry when it was not the end mark or an extension.
    fn header(&mut self) -> Result<Option<TarEntry>, EngineError> {
        let block = std::mem::replace(&mut self.gathered, Vec::with_capacity(BLOCK));
        if block.iter().all(|&byte| byte == 0) {
            self.zero_blocks += 1;
            if self.zero_blocks == 2 {
                self.state = State::Finished;
            }
            return Ok(None);
        }
        if self.zero_blocks > 0 {
            return Err(self.broken("a member after the archive's end mark"));
        }
        let header = Header::from_byte_slice(&block);
        self.verify_checksum(header)?;
        let size = header
            .entry_size()
            .map_err(|error| self.broken(error.to_string()))?;
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous => TarKind::File,
            EntryType::Directory => TarKind::Directory,
            EntryType::Link | EntryType::Symlink => TarKind::Link,
            EntryType::GNULongName => return self.begin_extension(Extension::LongName, size),
            EntryType::GNULongLink => return self.begin_extension(Extension::LongLink, size),
            EntryType::XHeader => return self.begin_extension(Extension::Pax, size),
            EntryType::XGlobalHeader => return self.begin_extension(Extension::PaxGlobal, size),
            other => {
                let tag = char::from(other.as_byte()).escape_default().to_string();
                return Err(self.broken(format!("members of type '{tag}' are not known")));
            }
        };
        let size = match kind {
            TarKind::File => self.pax_size.take().unwrap_or(size),
            TarKind::Directory | TarKind::Link => 0,
        };
        self.pax_size = None;
        let path = self
            .long_name
            .take()
            .unwrap_or_else(|| header.path_bytes().into_owned());
        self.state = State::Data {
            remaining: size,
            padding: padding(size),
        };
        Ok(Some(TarEntry {
            path: clean(&path),
            kind,
            size,
        }))
    }

    fn verify_checksum(&self, header: &Header) -> Result<(), EngineError> {
        let bytes = header.as_bytes();
        // The checksum counts its own field, bytes 148 to 155, as spaces.
        let sum: u32 = bytes
            .iter()
            .enumerate()
            .map(|(at, &byte)| {
                if (148..156).contains(&at) {
                    32
                } else {
                    u32::from(byte)
                }
            })
            .sum();
        match header.cksum() {
            Ok(stored) if stored == sum => Ok(()),
            _ => Err(self.broken("a member's header has a wrong checksum")),
        }
    }

    fn begin_extension(
        &mut self,
        kind: Extension,
        size: u64,
    ) -> Result<Option<TarEntry>, EngineError> {
        if size > EXTENSION_BYTES_MAX {
            return Err(self.broken(format!("an extension of {size} bytes is too long")));
        }
        self.state = State::Extension {
            kind,
            remaining: size,
            padding: padding(size),
        };
        Ok(None)
    }

    fn extension(&mut self, kind: Extension) -> Result<(), EngineError> {
        let body = std::mem::take(&mut self.gathered);
        match kind {
            Extension::LongName => {
                let end = body
                    .iter()
                    .position(|&byte| byte == 0)
                    .unwrap_or(body.len());
                self.long_name = Some(body[..end].to_vec());
            }
            Extension::Pax => self.pax(&body)?,
            // Link targets and archive-wide defaults say nothing about a member's bytes.
            Extension::LongLink | Extension::PaxGlobal => {}
        }
        Ok(())
    }

    /// Takes `path` and `size` out of pax records, each "LENGTH KEY=VALUE\n".
    fn pax(&mut self, mut body: &[u8]) -> Result<(), EngineError> {
        while !body.is_empty() {
            let record =
                pax_record(body).ok_or_else(|| self.broken("a pax header is malformed"))?;
            body = &body[record.length..];
            match record.key {
                b"path" => self.long_name = Some(record.value.to_vec()),
                b"size" => {
                    let text = std::str::from_utf8(record.value).ok();
                    let size = text.and_then(|text| text.parse().ok());
                    self.pax_size =
                        Some(size.ok_or_else(|| self.broken("a pax size is no number"))?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

struct PaxRecord<'a> {
    length: usize,
    key: &'a [u8],
    value: &'a [u8],
}

fn pax_record(body: &[u8]) -> Option<PaxRecord<'_>> {
    let space = body.iter().position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&body[..space]).ok()?.parse().ok()?;
    let record = body.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    Some(PaxRecord {
        length,
        key: &record[..equals],
        value: &record[equals + 1..],
    })
}

fn clean(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    let mut text = text.trim_end_matches('/');
    while let Some(rest) = text.strip_prefix("./") {
        text = rest;
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, body) in members {
            let mut header = Header::new_gnu();
            header.set_size(body.len() as u64);
            header.set_mode(0o600);
            builder.append_data(&mut header, path, *body).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn read(bytes: &[u8], chunk: usize) -> Result<Vec<(String, Vec<u8>)>, EngineError> {
        let mut reader = TarReader::new();
        let mut found = Vec::new();
        for mut part in bytes.chunks(chunk) {
            while let Some(event) = reader.next(&mut part)? {
                match event {
                    TarEvent::Entry(entry) => found.push((entry.path, Vec::new())),
                    TarEvent::Data(data) => found.last_mut().unwrap().1.extend_from_slice(data),
                    TarEvent::EntryEnd => {}
                }
            }
        }
        reader.finish()?;
        Ok(found)
    }

    #[test]
    fn members_are_the_same_in_every_chunking() {
        let long = format!("pg_logical/{}", "x".repeat(200));
        let body: Vec<u8> = (0..20_000_u32).map(|n| n as u8).collect();
        let members: &[(&str, &[u8])] = &[
            ("empty", b""),
            ("base/1/2", &body),
            (&long, b"long"),
            ("one", b"1"),
        ];
        let bytes = archive(members);
        for chunk in [1, 7, 511, 512, 513, 4096, bytes.len()] {
            let found = read(&bytes, chunk).unwrap();
            let expected: Vec<_> = members
                .iter()
                .map(|(path, body)| ((*path).to_owned(), body.to_vec()))
                .collect();
            assert_eq!(found, expected, "chunks of {chunk}");
        }
    }

    #[test]
    fn pax_records_name_and_size_the_next_member() {
        let mut builder = tar::Builder::new(Vec::new());
        let path = "p".repeat(300);
        builder
            .append_pax_extensions([("path", path.as_bytes()), ("size", b"5")])
            .unwrap();
        let mut header = Header::new_ustar();
        header.set_size(5);
        header.set_path("short").unwrap();
        header.set_cksum();
        builder.append(&header, &b"hello"[..]).unwrap();
        let bytes = builder.into_inner().unwrap();
        assert_eq!(read(&bytes, 100).unwrap(), [(path, b"hello".to_vec())]);
    }

    #[test]
    fn broken_archives_are_errors() {
        let good = archive(&[("file", &[7; 1000])]);
        let mut checksum = good.clone();
        checksum[0] ^= 1;
        let mut tail = good.clone();
        tail.push(1);
        let mut device = good.clone();
        device[156] = b'3';
        let mut header = Header::new_gnu();
        header.as_mut_bytes().copy_from_slice(&device[..512]);
        header.set_cksum();
        device[..512].copy_from_slice(header.as_bytes());
        let mut huge = Header::new_gnu();
        huge.set_entry_type(EntryType::XHeader);
        huge.set_size(EXTENSION_BYTES_MAX + 1);
        huge.set_cksum();
        let cases: [(&str, &[u8], &str); 7] = [
            ("nothing", b"", "ends early"),
            ("no end mark", &good[..1536], "ends early"),
            ("half a file", &good[..900], "ends early"),
            ("checksum", &checksum, "checksum"),
            ("tail", &tail, "after the archive's end"),
            ("device", &device, "'3'"),
            ("huge extension", huge.as_bytes(), "too long"),
        ];
        for (name, bytes, expected) in cases {
            let error = read(bytes, 512).unwrap_err().to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}
