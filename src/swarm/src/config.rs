use std::time::Duration;

/// Which of several blobs a node asks for first, where a source has chunks of more than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The one that lacks the fewest chunks.
    #[default]
    SmallestRemaining,
    /// The one that was wanted last.
    Newest,
    /// All of them as one space: the rarest chunk, of whatever blob.
    Rarest,
}

/// How a [`Planner`](crate::Planner) behaves. The defaults are what the simulation measured as good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannerConfig {
    /// Seed of the dice that break ties. Nodes need different ones, or all ask for the same chunks in the same order.
    pub seed: u64,
    /// Chunks that are sent at the same time, to all peers together.
    pub upload_slots: usize,
    /// Requests that wait for a slot, of all peers together. More are refused as busy.
    pub upload_queue: usize,
    /// Most requests in flight to one peer.
    pub max_window: usize,
    /// A peer that was asked and sent nothing for so long is dead.
    pub patience: Duration,
    /// How long nothing is asked of a peer that lied or was dead, and nothing is sent to it.
    pub ban: Duration,
    /// Which of several blobs comes first.
    pub order: Order,
}

impl Default for PlannerConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            upload_slots: 4,
            upload_queue: 64,
            max_window: 64,
            patience: Duration::from_secs(20),
            ban: Duration::from_mins(1),
            order: Order::default(),
        }
    }
}
