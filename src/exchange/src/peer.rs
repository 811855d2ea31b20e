use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ringrift_blob::{ChunkSet, Digest};
use ringrift_config::NodeId;
use ringrift_swarm::Input;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::breach::{Breach, Ended};
use crate::dial::takes_over;
use crate::session::{self, BoxedStream, Came, Handle, News, SessionId};
use crate::storage::Put;
use crate::task::Task;
use crate::wire::{ChunkId, Farewell, Frame};

/// Blobs that a peer may announce though nobody here wants them: it may know of a promotion first.
const MAX_UNKNOWN: usize = 256;
/// Chunks of all of them together: 2 TB in chunks of 256 KiB, and 1 MiB here.
const MAX_UNKNOWN_CHUNKS: u64 = 8 << 20;
/// A session that lasted so long was worth its dial.
const PROVED: std::time::Duration = std::time::Duration::from_secs(10);
/// How long a dial may take, the upgrade included.
const DIAL: std::time::Duration = std::time::Duration::from_secs(10);

/// A session, from the moment when there is a stream.
pub(crate) struct Running {
    pub(crate) peer: NodeId,
    /// Whether this node dialled.
    ours: bool,
    pub(crate) handle: Arc<Handle>,
    since: Instant,
}

/// The session that is used with a node, out of those that there may be.
pub(crate) struct Peer {
    session: SessionId,
    ours: bool,
    instance: u64,
    pub(crate) handle: Arc<Handle>,
    /// What it has of the blobs that are wanted here.
    holdings: HashMap<Digest, ChunkSet>,
    /// What it has of others.
    unknown: HashMap<Digest, ChunkSet>,
    /// Its requests that have no answer yet.
    asked: HashSet<ChunkId>,
    /// Those of them that are on their way.
    pub(crate) serving: HashSet<ChunkId>,
    /// Asked again while the first answer was on its way.
    again: Vec<ChunkId>,
    /// Blobs of which it was told that some is here.
    told: BTreeSet<Digest>,
    /// When the last chunk or news came or went.
    active: Instant,
}

impl Peer {
    fn told(&mut self, sha256: Digest) {
        self.told.insert(sha256);
        self.active = Instant::now();
    }

    /// Tells that a chunk is here; the first time all that is here of the blob, with its length, because a peer that does not want
    /// the blob yet can keep nothing else.
    pub(crate) fn announce(&mut self, which: ChunkId, have: &ChunkSet) {
        if self.told.contains(&which.sha256) {
            self.told(which.sha256);
            self.handle.outbox.announce(which);
        } else {
            self.tell(which.sha256, have);
        }
    }

    pub(crate) fn refuse(&mut self, which: ChunkId, busy: bool) {
        if self.asked.remove(&which) {
            self.handle.outbox.push(Frame::Refused { which, busy });
        }
    }

    /// Tells what is here of a blob, in one.
    pub(crate) fn tell(&mut self, sha256: Digest, have: &ChunkSet) {
        if !have.is_empty() {
            self.told(sha256);
            self.handle.outbox.push(Frame::Has { sha256, count: have.len(), bits: have.to_bytes() });
        }
    }

    /// Tells that a blob is no longer here. Returns the chunks that are not sent therefore.
    pub(crate) fn untell(&mut self, sha256: Digest) -> Vec<ChunkId> {
        let withdrawn = self.handle.outbox.withdraw_all(&sha256);
        for which in &withdrawn {
            self.serving.remove(which);
            self.refuse(*which, false);
        }
        if self.told.remove(&sha256) {
            self.handle.outbox.push(Frame::Forget(sha256));
        }
        withdrawn
    }

    /// The blob is no longer wanted; what the peer has of it could matter again.
    pub(crate) fn disown(&mut self, sha256: &Digest) {
        if let Some(held) = self.holdings.remove(sha256)
            && self.unknown.len() < MAX_UNKNOWN
        {
            self.unknown.insert(*sha256, held);
        }
    }

    /// A blob of which it told is wanted from now on.
    pub(crate) fn adopt(&mut self, sha256: Digest, count: u32) {
        if let Some(chunks) = self.unknown.remove(&sha256).filter(|chunks| chunks.len() == count) {
            self.holdings.insert(sha256, chunks);
        }
    }

    pub(crate) fn has_all(&self, sha256: &Digest) -> bool {
        self.holdings.get(sha256).is_some_and(ChunkSet::is_full)
    }

    pub(crate) fn has_any_of(&self, sha256: &Digest, missing: impl Fn(u32) -> bool) -> bool {
        self.holdings.get(sha256).is_some_and(|held| held.iter().any(missing))
    }
}

impl Task {
    /// Begins a session over a new stream.
    pub(crate) fn begin(&mut self, peer: NodeId, stream: BoxedStream, ours: bool) {
        let now = Instant::now();
        let banned = self.bans.get(&peer).is_some_and(|until| *until > now);
        // Even those that are told to come back later are bounded.
        if banned || self.sessions.len() >= 2 * self.config.max_sessions {
            if ours {
                self.dialling.failed(&peer, now, rand::random());
            }
            return;
        }
        self.last_id += 1;
        let id = self.last_id;
        let handle = Arc::new(Handle::new(CancellationToken::new()));
        if self.sessions.len() >= self.config.max_sessions {
            handle.outbox.bye(Farewell::Full);
        }
        let running = Running { peer: peer.clone(), ours, handle: Arc::clone(&handle), since: now };
        self.sessions.insert(id, running);
        self.tasks.spawn(session::run(id, peer, stream, Arc::clone(&self.common), handle));
    }

