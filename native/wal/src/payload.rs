//! What follows the record header: small headers first, then all data in the same order.

use offshoot_layout::le;

use crate::block::BlockRef;
use crate::header::SIZE_OF_RECORD_HEADER;
use crate::record::Record;

const XLR_BLOCK_ID_DATA_SHORT: u8 = 255;
const XLR_BLOCK_ID_DATA_LONG: u8 = 254;
const XLR_BLOCK_ID_ORIGIN: u8 = 253;
const XLR_BLOCK_ID_TOPLEVEL_XID: u8 = 252;
const XLR_MAX_BLOCK_ID: u8 = 32;

impl Record {
    /// Sets all that the bytes after the header say.
    pub(crate) fn take_payload_apart(&mut self, major: u32) -> Result<(), String> {
        (self.origin, self.top_xid, self.main) = (None, None, 0..0);
        self.blocks.clear();
        // Taken out, so that the headers can be read from it while the record changes.
        let bytes = std::mem::take(&mut self.bytes);
        let data_at = self.read_headers(&bytes, major);
        self.bytes = bytes;
        self.place_from(data_at?);
        Ok(())
    }

    /// Returns where the data begins.
    fn read_headers(&mut self, bytes: &[u8], major: u32) -> Result<usize, String> {
        let mut cursor = Cursor {
            bytes,
            at: SIZE_OF_RECORD_HEADER,
        };
        let mut declared = 0;
        // Every header announces its data, so the headers end where the announced data begins.
        while cursor.remaining() > declared {
            let main_len = match cursor.u8()? {
                XLR_BLOCK_ID_DATA_SHORT => usize::from(cursor.u8()?),
                XLR_BLOCK_ID_DATA_LONG => cursor.u32()? as usize,
                id => {
                    declared += self.add_header(id, &mut cursor, major)?;
                    continue;
                }
            };
            self.main = 0..main_len;
            declared += main_len;
            // The main data's header is the last one.
            break;
        }
        if cursor.remaining() != declared {
            let rest = cursor.remaining();
            return Err(format!(
                "{declared} bytes of data announced, {rest} are there"
            ));
        }
        Ok(cursor.at)
    }

    /// Returns how much data the header announces.
    fn add_header(&mut self, id: u8, cursor: &mut Cursor<'_>, major: u32) -> Result<usize, String> {
        match id {
            XLR_BLOCK_ID_ORIGIN => self.origin = Some(cursor.u16()?),
            XLR_BLOCK_ID_TOPLEVEL_XID => self.top_xid = Some(cursor.u32()?),
            0..=XLR_MAX_BLOCK_ID => return self.add_block(id, cursor, major),
            _ => return Err(format!("block reference id {id} is unknown")),
        }
        Ok(0)
    }

    fn add_block(&mut self, id: u8, cursor: &mut Cursor<'_>, major: u32) -> Result<usize, String> {
        let before = self.blocks.last();
        if let Some(before) = before.filter(|before| before.id >= id) {
            return Err(format!("block reference {id} after {}", before.id));
        }
        let block = BlockRef::parse(id, cursor, before, major)?;
        let announced = block.payload_len();
        self.blocks.push(block);
        Ok(announced)
    }

    fn place_from(&mut self, offset: usize) {
        let end = self
            .blocks
            .iter_mut()
            .fold(offset, |at, block| block.place_at(at));
        self.main = end..end + self.main.len();
    }
}

/// Reads the packed headers of a payload one after another.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let field = le::bytes_at(self.bytes, self.at)
            .ok_or_else(|| "the headers reach past the record's end".to_owned())?;
        self.at += N;
        Ok(field)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, String> {
        self.take().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, String> {
        self.take().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, String> {
        self.take().map(u32::from_le_bytes)
    }
}
