//! What every data directory has, whatever the cluster.

/// Directories that Postgres does not make by itself, parents first.
pub const DIRECTORIES: &[&str] = &[
    "global",
    "pg_wal",
    "pg_wal/archive_status",
    "pg_commit_ts",
    "pg_dynshmem",
    "pg_notify",
    "pg_serial",
    "pg_snapshots",
    "pg_subtrans",
    "pg_twophase",
    "pg_multixact",
    "pg_multixact/members",
    "pg_multixact/offsets",
    "base",
    "pg_replslot",
    "pg_tblspc",
    "pg_stat",
    "pg_stat_tmp",
    "pg_xact",
    "pg_logical",
    "pg_logical/snapshots",
    "pg_logical/mappings",
];

/// Whoever reaches the server from its own machine is trusted; whoever runs it for others writes
/// another file over this one.
pub const PG_HBA_CONF: &str = "\
# TYPE  DATABASE     USER  ADDRESS       METHOD
local   all          all                 trust
host    all          all   127.0.0.1/32  trust
host    all          all   ::1/128       trust
local   replication  all                 trust
host    replication  all   127.0.0.1/32  trust
host    replication  all   ::1/128       trust
";

/// Files whose content does not matter, but which Postgres misses.
pub const EMPTY_FILES: &[&str] = &["pg_ident.conf", "postgresql.auto.conf"];

/// A plain start needs it, too; a compute's is written by whoever starts it.
pub const POSTGRESQL_CONF: &str = "postgresql.conf";
