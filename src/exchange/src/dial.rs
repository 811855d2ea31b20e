use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use ringrift_config::NodeId;
use tokio::time::Instant;

use crate::session::BoxedStream;

/// Opens streams to other nodes.
#[async_trait]
pub trait Dialer: Send + Sync + 'static {
    /// A stream to this node, which has proved who it is. The error is for people.
    async fn dial(&self, peer: &NodeId) -> Result<BoxedStream, String>;
}

/// How long a node that should dial us may take before we dial it.
const OTHER_FIRST: Duration = Duration::from_secs(1);
/// Waits after the first failure and after many.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Who is dialled, and when? Pure: time and chance come in.
///
/// Of two nodes that can dial each other, the one with the greater id dials; the other does so a second later, in case that
/// the way in that direction is blocked. If both come through, each end keeps the stream that the greater id dialled.
#[derive(Debug)]
pub(crate) struct Dialling {
    me: NodeId,
    dials_out_only: bool,
    neighbours: BTreeMap<NodeId, Neighbour>,
}

#[derive(Debug)]
struct Neighbour {
    dials_out_only: bool,
    /// Not before this moment. None while a dial or a session is under way.
    at: Option<Instant>,
    failures: u32,
    /// It may not know yet what this node has.
    owed: bool,
}

impl Dialling {
    pub(crate) fn new(me: NodeId, dials_out_only: bool) -> Self {
        Self { me, dials_out_only, neighbours: BTreeMap::new() }
    }

    /// Takes the place of the neighbours before. Those that stay keep their state.
    pub(crate) fn set(&mut self, neighbours: &BTreeMap<NodeId, bool>, now: Instant) {
        self.neighbours.retain(|id, _| neighbours.contains_key(id));
        for (id, dials_out_only) in neighbours {
            let at = now + self.patience(id);
            let fresh = Neighbour { dials_out_only: *dials_out_only, at: Some(at), failures: 0, owed: true };
            let known = self.neighbours.entry(id.clone()).or_insert(fresh);
            known.dials_out_only = *dials_out_only;
        }
    }

    /// How long the other end may dial first.
    fn patience(&self, peer: &NodeId) -> Duration {
        if self.dials_out_only || *peer < self.me { Duration::ZERO } else { OTHER_FIRST }
    }

    /// There is something new to tell every neighbour.
    pub(crate) fn owe(&mut self, now: Instant) {
        let (me, out) = (self.me.clone(), self.dials_out_only);
        for (id, neighbour) in &mut self.neighbours {
            // One that was told all lately is no failure, so its turn comes at once.
            if !neighbour.owed && neighbour.at.is_some() {
                neighbour.at = Some(if out || *id < me { now } else { now + OTHER_FIRST });
            }
            neighbour.owed = true;
        }
    }

    /// Whom to dial now; each is asked for once, until `failed` or `ended`. `hungry`: this node lacks chunks.
    pub(crate) fn due(&mut self, hungry: bool, now: Instant) -> Vec<NodeId> {
        let due = self
            .neighbours
            .iter_mut()
            .filter(|(_, neighbour)| neighbour.wants_dial(hungry) && neighbour.at.is_some_and(|at| at <= now));
        due.map(|(id, neighbour)| {
            neighbour.at = None;
            id.clone()
        })
        .collect()
    }

    /// When to ask `due` again.
    pub(crate) fn next(&self, hungry: bool) -> Option<Instant> {
        self.neighbours.values().filter(|neighbour| neighbour.wants_dial(hungry)).filter_map(|n| n.at).min()
    }

    /// There is a session, whoever dialled.
    pub(crate) fn up(&mut self, peer: &NodeId) {
        if let Some(neighbour) = self.neighbours.get_mut(peer) {
            neighbour.at = None;
        }
    }

    /// A session with it was of use: failures before count no longer.
    pub(crate) fn proved(&mut self, peer: &NodeId) {
        if let Some(neighbour) = self.neighbours.get_mut(peer) {
            neighbour.failures = 0;
        }
    }

    /// It is left alone until then.
    pub(crate) fn banned(&mut self, peer: &NodeId, until: Instant) {
        if let Some(neighbour) = self.neighbours.get_mut(peer) {
            neighbour.at = Some(until);
        }
    }

