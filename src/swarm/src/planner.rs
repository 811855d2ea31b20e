mod fetching;
mod serving;

use std::{collections::BTreeMap, time::Duration};

use rand::{SeedableRng, rngs::SmallRng};
use ringrift_blob::{ChunkSet, Digest};
use ringrift_config::NodeId;

use crate::{
    bans::Bans,
    config::{Order, PlannerConfig},
    io::{DropReason, Input, Output},
    pace::Pace,
    peer::Peer,
    track::Track,
    uploads::Uploads,
};

/// Sessions that a planner keeps apart. One more is dropped.
pub const MAX_PEERS: usize = 128;
/// The longest rest of a peer that says it is busy, and the longest time until a refused chunk is asked for again.
const MAX_WAIT: Duration = Duration::from_secs(8);

/// Decides which chunk to ask of whom, and whom to serve. Its state is bounded by blobs × peers.
#[derive(Debug)]
pub struct Planner {
    config: PlannerConfig,
    rng: SmallRng,
    /// Blobs that are wanted or held. Places are used again, so that peers can refer to them.
    tracks: Vec<Option<Track>>,
    places: BTreeMap<Digest, usize>,
    /// Places of what is wanted, the first to ask for first.
    wanted: Vec<usize>,
    /// By id.
    peers: Vec<Peer>,
    uploads: Uploads,
    bans: Bans,
    wants: u64,
    /// How fast peers answer in general.
    pace: Pace,
    /// When a chunk came that was asked for.
    heard: Option<Duration>,
    /// When something is overdue, or may be tried again.
    due: Option<Duration>,
    now: Duration,
}

impl Planner {
    /// A planner that knows of no blob and no peer.
    pub fn new(config: PlannerConfig) -> Self {
        let rng = SmallRng::seed_from_u64(config.seed);
        Self {
            config,
            rng,
            tracks: Vec::new(),
            places: BTreeMap::new(),
            wanted: Vec::new(),
            peers: Vec::new(),
            uploads: Uploads::default(),
            bans: Bans::default(),
            wants: 0,
            pace: Pace::new(Duration::ZERO),
            heard: None,
            due: None,
            now: Duration::ZERO,
        }
    }

    /// What is here of a blob that is wanted or held.
    pub fn have(&self, sha256: &Digest) -> Option<&ChunkSet> {
        self.tracks[*self.places.get(sha256)?].as_ref().map(|track| &track.have)
    }

