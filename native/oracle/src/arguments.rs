//! The command line of `oracle compare`.

use std::path::PathBuf;

use offshoot_layout::Lsn;

use crate::error::OracleError;

pub const USAGE: &str = "\
oracle compare --wal DIR --start LSN [options]
  Replays the WAL of Postgres 15 in DIR from LSN and compares pages with the images that
  wal_consistency_checking=all left in it. Exit code 1 if anything differs.

  --data DATADIR    settings (system id, segment size, checksums, …) from its pg_control
  --base DATADIR    relation files as they are at LSN (a copy of a stopped cluster); without it,
                    pages are known from their first image on. Also stands in for --data, and
                    its last checkpoint's redo pointer for --start
  --final DATADIR   compares with its relation files in the end (after a clean shutdown)
  --seg-size BYTES  16777216 if neither --data nor --base says so
  --tli NUMBER      timeline; by default that of --data or --final, or 1
  --strict          unsupported record types and skipped changes make the exit code 1, too
  --differences N   how many to print in full (20)
  --dump DIR        writes the pages of the printed differences there: NNN.before, NNN.ours,
                    NNN.theirs (8192 bytes each) and NNN.txt, NNN.record
  --json

oracle opcodes [--json]
  The names of all record types, as pg_waldump --stats=record prints them; with --json also
  whether they change pages.
";

/// What `oracle compare` was asked for.
#[derive(Debug, Default)]
pub struct Arguments {
    pub wal: PathBuf,
    pub start: Option<Lsn>,
    pub data: Option<PathBuf>,
    pub base: Option<PathBuf>,
    pub final_data: Option<PathBuf>,
    pub seg_size: Option<u32>,
    pub tli: Option<u32>,
    pub differences: usize,
    pub dump: Option<PathBuf>,
    pub json: bool,
    pub strict: bool,
}

impl Arguments {
    /// Reads the words after `compare`.
    ///
    /// # Errors
    /// [`OracleError::Usage`].
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, OracleError> {
        let mut arguments = Arguments {
            differences: 20,
            ..Arguments::default()
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--json" => arguments.json = true,
                "--strict" => arguments.strict = true,
                name => {
                    let missing =
                        || OracleError::Usage(format!("{name} lacks its value\n\n{USAGE}"));
                    let value = words.next().ok_or_else(missing)?;
                    arguments.set(name, &value)?;
                }
            }
        }
        if arguments.wal.as_os_str().is_empty() {
            return Err(OracleError::Usage(format!("--wal is missing\n\n{USAGE}")));
        }
        Ok(arguments)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), OracleError> {
        match name {
            "--wal" => self.wal = value.into(),
            "--start" => self.start = Some(number(name, value)?),
            "--data" => self.data = Some(value.into()),
            "--base" => self.base = Some(value.into()),
            "--final" => self.final_data = Some(value.into()),
            "--seg-size" => self.seg_size = Some(number(name, value)?),
            "--tli" => self.tli = Some(number(name, value)?),
            "--differences" => self.differences = number(name, value)?,
            "--dump" => self.dump = Some(value.into()),
            _ => return Err(OracleError::Usage(format!("{name} is unknown\n\n{USAGE}"))),
        }
        Ok(())
    }
}

fn number<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    value: &str,
) -> Result<T, OracleError> {
    let wrong = |error| OracleError::Usage(format!("{name} {value}: {error}"));
    value.parse().map_err(wrong)
}
