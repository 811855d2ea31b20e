//! Writes and linearizable reads.

use std::{sync::Arc, time::Duration};

use openraft::{
    RaftMetrics, ReadPolicy, ServerState,
    async_runtime::watch::WatchReceiver,
    errors::{ClientWriteError, ForwardToLeader, LinearizableReadError, RaftError},
};
use ringrift_state::{Command, Outcome};
use tokio::time::{Instant, timeout_at};

use crate::{
    error::ProposeError,
    handle::{Committed, Inner},
    types::{Proposal, Types, term_of},
};

/// A larger command is not taken: it must fit one message between voters (4 MiB) with room to spare.
const MAX_COMMAND: usize = 3 << 20;

/// How long to wait for the answer to a command that was taken in.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a leader that cannot take commands yet (just elected) or any more (handing over) is waited for.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) async fn propose(inner: &Inner, command: Command) -> Result<Committed, ProposeError> {
    let bytes = ringrift_state::encode(&command).map_or(usize::MAX, |encoded| encoded.len());
    if bytes > MAX_COMMAND {
        return Err(ProposeError::TooLarge { bytes, limit: MAX_COMMAND });
    }
    let proposal = Proposal(Arc::new(command));
    let settled_by = Instant::now() + SETTLE;
    loop {
        let answer_by = Instant::now() + ANSWER;
        let written = timeout_at(answer_by, inner.service.raft.client_write(proposal.clone())).await;
        match written {
            Ok(Ok(done)) => {
                return Ok(Committed {
                    index: done.log_id.index(),
                    term: term_of(&done.log_id),
                    outcome: done.data.0.unwrap_or(Outcome::Unchanged),
                });
            }
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward)))) => {
                elsewhere(inner, &forward, settled_by).await?;
            }
            // No answer; or it was in this leader's log when another one took over, and whether that one has it is not known.
            Err(_) | Ok(Err(RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)))) => {
                return Err(ProposeError::Timeout);
            }
            Ok(Err(RaftError::APIError(_) | RaftError::Fatal(_))) => return Err(ProposeError::Stopped),
        }
    }
}

pub(crate) async fn read_barrier(inner: &Inner) -> Result<(), ProposeError> {
    let settled_by = Instant::now() + SETTLE;
    loop {
        let answer_by = Instant::now() + ANSWER;
        match timeout_at(answer_by, inner.service.raft.ensure_linearizable(ReadPolicy::ReadIndex)).await {
            Err(_) => return Err(ProposeError::Timeout),
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) => {
                return Err(ProposeError::NoLeader);
            }
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)))) => {
                elsewhere(inner, &forward, settled_by).await?;
            }
            Ok(Err(RaftError::Fatal(_))) => return Err(ProposeError::Stopped),
        }
    }
}

/// Waits for something to change if this node may soon be able to answer; else says who can.
pub(crate) async fn elsewhere(
    inner: &Inner,
    forward: &ForwardToLeader<Types>,
    settled_by: Instant,
) -> Result<(), ProposeError> {
    let mut metrics = inner.service.raft.metrics();
    let unsettled = {
        let metrics = metrics.borrow_and_update();
        settling(&metrics) || (metrics.state == ServerState::Leader && forward.leader_id.is_some())
    };
    if unsettled && Instant::now() < settled_by {
        // Either something changes, or it is time to ask again.
        let again = Instant::now() + Duration::from_millis(20);
        let _ = timeout_at(again.min(settled_by), metrics.changed()).await;
        return Ok(());
    }
    // Raft names the leader of the term, which may be long gone; the status only one that was heard of.
    let leader = inner.status.borrow().leader.clone().filter(|leader| *leader != inner.service.node);
    Err(match leader {
        Some(leader) => ProposeError::NotLeader { leader: Some(leader) },
        None => ProposeError::NoLeader,
    })
}

/// Whether this node has won an election that no quorum has confirmed yet.
fn settling(metrics: &RaftMetrics<Types>) -> bool {
    metrics.state == ServerState::Leader && metrics.last_quorum_acked.is_none()
}