    /// The blobs that are wanted or held.
    pub fn blobs(&self) -> impl Iterator<Item = Digest> + '_ {
        self.places.keys().copied()
    }

    /// When to say [`Input::Tick`], unless something else comes before.
    pub fn deadline(&self) -> Option<Duration> {
        self.due
    }

    /// Takes one input and appends what is to be done.
    pub fn step(&mut self, now: Duration, input: Input<'_>, out: &mut Vec<Output>) {
        self.now = self.now.max(now);
        let now = self.now;
        match input {
            Input::Want { blob, have } => self.want(blob.sha256, blob.count(), have, out),
            Input::Hold { blob } => self.want(blob.sha256, blob.count(), ChunkSet::full(blob.count()), out),
            Input::Forget { sha256 } => self.forget(&sha256, out),
            Input::PeerUp { peer } => self.peer_up(peer, out),
            Input::PeerDown { peer } => {
                if let Ok(at) = self.peer(&peer) {
                    self.peer_down(at, out);
                }
            }
            Input::Has { peer, sha256, chunks } => self.has(&peer, sha256, chunks, out),
            Input::Have { peer, sha256, chunk } => self.have_one(&peer, &sha256, chunk, out),
            Input::Arrived { peer, sha256, chunk } => self.arrived(&peer, &sha256, chunk, out),
            Input::Bad { peer, sha256, chunk } => {
                if let Ok(at) = self.peer(&peer) {
                    self.ban(at, DropReason::BadChunk { sha256, chunk }, out);
                }
            }
            Input::Refused { peer, sha256, chunk, busy } => self.refused(&peer, &sha256, chunk, busy, out),
            Input::Asked { peer, sha256, chunk } => self.asked(&peer, sha256, chunk, out),
            Input::Cancelled { peer, sha256, chunk } => self.cancelled(&peer, sha256, chunk),
            Input::Sent { peer, sha256, chunk } => self.sent(&peer, sha256, chunk, out),
            Input::Tick => {}
        }
        if self.due.is_some_and(|due| due <= now) {
            self.review(now, out);
        }
        let typical = self.pace.allowance();
        self.due = self.peers.iter().filter_map(|peer| peer.due(typical)).min();
    }

    fn peer(&self, id: &NodeId) -> Result<usize, usize> {
        self.peers.binary_search_by(|peer| peer.id.cmp(id))
    }

    fn want(&mut self, sha256: Digest, len: u32, have: ChunkSet, out: &mut Vec<Output>) {
        let have = if have.len() == len { have } else { ChunkSet::new(len) };
        if let Some(&at) = self.places.get(&sha256) {
            for chunk in have.iter() {
                self.stored(at, chunk, out);
            }
            return;
        }
        self.wants += 1;
        let mut track = Track::new(sha256, have, self.wants);
        let at = self.tracks.iter().position(Option::is_none).unwrap_or_else(|| {
            self.tracks.push(None);
            self.tracks.len() - 1
        });
        for peer in &mut self.peers {
            peer.maps.resize(self.tracks.len(), None);
            let known = peer.unclaimed.iter().position(|(known, _)| *known == sha256);
            peer.maps[at] =
                known.and_then(|known| peer.unclaimed.remove(known)).map(|(_, map)| map).filter(|map| map.len() == len);
            peer.maps[at].iter().flat_map(ChunkSet::iter).for_each(|chunk| track.gained(chunk));
        }
        let missing = track.missing();
        self.tracks[at] = Some(track);
        self.places.insert(sha256, at);
        if missing > 0 {
            self.wanted.push(at);
            self.sort_wanted();
            self.fill_all(out);
        }
    }

    fn sort_wanted(&mut self) {
        let (tracks, order) = (&self.tracks, self.config.order);
        self.wanted.sort_by_key(|at| {
            tracks[*at].as_ref().map(|track| match order {
                Order::SmallestRemaining => (u64::from(track.missing()), track.age),
                Order::Newest | Order::Rarest => (u64::MAX - track.age, 0),
            })
        });
    }

    fn forget(&mut self, sha256: &Digest, out: &mut Vec<Output>) {
        let Some(at) = self.places.remove(sha256) else { return };
        self.tracks[at] = None;
        self.wanted.retain(|wanted| *wanted != at);
        for peer in &mut self.peers {
            for ask in peer.asks.extract_if(.., |ask| ask.track == at) {
                out.push(Output::Cancel { peer: peer.id.clone(), sha256: *sha256, chunk: ask.chunk });
            }
            if peer.asks.is_empty() {
                peer.silent_since = None;
            }
            peer.refused.retain(|(track, _)| *track != at);
            if let Some(map) = peer.maps[at].take() {
                peer.remember(*sha256, map);
            }
            let id = &peer.id;
            peer.queue.retain(|(queued, chunk)| {
                let gone = queued == sha256;
                if gone {
                    out.push(Output::Refuse { peer: id.clone(), sha256: *sha256, chunk: *chunk, busy: false });
                }
                !gone
            });
        }
        self.fill_all(out);
    }

    fn peer_up(&mut self, id: NodeId, out: &mut Vec<Output>) {
        if let Ok(at) = self.peer(&id) {
            // A session that replaces another: nothing of the old one is valid.
            self.peer_down(at, out);
        }
        let reason = match self.bans.left(&id, self.now) {
            Some(left) => DropReason::Banned { left },
            None if self.peers.len() >= MAX_PEERS => DropReason::TooMany,
            None => {
                let at = self.peers.partition_point(|peer| peer.id < id);
                self.peers.insert(at, Peer::new(id, self.tracks.len(), self.now));
                return;
            }
        };
        out.push(Output::Drop { peer: id, reason });
    }

    fn peer_down(&mut self, at: usize, out: &mut Vec<Output>) {
        let peer = self.peers.remove(at);
        for (track, map) in self.tracks.iter_mut().zip(&peer.maps) {
            if let (Some(track), Some(map)) = (track, map) {
                map.iter().for_each(|chunk| track.lost(chunk));
            }
        }
        for (sha256, chunk) in peer.queue.into_iter().chain(peer.active) {
            self.keep(&sha256, chunk);
        }
        for ask in &peer.asks {
            self.reopen(ask.track, ask.chunk);
        }
        self.serve(out);
        self.fill_all(out);
    }

    fn ban(&mut self, at: usize, reason: DropReason, out: &mut Vec<Output>) {
        let id = self.peers[at].id.clone();
        self.bans.add(id.clone(), self.now + self.config.ban);
        out.push(Output::Drop { peer: id, reason });
        self.peer_down(at, out);
    }

    fn has(&mut self, peer: &NodeId, sha256: Digest, chunks: ChunkSet, out: &mut Vec<Output>) {
        let Ok(at) = self.peer(peer) else { return };
        let Some(&place) = self.places.get(&sha256) else { return self.peers[at].remember(sha256, chunks) };
        let Some(track) = &mut self.tracks[place] else { return };
        if let Some(old) = self.peers[at].maps[place].take() {
            old.iter().for_each(|chunk| track.lost(chunk));
        }
        if chunks.len() == track.len() {
            chunks.iter().for_each(|chunk| track.gained(chunk));
            self.peers[at].maps[place] = Some(chunks);
        }
        self.fill(at, out);
    }

    fn have_one(&mut self, peer: &NodeId, sha256: &Digest, chunk: u32, out: &mut Vec<Output>) {
        let Ok(at) = self.peer(peer) else { return };
        let Some(&place) = self.places.get(sha256) else {
            if let Some((_, map)) = self.peers[at].unclaimed.iter_mut().find(|(known, _)| known == sha256) {
                map.insert(chunk);
            }
            return;
        };
        let Some(track) = &mut self.tracks[place] else { return };
        let map = self.peers[at].maps[place].get_or_insert_with(|| ChunkSet::new(track.len()));
        if map.insert(chunk) {
            track.gained(chunk);
            self.fill(at, out);
        }
    }
}
