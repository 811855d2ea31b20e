//! Changes of the voters, and of the leader.

use std::{collections::BTreeSet, time::Duration};

use openraft::{
    ChangeMembers, RaftMetrics,
    async_runtime::watch::WatchReceiver,
    errors::{ChangeMembershipError, ClientWriteError, RaftError},
};
use ringrift_config::NodeId;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    error::{ChangeError, ProposeError, TransferError},
    handle::Inner,
    propose::elsewhere,
    status::{RaftStatus, Role},
    types::{Raft, Types, Voter},
    wire::{Part, Request, Response},
};

/// How long new voters may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(10);

/// How long the sets may take to agree on the change.
const AGREE: Duration = Duration::from_secs(10);

pub(crate) async fn change(inner: &Inner, target: BTreeSet<NodeId>) -> Result<(), ChangeError> {
    let status = inner.status.borrow().clone();
    if target.is_empty() {
        return Err(ChangeError::Empty { voters: status.voters });
    }
    if status.role != Role::Leader {
        return Err(not_leader(inner, &status).into());
    }
    let Ok(_changing) = inner.changing.try_lock() else { return Err(ChangeError::UnderWay) };
    let raft = &inner.service.raft;
    let metrics = raft.metrics().borrow_watched().clone();
    if metrics.membership_config != metrics.committed_membership_config || sets(&metrics) > 1 {
        return Err(ChangeError::UnderWay);
    }
    let voters: BTreeSet<NodeId> = metrics.membership_config.voter_ids().map(|voter| voter.0).collect();
    if voters == target {
        return Ok(());
    }

    let known: BTreeSet<NodeId> = metrics.membership_config.nodes().map(|(node, ())| node.0.clone()).collect();
    let added: BTreeSet<Voter> = target.difference(&known).cloned().map(Voter).collect();
    if !added.is_empty() {
        let nodes = added.iter().map(|voter| (voter.clone(), ())).collect();
        write(inner, ChangeMembers::AddNodes(nodes)).await?;
    }
    let missing = wait_for(inner, &target, &added).await?;
    let needed = target.len() / 2 + 1;
    if target.len() - missing.len() < needed {
        if !added.is_empty() {
            write(inner, ChangeMembers::RemoveNodes(added)).await?;
        }
        return Err(ChangeError::NoQuorum { target, missing, needed, voters });
    }
    if !missing.is_empty() {
        let missing = crate::error::list(&missing);
        tracing::warn!(
            missing,
            "these new voters are not there or not caught up; the others are a quorum without them"
        );
    }
    let removed: BTreeSet<Voter> = voters.difference(&target).cloned().map(Voter).collect();
    let all = target.into_iter().map(Voter).collect();
    // Those who no longer vote are fed on until they have read that: else they would take themselves for voters for ever.
    write_retaining(inner, ChangeMembers::ReplaceAllVoters(all), true).await?;
    if !removed.is_empty() {
        wait_until_told(inner, &removed).await;
        // The change is in force. What fails here, the leader does later as one of its duties.
        if let Err(error) = write(inner, ChangeMembers::RemoveNodes(removed)).await {
            tracing::debug!(%error, "those who no longer vote are still fed");
        }
    }
    Ok(())
}

/// Waits until each of these has the voters in force in its log and knows them to be committed, or is not there.
async fn wait_until_told(inner: &Inner, removed: &BTreeSet<Voter>) {
    let mut status = inner.status.clone();
    let config = inner.service.raft.metrics().borrow_watched().membership_config.clone();
    let goal = config.log_id().map_or(0, |id| id.index());
    let until = Instant::now() + inner.timers.election_max * 2;
    let told = status.wait_for(|now| {
        now.role != Role::Leader
            || removed.iter().filter(|v| v.0 != inner.service.node).all(|v| now.matched.get(&v.0) >= Some(&goal))
    });
    let _ = timeout_at(until, told).await;
    // A follower learns with the next heartbeat that what it has is committed.
    sleep(inner.timers.heartbeat * 2).await;
}

fn sets(metrics: &RaftMetrics<Types>) -> usize {
    metrics.membership_config.get_joint_config().len()
}

/// Who of `target` does not answer, is behind or does not vote yet, after a while in which that may have changed.
async fn wait_for(
    inner: &Inner,
    target: &BTreeSet<NodeId>,
    added: &BTreeSet<Voter>,
) -> Result<BTreeSet<NodeId>, ChangeError> {
    let status = inner.status.clone();
    let goal = status.borrow().committed;
    let until = Instant::now() + CATCH_UP;
    loop {
        let mut missing = {
            let status = status.borrow();
            if status.role != Role::Leader {
                return Err(not_leader(inner, &status).into());
            }
            let ready = ready(inner, &status, goal);
            target.difference(&ready).cloned().collect::<BTreeSet<_>>()
        };
        // One that has caught up goes on to make sure of it before it votes, and for that it needs the voters as they are
        // now: among new ones that all do the same, nobody could vouch for anybody.
        for new in added.iter().filter(|new| target.contains(&new.0)) {
            if !missing.contains(&new.0) && !votes(inner, &new.0).await {
                missing.insert(new.0.clone());
            }
        }
        if missing.is_empty() || Instant::now() >= until {
            return Ok(missing);
        }
        sleep(inner.timers.heartbeat).await;
    }
}