    pub(crate) fn dial(&mut self) {
        let hungry = self.hungry();
        for peer in self.dialling.due(hungry, Instant::now()) {
            let dialer = Arc::clone(&self.dialer);
            self.dials.spawn(async move {
                let stream = timeout(DIAL, dialer.dial(&peer)).await;
                (peer, stream.unwrap_or_else(|_| Err(format!("no answer in {DIAL:?}"))))
            });
        }
    }

    pub(crate) fn dialled(&mut self, peer: NodeId, stream: Result<BoxedStream, String>) {
        match stream {
            Ok(stream) => self.begin(peer, stream, true),
            Err(reason) => {
                tracing::debug!(%peer, "{peer} cannot be dialled: {reason}");
                if !self.peers.contains_key(&peer) {
                    self.dialling.failed(&peer, Instant::now(), rand::random());
                }
            }
        }
    }

    /// What a session has to say.
    pub(crate) fn news(&mut self, id: SessionId, news: News) {
        // Verified bytes are welcome from a session that is over or was replaced, too.
        let news = match news {
            News::Came(came) => return self.came(came),
            other => other,
        };
        let Some(running) = self.sessions.get(&id) else { return };
        let peer = running.peer.clone();
        match news {
            News::Up(instance) => self.up(id, instance),
            News::Over(ended) => self.over(id, &ended),
            news => {
                let current = self.peers.get_mut(&peer).filter(|current| current.session == id);
                let Some(current) = current else { return };
                if let Err(breach) = match news {
                    News::Said(frame) => self.said(&peer, frame),
                    News::Refused { which: ChunkId { sha256, chunk }, busy } => {
                        self.step(Input::Refused { peer: peer.clone(), sha256, chunk, busy });
                        Ok(())
                    }
                    News::Went(which, went) => {
                        current.active = Instant::now();
                        current.asked.remove(&which);
                        current.serving.remove(&which);
                        let again = current.again.iter().position(|one| *one == which);
                        let again = again.map(|at| current.again.swap_remove(at));
                        self.went(&peer, which, went, again);
                        Ok(())
                    }
                    News::Up(_) | News::Over(_) | News::Came(..) => Ok(()),
                } {
                    self.ban(&peer, breach.to_string());
                }
            }
        }
    }

    fn went(&mut self, peer: &NodeId, which: ChunkId, went: Result<u32, String>, again: Option<ChunkId>) {
        let ChunkId { sha256, chunk } = which;
        self.step(Input::Sent { peer: peer.clone(), sha256, chunk });
        if let Err(reason) = went {
            tracing::warn!("chunk {chunk} of {sha256} could not be read for {peer}: {reason}");
            self.unreadable(&sha256, reason);
        }
        if again.is_some() {
            if let Some(current) = self.peers.get_mut(peer) {
                current.asked.insert(which);
            }
            self.step(Input::Asked { peer: peer.clone(), sha256, chunk });
        }
    }

    fn up(&mut self, id: SessionId, instance: u64) {
        let Some(running) = self.sessions.get(&id) else { return };
        let (peer, ours, handle) = (running.peer.clone(), running.ours, Arc::clone(&running.handle));
        if handle.outbox.farewell().is_some() {
            return;
        }
        if let Some(first) = self.peers.get(&peer) {
            // A node that was started again has forgotten the first stream, whoever dialled it.
            let replaced = first.instance != instance || takes_over(&self.config.node, &peer, first.ours, ours);
            if !replaced {
                return handle.outbox.bye(Farewell::Duplicate);
            }
            first.handle.outbox.bye(Farewell::Duplicate);
            self.peers.remove(&peer);
        }
        let now = Instant::now();
        let current = Peer {
            session: id,
            ours,
            instance,
            handle,
            holdings: HashMap::new(),
            unknown: HashMap::new(),
            asked: HashSet::new(),
            serving: HashSet::new(),
            again: Vec::new(),
            told: BTreeSet::new(),
            active: now,
        };
        self.peers.insert(peer.clone(), current);
        self.dialling.up(&peer);
        self.step(Input::PeerUp { peer: peer.clone() });
        for sha256 in &self.order {
            if let (Some(current), Some(have)) = (self.peers.get_mut(&peer), self.planner.have(sha256)) {
                current.tell(*sha256, have);
            }
        }
    }

