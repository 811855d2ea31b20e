use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/voters`: who votes, and how far each has come. Answered by the leader; by any other node without the
/// figures that only a leader has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VotersReport {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// Who put this together.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// The current leader.
    #[schema(value_type = Option<String>)]
    pub leader_id: Option<NodeId>,
    /// Raft term.
    pub term: u64,
    /// Index up to which the log is committed.
    pub committed: u64,
    /// Index of the log entry that made this the voter set.
    pub config_index: u64,
    /// How many voters must agree: a true majority.
    pub quorum_size: u32,
    /// How many are alive.
    pub voters_alive: u32,
    /// Whether enough are.
    pub quorum_ok: bool,
    /// Whether the loss of one more would end it, or it is lost already.
    pub quorum_threatened: bool,
    /// The voters, by name.
    pub voters: Vec<VoterEntry>,
    /// Names in `p2p_voters` of this node's hosts file that do not vote yet, and voters that it no longer names; empty
    /// when file and cluster agree.
    pub pending: Vec<String>,
}

/// One voter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VoterEntry {
    /// Its name.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// Whether it counts as alive.
    pub alive: bool,
    /// Whether it leads.
    pub is_leader: bool,
    /// Index up to which its log is known to match the leader's; `null` where only the leader knows.
    pub matched: Option<u64>,
    /// How many entries it is behind the leader; `null` where only the leader knows.
    pub lag: Option<u64>,
    /// How this is known, for people.
    pub detail: String,
}
