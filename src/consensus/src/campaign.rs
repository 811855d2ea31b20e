//! When a voter whose leader has died stands for election.

use std::{sync::Arc, time::Duration};

use openraft::{ServerState, async_runtime::watch::WatchReceiver as _};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    network::Links,
    runtime::random,
    serve::{Last, Service},
    settings::Timers,
    transport::TransportError,
    wire::Request,
};

/// Has this voter stand as soon as the lease of a leader that has died is over.
///
/// Raft itself (openraft) waits for the lease, which is the longest election timeout, and then for an election timeout more, whatever
/// became of the leader. That patience is for a leader that is only slow. One whose process has ended does not come back in time: its
/// machine refuses connections at once, where a slow process or a line that is cut answers nothing. So a voter that has not heard of its
/// leader for the lease asks it, and if it is refused, stands without waiting any longer than chance has it, which is to keep two from
/// standing at the same time.
///
/// # Why this is safe
///
/// It changes when a voter asks for votes, and nothing about who gets them:
///
/// - It asks for a pre-vote, which changes no term and no vote, here or anywhere, unless a majority would give theirs. Every voter that
///   has heard the leader within its own lease refuses, and so does a leader with a quorum: a wrong guess disturbs nobody.
/// - No lease is cut short: this voter waits for the end of its own, and the others judge theirs by their own clocks. A leader still
///   ceases to count as one, by its quorum's last answer, before any other can be elected.
/// - The vote that may follow is Raft's own, on disk before it is sent, and refused by whoever has a longer log.
/// - It asks once for each silence. What comes of it or not, Raft's own timers go on.
///
/// Without pre-vote none of that holds, and it is not done.
pub(crate) struct Campaign {
    pub(crate) service: Arc<Service>,
    pub(crate) links: Links,
    pub(crate) timers: Timers,
}

impl Campaign {
    pub(crate) async fn run(self) {
        let Timers { heartbeat, election_min, election_max } = self.timers;
        let mut judged: Option<Instant> = None;
        loop {
            let heard = self.service.heard.newest();
            let Some(last) = heard.filter(|last| judged != Some(last.at)) else {
                sleep(election_max).await;
                continue;
            };
            // The others may have heard it up to a heartbeat later.
            let over = last.at + election_max + heartbeat;
            if Instant::now() < over {
                sleep_until(over).await;
                continue;
            }
            judged = Some(last.at);
            if !self.still_follows(&last) || !self.has_died(&last, election_min).await {
                continue;
            }
            // As wide as the range that Raft draws its own timeouts from.
            sleep_until(over + election_max.saturating_sub(election_min).mul_f64(random())).await;
            if self.still_follows(&last) {
                tracing::info!(leader = %last.leader, term = last.term, "the leader's process has ended; this voter stands");
                // An error means that Raft has stopped, which the status tells.
                let _ = self.service.raft.trigger().elect(true).await;
            }
        }
    }

    /// Whether that leader is the one that this voter follows, and has not been heard of since.
    fn still_follows(&self, last: &Last) -> bool {
        let metrics = self.service.raft.metrics();
        let metrics = metrics.borrow_watched();
        self.service.gate.is_open()
            && self.service.heard.newest().as_ref() == Some(last)
            && metrics.state == ServerState::Follower
            && metrics.current_term == last.term
            && metrics.current_leader.as_ref().is_some_and(|leader| leader.0 == last.leader)
    }

    async fn has_died(&self, last: &Last, patience: Duration) -> bool {
        let request = Request::Hello { genesis: self.service.genesis.clone() };
        matches!(self.links.ask(&last.leader, request, patience).await, Err(TransportError::Unreachable(_)))
    }
}
