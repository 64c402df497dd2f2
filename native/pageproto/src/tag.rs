//! The first byte of a message.

/// Tags of requests.
pub mod request_tag {
    pub const EXISTS: u8 = 0;
    pub const NBLOCKS: u8 = 1;
    pub const GET_PAGE: u8 = 2;
    pub const DB_SIZE: u8 = 3;
    pub const GET_SLRU_SEGMENT: u8 = 4;
}

/// Tags of responses.
pub mod response_tag {
    pub const EXISTS: u8 = 100;
    pub const NBLOCKS: u8 = 101;
    pub const GET_PAGE: u8 = 102;
    pub const ERROR: u8 = 103;
    pub const DB_SIZE: u8 = 104;
    pub const GET_SLRU_SEGMENT: u8 = 105;
}
