//! What is agreed, and who leads: read from the own log on a voter, from a voter's stream on every other node.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use ringrift_config::NodeId;
use ringrift_consensus::{Consensus, RaftStatus, Role};
use ringrift_state::Agreed;
use ringrift_watch::{FollowStatus, Follower, Hub};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The agreed state as this node knows it. A node that starts or stops being a voter changes its source on the way.
pub(crate) struct Agreement {
    node: NodeId,
    voter: ArcSwapOption<Voter>,
    follower: Follower,
    stop: CancellationToken,
}

/// This node's part in Raft, and what it tells those who do not take part.
struct Voter {
    consensus: Consensus,
    hub: Hub,
}

/// Who leads, as this node knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Leadership {
    /// The newest term heard of.
    pub(crate) term: u64,
    /// The leader, or none if there is none or nothing was heard of it for too long.
    pub(crate) leader: Option<NodeId>,
    /// How this node takes part.
    pub(crate) part: Part,
    /// The cluster in which it does, by its log; one that does not vote names the cluster whose state it holds. Empty before it
    /// knows any.
    pub(crate) cluster: String,
    /// The replicated voters; before anything is agreed, empty.
    pub(crate) voters: Vec<NodeId>,
    /// Time since the leader was last heard of, directly or through a voter. `None` without a leader.
    pub(crate) leader_age: Option<Duration>,
    /// Index up to which the agreed state was applied here.
    pub(crate) applied: u64,
    /// How old the agreed state may be: time since it was last known to be current. `None` if it never was.
    pub(crate) stale: Option<Duration>,
    /// Where a node that does not vote reads from.
    pub(crate) source: Option<NodeId>,
}

/// How a node takes part in the agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Leader,
    Follower,
    Candidate,
    /// A voter to be that is still catching up.
    Learner,
    /// Does not vote.
    Worker,
}

impl Part {
    /// The `role` of the contract's §2.1.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Learner => "learner",
            Self::Worker => "worker",
        }
    }

    /// Whether a node of this `role` gives its vote.
    pub(crate) fn votes(role: &str) -> bool {
        [Self::Leader, Self::Follower, Self::Candidate].iter().any(|part| part.as_str() == role)
    }
}

impl Agreement {
    /// Agreement by following; `stop` ends what is started later on this node's behalf.
    pub(crate) fn new(node: NodeId, follower: Follower, stop: CancellationToken) -> Self {
        Self { node, voter: ArcSwapOption::empty(), follower, stop }
    }

    pub(crate) fn node(&self) -> &NodeId {
        &self.node
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// What reads from a voter while this node is none.
    pub(crate) fn follower(&self) -> &Follower {
        &self.follower
    }

    /// Begins to take part in Raft.
    pub(crate) fn set_consensus(&self, consensus: Consensus, hub: Hub) {
        self.voter.store(Some(Arc::new(Voter { consensus, hub })));
    }

    /// The own Raft node, if this node runs one, be it a voter or about to become one.
    pub(crate) fn consensus(&self) -> Option<Consensus> {
        self.voter.load().as_ref().map(|v| v.consensus.clone())
    }

    /// What serves watchers, if this node is one of the replicated voters.
    pub(crate) fn hub(&self) -> Option<Hub> {
        self.as_voter(|_, _| ())?;
        self.voter.load().as_ref().map(|v| v.hub.clone())
    }

    /// The own Raft node, if this node is one of the replicated voters.
    pub(crate) fn voting(&self) -> Option<(Consensus, RaftStatus)> {
        self.as_voter(|consensus, status| (consensus.clone(), status.clone()))
    }

    /// What `look` sees of the own Raft node, if this node is one of the replicated voters. A status names all of them, and is not
    /// copied for it.
    fn as_voter<T>(&self, look: impl FnOnce(&Consensus, &RaftStatus) -> T) -> Option<T> {
        let consensus = self.consensus()?;
        let status = consensus.status();
        let status = status.borrow();
        let taken_out = was_taken_out(&self.node, &status, &self.follower.status().borrow());
        (status.voters.contains(&self.node) && !taken_out).then(|| look(&consensus, &status))
    }

    /// The newest agreed state that this node holds.
    pub(crate) fn agreed(&self) -> Arc<Agreed> {
        self.as_voter(|consensus, _| consensus.agreed()).unwrap_or_else(|| self.follower.agreed())
    }

    /// Who leads.
    pub(crate) fn leadership(&self) -> Leadership {
        if let Some(voter) = self.as_voter(|consensus, status| Self::of_voter(&consensus.agreed(), status)) {
            return voter;
        }
        let status = self.follower.status().borrow().clone();
        let own = self.consensus().map(|consensus| consensus.status().borrow().clone());
        let part = part_without_vote(&self.node, own.as_ref(), &status);
        let stale = status.staleness();
        // A leader that nobody has confirmed for a while is not a leader any more, whatever was last heard.
        let leader = status.leader.filter(|_| stale.is_some_and(|s| s < LEADER_FORGOTTEN));
        Leadership {
            term: status.term,
            leader_age: leader.as_ref().and(stale),
            leader,
            part,
            cluster: self.follower.agreed().cluster_id.clone(),
            voters: status.voters.into_iter().collect(),
            applied: status.applied,
            stale,
            source: status.connected_to,
        }
    }

    fn of_voter(agreed: &Agreed, status: &RaftStatus) -> Leadership {
        let part = match status.role {
            Role::Leader => Part::Leader,
            Role::Follower => Part::Follower,
            Role::Candidate => Part::Candidate,
            Role::Learner => Part::Learner,
        };
        // A leader's proof that it still leads is its quorum's answer; a follower's is the leader's last message.
        let heard = if part == Part::Leader { status.quorum_acked } else { status.leader_last_seen };
        let age = heard.map(|at| Instant::now().saturating_duration_since(at));
        let leader = status.leader.clone().filter(|_| age.is_none_or(|a| a < LEADER_FORGOTTEN));
        Leadership {
            term: status.term,
            leader_age: leader.as_ref().map(|_| age.unwrap_or_default()),
            leader,
            part,
            cluster: status.cluster.clone(),
            voters: status.voters.iter().cloned().collect(),
            applied: agreed.index,
            stale: age,
            source: None,
        }
    }
}

/// Whether a voter told this node, in this run, of newer voters without it than its own log knows. Nobody feeds a log whose
/// node was taken out while it was away.
fn was_taken_out(node: &NodeId, own: &RaftStatus, followed: &FollowStatus) -> bool {
    followed.staleness().is_some()
        && followed.applied > own.voter_config_index
        && !followed.voters.is_empty()
        && !followed.voters.contains(node)
}

/// The part of a node that has no vote; `own` is how its Raft node is, if it runs one. A voter that was taken out keeps its log,
/// and is a worker like any other, also while it still waits to be let in.
fn part_without_vote(node: &NodeId, own: Option<&RaftStatus>, followed: &FollowStatus) -> Part {
    match own {
        Some(own) if own.waiting.is_some() && !was_taken_out(node, own, followed) => Part::Learner,
        _ => Part::Worker,
    }
}

/// Wakes a reader when the agreed state or the leadership may have changed, whatever this node's source is by then.
pub(crate) struct Changes {
    agreement: Arc<Agreement>,
    raft: Option<watch::Receiver<RaftStatus>>,
    applied: watch::Receiver<u64>,
    followed: watch::Receiver<FollowStatus>,
}

impl Changes {
    pub(crate) fn new(agreement: Arc<Agreement>) -> Self {
        let (applied, followed) = (agreement.follower.changes(), agreement.follower.status());
        Self { agreement, raft: None, applied, followed }
    }

