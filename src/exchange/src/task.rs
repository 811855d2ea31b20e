use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use ringrift_blob::Digest;
use ringrift_config::NodeId;
use ringrift_swarm::{DropReason, Input, Output, Planner};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::dial::{Dialer, Dialling};
use crate::engine::{EngineConfig, Shared};
use crate::fetch::{Ended as DiskEnded, Fetch, Work};
use crate::outbox::Job;
use crate::peer::{Peer, Running};
use crate::progress::ExchangeEvent;
use crate::session::{BoxedStream, Common, News, SessionId};
use crate::storage::Storage;
use crate::wire::{ChunkId, Farewell, Frame};

/// How often rates, idle sessions and stuck fetches are looked at, and the least that the watchdog sees.
const TICK: Duration = Duration::from_secs(1);
/// Between two publications of the progress.
const PUBLISH: Duration = Duration::from_millis(100);
/// News that are taken before anything else is looked at.
const BATCH: usize = 256;

/// The one task that owns the planner.
pub(crate) struct Task {
    pub(crate) config: EngineConfig,
    pub(crate) planner: Planner,
    pub(crate) dialling: Dialling,
    pub(crate) shared: Arc<Shared>,
    pub(crate) common: Arc<Common>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) dialer: Arc<dyn Dialer>,
    /// Start of the planner's time.
    epoch: Instant,
    /// What is wanted, the most urgent first.
    pub(crate) order: Vec<Digest>,
    pub(crate) fetches: HashMap<Digest, Fetch>,
    pub(crate) sessions: HashMap<SessionId, Running>,
    pub(crate) peers: BTreeMap<NodeId, Peer>,
    pub(crate) bans: BTreeMap<NodeId, Instant>,
    pub(crate) last_id: u64,
    pub(crate) tasks: JoinSet<()>,
    pub(crate) disk: JoinSet<DiskEnded>,
    /// The blobs that are wanted, for the threads that remove others.
    pub(crate) live: Arc<Mutex<HashSet<Digest>>>,
    /// Whoever removes a blob is alone with the store.
    pub(crate) removing: Arc<RwLock<()>>,
    pub(crate) dials: JoinSet<(NodeId, Result<BoxedStream, String>)>,
    /// The progress differs from what was published.
    pub(crate) dirty: bool,
    /// It says that the store's work has ended: whoever waits for that waits no longer.
    pub(crate) urgent: bool,
    published: Instant,
    ticked: Instant,
    outputs: VecDeque<Output>,
    carrying_out: bool,
}

impl Task {
    pub(crate) fn new(
        config: EngineConfig,
        planner: Planner,
        dialling: Dialling,
        shared: Arc<Shared>,
        common: Arc<Common>,
        storage: Arc<dyn Storage>,
        dialer: Arc<dyn Dialer>,
    ) -> Self {
        let now = Instant::now();
        Self {
            config,
            planner,
            dialling,
            shared,
            common,
            storage,
            dialer,
            epoch: now,
            order: Vec::new(),
            fetches: HashMap::new(),
            sessions: HashMap::new(),
            peers: BTreeMap::new(),
            bans: BTreeMap::new(),
            last_id: 0,
            tasks: JoinSet::new(),
            disk: JoinSet::new(),
            live: Arc::default(),
            removing: Arc::default(),
            dials: JoinSet::new(),
            dirty: false,
            urgent: false,
            published: now,
            ticked: now,
            outputs: VecDeque::new(),
            carrying_out: false,
        }
    }

