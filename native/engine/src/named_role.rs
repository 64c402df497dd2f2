//! Whether there is a role of a name, as the pages have it: known before any Postgres runs.

use crate::shared_catalog::{
    AUTHID_OID, NAME_AT, OID_AT, SHDESCRIPTION_OID, Tuple, name_at, tuples_on,
};
use crate::{EngineError, View};
use offshoot_layout::le::u32_at;
use std::ops::ControlFlow;

/// Of pg_shdescription.
const CLASS_AT: usize = 4;
const TEXT_AT: usize = 8;

/// A role that is there, or comes to be there if whoever makes it commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRole {
    /// What `COMMENT ON ROLE` says of it; a text so long that it is compressed or lies elsewhere is not read.
    pub comment: Option<String>,
}

impl View {
    /// Looks through the first 1024 pages.
    ///
    /// # Errors
    /// `Store`, `Damaged`, `Redo`: pg_authid or pg_shdescription cannot be read.
    pub fn named_role(&self, name: &str) -> Result<Option<NamedRole>, EngineError> {
        let Some(oid) = self.shared_row(AUTHID_OID, |row| oid_of(row, name))? else {
            return Ok(None);
        };
        let comment = self.shared_row(SHDESCRIPTION_OID, |row| comment_of(row, oid))?;
        Ok(Some(NamedRole { comment }))
    }

    /// What is found in the first row that has it, of those that count.
    fn shared_row<T>(
        &self,
        catalog: u32,
        look: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, EngineError> {
        let mut found = None;
        self.shared_catalog_pages(catalog, |page| {
            found = tuples_on(page)
                .filter(counts)
                .find_map(|tuple| look(tuple.row));
            match found {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        })?;
        Ok(found)
    }
}

/// As far as its header tells.
fn counts(tuple: &Tuple<'_>) -> bool {
    tuple.is_newest && !tuple.is_undone
}

fn oid_of(row: &[u8], name: &str) -> Option<u32> {
    if name_at(row, NAME_AT)? == name.as_bytes() {
        u32_at(row, OID_AT)
    } else {
        None
    }
}

fn comment_of(row: &[u8], role: u32) -> Option<String> {
    if u32_at(row, OID_AT)? != role || u32_at(row, CLASS_AT)? != AUTHID_OID {
        return None;
    }
    Some(String::from_utf8_lossy(plain_text(row.get(TEXT_AT..)?)?).into_owned())
}

/// A varlena that is neither compressed nor elsewhere.
fn plain_text(datum: &[u8]) -> Option<&[u8]> {
    let first = *datum.first()?;
    match first & 3 {
        // A header of one byte; of that value alone it is a pointer.
        1 | 3 if first != 1 => datum.get(1..usize::from(first >> 1)),
        0 => datum.get(4..usize::try_from(u32_at(datum, 0)? >> 2).ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared_catalog::testing::{page_of, tuple, tuple_of};
    use crate::shared_catalog::{XMAX_INVALID, XMIN_COMMITTED, XMIN_INVALID};
    use proptest::prelude::*;

    fn found(tuples: &[Vec<u8>], name: &str) -> Option<u32> {
        tuples_on(&page_of(tuples))
            .filter(counts)
            .find_map(|tuple| oid_of(tuple.row, name))
    }

    #[test]
    fn a_role_that_counts() {
        let roles = [
            tuple(10, "postgres", 0, [0, XMIN_COMMITTED | XMIN_INVALID]),
            tuple(11, "dropped", 700, [0, XMIN_COMMITTED]),
            tuple(12, "undone", 0, [0, XMIN_INVALID]),
            tuple(13, "kept", 701, [0, XMIN_COMMITTED | XMAX_INVALID]),
            tuple(14, "under way", 0, [0, 0]),
            tuple(15, "renamed", 702, [0, XMIN_COMMITTED]),
            tuple(15, "anew", 0, [0, 0]),
        ];
        let of = |name| found(&roles, name);
        assert_eq!((of("postgres"), of("kept")), (Some(10), Some(13)));
        assert_eq!((of("under way"), of("anew")), (Some(14), Some(15)));
        for absent in ["dropped", "undone", "renamed", "post", "postgres2", ""] {
            assert_eq!(of(absent), None, "{absent}");
        }
    }

    #[test]
    fn a_comment_of_a_role() {
        let row = |oid: u32, class: u32, text: &[u8]| {
            let rest = [class.to_le_bytes().as_slice(), text].concat();
            tuple_of(oid, &rest, 0, [0, 0])[24..].to_vec()
        };
        let short = [&[(4 << 1) | 1], b"abc".as_slice()].concat();
        let long = [(7_u32 << 2).to_le_bytes().as_slice(), b"abc"].concat();
        let compressed = [((7_u32 << 2) | 2).to_le_bytes().as_slice(), b"abc"].concat();
        for (text, expected) in [
            (&short, Some("abc")),
            (&long, Some("abc")),
            (&compressed, None),
            (&vec![1, 18, 0, 0], None),
            (&vec![], None),
        ] {
            assert_eq!(
                comment_of(&row(7, AUTHID_OID, text), 7).as_deref(),
                expected
            );
        }
        assert_eq!(comment_of(&row(7, 1262, &short), 7), None);
        assert_eq!(comment_of(&row(8, AUTHID_OID, &short), 7), None);
    }

    proptest! {
        #[test]
        fn no_row_is_too_odd(row in proptest::collection::vec(any::<u8>(), 0..100), oid: u32) {
            let _ = oid_of(&row, "x");
            let _ = comment_of(&row, oid);
            let _ = plain_text(&row);
        }
    }
}
