//! The WAL in a data directory.

use std::error::Error;
use std::path::Path;

use offshoot_layout::{ControlFile, Lsn, wal_segment};
use offshoot_wal::WalParams;

pub fn params_of(data_dir: &Path, major: u32) -> Result<WalParams, Box<dyn Error>> {
    let control = ControlFile::parse(&std::fs::read(data_dir.join("global/pg_control"))?)?;
    Ok(WalParams {
        major,
        system_id: control.system_identifier,
        seg_size: control.xlog_seg_size,
        tli: control.check_point_copy.this_timeline_id,
    })
}

/// The bytes from `from` to before `to`.
pub fn read_segments(
    data_dir: &Path,
    params: &WalParams,
    from: Lsn,
    to: Lsn,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut wal = Vec::new();
    let mut segment = wal_segment::start_of(from, params.seg_size);
    let offset = (from.0 - segment.0) as usize;
    while segment < to {
        let name = wal_segment::file_name(params.tli, segment, params.seg_size);
        wal.extend(std::fs::read(data_dir.join("pg_wal").join(name))?);
        segment = Lsn(segment.0 + u64::from(params.seg_size));
    }
    wal.truncate(wal.len() - (segment.0 - to.0) as usize);
    wal.drain(..offset);
    Ok(wal)
}