    pub(crate) async fn run(
        mut self,
        mut inbound: mpsc::Receiver<(NodeId, BoxedStream)>,
        mut told: mpsc::Receiver<(SessionId, News)>,
        shutdown: CancellationToken,
    ) {
        let shared = Arc::clone(&self.shared);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let wake_at = self.wake_at();
            if shared.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                _ = told.recv_many(&mut batch, BATCH) => {
                    for (id, news) in batch.drain(..) {
                        self.news(id, news);
                    }
                }
                () = shared.wished.notified() => self.take_wishes(),
                Some((peer, stream)) = inbound.recv() => self.begin(peer, stream, false),
                Some(done) = self.disk.join_next() => match done {
                    Ok(done) => self.disk_ended(done),
                    Err(error) => tracing::error!("work on a file failed: {error}"),
                },
                Some(done) = self.dials.join_next() => match done {
                    Ok((peer, stream)) => self.dialled(peer, stream),
                    Err(error) => tracing::error!("a dial failed: {error}"),
                },
                Some(_) = self.tasks.join_next() => {}
                () = sleep_until(wake_at) => self.tick(),
            }
            self.dial();
            self.publish();
            self.shared.turns.fetch_add(1, Ordering::Relaxed);
        }
        self.goodbye(told).await;
    }

    /// Ends all sessions, and waits until no file is worked on.
    async fn goodbye(mut self, mut told: mpsc::Receiver<(SessionId, News)>) {
        self.dials.abort_all();
        for running in self.sessions.values() {
            running.handle.outbox.bye(Farewell::Stopping);
        }
        let all = async {
            loop {
                tokio::select! {
                    ended = self.tasks.join_next() => if ended.is_none() { return },
                    _ = told.recv() => {}
                }
            }
        };
        if timeout(2 * self.common.times.goodbye, all).await.is_err() {
            self.sessions.values().for_each(|running| running.handle.stop.cancel());
        }
        // A thread that verifies must be able to say so before it ends.
        drop(told);
        self.tasks.join_all().await;
        // Whoever has all the permits knows that nobody verifies.
        let _ = self.common.verifying.acquire_many(self.common.verifiers).await;
        let fetches = std::mem::take(&mut self.fetches);
        self.disk.spawn_blocking(move || {
            drop(fetches);
            DiskEnded { sha256: Digest::from_bytes([0; Digest::LEN]), job: 0, what: Work::LetGo }
        });
        self.disk.join_all().await;
    }

    fn wake_at(&self) -> Instant {
        let mut at = self.ticked + TICK;
        if let Some(deadline) = self.planner.deadline() {
            at = at.min(self.epoch + deadline);
        }
        if let Some(dial) = self.dialling.next(self.hungry()) {
            at = at.min(dial);
        }
        if self.dirty {
            at = at.min(self.published + PUBLISH);
        }
        at
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if self.planner.deadline().is_some_and(|deadline| self.epoch + deadline <= now) {
            self.step(Input::Tick);
        }
        if now >= self.ticked + TICK {
            self.ticked = now;
            self.bans.retain(|_, until| *until > now);
            self.review_fetches(now);
            self.close_idle(now);
            // Rates fall while nothing comes.
            self.dirty |= self.hungry();
        }
    }

    fn take_wishes(&mut self) {
        let wishes = std::mem::take(&mut *self.shared.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(rates) = wishes.rates {
            self.common.up.set(rates.up_mbps);
            self.common.down.set(rates.down_mbps);
        }
        if let Some(members) = wishes.members {
            self.set_members(&members);
        }
        if let Some(wanted) = wishes.wanted {
            self.set_wanted(wanted);
        }
        if wishes.recheck {
            self.recheck();
        }
    }

    fn publish(&mut self) {
        let now = Instant::now();
        if self.dirty && (self.urgent || now >= self.published + PUBLISH) {
            (self.dirty, self.urgent, self.published) = (false, false, now);
            let progress = self.order.iter().filter_map(|sha256| {
                let have = self.planner.have(sha256);
                self.fetches.get_mut(sha256).map(|fetch| fetch.progress(have, now))
            });
            let progress = progress.collect();
            self.shared.progress.send_replace(progress);
        }
    }

    /// Tells the planner something, and does what it says.
    pub(crate) fn step(&mut self, input: Input<'_>) {
        let mut outputs = Vec::new();
        self.planner.step(self.epoch.elapsed(), input, &mut outputs);
        self.outputs.extend(outputs);
        // What is done may tell the planner more; that comes after all that it said before.
        if !self.carrying_out {
            self.carrying_out = true;
            while let Some(output) = self.outputs.pop_front() {
                self.carry_out(output);
            }
            self.carrying_out = false;
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Request { peer, sha256, chunk } => self.request(&peer, ChunkId { sha256, chunk }),
            Output::Cancel { peer, sha256, chunk } => {
                let which = ChunkId { sha256, chunk };
                if let Some(peer) = self.peers.get(&peer)
                    && peer.handle.ledger.cancel(which)
                {
                    peer.handle.outbox.push(Frame::Cancel(which));
                }
            }
            Output::Announce { peer, sha256, chunk } => {
                if let (Some(peer), Some(have)) = (self.peers.get_mut(&peer), self.planner.have(&sha256)) {
                    peer.announce(ChunkId { sha256, chunk }, have);
                }
            }
            Output::Serve { peer, sha256, chunk } => self.serve(&peer, ChunkId { sha256, chunk }),
            Output::Refuse { peer, sha256, chunk, busy } => {
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.refuse(ChunkId { sha256, chunk }, busy);
                }
            }
            Output::Drop { peer, reason } => self.drop_peer(&peer, &reason),
            Output::Done { sha256 } => self.finish(&sha256),
        }
    }

    fn request(&mut self, peer: &NodeId, which: ChunkId) {
        let Some(sink) = self.fetches.get(&which.sha256).and_then(Fetch::sink) else { return };
        let Some(fetch) = self.fetches.get(&which.sha256) else { return };
        let range = fetch.blob.range(which.chunk);
        if let Some(peer) = self.peers.get(peer)
            && peer.handle.ledger.request(which, (range.end - range.start) as u32, (&sink, fetch.life))
        {
            peer.handle.outbox.push(Frame::Request(which));
        }
    }

    fn serve(&mut self, to: &NodeId, which: ChunkId) {
        let fetch = self.fetches.get(&which.sha256);
        let Some(peer) = self.peers.get_mut(to) else { return };
        if let Some((fetch, supply)) = fetch.and_then(|fetch| fetch.supply().map(|supply| (fetch, supply))) {
            let range = fetch.blob.range(which.chunk);
            peer.serving.insert(which);
            peer.handle.outbox.serve(Job { which, length: (range.end - range.start) as u32, supply });
        } else {
            peer.refuse(which, false);
            self.step(Input::Sent { peer: to.clone(), sha256: which.sha256, chunk: which.chunk });
        }
    }

    fn drop_peer(&mut self, id: &NodeId, reason: &DropReason) {
        match reason {
            DropReason::BadChunk { .. } | DropReason::Silent { .. } => self.ban(id, reason.to_string()),
            DropReason::Banned { .. } => self.dismiss(id, Farewell::Banned),
            DropReason::TooMany => self.dismiss(id, Farewell::Full),
        }
    }

    /// Leaves a node alone for a while, and names it.
    pub(crate) fn ban(&mut self, id: &NodeId, reason: String) {
        let until = Instant::now() + self.config.planner.ban;
        self.bans.insert(id.clone(), until);
        self.dialling.banned(id, until);
        tracing::warn!(peer = %id, "{id} {reason}: left alone for {:?}", self.config.planner.ban);
        self.event(ExchangeEvent::SourceDropped { peer: id.clone(), reason });
        if let Some(peer) = self.peers.remove(id) {
            peer.handle.stop.cancel();
        }
        self.step(Input::PeerDown { peer: id.clone() });
    }

    pub(crate) fn event(&self, event: ExchangeEvent) {
        // Nobody listening is no fault.
        let _ = self.shared.events.send(event);
    }
}