    fn over(&mut self, id: SessionId, ended: &Ended) {
        let Some(running) = self.sessions.remove(&id) else { return };
        let now = Instant::now();
        let peer = running.peer;
        tracing::debug!(%peer, "session with {peer} over: it {ended}");
        let current = self.peers.get(&peer).is_some_and(|current| current.session == id);
        if now - running.since >= PROVED {
            self.dialling.proved(&peer);
        }
        if let Ended::Breach(breach) = ended {
            return self.ban(&peer, breach.to_string());
        }
        if current {
            self.peers.remove(&peer);
            self.step(Input::PeerDown { peer: peer.clone() });
        } else if self.peers.contains_key(&peer) || !running.ours {
            return;
        }
        match ended {
            Ended::Farewell(Farewell::Idle) | Ended::Dismissed(Farewell::Idle) => self.dialling.settled(&peer, now),
            _ if self.bans.contains_key(&peer) => {}
            _ => self.dialling.failed(&peer, now, rand::random()),
        }
    }

    fn said(&mut self, peer: &NodeId, frame: Frame) -> Result<(), Breach> {
        let Some(current) = self.peers.get_mut(peer) else { return Ok(()) };
        let peer = peer.clone();
        match frame {
            Frame::Has { sha256, count, bits } => {
                let chunks = ChunkSet::from_bytes(count, &bits).map_err(|_| Breach::News(sha256))?;
                if let Some(fetch) = self.fetches.get(&sha256) {
                    if count != fetch.blob.count() {
                        return Err(Breach::News(sha256));
                    }
                    current.holdings.insert(sha256, chunks.clone());
                } else {
                    current.unknown.insert(sha256, chunks.clone());
                    let all: u64 = current.unknown.values().map(|chunks| u64::from(chunks.len())).sum();
                    if current.unknown.len() > MAX_UNKNOWN || all > MAX_UNKNOWN_CHUNKS {
                        return Err(Breach::Blobs);
                    }
                }
                current.active = Instant::now();
                self.step(Input::Has { peer, sha256, chunks });
            }
            Frame::Have { sha256, chunks } => {
                let count = self.fetches.get(&sha256).map(|fetch| fetch.blob.count());
                if let Some(count) = count {
                    if chunks.iter().any(|chunk| *chunk >= count) {
                        return Err(Breach::News(sha256));
                    }
                    let held = current.holdings.entry(sha256).or_insert_with(|| ChunkSet::new(count));
                    for chunk in &chunks {
                        held.insert(*chunk);
                    }
                    current.active = Instant::now();
                } else if let Some(held) = current.unknown.get_mut(&sha256) {
                    for chunk in &chunks {
                        held.insert(*chunk);
                    }
                }
                for chunk in chunks {
                    self.step(Input::Have { peer: peer.clone(), sha256, chunk });
                }
            }
            Frame::Forget(sha256) => {
                current.holdings.remove(&sha256);
                current.unknown.remove(&sha256);
                let count = self.fetches.get(&sha256).map_or(1, |fetch| fetch.blob.count());
                self.step(Input::Has { peer, sha256, chunks: ChunkSet::new(count) });
            }
            Frame::Request(which) => {
                if current.serving.contains(&which) {
                    current.again.push(which);
                } else {
                    current.asked.insert(which);
                    self.step(Input::Asked { peer, sha256: which.sha256, chunk: which.chunk });
                }
            }
            Frame::Cancel(which) if current.asked.contains(&which) => {
                let ChunkId { sha256, chunk } = which;
                if current.handle.outbox.withdraw(which) {
                    current.serving.remove(&which);
                    current.refuse(which, false);
                    self.step(Input::Sent { peer, sha256, chunk });
                } else if !current.serving.contains(&which) {
                    current.refuse(which, false);
                    self.step(Input::Cancelled { peer, sha256, chunk });
                }
            }
            // A cancellation that crossed its answer. The others end in the session.
            _ => {}
        }
        Ok(())
    }

    fn came(&mut self, came: Came) {
        let Came { peer, which: ChunkId { sha256, chunk }, length, life, put } = came;
        let now = Instant::now();
        if let Some(current) = self.peers.get_mut(&peer) {
            current.active = now;
        }
        let Some(fetch) = self.fetches.get_mut(&sha256).filter(|fetch| fetch.life == life) else { return };
        match put {
            Put::Stored => {
                fetch.came(&peer, u64::from(length), now);
                self.dialling.proved(&peer);
                self.dirty = true;
                self.step(Input::Arrived { peer, sha256, chunk });
            }
            Put::Wrong => self.step(Input::Bad { peer, sha256, chunk }),
            // Several chunks are on their way when the disk is full; the first one said so.
            Put::NotStored(error) => {
                if fetch.is_hungry() {
                    self.not_stored(&sha256, &error);
                }
            }
        }
    }

    /// Ends a session without a fault.
    pub(crate) fn dismiss(&mut self, id: &NodeId, farewell: Farewell) {
        if let Some(peer) = self.peers.get(id) {
            peer.handle.outbox.bye(farewell);
        }
    }

    /// Closes the sessions in which there is nothing left to say.
    pub(crate) fn close_idle(&mut self, now: Instant) {
        let hungry = self.hungry();
        for peer in self.peers.values() {
            let settled = !hungry && self.order.iter().all(|sha256| peer.has_all(sha256));
            let patience = if settled { self.config.linger } else { self.config.quiet };
            if now - peer.active >= patience {
                peer.handle.outbox.bye(Farewell::Idle);
            }
        }
    }
}
