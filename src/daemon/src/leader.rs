//! What the leader alone does: it writes down who came, died and left.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ringrift_config::NodeId;
use ringrift_consensus::RaftStatus;
use ringrift_members::State;
use ringrift_state::{Agreed, Command, NewEvent, kind};
use ringrift_systemd::Hang;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    agreement::Part, conflicts::NODE_ID_CONFLICT, models::distribution, node::Shared, supervised::LEADER,
    view::epoch_ms,
};

/// A leader judges nobody before it has led for this long: until then its picture of the members may be the one it had
/// while it was cut off. Above the 8 s in which every node sees a death.
const JUDGE_AFTER: Duration = Duration::from_secs(10);

/// How often the members are compared with what was written down.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The leader that changes the voters writes it down itself, and knows the file that they come from: it gets the time.
const WRITE_DOWN_AFTER: Duration = Duration::from_secs(3);

/// What was last written down of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recorded {
    Alive,
    Dead,
    Left,
}

impl Recorded {
    fn of_kind(what: &str) -> Option<Self> {
        match what {
            kind::NODE_JOINED | kind::NODE_ALIVE => Some(Self::Alive),
            kind::NODE_DEAD => Some(Self::Dead),
            kind::NODE_LEFT => Some(Self::Left),
            _ => None,
        }
    }
}

/// Runs on every node and acts on the one that leads.
pub(crate) async fn run(shared: Shared, hang: Hang, shutdown: CancellationToken) {
    let mut tick = ringrift_tick::every(LOOK_EVERY);
    // The term whose election this node has written down.
    let mut announced = 0;
    // Since when the voters in force are not those that were written down.
    let mut unwritten: Option<Instant> = None;
    // Conflicts of ids that are written down and go on.
    let mut known_conflicts: BTreeSet<NodeId> = BTreeSet::new();
    let mut distributions = distribution::Watching::new();
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shutdown.cancelled() => return,
        }
        hang.point(LEADER).await;
        shared.heartbeats.leader.beat();
        let leads = shared.agreement.leadership().part == Part::Leader;
        let Some((consensus, status)) = shared.agreement.voting().filter(|_| leads) else {
            distributions.clear();
            continue;
        };
        distribution::judge(&shared, &consensus, &mut distributions).await;
        let mut events = Vec::new();
        if announced != status.term {
            events.push(NewEvent::leader_elected(shared.node(), status.term, epoch_ms()));
        }
        let led_for = status.led_since.map(|at| at.elapsed()).unwrap_or_default();
        events.extend(changes(&recorded(&consensus.agreed()), &states(&shared), led_for >= JUDGE_AFTER, epoch_ms()));
        let conflicts = shared.picture().conflicts();
        known_conflicts.retain(|node| conflicts.contains_key(node));
        if announced != status.term {
            // What goes on since an earlier leader wrote it down.
            let agreed = consensus.agreed();
            let written = |s: &String| {
                agreed.state.events.iter().any(|e| e.event.kind == NODE_ID_CONFLICT && e.event.message == *s)
            };
            known_conflicts.extend(conflicts.iter().filter(|(_, s)| written(s)).map(|(node, _)| node.clone()));
        }
        let news = conflicts.iter().filter(|(node, _)| !known_conflicts.contains(*node));
        events.extend(news.map(|(node, s)| NewEvent::new(NODE_ID_CONFLICT, s, epoch_ms()).about(node)));
        let in_force = agreed_differs(&consensus.agreed(), &status);
        unwritten = in_force.as_ref().and(unwritten.or_else(|| Some(Instant::now())));
        if let Some(command) = in_force
            && unwritten.is_some_and(|since| since.elapsed() >= WRITE_DOWN_AFTER)
            && let Err(error) = consensus.propose(command).await
        {
            warn!(%error, "could not write the voters in force down");
        }
        for event in events {
            info!(event = %event.kind, about = event.node.as_ref().map(tracing::field::display), "{}", event.message);
            let is_election = event.kind == kind::LEADER_ELECTED;
            let conflict = event.node.clone().filter(|_| event.kind == NODE_ID_CONFLICT);
            match consensus.propose(Command::Record { event }).await {
                Ok(_) => {
                    if is_election {
                        announced = status.term;
                    }
                    known_conflicts.extend(conflict);
                    // A thousand nodes that join at once are a thousand round trips, and each of them is progress.
                    shared.heartbeats.leader.beat();
                }
                Err(error) => {
                    // The next look, here or on the next leader, finds the same difference again.
                    warn!(%error, "could not write an event down");
                    break;
                }
            }
        }
    }
}

