//! Why the oracle could not judge at all.

use std::path::{Path, PathBuf};

/// What is wrong with the arguments or with the files they name.
#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    #[error("{0}")]
    Usage(String),
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {source}", path.display())]
    Layout {
        path: PathBuf,
        source: offshoot_layout::LayoutError,
    },
    #[error(transparent)]
    Wal(#[from] offshoot_wal::WalError),
}

impl OracleError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> OracleError {
        let path = path.to_path_buf();
        move |source| OracleError::Io { path, source }
    }
}