/// Whether the node has made sure that it has missed nothing, and so votes.
async fn votes(inner: &Inner, node: &NodeId) -> bool {
    part(inner, node).await == Some(Part::Member)
}

/// Whether an election that the node stands for could be won by it: a founder votes before the cluster has its name.
async fn may_lead(inner: &Inner, node: &NodeId) -> bool {
    matches!(part(inner, node).await, Some(Part::Member | Part::Founder))
}

/// How the node takes part, if it answers.
async fn part(inner: &Inner, node: &NodeId) -> Option<Part> {
    let hello = Request::Hello { genesis: inner.service.genesis.clone() };
    match inner.links.ask(node, hello, inner.timers.election_min).await {
        Ok(Response::Hello(greeting)) => Some(greeting.part),
        _ => None,
    }
}

/// Who has answered within the lease and has the log up to `goal`.
fn ready(inner: &Inner, status: &RaftStatus, goal: u64) -> BTreeSet<NodeId> {
    let now = Instant::now().into_std();
    let answers = |node: &&NodeId| {
        let at = status.answered.get(*node);
        at.is_some_and(|at| now.saturating_duration_since(*at) < inner.timers.election_max)
    };
    let others = status.matched.iter().filter(|(_, matched)| **matched >= goal).map(|(node, _)| node).filter(answers);
    others.chain([&inner.service.node]).cloned().collect()
}

async fn write(inner: &Inner, change: ChangeMembers<Voter, ()>) -> Result<(), ChangeError> {
    write_retaining(inner, change, false).await
}

/// `retain`: voters that are left out are fed on without a vote.
async fn write_retaining(inner: &Inner, change: ChangeMembers<Voter, ()>, retain: bool) -> Result<(), ChangeError> {
    let until = Instant::now() + AGREE;
    loop {
        match timeout_at(until, inner.service.raft.change_membership(change.clone(), retain)).await {
            Err(_) => return Err(ChangeError::Unfinished),
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward)))) => {
                elsewhere(inner, &forward, until.min(Instant::now() + Duration::from_secs(2))).await?;
            }
            Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(
                ChangeMembershipError::InProgress(_),
            )))) => {
                return Err(ChangeError::UnderWay);
            }
            Ok(Err(RaftError::APIError(error))) => {
                tracing::warn!(%error, "the change of the voters was interrupted");
                return Err(ChangeError::Unfinished);
            }
            Ok(Err(RaftError::Fatal(_))) => return Err(ProposeError::Stopped.into()),
        }
    }
}

fn not_leader(inner: &Inner, status: &RaftStatus) -> ProposeError {
    match &status.leader {
        Some(leader) if *leader != inner.service.node => ProposeError::NotLeader { leader: Some(leader.clone()) },
        _ => ProposeError::NoLeader,
    }
}

pub(crate) async fn transfer(inner: &Inner, to: Option<NodeId>) -> Result<NodeId, TransferError> {
    let mut status = inner.status.clone();
    let now = status.borrow_and_update().clone();
    if now.role != Role::Leader {
        return Err(not_leader(inner, &now).into());
    }
    let node = &inner.service.node;
    let to = match to {
        Some(to) if !now.voters.contains(&to) => return Err(TransferError::NotAVoter { to, voters: now.voters }),
        Some(to) if to == *node => return Ok(to),
        Some(to) => {
            if !ready(inner, &now, now.committed).contains(&to) || !may_lead(inner, &to).await {
                return Err(TransferError::NotReady { to, leader: node.clone() });
            }
            to
        }
        None => {
            let ready = ready(inner, &now, 0);
            let others = now.matched.iter().filter(|(voter, _)| *voter != node && now.voters.contains(*voter));
            let mut others: Vec<_> = others.filter(|(voter, _)| ready.contains(*voter)).collect();
            others.sort_by_key(|(_, matched)| std::cmp::Reverse(**matched));
            let mut best = None;
            for (voter, _) in others {
                if may_lead(inner, voter).await {
                    best = Some(voter.clone());
                    break;
                }
            }
            best.ok_or(TransferError::NobodyReady { leader: node.clone() })?
        }
    };
    let raft: &Raft = &inner.service.raft;
    raft.trigger().transfer_leader(Voter(to.clone())).await.map_err(|_| ProposeError::Stopped)?;
    // If it does not take over, the others elect somebody after the lease and an election timeout.
    let until = Instant::now() + inner.timers.election_max * 2;
    let arrived = timeout_at(until, status.wait_for(|s| s.leader.as_ref() == Some(&to) || s.stopped.is_some())).await;
    match arrived {
        Ok(Ok(status)) if status.stopped.is_none() => Ok(to),
        Ok(_) => Err(ProposeError::Stopped.into()),
        Err(_) => Err(TransferError::Timeout { to, leader: inner.status.borrow().leader.clone() }),
    }
}
