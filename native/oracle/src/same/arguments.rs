//! The command line of `oracle same`.

use std::path::{Path, PathBuf};

use crate::error::OracleError;

pub const SAME_USAGE: &str = "\
oracle same --ours DATADIR --theirs DATADIR [options]
  Compares data directories of Postgres 15 that stand at the same LSN and were written by redo from the
  same base: every page but hint bits, sizes, transaction status (SLRU), relation maps. Not free space maps,
  nor what is not logged. Exit code 1 if anything differs.

  --differences N   how many to print (20)
  --json
";

/// What `oracle same` was asked for.
#[derive(Debug, Default)]
pub struct SameArguments {
    pub ours: PathBuf,
    pub theirs: PathBuf,
    pub differences: usize,
    pub json: bool,
}

impl SameArguments {
    /// Reads the words after `same`.
    ///
    /// # Errors
    /// [`OracleError::Usage`].
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<SameArguments, OracleError> {
        let wrong = |what: &str| OracleError::Usage(format!("{what}\n\n{SAME_USAGE}"));
        let mut arguments = SameArguments {
            differences: 20,
            ..SameArguments::default()
        };
        while let Some(word) = words.next() {
            if word == "--json" {
                arguments.json = true;
                continue;
            }
            let value = words.next();
            let value = value.ok_or_else(|| wrong(&format!("{word} lacks its value")))?;
            match word.as_str() {
                "--ours" => arguments.ours = value.into(),
                "--theirs" => arguments.theirs = value.into(),
                "--differences" => {
                    let number = value.parse();
                    arguments.differences =
                        number.map_err(|_| wrong("--differences: no number"))?;
                }
                _ => return Err(wrong(&format!("{word} is unknown"))),
            }
        }
        let given = |path: &Path| !path.as_os_str().is_empty();
        if given(&arguments.ours) && given(&arguments.theirs) {
            Ok(arguments)
        } else {
            Err(wrong("--ours or --theirs is missing"))
        }
    }
}
