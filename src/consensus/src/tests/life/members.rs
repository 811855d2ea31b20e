//! How the nodes of a life see each other, and where they are.

use std::{sync::atomic::Ordering, time::Duration};

use rand::{RngExt, seq::IndexedRandom};
use ringrift_config::NodeId;
use ringrift_members::State;
use tokio::time::{Instant, sleep};

use super::Life;
use crate::tests::{cluster::id, places::Places, worker::CopyOnDisk};

/// When the last fault is over everybody sees everybody alive within this.
const ALIVE: Duration = Duration::from_secs(40);

impl Life {
    /// Notes how a node sees the others, while it runs.
    pub(super) fn watch_member(&self, node: &NodeId) {
        if let Some(member) = self.cluster.net.member(node) {
            self.witness.watch_member(node, &member, self.began);
        }
    }

    /// A node comes back under another address. The hosts file is wrong about a third of them at most, as an operator corrects it then.
    pub(super) async fn moves(&mut self) -> Result<(), String> {
        let everybody = self.cluster.net.places(|places| places.nodes());
        let node = everybody.choose(&mut self.rng).expect("there are nodes").clone();
        let place = self.cluster.net.places(|places| places.move_away(&node, &mut self.rng));
        self.tell(format!("{node} moves to the address {place}"));
        let power = self.rng.random();
        if let Some(name) = self.names.iter().copied().find(|name| id(name) == node) {
            if !self.down.contains(name) {
                self.end(name, power).await;
            }
            self.start(name).await?;
        } else {
            let worker = self.workers.iter().position(|worker| id(&worker.name) == node).expect("a worker");
            if self.workers[worker].running.is_some() {
                self.witness.worker_ends(node.as_str(), false);
                if power {
                    self.workers[worker].kill(&self.cluster.net).await;
                } else {
                    self.workers[worker].lose_power(&self.cluster.net, CopyOnDisk::Whole).await;
                }
            }
            self.start_worker(worker)?;
        }
        if self.cluster.net.places(|places| places.astray()) > everybody.len() / 3 {
            self.hosts_file_is_corrected();
        }
        Ok(())
    }

    pub(super) fn hosts_file_is_corrected(&mut self) {
        self.tell("the hosts file is corrected");
        self.cluster.net.places(Places::correct);
    }

    pub(super) fn clock_jumps(&mut self) {
        let clocks: Vec<_> = self.cluster.clocks.iter().map(|(node, clock)| (node.clone(), clock.clone())).collect();
        let Some((node, clock)) = clocks.choose(&mut self.rng) else { return };
        let off = self.rng.random_range(-100_000_000..100_000_000);
        self.tell(format!("the wall clock of {node} is off by {off} ms"));
        clock.store(off, Ordering::Relaxed);
    }

    /// Waits until all see all alive.
    pub(super) async fn all_see_all(&self, since: Instant) -> Result<(), String> {
        let members = self.cluster.net.members();
        let wrong = || {
            let pairs = members.iter().flat_map(|one| members.iter().map(move |other| (one, other)));
            let seen = |(one, (other, instance)): (&crate::tests::gossip::Member, (&NodeId, u64))| {
                let table = one.members.table();
                let member = table.get(other)?;
                (member.state == State::Alive && member.instance == instance).then_some(())
            };
            pairs
                .filter(|((_, one), (other, them))| seen((one, (other, them.instance))).is_none())
                .map(|((one, view), (other, _))| {
                    let state = view.members.table().get(other).map(|member| member.state);
                    format!("{one} sees {other} {state:?}")
                })
                .collect::<Vec<_>>()
        };
        loop {
            let wrong = wrong();
            if wrong.is_empty() {
                return Ok(());
            }
            if since.elapsed() > ALIVE {
                return Err(format!("not all see all alive within {ALIVE:?}: {}", wrong.join(", ")));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Nobody knows more nodes than there are.
    pub(super) fn tables_are_bounded(&self) -> Result<(), String> {
        for (node, member) in self.cluster.net.members() {
            let count = member.members.table().len();
            if count > self.names.len() + self.workers.len() {
                return Err(format!("{node} knows {count} nodes"));
            }
        }
        Ok(())
    }
}