    /// Returns after the next change; early returns are possible.
    pub(crate) async fn next(&mut self) {
        if self.raft.is_none() {
            self.raft = self.agreement.consensus().map(|c| c.status());
        }
        let raft = async {
            let still_there = match &mut self.raft {
                Some(raft) => raft.changed().await.is_ok(),
                None => false,
            };
            if !still_there {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = raft => {}
            Ok(()) = self.applied.changed() => {}
            Ok(()) = self.followed.changed() => {}
            // A source that has ended wakes nobody any more; neither does one that does not exist yet.
            else => std::future::pending().await,
        }
    }
}

/// After this long without news of it a leader is shown as none. Above the longest election (1.2 s by default) and the
/// watch stream's heartbeat (1 s), so that a healthy cluster never flickers.
pub(crate) const LEADER_FORGOTTEN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn names(text: &str) -> BTreeSet<NodeId> {
        text.split(' ').map(|name| name.parse().unwrap_or_else(|_| unreachable!("a name"))).collect()
    }

    /// What a voter's log says whose last voters are at index 7.
    fn own(waiting: Option<&str>) -> RaftStatus {
        RaftStatus {
            role: Role::Learner,
            term: 1,
            cluster: "old".to_owned(),
            leader: None,
            voters: names("n1 n2 n3"),
            voter_config_index: 7,
            changing: false,
            last_applied: 9,
            committed: 9,
            led_since: None,
            leader_last_seen: None,
            matched: BTreeMap::new(),
            answered: BTreeMap::new(),
            quorum_acked: None,
            waiting: waiting.map(str::to_owned),
            stopped: None,
        }
    }

    #[test]
    fn a_voter_that_was_taken_out_is_a_worker_also_while_it_waits() {
        let node: NodeId = "n2".parse().unwrap_or_else(|_| unreachable!("a name"));
        let (heard, voter_behind) = (Some(Instant::now()), Some(Duration::ZERO));
        let without_it =
            FollowStatus { voters: names("n3"), applied: 12, heard, voter_behind, ..FollowStatus::default() };
        let with_it = FollowStatus { voters: names("n2 n3"), ..without_it.clone() };
        let older = FollowStatus { applied: 6, ..without_it.clone() };
        let unheard = FollowStatus { heard: None, ..without_it.clone() };
        let waits = own(Some("it is refused"));
        assert_eq!(part_without_vote(&node, Some(&waits), &without_it), Part::Worker);
        for followed in [&with_it, &older, &unheard] {
            assert_eq!(part_without_vote(&node, Some(&waits), followed), Part::Learner, "{followed:?}");
        }
        assert_eq!(part_without_vote(&node, Some(&own(None)), &with_it), Part::Worker);
        assert_eq!(part_without_vote(&node, None, &with_it), Part::Worker);
    }
}
