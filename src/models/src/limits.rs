use std::time::Duration;

use crate::MinimumRate;

/// What the server is willing to bear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all. One costs two file descriptors at most and about 20 KiB.
    pub connections: usize,
    /// Connections of one address. Several nodes may share one behind NAT, and a download may use 16.
    pub connections_per_address: usize,
    /// Uploads at a time; each holds a thread of the blocking pool.
    pub uploads: usize,
    /// The largest upload, bytes.
    pub upload_bytes: u64,
    /// Time for the head of a request, from the moment it is waited for: a connection that is idle for longer is closed.
    pub head: Duration,
    /// The slowest that a client may read or upload.
    pub slowest: MinimumRate,
    /// Time for requests under way when the server stops.
    pub grace: Duration,
}

impl Default for Limits {
    /// 1024 connections, 128 of them from one address; 8 uploads of at most 2 GiB; 20 s for a head; 4 KiB/s over 30 s; 5 s of grace.
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 128,
            uploads: 8,
            upload_bytes: 2 << 30,
            head: Duration::from_secs(20),
            slowest: MinimumRate { bytes_per_second: 4 << 10, window: Duration::from_secs(30) },
            grace: Duration::from_secs(5),
        }
    }
}
