//! The files of a timeline's WAL log: ordinary WAL segments, and where the WAL starts.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offshoot_layout::{Lsn, wal_segment};
use offshoot_wal::WalParams;
use parking_lot::Mutex;

use crate::FollowError;

/// Holds the LSN of the first record, as text, where the WAL follows on nothing that came before.
const START_FILE: &str = "start";
const TEMPORARY_FILE: &str = "tmp";
const ZEROS_BYTES: usize = 1 << 20;

/// What a new segment is made of. It reads as zeros in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Its blocks are on disk, so that a flush of what is written into it later changes nothing but content:
    /// for one small commit after the other.
    Zeros,
    /// Made at once: for WAL that comes in bulk.
    Hole,
}

/// One timeline's log directory.
#[derive(Clone)]
pub struct LogDir {
    dir: PathBuf,
    params: WalParams,
    /// Held by who makes files, renames or removes them: writer and indexer both make segments. One that
    /// can be opened is whole, and its name is on disk.
    files: Arc<Mutex<()>>,
}

impl LogDir {
    /// Makes the directory if it is not there, and removes what was being made in it when the machine
    /// stopped.
    ///
    /// # Errors
    /// `Io`.
    pub fn open(dir: &Path, params: WalParams) -> Result<LogDir, FollowError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(FollowError::io("make", dir))?;
        let dir = LogDir {
            dir: dir.to_path_buf(),
            params,
            files: Arc::default(),
        };
        for path in dir.paths()? {
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with(TEMPORARY_FILE)) {
                fs::remove_file(&path).map_err(FollowError::io("remove", &path))?;
            }
        }
        Ok(dir)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
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
        let _files = self.files.lock();
        for (path, _) in self.segments()? {
            fs::remove_file(&path).map_err(FollowError::io("remove", &path))?;
        }
        // The old WAL must not come back under the new start.
        self.sync()?;
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

    /// Puts on disk what an earlier writer may have left unflushed from `start` to `end`. Segments that
    /// were cut are whole again, with zeros, as they may be where nothing was written behind a switch.
    ///
    /// # Errors
    /// `Io`.
    pub fn flush(&self, start: Lsn, end: Lsn) -> Result<(), FollowError> {
        for number in self.number(start)..=self.number(end) {
            let path = self.path(number);
            match self.flush_whole(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                flushed => flushed.map_err(FollowError::io("flush", &path))?,
            }
        }
        self.sync()
    }

    fn flush_whole(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        if file.metadata()?.len() < self.segment_bytes() {
            file.set_len(self.segment_bytes())?;
        }
        file.sync_all()
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

    /// Opens a segment to be written. If it is not there it is made with a hole: who comes before the
    /// indexer has made one of zeros writes so much that zeros would be written twice.
    ///
    /// # Errors
    /// `Io`.
    pub fn open_segment(&self, number: u64) -> Result<File, FollowError> {
        let path = self.path(number);
        self.make_segment(number, Content::Hole)?;
        let file = OpenOptions::new().read(true).write(true).open(&path);
        file.map_err(FollowError::io("open", &path))
    }

    /// Makes a segment, unless it is there.
    ///
    /// # Errors
    /// `Io`; nothing is left of it then.
    pub fn make_segment(&self, number: u64, content: Content) -> Result<(), FollowError> {
        let path = self.path(number);
        let _files = self.files.lock();
        if path.exists() {
            return Ok(());
        }
        let temporary = self.dir.join(TEMPORARY_FILE);
        let made = self.fill(&temporary, content);
        let made = made.and_then(|()| fs::rename(&temporary, &path));
        let made = made.map_err(FollowError::io("make", &path));
        let made = made.and_then(|()| self.sync());
        if made.is_err() {
            let _ = fs::remove_file(&temporary);
            let _ = fs::remove_file(&path);
        }
        made
    }

    fn fill(&self, path: &Path, content: Content) -> io::Result<()> {
        let mut file = create(path)?;
        match content {
            Content::Hole => file.set_len(self.segment_bytes())?,
            Content::Zeros => {
                let zeros = vec![0; ZEROS_BYTES.min(self.params.seg_size as usize)];
                for _ in 0..self.segment_bytes() / zeros.len() as u64 {
                    file.write_all(&zeros)?;
                }
            }
        }
        file.sync_all()
    }

    /// Segments before `number` are not needed any more: one of them becomes segment `next`, if that is
    /// not there, the rest goes.
    ///
    /// # Errors
    /// `Io`.
    pub fn retire_before(&self, number: u64, next: u64) -> Result<(), FollowError> {
        let _files = self.files.lock();
        let mut wanted = !self.path(next).exists();
        for (path, found) in self.segments()? {
            if found >= number {
                continue;
            }
            if std::mem::take(&mut wanted) {
                let to = self.path(next);
                fs::rename(&path, &to).map_err(FollowError::io("rename", &path))?;
                self.sync()?;
            } else {
                fs::remove_file(&path).map_err(FollowError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// The segments that are there, oldest first. Other files are nobody's business.
    pub(crate) fn segments(&self) -> Result<Vec<(PathBuf, u64)>, FollowError> {
        let mut found = Vec::new();
        for path in self.paths()? {
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

    fn paths(&self) -> Result<Vec<PathBuf>, FollowError> {
        let entries = fs::read_dir(&self.dir)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
        entries.map_err(FollowError::io("list", &self.dir))
    }

    fn sync(&self) -> Result<(), FollowError> {
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(FollowError::io("flush", &self.dir))
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
