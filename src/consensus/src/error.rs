//! What can go wrong, said so that somebody can act on it.

use std::{collections::BTreeSet, io, path::PathBuf};

use ringrift_config::NodeId;

/// Why a voter does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The voters of the hosts file do not include this node.
    #[error("{node} is not one of the voters {}; only a voter keeps a consensus log", list(.genesis))]
    NotAVoter {
        /// This node.
        node: NodeId,
        /// The voters.
        genesis: BTreeSet<NodeId>,
    },
    /// The timers contradict each other.
    #[error("the election timers do not work together: {0}")]
    Timers(String),
    /// The file cannot be made, opened or read.
    #[error("{}: {error}; check that the directory exists, belongs to the daemon's user and has space", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process has the file open.
    #[error("{} is in use by another process; stop the other ringrift-p2p (or ringriftctl) of this node first", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote the file.
    #[error("{} has format version {found}, this program knows up to {known}; start the newer ringrift-p2p that wrote it, nothing was changed", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// What is in the file.
        found: u64,
        /// What this program can read.
        known: u64,
    },
    /// Another node's file.
    #[error("{} belongs to node {found}, not to {node}; point the state directory to this node's own", .path.display())]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// This node.
        node: NodeId,
    },
    /// The file cannot be trusted.
    #[error(
        "{} is damaged: {what}; nothing was skipped or overwritten. Restore the file from a copy made while this node was stopped after its last run, or, only if \
         the other voters form a quorum without this node, move the directory away so that it catches up from them: see docs/operations.md",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part, and how.
        what: String,
    },
    /// Raft did not start.
    #[error("raft did not start: {0}")]
    Raft(String),
}

/// Why a command was not agreed on, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Another voter leads; ask that one.
    #[error("this node does not lead{}", .leader.as_ref().map(|l| format!("; the leader is {l}")).unwrap_or_default())]
    NotLeader {
        /// The leader, if known.
        leader: Option<NodeId>,
    },
    /// Nobody leads, or the leader has lost its quorum.
    #[error("there is no leader that a quorum of voters confirms")]
    NoLeader,
    /// No answer in time: it may have been agreed on, or may still be.
    #[error("not confirmed in time; it may or may not have been done")]
    Timeout,
    /// It does not fit a message between voters.
    #[error("the command has {bytes} bytes; at most {limit} are taken")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Consensus has stopped on this node.
    #[error("consensus has stopped on this node")]
    Stopped,
}

/// Why the voters were not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There must be a voter.
    #[error("the new voter set is empty; the voters stay {}", list(.voters))]
    Empty {
        /// The voters as they are.
        voters: BTreeSet<NodeId>,
    },
    /// Only one change at a time.
    #[error("another change of the voters is under way; try again when it is done")]
    UnderWay,
    /// The new set would have no quorum.
    #[error(
        "the new voter set {} would have no quorum: {} not reachable or not caught up, {needed} of {} are needed; the voters stay {}",
        list(.target), list(.missing), .target.len(), list(.voters)
    )]
    NoQuorum {
        /// What was asked for.
        target: BTreeSet<NodeId>,
        /// Who is missing.
        missing: BTreeSet<NodeId>,
        /// How many of the new set are needed.
        needed: usize,
        /// The voters as they are.
        voters: BTreeSet<NodeId>,
    },
    /// The change was begun and not finished in time. A leader finishes it later, or the same change asked again.
    #[error(
        "the change of the voters was begun and not finished in time; it goes on when a quorum of both sets answers"
    )]
    Unfinished,
    /// Not here, or not now.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

/// Why leadership was not handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The one named does not vote.
    #[error("{to} is not one of the voters {}", list(.voters))]
    NotAVoter {
        /// Who was named.
        to: NodeId,
        /// The voters.
        voters: BTreeSet<NodeId>,
    },
    /// There is nobody who could take over.
    #[error("no other voter has answered lately and is caught up; {leader} goes on leading")]
    NobodyReady {
        /// Who leads.
        leader: NodeId,
    },
    /// The one named could not win an election now, so it is not tried: there would be no leader meanwhile.
    #[error("{to} does not answer, is behind or does not vote yet, so it could not lead; {leader} goes on leading")]
    NotReady {
        /// Who was named.
        to: NodeId,
        /// Who leads.
        leader: NodeId,
    },
    /// It did not happen in time.
    #[error("{to} did not take over in time; {} leads", .leader.as_ref().map_or("nobody", NodeId::as_str))]
    Timeout {
        /// Who should have.
        to: NodeId,
        /// Who leads now.
        leader: Option<NodeId>,
    },
    /// Not here, or not now.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

/// Why a lost majority was not recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The new voters do not include the node whose log is kept.
    #[error("{node} holds the log that is kept, so it must be one of the new voters {}", list(.voters))]
    NotAVoter {
        /// This node.
        node: NodeId,
        /// What was asked for.
        voters: BTreeSet<NodeId>,
    },
    /// There is nothing to keep: the directory was never a member of a cluster.
    #[error("{} holds no cluster's log; there is nothing to recover", .path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StartError),
    /// The store cannot be written; it is as it was.
    #[error("the recovery could not be written, and nothing was changed: {0}")]
    Write(String),
}

/// The names, separated by commas.
pub(crate) fn list(nodes: &BTreeSet<NodeId>) -> String {
    if nodes.is_empty() {
        return "(none)".into();
    }
    nodes.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ")
}
