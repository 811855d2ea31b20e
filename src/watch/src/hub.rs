use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use ringrift_config::NodeId;
use ringrift_state::{Agreed, ClusterId, Command, EntryMeta, Update, encode};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::ring::{Next, Ring, RingLimits};
use crate::wire::{Entry, FrameError, Kind, Report, SNAPSHOT_PART, frame, value_frame};
use crate::{ByteStream, Leadership, ServeError, Source, session};

/// How a [`Hub`] serves.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// This voter.
    pub node: NodeId,
    /// How often every watcher hears about the leadership, at least.
    pub heartbeat: Duration,
    /// How long a watcher may take no bytes before it is dropped.
    pub write_timeout: Duration,
    /// How many watchers are served at once.
    pub max_watchers: usize,
    /// How many log entries are kept at hand for watchers that come back or fall behind; the others get a snapshot.
    pub keep_entries: usize,
    /// The same in bytes.
    pub keep_bytes: usize,
}

impl HubConfig {
    /// Heartbeats every second, 10 s for a stuck watcher, at most 2,048 watchers, 4,096 entries of 8 MiB together.
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            heartbeat: Duration::from_secs(1),
            write_timeout: Duration::from_secs(10),
            max_watchers: 2048,
            keep_entries: 4096,
            keep_bytes: 8 << 20,
        }
    }
}

/// A voter's side: tells watchers what is agreed. Clones are handles to the same one.
///
/// Each update is encoded once, into a ring of frames; every watcher reads the ring at its own pace, so that a slow one
/// costs no memory. One that the ring has overtaken gets a snapshot, which is encoded once for all of them too.
#[derive(Clone)]
pub struct Hub {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: HubConfig,
    /// Cancelled when the hub ends, also when its source ended by itself: no watcher outlives it.
    pub(crate) ended: CancellationToken,
    source: Arc<dyn Source>,
    ring: Mutex<Ring>,
    report: ArcSwap<Bytes>,
    tip: watch::Sender<Tip>,
    snapshot: tokio::sync::Mutex<Option<Arc<Snapshot>>>,
    watchers: AtomicUsize,
    progress: AtomicU64,
}

/// What makes watchers look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tip {
    /// The log entry to come.
    pub(crate) next: u64,
    /// Counts the reports.
    pub(crate) report: u64,
}

/// A snapshot as frames.
pub(crate) struct Snapshot {
    pub(crate) index: u64,
    pub(crate) frames: Vec<Bytes>,
    made: Instant,
}

/// How long a snapshot is kept for the next watcher: long enough for all that come back when another voter stops.
const SNAPSHOT_KEPT: Duration = Duration::from_secs(10);
/// How many entries before the newest are asked of the source at first, for watchers that come back after a restart.
const BACKLOG: u64 = 1024;
/// How many updates are taken at once, at most.
const BATCH: usize = 1024;

impl Hub {
    /// Reads from `source` until it ends or `stop` is cancelled.
    pub fn start(config: HubConfig, source: Arc<dyn Source>, stop: CancellationToken) -> Self {
        let (hub, work) = Self::prepare(config, source, stop);
        tokio::spawn(work);
        hub
    }

    /// The same, and the caller runs the work: in a simulation it belongs to an imagined machine.
    pub fn prepare(
        config: HubConfig,
        source: Arc<dyn Source>,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let agreed = source.agreed();
        let leadership = source.leadership();
        let from = (agreed.index + 1).saturating_sub(BACKLOG).max(1);
        let limits = RingLimits { frames: config.keep_entries, bytes: config.keep_bytes };
        let report = report_frame(&agreed, &source.leadership_now());
        let shared = Arc::new(Shared {
            ring: Mutex::new(Ring::new(from, limits)),
            report: ArcSwap::from_pointee(report),
            tip: watch::Sender::new(Tip { next: from, report: 0 }),
            snapshot: tokio::sync::Mutex::default(),
            watchers: AtomicUsize::new(0),
            progress: AtomicU64::new(0),
            ended: CancellationToken::new(),
            config,
            source,
        });
        let running = Arc::clone(&shared);
        let work = async move {
            let _ended = running.ended.clone().drop_guard();
            running.run(from, leadership, stop).await;
        };
        (Self { shared }, work)
    }

