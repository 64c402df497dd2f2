//! What each file of a base backup is to us, decided by its path alone.

use offshoot_layout::relfile::{DEFAULT_TABLESPACE_OID, GLOBAL_TABLESPACE_OID};
use offshoot_layout::version::Version;
use offshoot_layout::{RelFile, SlruKind};

/// Where a file of the backup goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// A segment of a relation fork.
    Relation(RelFile),
    SlruSegment {
        kind: SlruKind,
        segment: u32,
    },
    RelMap {
        spcnode: u32,
        dbnode: u32,
    },
    /// A database's PG_VERSION: the database exists in that tablespace.
    Database {
        spcnode: u32,
        dbnode: u32,
    },
    /// The cluster's own PG_VERSION.
    ClusterVersion,
    ControlFile,
    BackupLabel,
    TablespaceMap,
    TwoPhase {
        xid: u32,
    },
    ReplicationOrigins,
    /// A tablespace's link or directory.
    Tablespace {
        oid: u32,
    },
    /// Of no use to a compute, by rule.
    Ignored,
    /// Nothing that the rules know; ignored as well, but counted.
    Unknown,
}

/// Top-level names whose contents computes do without: made anew at their start, the source's own
/// configuration, or state that belongs to the source's processes.
const IGNORED: &[&str] = &[
    "backup_manifest",
    "current_logfiles",
    "log",
    "pg_dynshmem",
    "pg_hba.conf",
    "pg_ident.conf",
    "pg_log",
    "pg_logical",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_wal",
    "postgresql.auto.conf",
    "postgresql.conf",
    "postmaster.opts",
    "postmaster.pid",
    "recovery.signal",
    "standby.signal",
];

/// Routes `path` of the archive of tablespace `spcoid` (0: the main archive).
#[must_use]
pub fn route(version: &Version, spcoid: u32, path: &str) -> Route {
    let router = Router { version, path };
    match spcoid {
        0 => router.main(),
        // A tablespace's archive begins at the version directory.
        _ => router.tablespace(spcoid, path),
    }
}

struct Router<'a> {
    version: &'a Version,
    /// The whole path in the archive.
    path: &'a str,
}

impl Router<'_> {
    fn main(&self) -> Route {
        let (top, rest) = self.path.split_once('/').unwrap_or((self.path, ""));
        match (top, rest) {
            ("PG_VERSION", "") => Route::ClusterVersion,
            ("backup_label", "") => Route::BackupLabel,
            ("tablespace_map", "") => Route::TablespaceMap,
            ("global", "pg_control") => Route::ControlFile,
            ("global", file) => self.database(GLOBAL_TABLESPACE_OID, 0, file),
            ("base", rest) => self.databases(DEFAULT_TABLESPACE_OID, rest),
            ("pg_xact" | "pg_commit_ts" | "pg_multixact", _) => self.slru(),
            ("pg_twophase", file) => two_phase(file),
            ("pg_logical", "replorigin_checkpoint") => Route::ReplicationOrigins,
            ("pg_tblspc", rest) => self.tablespaces(rest),
            ("" | ".", "") => Route::Ignored,
            (top, _) if IGNORED.contains(&top) => Route::Ignored,
            _ => Route::Unknown,
        }
    }

    /// `OID` or, for an in-place tablespace, `OID/PG_15_…/DB/file`.
    fn tablespaces(&self, rest: &str) -> Route {
        let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
        match oid(name) {
            Some(oid) if rest.is_empty() => Route::Tablespace { oid },
            Some(oid) => self.tablespace(oid, rest),
            None if name.is_empty() => Route::Ignored,
            None => Route::Unknown,
        }
    }

    /// `PG_15_…/DB/file`. Another major's directory, left there by pg_upgrade, is not ours.
    fn tablespace(&self, spcnode: u32, rest: &str) -> Route {
        let (directory, rest) = rest.split_once('/').unwrap_or((rest, ""));
        match directory {
            _ if directory == self.version.tablespace_directory => self.databases(spcnode, rest),
            _ if directory.starts_with("PG_") || directory.is_empty() => Route::Ignored,
            _ => Route::Unknown,
        }
    }

    fn databases(&self, spcnode: u32, rest: &str) -> Route {
        let (directory, file) = rest.split_once('/').unwrap_or((rest, ""));
        match oid(directory) {
            Some(dbnode) => self.database(spcnode, dbnode, file),
            None if directory.is_empty() || directory.starts_with("pgsql_tmp") => Route::Ignored,
            None => Route::Unknown,
        }
    }

    fn database(&self, spcnode: u32, dbnode: u32, file: &str) -> Route {
        match file {
            "PG_VERSION" => Route::Database { spcnode, dbnode },
            "pg_filenode.map" => Route::RelMap { spcnode, dbnode },
            "" => Route::Ignored,
            _ if file.starts_with("pg_internal.init") || file.starts_with("pgsql_tmp") => {
                Route::Ignored
            }
            _ if is_temporary(file) => Route::Ignored,
            _ => self.relation(spcnode),
        }
    }

    fn relation(&self, spcnode: u32) -> Route {
        let (path, major) = (self.path.as_bytes(), self.version.major);
        let found = RelFile::parse(path, major)
            .or_else(|| RelFile::parse_in_tablespace(path, spcnode, major));
        found.map_or(Route::Unknown, Route::Relation)
    }

    fn slru(&self) -> Route {
        if let Some((kind, segment)) = SlruKind::parse_path(self.path.as_bytes()) {
            return Route::SlruSegment { kind, segment };
        }
        let directory = self.path == "pg_multixact"
            || SlruKind::ALL
                .iter()
                .any(|kind| kind.directory() == self.path);
        if directory {
            Route::Ignored
        } else {
            Route::Unknown
        }
    }
}

