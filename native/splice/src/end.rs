/// Who ended a connection first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Client,
    Compute,
    /// `Pump::cut`, `Pump::close`, or a failure of the pump itself.
    Gateway,
}

/// Whether that was an orderly end or a broken connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Ended,
    Broken,
}

/// How a connection ended, and what it has passed on until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub by: By,
    pub how: How,
    /// Bytes that were read from the compute, what was handed over with it included.
    pub bytes_to_client: u64,
    /// The same from the client.
    pub bytes_to_compute: u64,
}

/// What a connection comes to; each once, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// One side has ended it: the compute's socket is closed, and the client's on its way out.
    Ended { id: u64, end: End },
    /// Nothing of it is left.
    Gone { id: u64 },
}