    /// Serves the watcher `from` on its stream until either side is gone. The error is worth a line in the log.
    pub async fn serve(&self, from: &NodeId, stream: impl ByteStream) -> Result<(), ServeError> {
        let before = self.shared.watchers.fetch_add(1, Ordering::Relaxed);
        let _leaves = Leaving(&self.shared);
        session::serve(&self.shared, from, stream, before >= self.shared.config.max_watchers).await
    }

    /// How many watchers are served now.
    pub fn watchers(&self) -> usize {
        self.shared.watchers.load(Ordering::Relaxed)
    }

    /// Grows as long as the hub is alive, also when nothing is agreed on; for the watchdog.
    pub fn progress(&self) -> u64 {
        self.shared.progress.load(Ordering::Relaxed)
    }
}

struct Leaving<'a>(&'a Shared);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    async fn run(&self, from: u64, mut leadership: watch::Receiver<Leadership>, stop: CancellationToken) {
        let mut updates = self.source.subscribe(from);
        let mut heartbeat = ringrift_tick::every(self.config.heartbeat);
        let mut said = None;
        let mut cluster_id = self.source.agreed().cluster_id.clone();
        loop {
            // Entries come last: a log that grows all the time delays no report.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = leadership.changed() => {
                    if changed.is_err() { return }
                    let now = leadership.borrow_and_update().clone();
                    let essence = Some((now.term, now.leader.clone(), now.voters.clone()));
                    if essence != said {
                        said = essence;
                        self.report(&now);
                    }
                }
                _ = heartbeat.tick() => {
                    self.report(&self.source.leadership_now());
                    self.drop_old_snapshot().await;
                }
                update = updates.next() => {
                    let Some(update) = update else { return };
                    // What else is there comes along, so that the watchers wake once.
                    let more = std::iter::from_fn(|| updates.next().now_or_never().flatten());
                    self.take(std::iter::once(update).chain(more.take(BATCH)), &mut cluster_id);
                }
            }
            self.progress.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take(&self, updates: impl Iterator<Item = Update>, cluster_id: &mut String) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        for update in updates {
            if let Some(name) = named(&update).filter(|name| *name != cluster_id) {
                if ClusterId::parse(name).succeeds(&ClusterId::parse(cluster_id)) {
                    ring.begin_era();
                }
                name.clone_into(cluster_id);
            }
            add(&mut ring, update);
        }
        let next = ring.next();
        drop(ring);
        self.tip.send_modify(|tip| tip.next = next);
    }

    fn report(&self, leadership: &Leadership) {
        self.report.store(Arc::new(report_frame(&self.source.agreed(), leadership)));
        self.tip.send_modify(|tip| tip.report += 1);
    }

    async fn drop_old_snapshot(&self) {
        let mut kept = self.snapshot.lock().await;
        if kept.as_ref().is_some_and(|snapshot| snapshot.made.elapsed() > SNAPSHOT_KEPT) {
            *kept = None;
        }
    }

    pub(crate) fn tips(&self) -> watch::Receiver<Tip> {
        self.tip.subscribe()
    }

    pub(crate) fn agreed(&self) -> Arc<Agreed> {
        self.source.agreed()
    }

    /// The newest report, as its frame.
    pub(crate) fn newest_report(&self) -> Bytes {
        Bytes::clone(&self.report.load())
    }

    /// A report of this moment, as its frame.
    pub(crate) fn fresh_report(&self) -> Bytes {
        report_frame(&self.source.agreed(), &self.source.leadership_now())
    }

    /// Frames from the entry `wanted` on.
    pub(crate) fn entries(&self, wanted: u64, most: usize, era: u64) -> Next {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).from(wanted, most, era)
    }

    /// How often the cluster was recovered while this hub served.
    pub(crate) fn era(&self) -> u64 {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).era()
    }

    /// A snapshot that the ring goes on from.
    pub(crate) async fn snapshot(&self) -> Result<Arc<Snapshot>, FrameError> {
        let mut kept = self.snapshot.lock().await;
        let first = self.ring.lock().unwrap_or_else(PoisonError::into_inner).first();
        if let Some(snapshot) = kept.as_ref().filter(|snapshot| snapshot.index + 1 >= first) {
            return Ok(Arc::clone(snapshot));
        }
        let mut agreed = self.source.agreed();
        // The log may be read a moment before it is applied, and a snapshot that the ring does not go on from is useless.
        while agreed.index + 1 < first {
            tokio::time::sleep(Duration::from_millis(10)).await;
            agreed = self.source.agreed();
        }
        // Megabytes: not on a thread that answers requests.
        let made = tokio::task::spawn_blocking(move || snapshot_frames(&agreed)).await;
        let snapshot = Arc::new(made.map_err(|error| FrameError::Encode(error.to_string()))??);
        *kept = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }
}

