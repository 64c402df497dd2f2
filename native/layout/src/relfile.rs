//! Names of relation files: `base/D/R`, `global/R`, `pg_tblspc/S/PG_15_202209061/D/R`,
//! each with an optional fork suffix and segment number, like `base/5/1259_fsm.2`.
//!
//! Nothing here allocates: the preload library calls it inside `open()`.

use std::fmt;

use crate::version::Version;
use crate::{Fork, RELSEG_BLOCKS, RelKey};

/// Tablespace pg_default: `base/`.
pub const DEFAULT_TABLESPACE_OID: u32 = 1663;
/// Tablespace pg_global: `global/`.
pub const GLOBAL_TABLESPACE_OID: u32 = 1664;
/// Highest segment number whose blocks have 32-bit numbers.
pub const SEGMENT_MAX: u32 = u32::MAX / RELSEG_BLOCKS;

/// One segment file of one fork of a relation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RelFile {
    pub rel: RelKey,
    /// 0 for the file without a number; each holds [`RELSEG_BLOCKS`] blocks.
    pub segment: u32,
}

impl RelFile {
    /// Takes a path relative to the data directory; `None` if it names no permanent relation
    /// file of this major version (temporary relations `t3_123` included).
    #[must_use]
    pub fn parse(path: &[u8], major: u32) -> Option<RelFile> {
        if let Some(name) = path.strip_prefix(b"global/") {
            return parse_name(name, GLOBAL_TABLESPACE_OID, 0);
        }
        if let Some(rest) = path.strip_prefix(b"base/") {
            return parse_in_database_directory(rest, DEFAULT_TABLESPACE_OID);
        }
        let (spcnode, rest) = split_oid(path.strip_prefix(b"pg_tblspc/")?)?;
        RelFile::parse_in_tablespace(rest, spcnode, major)
    }

    /// Takes a path relative to a tablespace's own directory: `PG_15_202209061/D/R`.
    #[must_use]
    pub fn parse_in_tablespace(path: &[u8], spcnode: u32, major: u32) -> Option<RelFile> {
        let directory = Version::of_major(major)?.tablespace_directory;
        let rest = path.strip_prefix(directory.as_bytes())?;
        parse_in_database_directory(rest.strip_prefix(b"/")?, spcnode)
    }

    /// Number of the file's first block in its fork.
    #[must_use]
    pub fn first_block(&self) -> u32 {
        self.segment.saturating_mul(RELSEG_BLOCKS)
    }

    /// Writes the path relative to the data directory.
    ///
    /// # Errors
    /// Those of `out`, and an unknown major for a relation in its own tablespace.
    pub fn write_path<W: fmt::Write>(&self, major: u32, out: &mut W) -> fmt::Result {
        let RelKey {
            spcnode,
            dbnode,
            relnode,
            fork,
        } = self.rel;
        match spcnode {
            GLOBAL_TABLESPACE_OID => out.write_str("global/")?,
            DEFAULT_TABLESPACE_OID => write!(out, "base/{dbnode}/")?,
            _ => {
                let version = Version::of_major(major).ok_or(fmt::Error)?;
                let directory = version.tablespace_directory;
                write!(out, "pg_tblspc/{spcnode}/{directory}/{dbnode}/")?;
            }
        }
        write!(out, "{relnode}{}", fork.suffix())?;
        if self.segment > 0 {
            write!(out, ".{}", self.segment)?;
        }
        Ok(())
    }
}

fn parse_in_database_directory(path: &[u8], spcnode: u32) -> Option<RelFile> {
    let (dbnode, name) = split_oid(path)?;
    parse_name(name, spcnode, dbnode)
}

/// `123/rest` as the oid and the rest.
fn split_oid(path: &[u8]) -> Option<(u32, &[u8])> {
    let slash = path.iter().position(|&b| b == b'/')?;
    Some((parse_number(&path[..slash])?, &path[slash + 1..]))
}

