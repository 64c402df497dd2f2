//! From arguments to report.

use offshoot_layout::{ControlFile, Lsn, wal_segment};
use offshoot_redo::RedoContext;
use offshoot_wal::{WalDecoder, WalError, WalParams};

use crate::arguments::Arguments;
use crate::base::{each_block, read_control};
use crate::error::OracleError;
use crate::final_state;
use crate::replay::Replay;
use crate::report::Report;
use crate::wal_directory::WalDirectory;

const MAJOR: u32 = 15;

/// Does what `oracle compare` promises.
///
/// # Errors
/// [`OracleError`] if files cannot be read or the arguments are not enough; whatever is wrong
/// with pages is in the report.
pub fn run(arguments: &Arguments) -> Result<Report, OracleError> {
    let base = arguments.base.as_deref().map(read_control).transpose()?;
    let data = arguments.data.as_ref().or(arguments.final_data.as_ref());
    let last = data.map(|data| read_control(data)).transpose()?;
    let control = base.or(last);
    let start = arguments
        .start
        .or(base.map(|base| base.check_point_copy.redo));
    let missing = || OracleError::Usage("neither --start nor --base is given".to_owned());
    let start = start.ok_or_else(missing)?;
    let params = wal_params(arguments, control.as_ref(), last.as_ref(), start)?;
    let mut replay = Replay::new(context(control.as_ref()), arguments);
    if let Some(base) = &arguments.base {
        each_block(base, |key, page| replay.pages.put(key, *page))?;
    }
    replay.report.start = start;
    replay_all(&mut replay, arguments, params, start)?;
    if let Some(data) = &arguments.final_data {
        check_end(&mut replay.report, &read_control(data)?);
        let state = final_state::compare(&replay, data, arguments)?;
        replay.report.final_state = Some(state);
    }
    Ok(replay.report)
}

fn context(control: Option<&ControlFile>) -> RedoContext {
    RedoContext {
        major: MAJOR,
        checksums: control.is_some_and(|control| control.data_checksum_version != 0),
        wal_log_hints: control.is_some_and(|control| control.wal_log_hints),
        track_commit_timestamp: control.is_some_and(|control| control.track_commit_timestamp),
    }
}

fn wal_params(
    arguments: &Arguments,
    control: Option<&ControlFile>,
    last: Option<&ControlFile>,
    start: Lsn,
) -> Result<WalParams, OracleError> {
    let seg_size = arguments
        .seg_size
        .or(control.map(|control| control.xlog_seg_size));
    let seg_size = seg_size.unwrap_or(wal_segment::DEFAULT_SEGMENT_BYTES);
    let tli = arguments
        .tli
        .unwrap_or(last.map_or(1, |last| last.check_point_copy.this_timeline_id));
    let system_id = match control {
        Some(control) => control.system_identifier,
        None => system_id_in_wal(arguments, tli, start, seg_size)?,
    };
    Ok(WalParams {
        major: MAJOR,
        system_id,
        seg_size,
        tli,
    })
}

/// The long header of a segment's first page says which cluster wrote it.
fn system_id_in_wal(
    arguments: &Arguments,
    tli: u32,
    start: Lsn,
    seg_size: u32,
) -> Result<u64, OracleError> {
    let path = arguments
        .wal
        .join(wal_segment::file_name(tli, start, seg_size));
    let bytes = std::fs::read(&path).map_err(OracleError::io(&path))?;
    let missing = || OracleError::Usage(format!("{}: no page header", path.display()));
    offshoot_layout::le::u64_at(&bytes, 24).ok_or_else(missing)
}

fn replay_all(
    replay: &mut Replay<'_>,
    arguments: &Arguments,
    params: WalParams,
    start: Lsn,
) -> Result<(), OracleError> {
    let mut decoder = WalDecoder::new(params, start, None)?;
    let mut directory = WalDirectory::new(&arguments.wal, params, start);
    let mut reason = "no more segment files".to_owned();
    'segments: while let Some(part) = directory.next_part()? {
        decoder.feed(&part);
        loop {
            match decoder.next() {
                Ok(Some(record)) => replay.take(&record)?,
                Ok(None) => break,
                Err(error) => {
                    reason = describe_end(&error);
                    break 'segments;
                }
            }
        }
    }
    replay.report.end = decoder.position();
    replay.report.end_reason = reason;
    Ok(())
}

/// Behind the last record there are zeros, or what a recycled segment file held before.
fn describe_end(error: &WalError) -> String {
    match error {
        WalError::EndOfWal { .. } => "end of WAL".to_owned(),
        error => error.to_string(),
    }
}

/// The shutdown's checkpoint is the last record: otherwise less was compared than was written.
fn check_end(report: &mut Report, control: &ControlFile) {
    let last = control.check_point;
    if report.end <= last {
        let end = report.end;
        let reason = &report.end_reason;
        let text =
            format!("decoding ended at {end}, before the last checkpoint at {last}: {reason}");
        report.failures.push(text);
    }
}