/// The cluster's name, where the update gives it one.
fn named(update: &Update) -> Option<&String> {
    fn by(command: &Command) -> Option<&String> {
        match command {
            Command::FormCluster { cluster_id, .. } => Some(cluster_id),
            Command::Once { inner, .. } => by(inner),
            Command::SetEligibility { .. }
            | Command::Record { .. }
            | Command::AdoptVoters { .. }
            | Command::Restore { .. }
            | Command::PromoteModel { .. }
            | Command::RemoveModel { .. }
            | Command::RollBackModel { .. }
            | Command::StartDistribution { .. }
            | Command::DistributionEnded { .. }
            | Command::SubmitJobs { .. }
            | Command::ChangeJobs { .. }
            | Command::CancelJobs { .. }
            | Command::LimitJob { .. }
            | Command::SetFill { .. } => None,
        }
    }
    match update {
        Update::Snapshot(agreed) => Some(&agreed.cluster_id),
        Update::Entry { command, .. } => by(command),
        Update::Blank(_) => None,
    }
}

fn add(ring: &mut Ring, update: Update) {
    let entry = match update {
        Update::Snapshot(agreed) => return ring.begin(agreed.index + 1),
        Update::Entry { meta, command } => Entry { meta, command: Some(command) },
        Update::Blank(meta) => Entry { meta, command: None },
    };
    let EntryMeta { index, .. } = entry.meta;
    if index < ring.next() {
        return;
    }
    if index > ring.next() {
        warn!(index, expected = ring.next(), "the log was read with a gap; watchers get a snapshot");
        ring.begin(index);
    }
    match value_frame(Kind::Entry, &entry) {
        Ok(frame) => ring.push(frame),
        Err(error) => {
            error!(index, %error, "a log entry does not fit into a frame; watchers get a snapshot");
            ring.begin(index + 1);
        }
    }
}

fn snapshot_frames(agreed: &Agreed) -> Result<Snapshot, FrameError> {
    let bytes = encode(agreed).map_err(|error| FrameError::Encode(error.to_string()))?;
    let parts = bytes.len().div_ceil(SNAPSHOT_PART);
    let frames = bytes.chunks(SNAPSHOT_PART).enumerate().map(|(n, part)| {
        let kind = if n + 1 == parts { Kind::SnapshotEnd } else { Kind::SnapshotPart };
        frame(kind, part)
    });
    Ok(Snapshot { index: agreed.index, frames: frames.collect::<Result<_, _>>()?, made: Instant::now() })
}

fn report_frame(agreed: &Agreed, leadership: &Leadership) -> Bytes {
    let now = Instant::now().into_std();
    let Leadership { term, leader, voters, committed, leader_seen } = leadership;
    let report = Report {
        cluster_id: agreed.cluster_id.clone(),
        term: *term,
        leader: leader.clone(),
        voters: voters.clone(),
        committed: *committed,
        leader_seen_ms: leader_seen.map(|seen| now.saturating_duration_since(seen).as_millis() as u64),
    };
    value_frame(Kind::Report, &report).expect("a report has numbers, names and at most nine voters")
}
