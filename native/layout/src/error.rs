//! What can be wrong with bytes that should have a Postgres layout.

/// Bytes that are not what their place in a cluster promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Fewer bytes than the structure has.
    #[error("{structure} needs {needed} bytes, got {got}")]
    TooShort {
        structure: &'static str,
        needed: usize,
        got: usize,
    },
    /// A checksum over the structure does not match its content.
    #[error("{structure}: CRC {stored:08X} stored, {computed:08X} computed; the bytes are damaged")]
    Crc {
        structure: &'static str,
        stored: u32,
        computed: u32,
    },
    /// A field holds a value that this build does not work with.
    #[error("{structure} field {field} is {found}; supported: {supported}")]
    Unsupported {
        structure: &'static str,
        field: &'static str,
        found: String,
        supported: String,
    },
}