/// `t3_16384`: a temporary relation of backend 3.
fn is_temporary(file: &str) -> bool {
    let backend = file.strip_prefix('t').and_then(|rest| rest.split_once('_'));
    backend.is_some_and(|(backend, _)| oid(backend).is_some())
}

fn two_phase(file: &str) -> Route {
    match u32::from_str_radix(file, 16) {
        Ok(xid) if file.len() == 8 => Route::TwoPhase { xid },
        _ if file.is_empty() => Route::Ignored,
        _ => Route::Unknown,
    }
}

/// A decimal number as Postgres writes it in paths.
fn oid(text: &str) -> Option<u32> {
    let plain = text.starts_with(|first: char| ('1'..='9').contains(&first));
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use offshoot_layout::{Fork, RelKey};

    fn postgres_15() -> Version {
        Version::of_major(15).unwrap()
    }

    fn relation(spcnode: u32, dbnode: u32, relnode: u32, fork: Fork, segment: u32) -> Route {
        let rel = RelKey {
            spcnode,
            dbnode,
            relnode,
            fork,
        };
        Route::Relation(RelFile { rel, segment })
    }

    #[test]
    fn paths_of_the_main_archive() {
        let cases = [
            ("base/5/1259", relation(1663, 5, 1259, Fork::Main, 0)),
            ("base/5/1259.2", relation(1663, 5, 1259, Fork::Main, 2)),
            ("base/5/1259_fsm.1", relation(1663, 5, 1259, Fork::Fsm, 1)),
            ("base/5/16400_init", relation(1663, 5, 16400, Fork::Init, 0)),
            ("global/1262_vm", relation(1664, 0, 1262, Fork::Vm, 0)),
            (
                "pg_tblspc/16500/PG_15_202209061/5/7",
                relation(16500, 5, 7, Fork::Main, 0),
            ),
            ("pg_tblspc/16500", Route::Tablespace { oid: 16500 }),
            (
                "base/5/PG_VERSION",
                Route::Database {
                    spcnode: 1663,
                    dbnode: 5,
                },
            ),
            (
                "base/5/pg_filenode.map",
                Route::RelMap {
                    spcnode: 1663,
                    dbnode: 5,
                },
            ),
            (
                "global/pg_filenode.map",
                Route::RelMap {
                    spcnode: 1664,
                    dbnode: 0,
                },
            ),
            ("global/pg_control", Route::ControlFile),
            ("PG_VERSION", Route::ClusterVersion),
            ("backup_label", Route::BackupLabel),
            ("tablespace_map", Route::TablespaceMap),
            (
                "pg_xact/00A1",
                Route::SlruSegment {
                    kind: SlruKind::Xact,
                    segment: 0xA1,
                },
            ),
            (
                "pg_multixact/members/14078",
                Route::SlruSegment {
                    kind: SlruKind::MultiXactMembers,
                    segment: 0x14078,
                },
            ),
            (
                "pg_multixact/offsets/0000",
                Route::SlruSegment {
                    kind: SlruKind::MultiXactOffsets,
                    segment: 0,
                },
            ),
            (
                "pg_commit_ts/0001",
                Route::SlruSegment {
                    kind: SlruKind::CommitTs,
                    segment: 1,
                },
            ),
            ("pg_twophase/000002E7", Route::TwoPhase { xid: 0x2E7 }),
            (
                "pg_logical/replorigin_checkpoint",
                Route::ReplicationOrigins,
            ),
            ("pg_logical/snapshots/0-1.snap", Route::Ignored),
            ("base/5", Route::Ignored),
            ("base/5/t3_16384", Route::Ignored),
            ("base/5/t3_16384_fsm.1", Route::Ignored),
            ("base/5/pg_internal.init", Route::Ignored),
            ("base/pgsql_tmp/pgsql_tmp1.0", Route::Ignored),
            ("base/5/1259_bak", Route::Unknown),
            ("base/5/1259.0", Route::Unknown),
            ("base/x/1", Route::Unknown),
            ("pg_xact/xyz0", Route::Unknown),
            ("pg_wal/000000010000000000000001", Route::Ignored),
            ("postgresql.conf", Route::Ignored),
            ("log/postgresql.log", Route::Ignored),
            ("pg_hba.conf.bak", Route::Unknown),
            ("my_extension/state", Route::Unknown),
        ];
        for (path, expected) in cases {
            assert_eq!(route(&postgres_15(), 0, path), expected, "{path}");
        }
    }

    #[test]
    fn paths_of_a_tablespace_archive() {
        let cases = [
            (
                "PG_15_202209061/5/16384",
                relation(16999, 5, 16384, Fork::Main, 0),
            ),
            (
                "PG_15_202209061/5/PG_VERSION",
                Route::Database {
                    spcnode: 16999,
                    dbnode: 5,
                },
            ),
            ("PG_15_202209061/pgsql_tmp/x", Route::Ignored),
            ("PG_15_202209061", Route::Ignored),
            ("PG_14_202107181/5/16384", Route::Ignored),
            ("lost+found/x", Route::Unknown),
        ];
        for (path, expected) in cases {
            assert_eq!(route(&postgres_15(), 16999, path), expected, "{path}");
        }
    }
}
