//! What does the hosts file say? What is this setting, and who set it?

mod node_id;

pub use node_id::{InvalidNodeId, NodeId};
