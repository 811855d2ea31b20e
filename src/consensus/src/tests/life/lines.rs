//! What happens to the lines between the nodes of a life.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

use super::{Event, Life};
use crate::tests::net::Faults;

impl Life {
    pub(super) fn happens_to_lines(&mut self, event: Event) {
        match event {
            Event::CutPair => {
                let (one, other) = (self.any(), self.any());
                self.tell(format!("{one} and {other} are cut"));
                self.cluster.net.cut(one, other);
            }
            Event::CutOff => {
                let one = self.any();
                self.tell(format!("{one} is cut off"));
                self.cluster.net.cut(one, &self.genesis);
            }
            Event::CutOneWay => {
                let (one, to) = (self.any(), self.rng.random_range(1..self.names.len()));
                let others = self.some(to).join(" ");
                self.tell(format!("{one} is no longer heard by {others}"));
                self.cluster.net.cut_one_way(one, &others);
            }
            Event::Halves | Event::Bridge => {
                let mut mixed = self.some(self.names.len());
                let bridge = matches!(event, Event::Bridge).then(|| mixed.pop()).flatten();
                let (one, other) = mixed.split_at(mixed.len() / 2);
                let (mut one, mut other) = (one.join(" "), other.join(" "));
                for worker in &self.workers {
                    let side = if self.rng.random() { &mut one } else { &mut other };
                    side.push(' ');
                    side.push_str(&worker.name);
                }
                self.tell(format!("{one} / {other} with {bridge:?} between them"));
                self.cluster.net.cut(&one, &other);
            }
            Event::LeaderHeld => {
                let Some(leader) = self.leader() else { return };
                let mut others = self.some(self.names.len());
                others.retain(|name| *name != leader);
                let held = others.pop();
                self.tell(format!("the leader {leader} reaches {held:?} only"));
                self.cluster.net.cut(&leader, &others.join(" "));
            }
            Event::Healed => {
                self.tell("all lines work");
                self.cluster.net.heal();
            }
            Event::Lossy => self.line(|faults, rng| faults.lost = *[0, 5, 20].choose(rng).unwrap()),
            Event::Slow => {
                self.line(|faults, rng| faults.delay = Duration::from_millis(*[0, 30, 150, 900].choose(rng).unwrap()));
            }
            Event::Doubled => self.line(|faults, rng| faults.doubled = *[0, 10, 50].choose(rng).unwrap()),
            _ => unreachable!("{event:?} happens to nodes"),
        }
    }

    fn line(&mut self, change: impl FnOnce(&mut Faults, &mut StdRng)) {
        let now = self.cluster.net.faults(|faults| {
            change(faults, &mut self.rng);
            format!("{} % are lost, {} % doubled, all late by up to {:?}", faults.lost, faults.doubled, faults.delay)
        });
        self.tell(now);
    }
}
