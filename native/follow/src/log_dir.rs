//! The files of a timeline's WAL log: ordinary WAL segments, and where the WAL starts.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use offshoot_layout::{Lsn, wal_segment};
use offshoot_wal::{WalDecoder, WalParams};

use crate::FollowError;

/// Holds the LSN of the first record, as text, where the WAL follows on nothing that came before.
const START_FILE: &str = "start";
const TEMPORARY_FILE: &str = "tmp";
/// The writer and the indexer may make the same segment at the same time, each under a name of its own.
static MAKERS: AtomicU64 = AtomicU64::new(0);
const ZEROS_BYTES: usize = 1 << 20;
/// Decoded at once when the end is looked for.
const SCAN_BYTES: usize = 1 << 20;

/// One timeline's log directory.
#[derive(Clone)]
pub struct LogDir {
    dir: PathBuf,
    params: WalParams,
}

impl LogDir {
    /// Makes the directory if it is not there.
    ///
    /// # Errors
    /// `Io`.
    pub fn open(dir: &Path, params: WalParams) -> Result<LogDir, FollowError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(FollowError::io("make", dir))?;
        let dir = dir.to_path_buf();
        let log = LogDir { dir, params };
        log.remove_half_made()?;
        Ok(log)
    }

    /// What was being made when the machine stopped.
    fn remove_half_made(&self) -> Result<(), FollowError> {
        let io_error = || FollowError::io("list", &self.dir);
        for entry in fs::read_dir(&self.dir).map_err(io_error())? {
            let path = entry.map_err(io_error())?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with(TEMPORARY_FILE)) {
                fs::remove_file(&path).map_err(FollowError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn params(&self) -> &WalParams {
        &self.params
    }

    /// Forgets all WAL: a new one starts with the record at `start`. Durable when it returns.
    ///
    /// # Errors
    /// `Io`.
    pub fn start_anew(&self, start: Lsn) -> Result<(), FollowError> {
        for (path, _) in self.segments()? {
            fs::remove_file(&path).map_err(FollowError::io("remove", &path))?;
        }
        let temporary = self.dir.join(TEMPORARY_FILE);
        let path = self.dir.join(START_FILE);
        let write = || {
            let mut file = create(&temporary)?;
            writeln!(file, "{start}")?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(FollowError::io("write", &path))?;
        self.sync()
    }

    /// Where the WAL starts, if it follows on nothing before it.
    ///
    /// # Errors
    /// `Io`, also when the file is damaged.
    pub fn start(&self) -> Result<Option<Lsn>, FollowError> {
        let path = self.dir.join(START_FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(FollowError::io("read", &path))?,
        };
        let lsn = text.trim_end().parse();
        let lsn = lsn.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no LSN"));
        lsn.map(Some).map_err(FollowError::io("read", &path))
    }

    /// End of the last whole record from `start` on, which is where a record starts. Whatever is behind it
    /// was never written whole, or is left of an older use of the file.
    ///
    /// # Errors
    /// `Io`, `Engine` for an impossible start.
    pub fn end(&self, start: Lsn, prev: Option<Lsn>) -> Result<Lsn, FollowError> {
        let decoder = WalDecoder::new(self.params, start, prev);
        let mut decoder = decoder.map_err(offshoot_engine::EngineError::from)?;
        let mut at = start;
        let mut buffer = vec![0; SCAN_BYTES];
        loop {
            let bytes = self.read(at, &mut buffer)?;
            if bytes == 0 {
                return Ok(decoder.position());
            }
            decoder.feed(&buffer[..bytes]);
            at = Lsn(at.0 + bytes as u64);
            loop {
                match decoder.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return Ok(decoder.position()),
                }
            }
        }
    }

    /// Reads from `at` on, at most to the end of the segment; 0 bytes where there is no file.
    ///
    /// # Errors
    /// `Io`.
    pub fn read(&self, at: Lsn, buffer: &mut [u8]) -> Result<usize, FollowError> {
        let path = self.path(self.number(at));
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            opened => opened.map_err(FollowError::io("open", &path))?,
        };
        let offset = at.0 % self.segment_bytes();
        let left = (self.segment_bytes() - offset) as usize;
        let wanted = buffer.len().min(left);
        let read = file.read_at(&mut buffer[..wanted], offset);
        read.map_err(FollowError::io("read", &path))
    }

    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        u64::from(self.params.seg_size)
    }

    /// The segment that a byte lies in.
    #[must_use]
    pub fn number(&self, at: Lsn) -> u64 {
        at.0 / self.segment_bytes()
    }

    /// The file that a byte lies in.
    #[must_use]
    pub fn path_of(&self, at: Lsn) -> PathBuf {
        self.path(self.number(at))
    }

    /// A segment's file.
    #[must_use]
    pub fn path(&self, number: u64) -> PathBuf {
        let start = Lsn(number * self.segment_bytes());
        let WalParams { tli, seg_size, .. } = self.params;
        self.dir.join(wal_segment::file_name(tli, start, seg_size))
    }

    /// Opens a segment to be written; made of zeros if it is not there, so that writing into it later
    /// changes nothing but its content.
    ///
    /// # Errors
    /// `Io`.
    pub fn open_segment(&self, number: u64) -> Result<File, FollowError> {
        let path = self.path(number);
        if !path.exists() {
            self.make_segment(number)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&path);
        file.map_err(FollowError::io("open", &path))
    }

    /// Makes a segment of zeros, unless it is there.
    ///
    /// # Errors
    /// `Io`; nothing is left of it then.
    pub fn make_segment(&self, number: u64) -> Result<(), FollowError> {
        let path = self.path(number);
        if path.exists() {
            return Ok(());
        }
        let maker = MAKERS.fetch_add(1, Ordering::Relaxed);
        let temporary = self
            .dir
            .join(format!("{TEMPORARY_FILE}.{number:X}.{maker}"));
        let made = self.fill(&temporary);
        let made = made.and_then(|()| name_unless_there(&temporary, &path));
        let _ = fs::remove_file(&temporary);
        made.map_err(FollowError::io("make", &path))?;
        self.sync()
    }

    fn fill(&self, path: &Path) -> io::Result<()> {
        let mut file = create(path)?;
        let zeros = vec![0; ZEROS_BYTES.min(self.params.seg_size as usize)];
        for _ in 0..self.segment_bytes() / zeros.len() as u64 {
            file.write_all(&zeros)?;
        }
        file.sync_all()
    }

    /// Segments before `number` are not needed any more: one of them becomes segment `next`, if that is
    /// not there, the rest goes.
    ///
    /// # Errors
    /// `Io`.
    pub fn retire_before(&self, number: u64, next: u64) -> Result<(), FollowError> {
        let mut wanted = !self.path(next).exists();
        let mut changed = false;
        for (path, found) in self.segments()? {
            if found >= number {
                continue;
            }
            changed = true;
            if std::mem::take(&mut wanted) {
                let named = name_unless_there(&path, &self.path(next));
                named.map_err(FollowError::io("name anew", &path))?;
            }
            fs::remove_file(&path).map_err(FollowError::io("remove", &path))?;
        }
        if changed { self.sync() } else { Ok(()) }
    }

    /// The segments that are there, oldest first. Other files are nobody's business.
    fn segments(&self) -> Result<Vec<(PathBuf, u64)>, FollowError> {
        let io_error = || FollowError::io("list", &self.dir);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(io_error())? {
            let path = entry.map_err(io_error())?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let start =
                name.and_then(|name| wal_segment::parse_file_name(name, self.params.seg_size));
            if let Some((tli, start)) = start
                && tli == self.params.tli
            {
                found.push((path, self.number(start)));
            }
        }
        found.sort_by_key(|(_, number)| *number);
        Ok(found)
    }

    fn sync(&self) -> Result<(), FollowError> {
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(FollowError::io("flush", &self.dir))
    }
}

