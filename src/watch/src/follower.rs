use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringrift_config::NodeId;
use ringrift_state::Agreed;
use ringrift_state::envelope::{FileError, save};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::FollowStatus;
use crate::cache::{Cache, StartError};
use crate::dial::{Dialer, Frames, NotOpened, dial};
use crate::machine::{Input, Machine, Output};

/// How a [`Follower`] follows.
#[derive(Debug, Clone)]
pub struct FollowerConfig {
    /// This node.
    pub node: NodeId,
    /// Where the copy of the agreed state is kept.
    pub cache: PathBuf,
    /// How often the copy is written, at most.
    pub save_every: Duration,
    /// How long a voter may be silent before it is left.
    pub silence: Duration,
    /// How long a voter may know of no leader before another voter is asked.
    pub leaderless: Duration,
    /// The shortest and the longest pause between two attempts.
    pub backoff: (Duration, Duration),
}

impl FollowerConfig {
    /// Saves every 5 s at most, leaves a voter after 3 s of silence or 10 s without a leader, pauses 0.1 to 5 s.
    pub fn new(node: NodeId, cache: PathBuf) -> Self {
        Self {
            node,
            cache,
            save_every: Duration::from_secs(5),
            silence: Duration::from_secs(3),
            leaderless: Duration::from_secs(10),
            backoff: (Duration::from_millis(100), Duration::from_secs(5)),
        }
    }
}

/// A worker's side: follows a voter. Clones are handles to the same one.
#[derive(Clone)]
pub struct Follower {
    shared: Arc<Shared>,
}

struct Shared {
    agreed: ArcSwap<Agreed>,
    changes: watch::Sender<u64>,
    status: watch::Sender<FollowStatus>,
    progress: AtomicU64,
    hangs: AtomicBool,
    stopped: CancellationToken,
}

impl Follower {
    /// Loads the cache and follows until `stop` is cancelled.
    pub fn start(config: FollowerConfig, dialer: Arc<dyn Dialer>, stop: CancellationToken) -> Result<Self, StartError> {
        let (follower, work) = Self::prepare(config, dialer, StdRng::from_rng(&mut rand::rng()), stop)?;
        tokio::spawn(work);
        Ok(follower)
    }

    /// The same with the caller's dice, and the caller runs the work: in a simulation both belong to an imagined machine.
    pub fn prepare(
        config: FollowerConfig,
        dialer: Arc<dyn Dialer>,
        rng: StdRng,
        stop: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), StartError> {
        let cache = Cache::load(&config.cache)?;
        let now = Instant::now();
        let machine = Machine::new(config.clone(), cache, rng, now.into_std());
        let shared = Arc::new(Shared {
            agreed: ArcSwap::new(Arc::clone(machine.agreed())),
            changes: watch::Sender::new(machine.agreed().index),
            status: watch::Sender::new(machine.status().clone()),
            progress: AtomicU64::new(0),
            hangs: AtomicBool::new(false),
            stopped: CancellationToken::new(),
        });
        let driver = Driver {
            saved: machine.cache(),
            machine,
            dialer,
            shared: Arc::clone(&shared),
            activity: Activity::None,
            saving: None,
            save_at: now + config.save_every,
            config,
            save_failed: false,
        };
        Ok((Self { shared }, driver.run(stop)))
    }

    /// The newest agreed state that this node holds.
    pub fn agreed(&self) -> Arc<Agreed> {
        self.shared.agreed.load_full()
    }

    /// Wakes with the applied index when the agreed state has changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// What this node knows about the leadership, and how current it is.
    pub fn status(&self) -> watch::Receiver<FollowStatus> {
        self.shared.status.subscribe()
    }

    /// Grows as long as the follower is alive, also without any voter; for the watchdog.
    pub fn progress(&self) -> u64 {
        self.shared.progress.load(Ordering::Relaxed)
    }

    /// Makes the follower stand still for ever, as a defect would: for the tests of the watchdog.
    pub fn hang(&self) {
        self.shared.hangs.store(true, Ordering::Relaxed);
    }

    /// Returns once the follower has stopped and its cache is written; cancel its token first.
    pub async fn stopped(&self) {
        self.shared.stopped.cancelled().await;
    }
}

/// Does what the machine says.
struct Driver {
    machine: Machine,
    config: FollowerConfig,
    dialer: Arc<dyn Dialer>,
    shared: Arc<Shared>,
    activity: Activity,
    /// What is on disk, or on its way there.
    saved: Cache,
    saving: Option<JoinHandle<Result<(), FileError>>>,
    save_at: Instant,
    save_failed: bool,
}