    /// A dial came to nothing, or a session ended by a fault. `chance` in 0..1 spreads the next tries over half to all of the
    /// wait.
    pub(crate) fn failed(&mut self, peer: &NodeId, now: Instant, chance: f64) {
        let patience = self.patience(peer);
        if let Some(neighbour) = self.neighbours.get_mut(peer) {
            let wait = BACK_OFF.0.saturating_mul(1 << neighbour.failures.min(10)).min(BACK_OFF.1);
            neighbour.failures += 1;
            neighbour.at = Some(now + patience + wait.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0));
        }
    }

    /// A session ended because there was nothing more to say.
    pub(crate) fn settled(&mut self, peer: &NodeId, now: Instant) {
        let patience = self.patience(peer);
        if let Some(neighbour) = self.neighbours.get_mut(peer) {
            (neighbour.at, neighbour.owed) = (Some(now + patience.max(BACK_OFF.0)), false);
        }
    }
}

impl Neighbour {
    fn wants_dial(&self, hungry: bool) -> bool {
        !self.dials_out_only && (hungry || self.owed)
    }
}

/// Whether a second stream between two nodes takes the place of the first. Both ends come to the same answer, because both
/// know who dialled.
pub(crate) fn takes_over(me: &NodeId, peer: &NodeId, first_is_ours: bool, second_is_ours: bool) -> bool {
    // From the same end: that end gave up the first.
    first_is_ours == second_is_ours || second_is_ours == (me > peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> NodeId {
        name.parse().unwrap()
    }

    fn dialling(me: &str, out_only: bool, others: &[(&str, bool)]) -> (Dialling, Instant) {
        let now = Instant::now();
        let mut dialling = Dialling::new(id(me), out_only);
        dialling.set(&others.iter().map(|(name, out)| (id(name), *out)).collect(), now);
        (dialling, now)
    }

    #[test]
    fn the_greater_id_dials_first_and_nobody_dials_who_cannot_be() {
        let (mut middle, now) = dialling("m", false, &[("a", false), ("b", true), ("z", false)]);
        assert_eq!(middle.due(true, now), [id("a")]);
        assert_eq!(middle.next(true), Some(now + OTHER_FIRST));
        assert_eq!(middle.due(true, now + OTHER_FIRST), [id("z")]);
        assert_eq!(middle.next(true), None);
        let (mut inside, now) = dialling("m", true, &[("a", false), ("z", false)]);
        assert_eq!(inside.due(true, now), [id("a"), id("z")]);
    }

    #[test]
    fn failures_wait_longer_each_time_and_a_session_forgets_them() {
        let (mut node, mut now) = dialling("m", false, &[("a", false)]);
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert_eq!(node.due(true, now), [id("a")]);
            node.failed(&id("a"), now, 1.0);
            waits.push((node.next(true).unwrap() - now).as_secs());
            now = node.next(true).unwrap();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        node.up(&id("a"));
        assert_eq!(node.next(true), None);
        node.proved(&id("a"));
        node.failed(&id("a"), now, 0.0);
        assert_eq!(node.next(true), Some(now + Duration::from_millis(500)));
    }

    #[test]
    fn who_has_all_dials_until_everybody_was_told() {
        let (mut node, now) = dialling("m", false, &[("a", false)]);
        assert_eq!(node.due(false, now), [id("a")]);
        node.up(&id("a"));
        node.settled(&id("a"), now);
        assert_eq!(node.next(false), None);
        assert!(node.next(true).is_some());
        node.owe(now);
        assert_eq!(node.due(false, now), [id("a")]);
    }

    #[test]
    fn both_ends_keep_the_same_stream() {
        for (a, b) in [("a", "b"), ("b", "a")] {
            for (first_by_a, second_by_a) in [(true, true), (true, false), (false, true), (false, false)] {
                let at_a = takes_over(&id(a), &id(b), first_by_a, second_by_a);
                let at_b = takes_over(&id(b), &id(a), !first_by_a, !second_by_a);
                assert_eq!(at_a, at_b);
                // Whichever of the two came first at one end, the same one stays.
                if first_by_a != second_by_a {
                    assert_ne!(at_a, takes_over(&id(a), &id(b), second_by_a, first_by_a));
                }
            }
        }
    }
}
