use std::time::Duration;

use ringrift_config::NodeId;

use crate::State;

/// Something about a member that somebody may want to log or act upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A member changed its state in this node's eyes.
    Changed {
        /// The member.
        node: NodeId,
        /// What it was.
        from: State,
        /// What it is.
        to: State,
        /// Who accused it, when it is suspect or dead and that is known.
        accuser: Option<NodeId>,
    },
    /// The member was started again (or replaced) and is alive.
    Restarted {
        /// The member.
        node: NodeId,
        /// Its new instance.
        instance: u64,
    },
    /// Somebody suspected or buried this node; it objected with a higher incarnation.
    Refuted {
        /// The accuser, when known.
        accuser: Option<NodeId>,
        /// What was said of this node.
        state: State,
    },
    /// Another running program uses this node's id. Both report it once; then one of them gives way, and it repeats the
    /// report once a minute while the other one is there.
    Conflict {
        /// This node's id.
        node: NodeId,
        /// The other program's instance.
        other_instance: u64,
    },
    /// The wall clock of `node` is off. It is this node's own id when most others disagree with it.
    ClockSkew {
        /// Whose clock is wrong.
        node: NodeId,
        /// By how much it is ahead, in milliseconds.
        offset_ms: i64,
    },
    /// A clock that was reported is right again.
    ClockRight {
        /// Whose.
        node: NodeId,
    },
    /// A peer sent something that is no message of ours.
    Garbage {
        /// The peer.
        node: NodeId,
        /// What was wrong.
        error: String,
    },
    /// The facts of a member cannot be used here: too large (our own), or of a shape that this version cannot read.
    BadFacts {
        /// Whose facts.
        node: NodeId,
        /// What is wrong with them.
        error: String,
    },
    /// This node stood still (frozen, or starved of CPU); it judges nobody for a while.
    StoodStill {
        /// For how long.
        gap: Duration,
    },
    /// A node was refused because the table is full.
    TableFull {
        /// The node that found no place.
        node: NodeId,
    },
}
