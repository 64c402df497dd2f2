//! Structure ControlFileData: the first 296 bytes of global/pg_control (control version 1300
//! to 1800); see the offsets in `parse_fields`. The rest of the file's 8192 bytes is zero.

use super::{CheckPoint, SIZE_OF_CHECK_POINT};
use crate::{LayoutError, Lsn, le, version::Version};

/// Size of the file, whatever it holds.
pub const PG_CONTROL_FILE_BYTES: usize = 8192;
pub(super) const STRUCTURE: &str = "pg_control";

const VERSION_AT: usize = 8;
const NONCE_BYTES: usize = 32;

/// Where the fields after `data_checksum_version` are; they moved by one field in 18.
struct Tail {
    char_signedness: Option<usize>,
    nonce: usize,
    crc: usize,
}

impl Tail {
    fn of_control_version(control_version: u32) -> Tail {
        if control_version >= 1800 {
            Tail {
                char_signedness: Some(256),
                nonce: 257,
                crc: 292,
            }
        } else {
            Tail {
                char_signedness: None,
                nonce: 256,
                crc: 288,
            }
        }
    }
}

/// What a cluster was doing when pg_control was last written (DBState).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum DbState {
    Startup = 0,
    Shutdowned = 1,
    ShutdownedInRecovery = 2,
    Shutdowning = 3,
    InCrashRecovery = 4,
    InArchiveRecovery = 5,
    InProduction = 6,
}

impl DbState {
    const ALL: [DbState; 7] = [
        DbState::Startup,
        DbState::Shutdowned,
        DbState::ShutdownedInRecovery,
        DbState::Shutdowning,
        DbState::InCrashRecovery,
        DbState::InArchiveRecovery,
        DbState::InProduction,
    ];

    fn from_number(number: u32) -> Option<DbState> {
        DbState::ALL
            .into_iter()
            .find(|state| *state as u32 == number)
    }
}

/// The content of global/pg_control; field names are those of ControlFileData.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ControlFile {
    pub system_identifier: u64,
    pub pg_control_version: u32,
    pub catalog_version_no: u32,
    pub state: DbState,
    /// Seconds since 1970.
    pub time: i64,
    /// Start of the last checkpoint record.
    pub check_point: Lsn,
    pub check_point_copy: CheckPoint,
    pub unlogged_lsn: Lsn,
    pub min_recovery_point: Lsn,
    pub min_recovery_point_tli: u32,
    pub backup_start_point: Lsn,
    pub backup_end_point: Lsn,
    pub backup_end_required: bool,
    /// minimal 0, replica 1, logical 2.
    pub wal_level: i32,
    pub wal_log_hints: bool,
    pub max_connections: i32,
    pub max_worker_processes: i32,
    pub max_wal_senders: i32,
    pub max_prepared_xacts: i32,
    pub max_locks_per_xact: i32,
    pub track_commit_timestamp: bool,
    pub max_align: u32,
    pub float_format: f64,
    pub blcksz: u32,
    pub relseg_size: u32,
    pub xlog_blcksz: u32,
    pub xlog_seg_size: u32,
    pub name_data_len: u32,
    pub index_max_keys: u32,
    pub toast_max_chunk_size: u32,
    pub loblksize: u32,
    pub float8_by_val: bool,
    /// 0 without data checksums, 1 with.
    pub data_checksum_version: u32,
    /// 18 and later; true before.
    pub default_char_signedness: bool,
    pub mock_authentication_nonce: [u8; NONCE_BYTES],
}

impl ControlFile {
    /// Reads the file's bytes and checks its CRC, nothing else: see [`ControlFile::validate`].
    ///
    /// # Errors
    /// [`LayoutError`]: too short, control version unknown, damaged, or an unknown state.
    pub fn parse(bytes: &[u8]) -> Result<ControlFile, LayoutError> {
        let too_short = LayoutError::TooShort {
            structure: STRUCTURE,
            needed: 296,
            got: bytes.len(),
        };
        let control_version = le::u32_at(bytes, VERSION_AT).ok_or(too_short.clone())?;
        // The place of the CRC depends on the version, so an unknown one cannot be checked.
        Self::check_control_version(control_version)?;
        let tail = Tail::of_control_version(control_version);
        Self::check_crc(bytes, &tail).ok_or(too_short.clone())??;
        let state = le::u32_at(bytes, 16).ok_or(too_short.clone())?;
        let state = DbState::from_number(state)
            .ok_or_else(|| super::validate::unsupported("state", state, "0 to 6"))?;
        Self::parse_fields(bytes, &tail, state).ok_or(too_short)
    }