/// `R`, `R_fork`, `R.segment` or `R_fork.segment`.
fn parse_name(name: &[u8], spcnode: u32, dbnode: u32) -> Option<RelFile> {
    let (name, segment) = match name.iter().position(|&b| b == b'.') {
        Some(dot) => (&name[..dot], parse_number(&name[dot + 1..])?),
        None => (name, 0),
    };
    let digits = name.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, suffix) = name.split_at(digits);
    let fork = Fork::ALL
        .into_iter()
        .find(|f| f.suffix().as_bytes() == suffix)?;
    let relnode = parse_number(number)?;
    let rel = RelKey {
        spcnode,
        dbnode,
        relnode,
        fork,
    };
    (segment <= SEGMENT_MAX).then_some(RelFile { rel, segment })
}

/// A positive decimal number of 32 bits as Postgres writes it: no sign, no leading zero.
fn parse_number(digits: &[u8]) -> Option<u32> {
    if !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    digits.iter().try_fold(0u32, |number, digit| {
        let value = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(spcnode: u32, dbnode: u32, relnode: u32, fork: Fork, segment: u32) -> RelFile {
        let rel = RelKey {
            spcnode,
            dbnode,
            relnode,
            fork,
        };
        RelFile { rel, segment }
    }

    #[test]
    fn relation_files_round_trip() {
        let cases = [
            ("base/5/1259", file(1663, 5, 1259, Fork::Main, 0)),
            ("base/5/1259.1", file(1663, 5, 1259, Fork::Main, 1)),
            ("base/5/1259_fsm.2", file(1663, 5, 1259, Fork::Fsm, 2)),
            (
                "base/16384/4294967295_vm",
                file(1663, 16384, u32::MAX, Fork::Vm, 0),
            ),
            ("base/1/2_init.32767", file(1663, 1, 2, Fork::Init, 32767)),
            ("global/1262", file(1664, 0, 1262, Fork::Main, 0)),
            ("global/1262_fsm", file(1664, 0, 1262, Fork::Fsm, 0)),
            (
                "pg_tblspc/16400/PG_15_202209061/5/9_vm.3",
                file(16400, 5, 9, Fork::Vm, 3),
            ),
        ];
        for (path, expected) in cases {
            assert_eq!(
                RelFile::parse(path.as_bytes(), 15),
                Some(expected),
                "{path}"
            );
            let mut written = String::new();
            expected.write_path(15, &mut written).unwrap();
            assert_eq!(written, path);
        }
    }

    #[test]
    fn other_names_are_refused() {
        let names = [
            "",
            "base",
            "base/",
            "base/5",
            "base/5/",
            "base/5/PG_VERSION",
            "base/5/t3_123",
            "base/5/t3_123.1",
            "base/5/0",
            "base/0/1",
            "base/5/01",
            "base/5/1.0",
            "base/5/1.01",
            "base/5/1.",
            "base/5/1_",
            "base/5/1_fs",
            "base/5/1_fsmx",
            "base/5/1.1_fsm",
            "base/5/1.32768",
            "base/5/4294967296",
            "base/5/1/2",
            "base/5//1",
            "base/+5/1",
            "base/5/pg_internal.init",
            "base/5/pg_filenode.map",
            "base/pgsql_tmp/1",
            "global/0",
            "global/pg_control",
            "global/5/1",
            "./base/5/1",
            "/base/5/1",
            "pg_tblspc/16400/5/9",
            "pg_tblspc/16400/PG_14_202107181/5/9",
            "pg_tblspc/16400/PG_15_202209061/5",
            "pg_tblspc/16400/PG_15_202209061x/5/9",
            "pg_xact/0000",
            "base/5/_fsm",
            "base/5/.1",
        ];
        for name in names {
            assert_eq!(RelFile::parse(name.as_bytes(), 15), None, "{name}");
        }
    }

    #[test]
    fn tablespace_archive_paths_start_at_the_version_directory() {
        let path = b"PG_15_202209061/5/16401.1";
        let expected = file(16400, 5, 16401, Fork::Main, 1);
        assert_eq!(
            RelFile::parse_in_tablespace(path, 16400, 15),
            Some(expected)
        );
        assert_eq!(RelFile::parse_in_tablespace(path, 16400, 16), None);
        assert_eq!(expected.first_block(), RELSEG_BLOCKS);
    }

    #[test]
    fn last_segment_ends_at_the_last_block_number() {
        let last = file(1, 1, 1, Fork::Main, SEGMENT_MAX);
        assert_eq!(
            last.first_block().checked_add(RELSEG_BLOCKS - 1),
            Some(u32::MAX)
        );
    }
}
