use std::time::Duration;

use ringrift_blob::Digest;
use ringrift_config::NodeId;

use super::{MAX_WAIT, Planner};
use crate::{
    config::Order,
    io::{DropReason, Output},
    peer::{Ask, FIRST_REST, FIRST_RETRY},
    pick,
};

/// What this node asks of peers.
impl Planner {
    pub(super) fn arrived(&mut self, peer: &NodeId, sha256: &Digest, chunk: u32, out: &mut Vec<Output>) {
        let place = self.places.get(sha256).copied();
        let at = self.peer(peer).ok();
        if let Some(at) = at {
            let peer = &mut self.peers[at];
            peer.rest_for = FIRST_REST;
            peer.retry_after = FIRST_RETRY;
            if let Some(ask) = place.and_then(|place| peer.answered(place, chunk)) {
                peer.pace.arrived(ask.at, self.now);
                self.pace.arrived(ask.at, self.now);
                self.heard = Some(self.now);
            }
            peer.silent_since = (!peer.asks.is_empty()).then_some(self.now);
        }
        if let Some(place) = place {
            self.stored(place, chunk, out);
        }
        if place.and_then(|place| self.tracks[place].as_ref()).is_some_and(|track| track.open.is_empty()) {
            // Near the end somebody else may be sooner.
            self.fill_all(out);
        } else if let Some(at) = at {
            self.fill(at, out);
        }
    }

    /// A chunk is here: tells who lacks it, and takes back what was asked of others.
    pub(super) fn stored(&mut self, place: usize, chunk: u32, out: &mut Vec<Output>) {
        let Some(track) = &mut self.tracks[place] else { return };
        if !track.have.insert(chunk) {
            return;
        }
        track.open.remove(chunk);
        let sha256 = track.sha256;
        for peer in &mut self.peers {
            if !peer.has(place, chunk) {
                out.push(Output::Announce { peer: peer.id.clone(), sha256, chunk });
            } else if peer.answered(place, chunk).is_some() {
                out.push(Output::Cancel { peer: peer.id.clone(), sha256, chunk });
            }
        }
        if track.have.is_full() {
            self.wanted.retain(|wanted| *wanted != place);
            if self.wanted.is_empty() {
                // Silence from now on is nobody's fault.
                self.peers.iter_mut().for_each(|peer| peer.silent_since = None);
            }
            out.push(Output::Done { sha256 });
        }
        if self.config.order == Order::SmallestRemaining {
            self.sort_wanted();
        }
    }

    pub(super) fn refused(&mut self, peer: &NodeId, sha256: &Digest, chunk: u32, busy: bool, out: &mut Vec<Output>) {
        let (Ok(at), Some(&place)) = (self.peer(peer), self.places.get(sha256)) else { return };
        let peer = &mut self.peers[at];
        if peer.answered(place, chunk).is_none() {
            return;
        }
        peer.silent_since = (!peer.asks.is_empty()).then_some(self.now);
        if busy {
            peer.rest_until = Some(self.now + peer.rest_for);
            peer.rest_for = (peer.rest_for * 2).min(MAX_WAIT);
        } else {
            self.defer(at, place, chunk);
        }
        self.reopen(place, chunk);
        self.fill_all(out);
    }

    /// Does not ask a peer for a chunk for a while.
    pub(super) fn defer(&mut self, at: usize, place: usize, chunk: u32) {
        let peer = &mut self.peers[at];
        peer.refused.push((place, chunk));
        peer.retry_at.get_or_insert(self.now + peer.retry_after);
    }

    /// A chunk that was asked for is not coming; unless another peer was asked too.
    pub(super) fn reopen(&mut self, place: usize, chunk: u32) {
        if self.peers.iter().any(|peer| peer.asks.iter().any(|ask| (ask.track, ask.chunk) == (place, chunk))) {
            return;
        }
        if let Some(track) = &mut self.tracks[place]
            && !track.have.contains(chunk)
        {
            track.open.insert(chunk);
        }
    }

    pub(super) fn fill_all(&mut self, out: &mut Vec<Output>) {
        for at in 0..self.peers.len() {
            self.fill(at, out);
        }
    }

    /// Asks a peer for as many chunks as keep the way to it full.
    pub(super) fn fill(&mut self, at: usize, out: &mut Vec<Output>) {
        if self.wanted.is_empty() || self.peers[at].rest_until.is_some_and(|until| until > self.now) {
            return;
        }
        while self.peers[at].asks.len() < self.peers[at].pace.window(self.config.max_window) {
            let picked = pick::rarest(&self.peers[at], &self.tracks, &self.wanted, self.config.order, &mut self.rng);
            let (place, chunk) = match picked {
                Some(picked) => picked,
                None => match pick::overtaken(at, &self.peers, &self.tracks, self.now) {
                    Some((place, chunk)) => {
                        self.tracks[place].iter_mut().for_each(|track| track.repeated += 1);
                        (place, chunk)
                    }
                    None => return,
                },
            };
            self.ask(at, place, chunk, out);
        }
    }

    pub(super) fn ask(&mut self, at: usize, place: usize, chunk: u32, out: &mut Vec<Output>) {
        let Some(track) = &mut self.tracks[place] else { return };
        track.open.remove(chunk);
        let peer = &mut self.peers[at];
        peer.asks.push(Ask { track: place, chunk, at: self.now });
        peer.silent_since.get_or_insert(self.now);
        out.push(Output::Request { peer: peer.id.clone(), sha256: track.sha256, chunk });
    }

    /// Looks for what is overdue.
    pub(super) fn review(&mut self, now: Duration, out: &mut Vec<Output>) {
        let mut at = 0;
        let mut freed = false;
        let typical = self.pace.allowance();
        while at < self.peers.len() {
            let peer = &mut self.peers[at];
            if peer.due(typical).is_none_or(|due| due > now) {
                at += 1;
                continue;
            }
            let lasted = peer.silent_since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
            if lasted >= self.config.patience && self.heard.is_some_and(|heard| heard + lasted > now) {
                self.ban(at, DropReason::Silent { lasted }, out);
                continue;
            }
            freed = true;
            if peer.retry_at.is_some_and(|retry| retry <= now) {
                peer.refused.clear();
                peer.retry_at = None;
                peer.retry_after = (peer.retry_after * 2).min(MAX_WAIT);
            }
            peer.rest_until.take_if(|until| *until <= now);
            let late: Vec<Ask> = typical.map_or_else(Vec::new, |typical| {
                let allowance = peer.allowance(typical);
                peer.asks.extract_if(.., |ask| ask.at + allowance <= now).collect()
            });
            if !late.is_empty() {
                peer.pace.late();
            }
            for ask in late {
                let peer = &self.peers[at];
                if let Some(track) = &self.tracks[ask.track] {
                    out.push(Output::Cancel { peer: peer.id.clone(), sha256: track.sha256, chunk: ask.chunk });
                }
                self.defer(at, ask.track, ask.chunk);
                self.reopen(ask.track, ask.chunk);
            }
            at += 1;
        }
        if freed {
            self.fill_all(out);
        }
    }
}