    fn check_control_version(found: u32) -> Result<(), LayoutError> {
        match found {
            1300 | 1700 | 1800 => Ok(()),
            _ => Err(super::validate::unsupported(
                "pg_control_version",
                found,
                "1300 (Postgres 14 to 16), 1700 (17), 1800 (18)",
            )),
        }
    }

    fn check_crc(bytes: &[u8], tail: &Tail) -> Option<Result<(), LayoutError>> {
        let stored = le::u32_at(bytes, tail.crc)?;
        let computed = crc32c::crc32c(bytes.get(..tail.crc)?);
        let error = LayoutError::Crc {
            structure: STRUCTURE,
            stored,
            computed,
        };
        Some(if stored == computed {
            Ok(())
        } else {
            Err(error)
        })
    }

    fn parse_fields(bytes: &[u8], tail: &Tail, state: DbState) -> Option<ControlFile> {
        let catalog_version_no = le::u32_at(bytes, 12)?;
        let major = Version::of_catalog(catalog_version_no).map_or(0, |version| version.major);
        let copy = bytes.get(40..40 + SIZE_OF_CHECK_POINT)?;
        Some(ControlFile {
            system_identifier: le::u64_at(bytes, 0)?,
            pg_control_version: le::u32_at(bytes, VERSION_AT)?,
            catalog_version_no,
            state,
            time: le::i64_at(bytes, 24)?,
            check_point: Lsn(le::u64_at(bytes, 32)?),
            check_point_copy: CheckPoint::parse(copy, major).ok()?,
            unlogged_lsn: Lsn(le::u64_at(bytes, 128)?),
            min_recovery_point: Lsn(le::u64_at(bytes, 136)?),
            min_recovery_point_tli: le::u32_at(bytes, 144)?,
            backup_start_point: Lsn(le::u64_at(bytes, 152)?),
            backup_end_point: Lsn(le::u64_at(bytes, 160)?),
            backup_end_required: bool_at(bytes, 168)?,
            wal_level: le::i32_at(bytes, 172)?,
            wal_log_hints: bool_at(bytes, 176)?,
            max_connections: le::i32_at(bytes, 180)?,
            max_worker_processes: le::i32_at(bytes, 184)?,
            max_wal_senders: le::i32_at(bytes, 188)?,
            max_prepared_xacts: le::i32_at(bytes, 192)?,
            max_locks_per_xact: le::i32_at(bytes, 196)?,
            track_commit_timestamp: bool_at(bytes, 200)?,
            max_align: le::u32_at(bytes, 204)?,
            float_format: le::f64_at(bytes, 208)?,
            blcksz: le::u32_at(bytes, 216)?,
            relseg_size: le::u32_at(bytes, 220)?,
            xlog_blcksz: le::u32_at(bytes, 224)?,
            xlog_seg_size: le::u32_at(bytes, 228)?,
            name_data_len: le::u32_at(bytes, 232)?,
            index_max_keys: le::u32_at(bytes, 236)?,
            toast_max_chunk_size: le::u32_at(bytes, 240)?,
            loblksize: le::u32_at(bytes, 244)?,
            float8_by_val: bool_at(bytes, 248)?,
            data_checksum_version: le::u32_at(bytes, 252)?,
            default_char_signedness: match tail.char_signedness {
                Some(offset) => bool_at(bytes, offset)?,
                None => true,
            },
            mock_authentication_nonce: le::bytes_at(bytes, tail.nonce)?,
        })
    }

