//! Where a timeline can be read.

use offshoot_layout::Lsn;

use crate::EngineError;

/// All LSNs from one on, and single ones before it; only those when it is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    readable_from: Lsn,
    /// Ascending, and before `readable_from`.
    kept: Vec<Lsn>,
    /// Nobody has said yet what else is kept.
    is_first: bool,
}

impl From<Lsn> for Window {
    fn from(readable_from: Lsn) -> Window {
        Window {
            readable_from,
            kept: Vec::new(),
            is_first: true,
        }
    }
}

impl Window {
    /// What is kept from `readable_from` on need not be said.
    #[must_use]
    pub fn new(readable_from: Lsn, kept: impl IntoIterator<Item = Lsn>) -> Window {
        let before = kept.into_iter().filter(|lsn| *lsn < readable_from);
        let mut kept: Vec<Lsn> = before.collect();
        kept.sort_unstable();
        kept.dedup();
        Window {
            readable_from,
            kept,
            is_first: false,
        }
    }

    /// Of a timeline that nobody goes on from but at these LSNs, and that nobody writes to any more.
    #[must_use]
    pub fn closed(kept: impl IntoIterator<Item = Lsn>) -> Window {
        Window::new(Lsn::MAX, kept)
    }

    /// Nothing can be read but what is kept. One of which nobody has said yet what that is, is not complete.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.readable_from == Lsn::MAX && !self.is_first
    }

    /// `Lsn::MAX` when it is closed.
    #[must_use]
    pub fn readable_from(&self) -> Lsn {
        self.readable_from
    }

    /// The first LSN that can be read.
    #[must_use]
    pub fn earliest(&self) -> Lsn {
        self.kept.first().copied().unwrap_or(self.readable_from)
    }

    #[must_use]
    pub fn covers(&self, lsn: Lsn) -> bool {
        lsn >= self.readable_from && !self.is_closed() || self.kept.binary_search(&lsn).is_ok()
    }

    /// Single LSNs that can be read, ascending.
    pub(super) fn kept(&self) -> &[Lsn] {
        &self.kept
    }

    /// What is not covered may be gone, and does not come back. Of a timeline that was just attached, what is kept has
    /// yet to be said.
    pub(crate) fn refuse_widening(&self, next: &Window) -> Result<(), EngineError> {
        if next.readable_from < self.readable_from {
            return Err(EngineError::BadRequest(format!(
                "a window cannot begin at {} again: it begins at {}",
                next.readable_from, self.readable_from
            )));
        }
        let known = |lsn: &&Lsn| self.is_first || self.covers(**lsn);
        match next.kept.iter().find(|lsn| !known(lsn)) {
            Some(lsn) => Err(EngineError::BadRequest(format!(
                "{lsn} is not kept any more"
            ))),
            None => Ok(()),
        }
    }
}
