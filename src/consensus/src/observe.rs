//! Tells others what Raft does.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use openraft::{RaftMetrics, ServerState, async_runtime::watch::WatchReceiver};
use ringrift_config::NodeId;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    serve::Service,
    settings::Timers,
    status::{RaftStatus, Role},
    types::{RaftInstant, Types, Voter},
};

/// Changes closer together than this are told together: under load Raft's own metrics change with every entry.
const TOGETHER: Duration = Duration::from_millis(2);

/// Translates Raft's times, whose type does not tell what it holds, into the standard library's.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    here: Instant,
    raft: RaftInstant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { here: Instant::now(), raft: <RaftInstant as openraft::Instant>::now() }
    }

    fn here(&self, at: RaftInstant) -> Instant {
        if at >= self.raft { self.here + (at - self.raft) } else { self.here }
    }
}

/// Watches Raft and publishes what it sees.
pub(crate) struct Observer {
    pub(crate) service: Arc<Service>,
    pub(crate) timers: Timers,
    pub(crate) status: watch::Sender<RaftStatus>,
    /// Held by the task that brings this voter in, too; that one ends.
    pub(crate) waiting: Arc<watch::Sender<Option<String>>>,
    pub(crate) clock: Clock,
}

impl Observer {
    pub(crate) async fn run(self) {
        let mut waiting = self.waiting.subscribe();
        let mut metrics = self.service.raft.metrics();
        let mut led: Option<(u64, Instant)> = None;
        loop {
            let status = {
                let metrics = metrics.borrow_watched();
                let waiting = waiting.borrow_and_update().clone();
                read(&metrics, &self.service, (self.timers, self.clock), waiting, &mut led)
            };
            // Only sends when it is different.
            self.service.raft.runtime_config().tick(!self.rests(&status));
            self.status.send_if_modified(|old| old.take_over(status));
            let next = Instant::now() + TOGETHER;
            // Also without any news: a leader that is not heard of makes none.
            tokio::select! {
                // Tests repeat a run exactly.
                biased;
                changed = metrics.changed() => if changed.is_err() { break } else { sleep_until(next).await },
                _ = waiting.changed() => {}
                () = sleep(self.timers.heartbeat) => {}
            }
        }
        self.service.feed.end();
        self.status.send_modify(|status| {
            status.role = Role::Learner;
            status.leader = None;
            status.led_since = None;
            status.stopped.get_or_insert_with(|| "consensus was stopped".into());
        });
    }
}

impl Observer {
    /// Whether Raft's clock need not tick: this voter follows a leader that it hears.
    ///
    /// Raft looks at its timers every fifth of a heartbeat, and tells of it. A follower has one of them, which is over when nothing was
    /// heard for the longest election timeout, and then for another one. So the clock is stopped as long as the leader is heard
    /// within the shortest; this loop, which goes round with every heartbeat, starts it long before it is of use. It is
    /// about liveness alone: a clock that stands keeps a voter from standing for election, and from nothing else.
    fn rests(&self, status: &RaftStatus) -> bool {
        let heard = status.leader_last_seen.filter(|_| status.role == Role::Follower && status.leader.is_some());
        heard.is_some_and(|at| Instant::now().into_std().saturating_duration_since(at) < self.timers.election_min)
    }
}

/// What the metrics say, put into our words.
pub(crate) fn read(
    metrics: &RaftMetrics<Types>,
    service: &Service,
    (timers, clock): (Timers, Clock),
    waiting: Option<String>,
    led: &mut Option<(u64, Instant)>,
) -> RaftStatus {
    let now = Instant::now();
    let fresh = |at: &Instant| now.saturating_duration_since(*at) < timers.election_max;
    let term = metrics.current_term;
    let sets = metrics.membership_config.get_joint_config();
    let alone = metrics.membership_config.voter_ids().eq([Voter(service.node.clone())]);
    let quorum_acked = match metrics.state {
        // A single voter needs nobody's answer.
        ServerState::Leader if alone => Some(now),
        ServerState::Leader => metrics.last_quorum_acked.map(|at| clock.here(*at)),
        _ => None,
    };
    let role = match metrics.state {
        ServerState::Leader if quorum_acked.as_ref().is_some_and(fresh) => Role::Leader,
        ServerState::Leader | ServerState::Candidate => Role::Candidate,
        ServerState::Follower if service.gate.is_open() => Role::Follower,
        ServerState::Follower | ServerState::Learner | ServerState::Shutdown => Role::Learner,
    };
    match led {
        Some((led_term, _)) if role == Role::Leader && *led_term == term => {}
        _ => *led = (role == Role::Leader).then_some((term, now)),
    }
    let followed = metrics.current_leader.as_ref().filter(|leader| leader.0 != service.node);
    let heard = followed.and_then(|leader| service.heard.last(&leader.0, term));
    let leader = match role {
        Role::Leader => Some(service.node.clone()),
        _ => followed.filter(|_| heard.as_ref().is_some_and(fresh)).map(|leader| leader.0.clone()),
    };
    let leads = metrics.state == ServerState::Leader;
    let names = service.names();
    let matched = metrics.replication.iter().flatten();
    let answered = metrics.heartbeat.iter().flatten();
    RaftStatus {
        role,
        term,
        cluster: names.newest.or(names.agreed).unwrap_or_default(),
        leader,
        voters: metrics.membership_config.voter_ids().map(|voter| voter.0).collect(),
        voter_config_index: metrics.membership_config.log_id().map_or(0, |id| id.index()),
        changing: sets.len() > 1 || metrics.membership_config != metrics.committed_membership_config,
        last_applied: metrics.last_applied.map_or(0, |id| id.index()),
        committed: metrics.local_committed.map_or(0, |id| id.index()),
        led_since: led.map(|(_, since)| since.into_std()),
        leader_last_seen: if leads { quorum_acked } else { heard }.map(Instant::into_std),
        matched: matched.map(|(voter, at)| (voter.0.clone(), at.map_or(0, |id| id.index()))).collect(),
        answered: answered
            .filter_map(|(voter, at)| Some((voter.0.clone(), at.map(|at| clock.here(*at).into_std())?)))
            .collect::<BTreeMap<NodeId, _>>(),
        quorum_acked: quorum_acked.map(Instant::into_std),
        waiting,
        stopped: metrics.running_state.as_ref().err().map(ToString::to_string),
    }
}

/// How often it is seen to that Raft and the disk get on. The watchdog looks once a second, and allows many of them.
const COUNTED_EVERY: Duration = Duration::from_secs(1);

/// Counts up as long as Raft and the disk get on with their work.
pub(crate) async fn count_progress(service: Arc<Service>, progress: Arc<AtomicU64>) {
    loop {
        // Raft's core answers in between its work, the writer behind everything that is queued.
        if service.raft.with_raft_state(|_| ()).await.is_err() || service.store.ping().await.is_err() {
            return;
        }
        progress.fetch_add(1, Ordering::Relaxed);
        sleep(COUNTED_EVERY).await;
    }
}
