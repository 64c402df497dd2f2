//! For whom single LSNs of a timeline stay readable.

use std::collections::HashMap;
use std::ops::Range;

use offshoot_layout::Lsn;

use crate::EngineError;

/// Holders come of each other, as branches do. They are numbered from 1 on, each after the one that it comes of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    /// Of each holder, the one that it comes of; 0: none.
    parents: Vec<u32>,
    by_lsn: HashMap<Lsn, u32>,
}

impl Holders {
    /// `held`: an LSN and its holder; 0, as what is not there: nobody, or several that do not come of one.
    ///
    /// # Errors
    /// `BadRequest` for numbers that are none.
    pub fn new(
        parents: Vec<u32>,
        held: impl IntoIterator<Item = (Lsn, u32)>,
    ) -> Result<Holders, EngineError> {
        let by_lsn: HashMap<_, _> = held.into_iter().collect();
        let ascend = parents.iter().zip(1..).all(|(parent, own)| *parent < own);
        let known = |holder: &u32| *holder as usize <= parents.len();
        if ascend && by_lsn.values().all(known) {
            return Ok(Holders { parents, by_lsn });
        }
        Err(EngineError::BadRequest(
            "holders that are not numbered after what they come of".to_owned(),
        ))
    }

    /// The nearest one that both come of, or are; 0: there is none.
    pub(super) fn common(&self, mut a: u32, mut b: u32) -> u32 {
        while a != b {
            let later = if a > b { &mut a } else { &mut b };
            *later = self
                .parents
                .get(*later as usize - 1)
                .copied()
                .unwrap_or_default();
        }
        a
    }
}

/// The holders of a walk's points.
pub(super) struct PointHolders<'h> {
    holders: &'h Holders,
    /// Of each point; of the last, the window's begin, nobody.
    of: Vec<u32>,
    /// Of each point, the first after it that has another holder.
    next_other: Vec<usize>,
}

impl PointHolders<'_> {
    pub(super) fn new<'h>(holders: &'h Holders, points: &[Lsn]) -> PointHolders<'h> {
        let single = points.split_last().map_or(points, |(_, single)| single);
        let held = single.iter().map(|point| holders.by_lsn.get(point));
        let mut of: Vec<u32> = held.map(|held| held.copied().unwrap_or_default()).collect();
        of.resize(points.len(), 0);
        let mut next_other: Vec<usize> = (1..=of.len()).collect();
        for at in (0..of.len().saturating_sub(1)).rev() {
            if of[at] == of[at + 1] {
                next_other[at] = next_other[at + 1];
            }
        }
        PointHolders {
            holders,
            of,
            next_other,
        }
    }

    /// The one that all of these points' holders come of, or are; 0: there is none. The window's begin is nobody's.
    pub(super) fn of_all(&self, points: Range<usize>) -> u32 {
        if points.is_empty() || points.end >= self.of.len() {
            return 0;
        }
        let mut common = self.of[points.start];
        let mut at = self.next_other[points.start];
        while common != 0 && at < points.end {
            common = self.holders.common(common, self.of[at]);
            at = self.next_other[at];
        }
        common
    }

    pub(super) fn common(&self, a: u32, b: u32) -> u32 {
        self.holders.common(a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_need_is_kept_by_the_one_that_they_come_of() {
        // 2 and 3 come of 1, 4 comes of 2, 5 of nobody.
        let held = [
            (10, 2),
            (20, 2),
            (30, 3),
            (40, 4),
            (50, 5),
            (60, 0),
            (70, 1),
        ];
        let held = held.map(|(lsn, holder)| (Lsn(lsn), holder));
        let holders = Holders::new(vec![0, 1, 1, 2, 0], held).unwrap();
        let points = [10, 20, 30, 40, 50, 60, 70, 80].map(Lsn);
        let points = PointHolders::new(&holders, &points);
        for (range, expected) in [
            (0..1, 2),
            (0..2, 2),
            (0..3, 1),
            (2..3, 3),
            (2..4, 1),
            (3..4, 4),
            (3..5, 0),
            (5..6, 0),
            (4..7, 0),
            (6..7, 1),
            (6..8, 0),
            (7..8, 0),
            (3..3, 0),
        ] {
            assert_eq!(points.of_all(range.clone()), expected, "{range:?}");
        }
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        for (parents, holder) in [(vec![1], 1), (vec![0, 2], 1), (vec![0], 2)] {
            assert!(Holders::new(parents, [(Lsn(1), holder)]).is_err());
        }
    }
}