    /// The whole file, with its CRC, as Postgres reads it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PG_CONTROL_FILE_BYTES] {
        let mut out = [0; PG_CONTROL_FILE_BYTES];
        self.put_state(&mut out);
        self.put_settings(&mut out);
        let tail = Tail::of_control_version(self.pg_control_version);
        if let Some(offset) = tail.char_signedness {
            out[offset] = u8::from(self.default_char_signedness);
        }
        put(&mut out, tail.nonce, &self.mock_authentication_nonce);
        let crc = crc32c::crc32c(&out[..tail.crc]);
        put(&mut out, tail.crc, &crc.to_le_bytes());
        out
    }

    fn put_state(&self, out: &mut [u8; PG_CONTROL_FILE_BYTES]) {
        put(out, 0, &self.system_identifier.to_le_bytes());
        put(out, VERSION_AT, &self.pg_control_version.to_le_bytes());
        put(out, 12, &self.catalog_version_no.to_le_bytes());
        put(out, 16, &(self.state as u32).to_le_bytes());
        put(out, 24, &self.time.to_le_bytes());
        put(out, 32, &self.check_point.0.to_le_bytes());
        put(out, 40, &self.check_point_copy.to_bytes());
        put(out, 128, &self.unlogged_lsn.0.to_le_bytes());
        put(out, 136, &self.min_recovery_point.0.to_le_bytes());
        put(out, 144, &self.min_recovery_point_tli.to_le_bytes());
        put(out, 152, &self.backup_start_point.0.to_le_bytes());
        put(out, 160, &self.backup_end_point.0.to_le_bytes());
        put(out, 168, &[u8::from(self.backup_end_required)]);
    }

    fn put_settings(&self, out: &mut [u8; PG_CONTROL_FILE_BYTES]) {
        put(out, 172, &self.wal_level.to_le_bytes());
        put(out, 176, &[u8::from(self.wal_log_hints)]);
        put(out, 180, &self.max_connections.to_le_bytes());
        put(out, 184, &self.max_worker_processes.to_le_bytes());
        put(out, 188, &self.max_wal_senders.to_le_bytes());
        put(out, 192, &self.max_prepared_xacts.to_le_bytes());
        put(out, 196, &self.max_locks_per_xact.to_le_bytes());
        put(out, 200, &[u8::from(self.track_commit_timestamp)]);
        put(out, 204, &self.max_align.to_le_bytes());
        put(out, 208, &self.float_format.to_le_bytes());
        put(out, 216, &self.blcksz.to_le_bytes());
        put(out, 220, &self.relseg_size.to_le_bytes());
        put(out, 224, &self.xlog_blcksz.to_le_bytes());
        put(out, 228, &self.xlog_seg_size.to_le_bytes());
        put(out, 232, &self.name_data_len.to_le_bytes());
        put(out, 236, &self.index_max_keys.to_le_bytes());
        put(out, 240, &self.toast_max_chunk_size.to_le_bytes());
        put(out, 244, &self.loblksize.to_le_bytes());
        put(out, 248, &[u8::from(self.float8_by_val)]);
        put(out, 252, &self.data_checksum_version.to_le_bytes());
    }

    /// The same cluster, cleanly shut down by a checkpoint record at `check_point`.
    ///
    /// `time` is in seconds since 1970. `copy` must be what that record holds.
    #[must_use]
    pub fn shut_down_at(&self, check_point: Lsn, copy: CheckPoint, time: i64) -> ControlFile {
        ControlFile {
            state: DbState::Shutdowned,
            time,
            check_point,
            check_point_copy: copy,
            min_recovery_point: Lsn::INVALID,
            min_recovery_point_tli: 0,
            backup_start_point: Lsn::INVALID,
            backup_end_point: Lsn::INVALID,
            backup_end_required: false,
            ..*self
        }
    }
}

fn bool_at(bytes: &[u8], offset: usize) -> Option<bool> {
    bytes.get(offset).map(|&byte| byte != 0)
}

fn put(out: &mut [u8; PG_CONTROL_FILE_BYTES], offset: usize, field: &[u8]) {
    out[offset..offset + field.len()].copy_from_slice(field);
}
