use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Something that happened in the cluster, as all voters agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Sequence number, from 1, without gaps.
    pub seq: u64,
    /// `UPPER_SNAKE` name, for example `NODE_DEAD`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The node that it is about.
    #[schema(value_type = Option<String>)]
    pub node_id: Option<NodeId>,
    /// A sentence for people.
    pub message: String,
    /// When, by the clock of the node that recorded it, seconds since the epoch.
    pub timestamp: f64,
    /// Particulars for programs, by name.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
}

/// `GET /api/events?since=N&limit=M&type=T`: the events after `N`, oldest first.
///
/// With `follow=true` the answer is a `text/event-stream` instead, without end: each event as
/// `id: <seq>`, `event: <type>`, `data: <Event>`, and a comment line from time to time. `Last-Event-ID` counts as `since`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// The events.
    pub events: Vec<Event>,
    /// The newest sequence number that was ever given; 0 before the first event.
    pub last_seq: u64,
    /// The oldest event that is still kept; 0 when there is none. Older ones cannot be had any more.
    pub first_seq: u64,
    /// The current leader.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub leader_id: Option<NodeId>,
}
