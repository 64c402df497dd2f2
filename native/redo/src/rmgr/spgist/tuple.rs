//! The three kinds of SP-GiST tuples. All begin with a u32 of bit fields, lowest first.
//!
//! | leaf | bytes | inner | bytes | dead | bytes |
//! |---|---|---|---|---|---|
//! | tupstate 2 bits, size 30 | 0–3 | tupstate 2, allTheSame 1, nNodes 13, prefixSize 16 | 0–3 | tupstate 2, size 30 (16) | 0–3 |
//! | t_info: nextOffset 14 bits, unused 1, nulls mask 1 | 4–5 | size | 4–5 | t_info, 0 | 4–5 |
//! | heapPtr | 6–11 | filling | 6–7 | pointer | 6–11 |
//! | nulls mask, datum | 12… | prefix, then nNodes node tuples | 8… | xid | 12–15 |
//!
//! A node tuple is an index tuple: t_tid 6 bytes (the child), t_info 2 (size in its low 13 bits).

use offshoot_layout::tid::{SIZE_OF_TID, Tid};

use crate::payload::{Malformed, Payload};

/// `tupstate` of a tuple that moved: follow the pointer.
pub(super) const SPGIST_REDIRECT: u8 = 1;
/// `tupstate` of the remains of a chain of leaf tuples, which cannot go as something links here.
pub(super) const SPGIST_DEAD: u8 = 2;
/// `tupstate` of a free place that keeps the offset numbers behind it as they are.
pub(super) const SPGIST_PLACEHOLDER: u8 = 3;

/// Bytes of a dead tuple, whichever of these states it has; no leaf tuple is shorter.
pub(super) const SGDTSIZE: usize = 16;

const TUPSTATE_BITS: u8 = 0x03;
const INNER_HEADER: usize = 8;
const NODE_HEADER: usize = 8;
const NODE_SIZE_BITS: u16 = 0x1FFF;
const T_INFO: usize = 4;
const POINTER: usize = 6;
const NEXT_OFFSET_BITS: u16 = 0x3FFF;
const INVALID_POINTER: Tid = Tid {
    block: u32::MAX,
    offset: 0,
};

const SHORT_TUPLE: Malformed = Malformed("tuple shorter than its header");

/// The `tupstate` of a tuple of any kind.
pub(super) fn tupstate(tuple: &[u8]) -> Result<u8, Malformed> {
    let first = tuple.first().ok_or(SHORT_TUPLE)?;
    Ok(first & TUPSTATE_BITS)
}

/// The leaf tuple that comes next in the payload; says itself how long it is.
pub(super) fn take_leaf<'a>(payload: &mut Payload<'a>) -> Result<&'a [u8], Malformed> {
    let size = payload.clone().u32()? >> 2;
    if (size as usize) < SGDTSIZE {
        return Err(SHORT_TUPLE);
    }
    payload.take(size as usize)
}

/// The inner tuple that comes next in the payload; says itself how long it is.
pub(super) fn take_inner<'a>(payload: &mut Payload<'a>) -> Result<&'a [u8], Malformed> {
    let mut header = payload.clone();
    header.u32()?;
    let size = usize::from(header.u16()?);
    if size < INNER_HEADER {
        return Err(SHORT_TUPLE);
    }
    payload.take(size)
}

/// Links a leaf tuple to the next of its chain.
pub(super) fn set_next_offset(leaf: &mut [u8], next: u16) -> Result<(), Malformed> {
    let t_info = leaf.get_mut(T_INFO..T_INFO + 2).ok_or(SHORT_TUPLE)?;
    let rest = u16::from_le_bytes([t_info[0], t_info[1]]) & !NEXT_OFFSET_BITS;
    t_info.copy_from_slice(&(rest | next & NEXT_OFFSET_BITS).to_le_bytes());
    Ok(())
}

/// Points a node of an inner tuple, counted from 0, at its child (spgUpdateNodeLink).
pub(super) fn update_node_link(inner: &mut [u8], node: u16, child: Tid) -> Result<(), Malformed> {
    const NO_NODE: Malformed = Malformed("the inner tuple has no such node");
    let mut header = Payload::new(inner);
    let bits = header.u32()?;
    let (nodes, prefix) = (bits >> 3 & 0x1FFF, bits >> 16);
    if u32::from(node) >= nodes {
        return Err(NO_NODE);
    }
    let mut at = INNER_HEADER + prefix as usize;
    for _ in 0..node {
        at += node_size(inner, at).ok_or(NO_NODE)?;
    }
    inner
        .get_mut(at..at + SIZE_OF_TID)
        .ok_or(NO_NODE)?
        .copy_from_slice(&child.to_bytes());
    Ok(())
}

/// Bytes of the node tuple at `at`, `None` if the inner tuple ends before.
fn node_size(inner: &[u8], at: usize) -> Option<usize> {
    let t_info = inner.get(at + SIZE_OF_TID..at + NODE_HEADER)?;
    let t_info = u16::from_le_bytes(t_info.try_into().ok()?);
    Some(usize::from(t_info & NODE_SIZE_BITS)).filter(|size| *size >= NODE_HEADER)
}

/// Makes a redirect a placeholder; its xid stays.
pub(super) fn redirect_to_placeholder(dead: &mut [u8]) -> Result<(), Malformed> {
    if tupstate(dead)? != SPGIST_REDIRECT {
        return Err(Malformed("tuple is no redirect"));
    }
    dead[0] |= SPGIST_PLACEHOLDER;
    dead.get_mut(POINTER..POINTER + SIZE_OF_TID)
        .ok_or(SHORT_TUPLE)?
        .copy_from_slice(&INVALID_POINTER.to_bytes());
    Ok(())
}

/// A tuple that takes the place of one that went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DeadTuple {
    /// For searches that hold an old pointer; none is left once every snapshot sees `xid`.
    Redirect {
        to: Tid,
        xid: u32,
    },
    Dead,
    Placeholder,
}

impl DeadTuple {
    /// Its bytes (spgFormDeadTuple).
    pub(super) fn to_bytes(self) -> [u8; SGDTSIZE] {
        let (state, pointer, xid) = match self {
            DeadTuple::Redirect { to, xid } => (SPGIST_REDIRECT, to, xid),
            DeadTuple::Dead => (SPGIST_DEAD, INVALID_POINTER, 0),
            DeadTuple::Placeholder => (SPGIST_PLACEHOLDER, INVALID_POINTER, 0),
        };
        let mut bytes = [0; SGDTSIZE];
        bytes[0] = state | (SGDTSIZE as u8) << 2;
        bytes[POINTER..POINTER + SIZE_OF_TID].copy_from_slice(&pointer.to_bytes());
        bytes[12..].copy_from_slice(&xid.to_le_bytes());
        bytes
    }
}
