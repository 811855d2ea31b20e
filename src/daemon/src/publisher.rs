//! Tells the others about this node, and systemd about the cluster.

use std::{sync::Arc, time::Duration};

use ringrift_config::NodeId;
use ringrift_systemd::{Hang, Notifier};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    agreement::{Changes, Part},
    facts::NodeFacts,
    gpus,
    node::Shared,
    supervised::PUBLISHER,
    view::status_line,
};

/// How often this node looks at itself.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often the STATUS line is made anew when neither the leadership nor the agreed state has changed.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// How often load figures are given to gossip. A change of role or leader goes out at once.
const LOAD_EVERY: Duration = Duration::from_secs(5);

/// The most relays that a node which only dials out names: the first is tried first, the others when it fails.
const MAX_RELAYS: usize = 3;

/// Publishes facts, notes changes of the leadership and of the agreed state, and keeps the STATUS line.
pub(crate) async fn run(shared: Shared, notifier: Notifier, hang: Hang, shutdown: CancellationToken) {
    let mut tick = ringrift_tick::every(LOOK_EVERY);
    let mut load_at: Option<Instant> = None;
    let mut seen: Option<Seen> = None;
    let mut said_at: Option<Instant> = None;
    let mut gpus = gpus::Notes::default();
    let mut changes = Changes::new(shared.agreement.clone());
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = changes.next() => {}
            () = shutdown.cancelled() => return,
        }
        hang.point(PUBLISHER).await;
        shared.heartbeats.publisher.beat();
        let now = Seen::of(&shared);
        let before = seen.replace(now.clone());
        let news = before.as_ref() != Some(&now);
        if news {
            note(&shared, before.as_ref(), &now);
        }
        gpus.look(&shared);
        let with_load = load_at.is_none_or(|at| at.elapsed() >= LOAD_EVERY) && shared.sampler.latest().cpu_count > 0;
        if with_load {
            load_at = Some(Instant::now());
        }
        let facts = facts(&shared, &now, with_load);
        if *shared.facts.load_full() != facts {
            shared.members.set_local(facts.clone());
            shared.facts.store(Arc::new(facts));
        }
        if news || said_at.is_none_or(|at| at.elapsed() + LOOK_EVERY / 2 >= SAY_EVERY) {
            said_at = Some(Instant::now());
            notifier.status(status_line(&shared.picture()));
        }
        notifier.flush();
    }
}

/// What is compared from one look to the next.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    leader: Option<NodeId>,
    term: u64,
    part: Part,
    cluster: String,
    applied: u64,
    voters: Vec<NodeId>,
}

impl Seen {
    fn of(shared: &Shared) -> Self {
        let leadership = shared.agreement.leadership();
        Self {
            leader: leadership.leader,
            term: leadership.term,
            part: leadership.part,
            cluster: leadership.cluster,
            applied: leadership.applied,
            voters: leadership.voters,
        }
    }
}

fn note(shared: &Shared, before: Option<&Seen>, now: &Seen) {
    shared.note_change();
    if before.map(|b| &b.leader) != Some(&now.leader) {
        match &now.leader {
            Some(leader) => info!(term = now.term, leader = %leader, "{leader} leads"),
            None if before.is_some() => warn!(term = now.term, "there is no leader"),
            None => {}
        }
        if before.is_some_and(|b| b.leader.is_some()) || now.leader.is_some() {
            shared.note_leader_change();
        }
    }
    if let Some(before) = before
        && before.voters != now.voters
        && !now.voters.is_empty()
    {
        info!(term = now.term, voters = ?now.voters, "the voters in force changed");
    }
    if before.map(|b| b.part) != Some(now.part) {
        info!(term = now.term, role = now.part.as_str(), "takes part as {}", now.part.as_str());
    }
}

/// This node's facts now; its load only when that is due, since each new version travels to every node.
fn facts(shared: &Shared, seen: &Seen, with_load: bool) -> NodeFacts {
    let mut facts = (*shared.facts.load_full()).clone();
    facts.leader.clone_from(&seen.leader);
    facts.term = seen.term;
    seen.part.as_str().clone_into(&mut facts.role);
    facts.cluster_id.clone_from(&seen.cluster);
    match &shared.models {
        Ok(models) => facts.models = (*models.facts()).clone(),
        Err(why) => facts.models.trouble.clone_from(why),
    }
    facts.jobs = (*shared.jobs.facts()).clone();
    facts.hosts_revision = shared.hosts().map(|h| h.revision.clone()).unwrap_or_default();
    facts.conflicts = shared.conflicts.told();
    if facts.dials_out_only {
        facts.relay_via = relays(shared, &facts.relay_via);
    }
    let gpus = shared.gpus.latest();
    // How long a driver has been hung changes all the time; that it is goes out at once.
    if with_load || facts.gpu_state != gpus.state {
        facts.set_gpus(&gpus);
    }
    if with_load {
        facts.resources = shared.sampler.latest();
        facts.uptime_seconds = shared.uptime().as_secs();
    }
    facts
}

/// Nodes that this one holds links to, those named before first: others remember them.
fn relays(shared: &Shared, before: &[NodeId]) -> Vec<NodeId> {
    let leadership = shared.agreement.leadership();
    let linked: Vec<NodeId> =
        shared.links.connected().into_iter().filter(|l| l.peer.via.is_none()).map(|l| l.peer.node).collect();
    let mut relays: Vec<NodeId> = before.iter().filter(|n| linked.contains(n)).cloned().collect();
    for voter in leadership.voters.iter().filter(|v| linked.contains(v)) {
        if !relays.contains(voter) {
            relays.push(voter.clone());
        }
    }
    relays.truncate(MAX_RELAYS);
    relays
}