enum Activity {
    None,
    Dialling(BoxFuture<'static, Result<(NodeId, Frames), NotOpened>>),
    Reading(Box<Frames>),
}

/// What ended a wait.
enum Woken {
    Due,
    Unwanted,
    Dialled(Result<(NodeId, Frames), NotOpened>),
    Read(Option<std::io::Result<bytes::BytesMut>>),
    Saved(Result<Result<(), FileError>, JoinError>),
    Stop,
}

/// How often the loop goes round when nothing happens, so that the watchdog sees it.
const ROUND: Duration = Duration::from_secs(1);
/// How many frames are applied before the result is published, at most.
const BATCH: usize = 1024;

impl Driver {
    async fn run(mut self, stop: CancellationToken) {
        let shared = Arc::clone(&self.shared);
        let _stopped = shared.stopped.clone().drop_guard();
        loop {
            if shared.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            shared.progress.fetch_add(1, Ordering::Relaxed);
            match self.woken(&stop).await {
                Woken::Stop => break,
                Woken::Due => self.step(Input::Tick),
                Woken::Unwanted => {
                    self.activity = Activity::None;
                    self.step(Input::Lost("this node reads its own log again".to_owned()));
                }
                Woken::Dialled(Ok((voter, frames))) => {
                    self.activity = Activity::Reading(Box::new(frames));
                    self.step(Input::Opened(voter));
                }
                Woken::Dialled(Err((voter, reason))) => self.step(Input::NotOpened(voter, reason)),
                Woken::Read(first) => self.read(first),
                Woken::Saved(done) => self.save_done(done),
            }
            self.publish();
            if Instant::now() >= self.save_at && self.saving.is_none() {
                self.begin_save();
            }
        }
        self.activity = Activity::None;
        if let Some(saving) = self.saving.take() {
            let done = saving.await;
            self.save_done(done);
        }
        if self.begin_save()
            && let Some(saving) = self.saving.take()
        {
            let done = saving.await;
            self.save_done(done);
        }
    }

    async fn woken(&mut self, stop: &CancellationToken) -> Woken {
        if matches!(self.activity, Activity::Reading(_)) && !self.dialer.still_wanted() {
            return Woken::Unwanted;
        }
        let mut due = ringrift_tick::next(ROUND);
        if let Some(deadline) = self.machine.deadline() {
            due = due.min(Instant::from_std(deadline));
        }
        let activity = async {
            match &mut self.activity {
                Activity::None => std::future::pending().await,
                Activity::Dialling(dialling) => Woken::Dialled(dialling.await),
                Activity::Reading(frames) => Woken::Read(frames.next().await),
            }
        };
        let saving = async {
            match &mut self.saving {
                None => std::future::pending().await,
                Some(saving) => Woken::Saved(saving.await),
            }
        };
        // What a voter has said comes before the judgement that it is silent: a process that stood still finds both.
        tokio::select! {
            biased;
            () = stop.cancelled() => Woken::Stop,
            woken = saving => woken,
            woken = activity => woken,
            () = sleep_until(due) => Woken::Due,
        }
    }

    fn step(&mut self, input: Input<'_>) {
        match self.machine.step(Instant::now().into_std(), input) {
            Output::Wait => {}
            Output::Dial(hello, avoid) => {
                self.activity = Activity::Dialling(dial(Arc::clone(&self.dialer), hello, avoid).boxed());
            }
            Output::HangUp => self.activity = Activity::None,
        }
    }

    /// Takes a frame and what else has come, so that readers see the result of all at once.
    fn read(&mut self, first: Option<std::io::Result<bytes::BytesMut>>) {
        let mut next = Some(first);
        for _ in 0..BATCH {
            let Some(came) = next else { return };
            match came {
                Some(Ok(frame)) => self.step(Input::Frame(&frame)),
                Some(Err(error)) => self.step(Input::Lost(error.to_string())),
                None => self.step(Input::Lost("the voter closed it".to_owned())),
            }
            let Activity::Reading(frames) = &mut self.activity else { return };
            next = frames.next().now_or_never();
        }
    }

    fn publish(&self) {
        let agreed = self.machine.agreed();
        if !Arc::ptr_eq(agreed, &self.shared.agreed.load()) {
            self.shared.agreed.store(Arc::clone(agreed));
            self.shared.changes.send_replace(agreed.index);
        }
        let status = self.machine.status();
        let mut before = None;
        self.shared.status.send_if_modified(|known| {
            let changed = known != status;
            if changed {
                before = Some(std::mem::replace(known, status.clone()));
            }
            changed
        });
        let Some(before) = before else { return };
        let term = status.term;
        match (&status.connected_to, &status.trouble) {
            (Some(voter), _) if before.connected_to.as_ref() != Some(voter) => {
                info!(peer = %voter, term, index = status.applied, "follows {voter}");
            }
            (None, Some(trouble)) if before.trouble.as_ref() != Some(trouble) => {
                warn!(peer = before.connected_to.as_ref().map(NodeId::as_str), term, "follows no voter: {trouble}");
            }
            _ => {}
        }
    }

    /// Begins to write the cache if it has changed; says whether it did.
    fn begin_save(&mut self) -> bool {
        let cache = self.machine.cache();
        if Arc::ptr_eq(&cache.agreed, &self.saved.agreed) && cache == self.saved {
            return false;
        }
        self.saved = cache.clone();
        self.save_at = Instant::now() + self.config.save_every;
        let path = self.config.cache.clone();
        self.saving = Some(tokio::task::spawn_blocking(move || save(&path, &cache)));
        true
    }

    fn save_done(&mut self, done: Result<Result<(), FileError>, JoinError>) {
        self.saving = None;
        let trouble = match done {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(trouble) = &trouble {
            // Written again at the next opportunity, whatever comes.
            self.saved = Cache::default();
            if !self.save_failed {
                warn!(
                    "the copy of the agreed state is not kept: {trouble}; a restart without a voter would know nothing"
                );
            }
        }
        self.save_failed = trouble.is_some();
    }
}
