//! VACUUM_LEAF, VACUUM_ROOT and VACUUM_REDIRECT.

use super::{State, at_end};
use crate::payload::{Malformed, Payload};
use crate::rmgr::spgist::offsets::Offsets;

/// VACUUM_LEAF:
///
/// | field | bytes |
/// |---|---|
/// | nDead | 0–1 |
/// | nPlaceholder | 2–3 |
/// | nMove | 4–5 |
/// | nChain | 6–7 |
/// | stateSrc | 8–15 |
/// | offsets that become dead, nDead | 16… |
/// | offsets that become placeholders, nPlaceholder | |
/// | offsets whose tuples move, nMove, then where to, nMove | |
/// | offsets whose tuples are linked to others, nChain, then to which, nChain | |
pub(in crate::rmgr::spgist) struct VacuumLeaf<'a> {
    pub to_dead: Offsets<'a>,
    pub to_placeholder: Offsets<'a>,
    pub move_src: Offsets<'a>,
    pub move_dest: Offsets<'a>,
    pub chain_src: Offsets<'a>,
    /// What each is linked to; 0 ends a chain.
    pub chain_dest: Offsets<'a>,
}

impl<'a> VacuumLeaf<'a> {
    pub(in crate::rmgr::spgist) fn parse(main: &'a [u8]) -> Result<VacuumLeaf<'a>, Malformed> {
        let mut payload = Payload::new(main);
        let (dead, placeholder) = (payload.u16()?, payload.u16()?);
        let (moves, chains) = (payload.u16()?, payload.u16()?);
        State::parse(&mut payload)?; // no redirects here, so that it is not used
        let mut offsets = |count| Offsets::parse(&mut payload, count);
        let vacuum = VacuumLeaf {
            to_dead: offsets(dead)?,
            to_placeholder: offsets(placeholder)?,
            move_src: offsets(moves)?,
            move_dest: offsets(moves)?,
            chain_src: offsets(chains)?,
            chain_dest: offsets(chains)?,
        };
        at_end(&payload)?;
        Ok(vacuum)
    }
}

/// VACUUM_ROOT:
///
/// | field | bytes |
/// |---|---|
/// | nDelete | 0–1 |
/// | stateSrc | 4–11 |
/// | offsets to delete, ascending | 12… |
pub(in crate::rmgr::spgist) struct VacuumRoot<'a> {
    pub to_delete: Offsets<'a>,
}

impl<'a> VacuumRoot<'a> {
    pub(in crate::rmgr::spgist) fn parse(main: &'a [u8]) -> Result<VacuumRoot<'a>, Malformed> {
        let mut payload = Payload::new(main);
        let deletes = payload.u16()?;
        payload.take(2)?;
        State::parse(&mut payload)?;
        let to_delete = Offsets::parse(&mut payload, deletes)?;
        at_end(&payload)?;
        Ok(VacuumRoot { to_delete })
    }
}

/// VACUUM_REDIRECT:
///
/// | field | bytes |
/// |---|---|
/// | nToPlaceholder | 0–1 |
/// | firstPlaceholder | 2–3 |
/// | newestRedirectXid | 4–7 |
/// | offsets of redirects, nToPlaceholder | 8… |
pub(in crate::rmgr::spgist) struct VacuumRedirect<'a> {
    /// Where the placeholders begin that go from the page's end; 0 if none.
    pub first_placeholder: u16,
    pub to_placeholder: Offsets<'a>,
}

impl<'a> VacuumRedirect<'a> {
    pub(in crate::rmgr::spgist) fn parse(main: &'a [u8]) -> Result<VacuumRedirect<'a>, Malformed> {
        let mut payload = Payload::new(main);
        let redirects = payload.u16()?;
        let first_placeholder = payload.u16()?;
        payload.u32()?; // newestRedirectXid: for conflicts with queries of a standby
        let to_placeholder = Offsets::parse(&mut payload, redirects)?;
        at_end(&payload)?;
        Ok(VacuumRedirect {
            first_placeholder,
            to_placeholder,
        })
    }
}
