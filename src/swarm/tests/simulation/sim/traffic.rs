//! What planners say, and how chunks and messages travel between them.

use std::time::{Duration, Instant};

use ringrift_swarm::{Input, Output};

use super::{
    links::{Load, Message},
    node::Behaviour,
    world::{Event, World, place},
};

impl World {
    pub(super) fn tell(&mut self, from: usize, to: usize, message: Message) {
        let delay = self.delay(from, to);
        let now = self.now;
        let Some(lane) = self.lane(from, to).filter(|lane| lane.up) else { return };
        if lane.sending.is_some() {
            return lane.messages.push(message);
        }
        let epoch = lane.epoch;
        self.messages += 1;
        self.schedule(now + delay, Event::Message { from, to, epoch, message });
    }

    /// Lets an uplink take its next quantum.
    pub(super) fn send(&mut self, at: usize) {
        if self.nodes[at].up_busy || self.nodes[at].planner.is_none() {
            return;
        }
        let node = &mut self.nodes[at];
        let Some(turn) = (0..node.turns.len()).find(|turn| node.lanes[node.turns[*turn]].ready()) else { return };
        let index = node.turns.remove(turn).unwrap();
        let lane = &mut node.lanes[index];
        let (load, bytes, last) = lane.take().unwrap();
        let (to, epoch) = (lane.to, lane.epoch);
        if lane.sending.is_some() || !lane.waiting.is_empty() {
            node.turns.push_back(index);
        }
        node.up_busy = true;
        node.sent += bytes;
        let left = self.now + (bytes as f64 / node.spec.up * 1e9) as u64;
        let peer = self.nodes[to].id.clone();
        let delay = self.delay(at, to);
        self.schedule(left, Event::UpFree(at));
        self.schedule(left + delay, Event::Arrive { from: at, to, epoch, load, bytes: bytes as u32, last });
        if last {
            for message in std::mem::take(&mut self.lane(at, to).unwrap().messages) {
                self.tell(at, to, message);
            }
            let sha256 = self.blobs[usize::from(load.blob)].sha256;
            self.step(at, Input::Sent { peer, sha256, chunk: load.chunk });
        }
    }

    pub(super) fn through(&mut self, from: usize, to: usize, epoch: u32, load: Load, bytes: u32, last: bool) {
        let Some(lane) = self.lane(from, to).filter(|lane| lane.up && lane.epoch == epoch) else { return };
        lane.in_flight -= 1;
        self.send(from);
        self.nodes[to].received += u64::from(bytes);
        if !last || self.nodes[to].planner.is_none() {
            return;
        }
        let peer = self.nodes[from].id.clone();
        let sha256 = self.blobs[usize::from(load.blob)].sha256;
        if self.nodes[from].spec.behaviour == Behaviour::Lies {
            self.nodes[to].bad += u64::from(load.bytes);
            return self.step(to, Input::Bad { peer, sha256, chunk: load.chunk });
        }
        let now = self.now();
        let node = &mut self.nodes[to];
        if !node.disk[usize::from(load.blob)].insert(load.chunk) {
            node.wasted += u64::from(load.bytes);
        } else if node.disk[usize::from(load.blob)].is_full() {
            node.done[usize::from(load.blob)] = Some(now);
        }
        self.step(to, Input::Arrived { peer, sha256, chunk: load.chunk });
    }

    pub(super) fn message(&mut self, from: usize, to: usize, message: Message) {
        let peer = self.nodes[from].id.clone();
        let sha256 = |blob: u16| self.blobs[usize::from(blob)].sha256;
        let input = match message {
            Message::Has(blob, chunks) => Input::Has { peer, sha256: sha256(blob), chunks: *chunks },
            Message::Have(blob, chunk) => Input::Have { peer, sha256: sha256(blob), chunk },
            Message::Request(blob, chunk) => Input::Asked { peer, sha256: sha256(blob), chunk },
            Message::Refuse(blob, chunk, busy) => {
                self.nodes[to].refused += 1;
                Input::Refused { peer, sha256: sha256(blob), chunk, busy }
            }
            Message::Cancel(blob, chunk) => Input::Cancelled { peer, sha256: sha256(blob), chunk },
        };
        self.step(to, input);
    }

    pub(super) fn step(&mut self, at: usize, input: Input<'_>) {
        let mut out = std::mem::take(&mut self.out);
        let now = Duration::from_nanos(self.now);
        let Some(planner) = &mut self.nodes[at].planner else {
            self.out = out;
            return;
        };
        let started = self.timed.then(Instant::now);
        planner.step(now, input, &mut out);
        let deadline = planner.deadline();
        self.in_steps += started.map_or(Duration::ZERO, |started| started.elapsed());
        self.steps += 1;
        if let Some(deadline) = deadline {
            let deadline = (deadline.as_nanos() as u64).max(self.now + 1);
            if deadline < self.nodes[at].tick_at {
                self.nodes[at].tick_at = deadline;
                self.schedule(deadline, Event::Tick(at));
            }
        }
        let mut outputs = std::mem::take(&mut out);
        for output in outputs.drain(..) {
            self.output(at, output);
        }
        self.out = outputs;
    }

    pub(super) fn output(&mut self, at: usize, output: Output) {
        let number = |world: &Self, sha256| world.blobs.iter().position(|blob| blob.sha256 == sha256).unwrap() as u16;
        match output {
            Output::Request { peer, sha256, chunk } => {
                self.requests += 1;
                self.tell(at, place(&peer), Message::Request(number(self, sha256), chunk));
            }
            Output::Cancel { peer, sha256, chunk } => {
                self.tell(at, place(&peer), Message::Cancel(number(self, sha256), chunk));
            }
            Output::Announce { peer, sha256, chunk } => {
                self.tell(at, place(&peer), Message::Have(number(self, sha256), chunk));
            }
            Output::Refuse { peer, sha256, chunk, busy } => {
                self.tell(at, place(&peer), Message::Refuse(number(self, sha256), chunk, busy));
            }
            Output::Serve { peer, sha256, chunk } => {
                let (to, blob) = (place(&peer), number(self, sha256));
                if self.nodes[at].spec.behaviour == Behaviour::Mute {
                    return;
                }
                let range = self.blobs[usize::from(blob)].range(chunk);
                let load = Load { blob, chunk, bytes: (range.end - range.start) as u32 };
                let node = &mut self.nodes[at];
                let index = node.lanes.iter().position(|lane| lane.to == to).unwrap();
                node.lanes[index].waiting.push_back(load);
                if !node.turns.contains(&index) {
                    node.turns.push_back(index);
                }
                self.send(at);
            }
            Output::Drop { peer, reason } => {
                self.nodes[at].dropped.push((peer.clone(), reason));
                self.disconnect(at, place(&peer));
            }
            Output::Done { .. } => {}
        }
    }
}
