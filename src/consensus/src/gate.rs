//! Whom this voter lets take part in its consensus, and from when on it takes part itself.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ringrift_config::NodeId;
use sha2::{Digest, Sha256};

use crate::{store::Standing, wire::Request};

/// How far this voter lets others in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It does not know yet whether it founds a cluster or joins one, or is about to found one: it promises nothing to anybody.
    Asking,
    /// It lost its disk, or is new: it takes entries from leaders that cannot be outdated, and never votes.
    Joining {
        /// Which cluster.
        cluster: String,
        /// Leaders of earlier terms may be outdated; nobody may lead before this is known.
        floor: Option<u64>,
    },
    /// It takes part.
    Open,
}

/// The names by which a voter knows its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// What all founders of the same set agree on before they have a name; `None` where there is one.
    pub(crate) founding: Option<String>,
    /// The name in the log, agreed on or about to be.
    pub(crate) newest: Option<String>,
    /// The name that was agreed on.
    pub(crate) agreed: Option<String>,
}

impl Names {
    /// What this voter's messages carry.
    pub(crate) fn sent(&self) -> &str {
        self.newest.as_deref().or(self.agreed.as_deref()).or(self.founding.as_deref()).unwrap_or_default()
    }

    /// Whether a message of the cluster `theirs` may be for this one.
    ///
    /// With an agreed name, only that one counts, or the one that a recovery has put after it. A founder without one takes
    /// whatever began with the same founders: the leader that has already named the cluster must be able to tell it so,
    /// even if an earlier leader's name was left in this voter's log.
    fn admit(&self, theirs: &str) -> bool {
        match (&self.agreed, &self.newest) {
            (Some(_), Some(name)) | (Some(name), None) => theirs == name,
            (None, newest) => {
                let founders = self.founding.as_deref().and_then(|founding| theirs.strip_prefix(founding));
                newest.as_deref() == Some(theirs)
                    || founders.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            }
        }
    }
}

/// What the founders of a set have in common before the cluster has a name: a hash of the set.
pub(crate) fn founding_name(genesis: &BTreeSet<NodeId>) -> String {
    let mut hash = Sha256::new();
    for node in genesis {
        hash.update(node.as_str());
        // A node id never holds a line break.
        hash.update("\n");
    }
    let bytes = <[u8; 32]>::from(hash.finalize());
    let (first, _) = bytes.split_first_chunk().expect("32 bytes begin with 8");
    format!("{:016x}", u64::from_be_bytes(*first))
}

/// Decides which requests reach Raft.
pub(crate) struct Gate {
    admission: Mutex<Admission>,
}

impl Gate {
    /// As far as this voter's past allows: who has a log is never taken for one without.
    pub(crate) fn new(standing: &Standing) -> Self {
        let admission = match standing {
            // A founder writes its first entry before it lets anybody in.
            Standing::Fresh | Standing::Founder { .. } => Admission::Asking,
            Standing::Joining { cluster } => Admission::Joining { cluster: cluster.clone(), floor: None },
            Standing::Member => Admission::Open,
        };
        Self { admission: Mutex::new(admission) }
    }

    pub(crate) fn admission(&self) -> Admission {
        self.lock().clone()
    }

    pub(crate) fn set(&self, admission: Admission) {
        *self.lock() = admission;
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.lock() == Admission::Open
    }

    /// Raises the floor: a later answer may know of a later term.
    pub(crate) fn raise(&self, term: u64) {
        if let Admission::Joining { floor, .. } = &mut *self.lock() {
            *floor = (*floor).max(Some(term));
        }
    }

    /// Whether the request may reach Raft; else the reason that the sender is told.
    pub(crate) fn check(&self, names: &Names, cluster: &str, request: &Request) -> Result<(), String> {
        let foreign = |ours: &str| Err(format!("this voter belongs to cluster {ours}, the sender to {cluster}"));
        match (&*self.lock(), request) {
            (_, Request::Hello { .. }) => Ok(()),
            (Admission::Asking, _) => {
                Err("this voter is finding out whether there is a cluster; it takes part in nothing yet".into())
            }
            (Admission::Open, _) if names.admit(cluster) => Ok(()),
            (Admission::Open, _) => foreign(names.sent()),
            (Admission::Joining { cluster: ours, .. }, _) if ours != cluster => foreign(ours),
            (Admission::Joining { .. }, Request::Vote(_) | Request::PreVote(_) | Request::Transfer { .. }) => {
                Err("this voter came back without its log; it votes when it has caught up".into())
            }
            (Admission::Joining { floor, .. }, Request::Append(_) | Request::Snapshot(_)) => {
                let term = match request {
                    Request::Append(append) => append.vote.term,
                    Request::Snapshot(piece) => piece.vote.term,
                    _ => 0,
                };
                match floor {
                    Some(floor) if term >= *floor => Ok(()),
                    Some(floor) => Err(format!("a leader of term {term} is outdated; there was term {floor}")),
                    None => {
                        Err("this voter came back without its log; it is asking the others how far they are".into())
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
