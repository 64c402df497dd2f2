//! Numbers that name a Postgres major version in its own files.
//!
//! | major | WAL page magic | pg_control version | catalog version |
//! |---|---|---|---|
//! | 14 | D10D | 1300 | 202107181 |
//! | 15 | D110 | 1300 | 202209061 |
//! | 16 | D113 | 1300 | 202307071 |
//! | 17 | D116 | 1700 | 202406281 |
//! | 18 | D118 | 1800 | 202506291 |

/// The numbers of one major version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version {
    pub major: u32,
    /// `xlp_magic` of every WAL page.
    pub wal_magic: u16,
    /// `pg_control_version` of global/pg_control.
    pub control_version: u32,
    /// `catalog_version_no` of global/pg_control.
    pub catalog_version: u32,
    /// Directory of this version inside a tablespace.
    pub tablespace_directory: &'static str,
}

/// Every major version whose layouts are known here, oldest first.
pub const VERSIONS: [Version; 5] = [
    version(14, 0xD10D, 1300, 202_107_181, "PG_14_202107181"),
    version(15, 0xD110, 1300, 202_209_061, "PG_15_202209061"),
    version(16, 0xD113, 1300, 202_307_071, "PG_16_202307071"),
    version(17, 0xD116, 1700, 202_406_281, "PG_17_202406281"),
    version(18, 0xD118, 1800, 202_506_291, "PG_18_202506291"),
];

const fn version(
    major: u32,
    wal_magic: u16,
    control_version: u32,
    catalog_version: u32,
    tablespace_directory: &'static str,
) -> Version {
    Version {
        major,
        wal_magic,
        control_version,
        catalog_version,
        tablespace_directory,
    }
}

impl Version {
    /// The version with this major number, if its layouts are known.
    #[must_use]
    pub fn of_major(major: u32) -> Option<Version> {
        VERSIONS.into_iter().find(|v| v.major == major)
    }

    /// The version with this catalog version number.
    #[must_use]
    pub fn of_catalog(catalog_version: u32) -> Option<Version> {
        VERSIONS
            .into_iter()
            .find(|v| v.catalog_version == catalog_version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_names_the_major_and_the_catalog_version() {
        for v in VERSIONS {
            let expected = format!("PG_{}_{}", v.major, v.catalog_version);
            assert_eq!(v.tablespace_directory, expected);
            assert_eq!(Version::of_major(v.major), Some(v));
            assert_eq!(Version::of_catalog(v.catalog_version), Some(v));
        }
        assert_eq!(Version::of_major(13), None);
    }
}
