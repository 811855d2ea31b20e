use std::time::Duration;

/// Bounds on what peers can make this node hold or wait for.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest request or answer in bytes. Each end tells the other; the smaller one counts.
    pub max_frame: usize,
    /// Links, both directions together. Above it the outbound link that was idle longest is closed; if there is none,
    /// new ones are refused.
    pub max_links: usize,
    /// Inbound connections whose handshake has not ended.
    pub max_handshakes: usize,
    /// Of these, how many from one IP address, so that one source cannot take all places.
    pub max_handshakes_per_ip: usize,
    /// Pairs of nodes for which this node passes bytes on.
    pub max_relayed: usize,
    /// TCP connect, TLS and hello together; also the time that a peer has to name what a new stream is about.
    pub handshake_timeout: Duration,
    /// Time between pings on a link that is in use and brings nothing else; a fifth as often while nobody uses it. A link is dead
    /// after three such times in a row without a byte from the peer, counted from when it was last looked after.
    pub ping_interval: Duration,
    /// How long an old link may take to show that it lives when a second machine comes with the same node id.
    pub probe_timeout: Duration,
    /// How long a link over a relay, or a relayed pair, may go unused.
    pub relay_idle: Duration,
    /// How long calls in flight may take to end on a link that is being replaced.
    pub retire_grace: Duration,
    /// First and longest wait before an address that failed is dialled again.
    pub back_off: (Duration, Duration),
    /// First and longest time without any link for a node that broke the protocol.
    pub penalty: (Duration, Duration),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 8 << 20,
            max_links: 2048,
            max_handshakes: 128,
            max_handshakes_per_ip: 32,
            max_relayed: 256,
            handshake_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(3),
            probe_timeout: Duration::from_secs(2),
            relay_idle: Duration::from_mins(2),
            retire_grace: Duration::from_secs(30),
            back_off: (Duration::from_millis(100), Duration::from_secs(5)),
            penalty: (Duration::from_secs(1), Duration::from_mins(1)),
        }
    }
}
