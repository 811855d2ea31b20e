//! The way back from a lost majority.

use std::{collections::BTreeSet, path::Path};

use ringrift_config::NodeId;

use crate::error::RecoverError;

/// What was kept, and what is left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoverReport {
    /// Index of the last log entry that was kept.
    pub kept_index: u64,
    /// Term of that entry.
    pub kept_term: u64,
    /// The term in which the node starts again.
    pub term: u64,
    /// Which cluster it was.
    pub old_cluster_id: String,
    /// Which cluster it is from now on.
    pub cluster_id: String,
    /// The voters before.
    pub old_voters: BTreeSet<NodeId>,
    /// The voters to come: this node alone until the others have been added.
    pub voters: BTreeSet<NodeId>,
    /// What the operator must do now, one sentence each, in order.
    pub next: Vec<String>,
}

/// Makes the stopped voter `node`, whose state lies in `dir`, the beginning of a new cluster that keeps its log.
///
/// # Errors
///
/// If the directory is in use, holds no log or cannot be trusted, or if `voters` lacks `node`.
pub fn recover(dir: &Path, node: &NodeId, voters: &BTreeSet<NodeId>) -> Result<RecoverReport, RecoverError> {
    let _ = (dir, node, voters);
    unimplemented!("follows with the store")
}
