use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use ringrift_config::NodeId;

use crate::signature::TOLERANCE;

/// How long a request can be repeated: its time may be ahead by the tolerance, and is accepted until it is behind by as much.
const REMEMBERED: Duration = TOLERANCE.saturating_mul(2);

/// Requests of one node that are remembered in one generation. A node opens a few streams a minute; this is for a shell script in a loop.
const PER_NODE: usize = 16 << 10;

/// Requests of all nodes in one generation: 4 MiB of nonces.
const IN_ALL: usize = 128 << 10;

/// Which signed requests came already. Only what has the key's signature gets in, so a stranger cannot fill it.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Generations>);

/// Two generations of nonces: a nonce lives for one to two times [`REMEMBERED`], and forgetting costs nothing per nonce.
#[derive(Debug, Default)]
struct Generations {
    current: Generation,
    previous: Generation,
    /// When the current one began.
    since: Option<SystemTime>,
}

#[derive(Debug, Default)]
struct Generation {
    nonces: HashMap<NodeId, HashSet<u128>>,
    count: usize,
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replay {
    /// It came before.
    Seen,
    /// It could not be remembered, so it could come again.
    Full,
}

impl Seen {
    /// Remembers a request, if it is the first of its nonce.
    pub(crate) fn first(&self, node: &NodeId, nonce: u128, now: SystemTime) -> Result<(), Replay> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.turn(now);
        if generations.current.has(node, nonce) || generations.previous.has(node, nonce) {
            return Err(Replay::Seen);
        }
        generations.current.insert(node, nonce)
    }
}

impl Generations {
    fn turn(&mut self, now: SystemTime) {
        // A clock that was set back forgets nothing; it only begins anew from the next turn.
        let age = now.duration_since(*self.since.get_or_insert(now)).unwrap_or_default();
        if age > REMEMBERED {
            self.previous = std::mem::take(&mut self.current);
            if age > REMEMBERED * 2 {
                self.previous = Generation::default();
            }
            self.since = Some(now);
        }
    }
}

impl Generation {
    fn has(&self, node: &NodeId, nonce: u128) -> bool {
        self.nonces.get(node).is_some_and(|nonces| nonces.contains(&nonce))
    }

    fn insert(&mut self, node: &NodeId, nonce: u128) -> Result<(), Replay> {
        if self.count >= IN_ALL {
            return Err(Replay::Full);
        }
        let nonces = self.nonces.entry(node.clone()).or_default();
        if nonces.len() >= PER_NODE {
            return Err(Replay::Full);
        }
        nonces.insert(nonce);
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_node_cannot_fill_the_memory_of_the_others_and_time_frees_it() {
        let seen = Seen::default();
        let (greedy, modest): (NodeId, NodeId) = ("greedy".parse().unwrap(), "modest".parse().unwrap());
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        for nonce in 0..PER_NODE as u128 {
            assert_eq!(seen.first(&greedy, nonce, now), Ok(()));
        }
        assert_eq!(seen.first(&greedy, u128::MAX, now), Err(Replay::Full));
        assert_eq!(seen.first(&modest, 1, now), Ok(()), "the nonces of two nodes have nothing to do with each other");
        let later = now + REMEMBERED + Duration::from_secs(1);
        assert_eq!(seen.first(&greedy, u128::MAX, later), Ok(()));
        assert_eq!(seen.first(&greedy, 1, later), Err(Replay::Seen));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_make_it_forget() {
        let seen = Seen::default();
        let node: NodeId = "alpha".parse().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(2);
        assert_eq!(seen.first(&node, 1, now), Ok(()));
        assert_eq!(seen.first(&node, 1, now - Duration::from_hours(1)), Err(Replay::Seen));
    }
}
