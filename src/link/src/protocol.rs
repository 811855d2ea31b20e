/// What a call or a stream is about: who answers it at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// Membership exchanges.
    Gossip = 1,
    /// Raft messages among voters.
    Raft = 2,
    /// The agreed state, followed by non-voters.
    Watch = 3,
    /// Requests of the HTTP API, forwarded to another node.
    Http = 4,
}

impl Protocol {
    /// The protocol with this number on the wire, if there is one.
    pub fn from_wire(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Gossip),
            2 => Some(Self::Raft),
            3 => Some(Self::Watch),
            4 => Some(Self::Http),
            _ => None,
        }
    }
}
