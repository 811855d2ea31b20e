use std::time::Duration;

use ringrift_config::NodeId;

/// Nodes that lied are few. One more pushes the oldest out.
const MAX_BANS: usize = 256;

/// Who is not talked to for a while.
#[derive(Debug, Default)]
pub(crate) struct Bans(Vec<(NodeId, Duration)>);

impl Bans {
    pub(crate) fn add(&mut self, peer: NodeId, until: Duration) {
        self.0.retain(|(id, _)| *id != peer);
        if self.0.len() == MAX_BANS {
            self.0.remove(0);
        }
        self.0.push((peer, until));
    }

    /// For how much longer a peer is banned.
    pub(crate) fn left(&mut self, peer: &NodeId, now: Duration) -> Option<Duration> {
        self.0.retain(|(_, until)| *until > now);
        self.0.iter().find(|(id, _)| id == peer).map(|(_, until)| until.saturating_sub(now))
    }
}
