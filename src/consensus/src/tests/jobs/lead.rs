use std::{collections::BTreeMap, sync::Arc};

use ringrift_config::NodeId;
use ringrift_members::State;
use ringrift_schedule::{NodeView, Presence, Scheduler, View};
use ringrift_state::Command;
use tokio::time::Instant;

use super::{LOOK_EVERY, Plant};
use crate::{Consensus, Role, runtime::random, tests::net::Net};

/// What a leader remembers, in one term.
struct Desk {
    term: u64,
    scheduler: Scheduler,
    began: Instant,
    /// Since when workers are seen to be away.
    away: BTreeMap<NodeId, Instant>,
}

/// Decides where jobs go as long as this voter leads; returns when it has ended.
pub(crate) async fn lead(net: Arc<Net>, plant: Arc<Plant>, node: NodeId, consensus: Consensus) {
    let status = consensus.status();
    let mut tick = ringrift_tick::every(LOOK_EVERY);
    let mut desk: Option<Desk> = None;
    loop {
        tick.tick().await;
        let now = status.borrow().clone();
        // The sender ends with the voter.
        if now.stopped.is_some() || status.has_changed().is_err() {
            return;
        }
        if now.role != Role::Leader {
            continue;
        }
        let new = || Desk {
            term: now.term,
            scheduler: Scheduler::new(random()),
            began: Instant::now(),
            away: BTreeMap::new(),
        };
        let desk = match &mut desk {
            Some(desk) if desk.term == now.term => desk,
            other => other.insert(new()),
        };
        let led_for = now.led_since.map(|at| Instant::now().into_std() - at).unwrap_or_default();
        let agreed = consensus.agreed();
        let nodes: Vec<NodeView> = plant
            .workers
            .iter()
            .map(|worker| {
                let presence = desk.presence(&net, &node, worker);
                plant.view(worker, presence, agreed.state.eligibility_of(worker))
            })
            .collect();
        let view =
            View { jobs: &agreed.state.jobs, nodes: &nodes, led_for, underserved: &[], settings: &plant.settings };
        let decided = desk.scheduler.step(desk.began.elapsed(), &view);
        let changes = (!decided.changes.is_empty()).then_some(decided.changes);
        let changes = changes.map(|changes| Command::ChangeJobs { changes, at_ms: 1 });
        let events = decided.events.into_iter().map(|event| Command::Record { event });
        for command in changes.into_iter().chain(events) {
            // What does not get through is decided again.
            if consensus.propose(command).await.is_err() {
                break;
            }
        }
    }
}

impl Desk {
    fn presence(&mut self, net: &Net, node: &NodeId, worker: &NodeId) -> Presence {
        let state = net.member(node).and_then(|member| Some(member.members.table().get(worker)?.state));
        let presence = match state {
            Some(State::Alive) => Presence::Alive,
            Some(State::Suspect) => Presence::Suspect,
            Some(State::Dead | State::Left | State::Unseen) | None => {
                let since = *self.away.entry(worker.clone()).or_insert_with(Instant::now);
                return Presence::Dead { since: since.elapsed() };
            }
        };
        self.away.remove(worker);
        presence
    }
}