/// Never in place of a file: the writer may have made that one, and have it open.
fn name_unless_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u32 = 1 << 20;

    fn log(name: &str) -> LogDir {
        let dir = std::env::temp_dir().join(format!("offshoot-log-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let params = WalParams {
            major: 15,
            system_id: 1,
            seg_size: SEGMENT,
            tli: 1,
        };
        LogDir::open(&dir, params).unwrap()
    }

    fn names(log: &LogDir) -> Vec<String> {
        let entries = fs::read_dir(&log.dir).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_segment_that_is_there_is_never_replaced() {
        let log = log("replaced");
        for number in [3, 4, 5] {
            let file = log.open_segment(number).unwrap();
            file.write_all_at(&[number as u8], 0).unwrap();
        }
        let open = log.open_segment(5).unwrap();
        name_unless_there(&log.path(3), &log.path(5)).unwrap();
        log.make_segment(5).unwrap();
        open.write_all_at(b"x", 1).unwrap();
        assert_eq!(fs::read(log.path(5)).unwrap()[..2], [5, b'x']);
        log.retire_before(5, 6).unwrap();
        assert_eq!(fs::read(log.path(6)).unwrap()[0], 3);
        assert_eq!(names(&log).len(), 2);
        fs::remove_dir_all(&log.dir).unwrap();
    }

    #[test]
    fn what_was_half_made_goes_when_the_log_is_opened() {
        let log = log("half");
        fs::write(log.dir.join("tmp.5.0"), b"zeros").unwrap();
        log.open_segment(4).unwrap();
        let again = LogDir::open(&log.dir, log.params).unwrap();
        assert_eq!(names(&again).len(), 1);
        fs::remove_dir_all(&log.dir).unwrap();
    }

    #[test]
    fn a_segment_is_made_once_by_all_who_make_it_at_the_same_time() {
        let log = log("once");
        for number in 0..20 {
            std::thread::scope(|scope| {
                for byte in 1..=4 {
                    let log = &log;
                    scope.spawn(move || {
                        let file = log.open_segment(number).unwrap();
                        file.write_all_at(&[byte], u64::from(byte)).unwrap();
                    });
                }
            });
            let bytes = fs::read(log.path(number)).unwrap();
            assert_eq!(bytes.len(), SEGMENT as usize);
            assert_eq!(bytes[1..5], [1, 2, 3, 4]);
        }
        assert_eq!(names(&log).len(), 20);
        fs::remove_dir_all(&log.dir).unwrap();
    }
}