/// The command that writes the voters in force down, if they are not: a leader that takes itself out, or dies between the
/// change and the note, leaves that to the next one. Without the note an old hosts file would pass for a new one.
fn agreed_differs(agreed: &Agreed, status: &RaftStatus) -> Option<Command> {
    let written = agreed.state.voters.current()?;
    let replaced = written.voters.clone();
    (!status.changing && replaced != status.voters).then(|| Command::AdoptVoters {
        voters: status.voters.clone(),
        replaced,
        revision: String::new(),
        by: "the leader, after the change".to_owned(),
        at_ms: epoch_ms(),
    })
}

/// The last word on each node, out of the event log.
fn recorded(agreed: &Arc<Agreed>) -> BTreeMap<NodeId, Recorded> {
    let mut last = BTreeMap::new();
    for event in agreed.state.events.iter() {
        if let (Some(node), Some(what)) = (&event.event.node, Recorded::of_kind(&event.event.kind)) {
            last.insert(node.clone(), what);
        }
    }
    last
}

fn states(shared: &Shared) -> BTreeMap<NodeId, State> {
    let mut states: BTreeMap<_, _> = shared.members.table().iter().map(|m| (m.id.clone(), m.state)).collect();
    states.insert(shared.node().clone(), State::Alive);
    states
}

/// The events that bring what was written down to what is seen. A suspect is not yet anything: it may answer.
fn changes(
    recorded: &BTreeMap<NodeId, Recorded>,
    states: &BTreeMap<NodeId, State>,
    may_judge: bool,
    at_ms: u64,
) -> Vec<NewEvent> {
    let mut events = Vec::new();
    for (node, state) in states {
        let (what, message) = match (recorded.get(node), state) {
            (None, State::Alive) => (kind::NODE_JOINED, format!("{node} joined")),
            (Some(Recorded::Left), State::Alive) => (kind::NODE_JOINED, format!("{node} joined again")),
            (Some(Recorded::Dead), State::Alive) => (kind::NODE_ALIVE, format!("{node} is back")),
            (Some(Recorded::Alive), State::Dead) if may_judge => (kind::NODE_DEAD, format!("{node} does not answer")),
            (Some(Recorded::Alive | Recorded::Dead), State::Left) => (kind::NODE_LEFT, format!("{node} left")),
            (
                Some(Recorded::Alive | Recorded::Dead | Recorded::Left) | None,
                State::Alive | State::Suspect | State::Dead | State::Left | State::Unseen,
            ) => continue,
        };
        events.push(NewEvent::new(what, message, at_ms).about(node));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_record_and_state_has_the_right_event() {
        let id: NodeId = "n".parse().unwrap();
        for (was, is, judge, expected) in [
            (None, State::Alive, false, Some("NODE_JOINED")),
            (None, State::Dead, true, None),
            (None, State::Unseen, true, None),
            (Some(Recorded::Alive), State::Alive, true, None),
            (Some(Recorded::Alive), State::Suspect, true, None),
            (Some(Recorded::Alive), State::Dead, true, Some("NODE_DEAD")),
            (Some(Recorded::Alive), State::Dead, false, None),
            (Some(Recorded::Alive), State::Left, false, Some("NODE_LEFT")),
            (Some(Recorded::Dead), State::Alive, false, Some("NODE_ALIVE")),
            (Some(Recorded::Dead), State::Dead, true, None),
            (Some(Recorded::Left), State::Alive, false, Some("NODE_JOINED")),
            (Some(Recorded::Left), State::Dead, true, None),
        ] {
            let recorded = was.map(|w| (id.clone(), w)).into_iter().collect();
            let events = changes(&recorded, &BTreeMap::from([(id.clone(), is)]), judge, 7);
            let kinds: Vec<_> = events.iter().map(|e| e.kind.as_str()).collect();
            assert_eq!(kinds, expected.into_iter().collect::<Vec<_>>(), "{was:?} {is:?} {judge}");
            assert!(events.iter().all(|e| e.at_ms == 7 && e.node.as_ref() == Some(&id)));
        }
    }
}
