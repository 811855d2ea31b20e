//! One running node: what its parts share, and how they are started and stopped.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::{
    Router,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use ringrift_config::{Flags, Host, HostsFile, NodeId, Settings, StartPlan};
use ringrift_consensus::Committed;
use ringrift_health::{PipelineSampler, Sampler};
use ringrift_link::Links;
use ringrift_members::Members;
use ringrift_schedule::{Scheduler, View};
use ringrift_state::Command;
use ringrift_systemd::{Heartbeat, Supervisor};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    agreement::Agreement,
    book::Book,
    conflicts::Conflicts,
    facts::NodeFacts,
    http::{auth::Caller, error::ApiError},
    jobs::{self, Desk, Jobs},
    models::Models,
    supervised::{LEADER, LIMIT, PUBLISHER, SCHEDULER},
    view::{Made, Picture, Renewed, Snapshot, epoch_seconds},
};

/// How often the pipeline's files are looked at: their limits are hours, and a count of all games takes its time.
const LOOK_AT_PIPELINE_EVERY: Duration = Duration::from_secs(30);

/// A handle to the running node; clones are cheap.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

/// What a node is made of, in the order in which it is made. Each field says who changes it.
pub(crate) struct Parts {
    pub(crate) node: NodeId,
    /// Drawn at start: tells this run from an earlier one and from another machine.
    pub(crate) instance: u64,
    /// The command line: what it says of settings wins over files that are read again.
    pub(crate) flags: Flags,
    /// Replaced by a reload, which changes some of them alone ([`Settings::reread`]).
    pub(crate) settings: ArcSwap<Settings>,
    /// Replaced by a reload.
    pub(crate) hosts: ArcSwapOption<HostsFile>,
    /// The voters that the file or the settings name; replaced by a reload. Who really votes is agreed upon.
    pub(crate) named_voters: ArcSwap<BTreeSet<NodeId>>,
    /// Replaced by the publisher, which also hands it to gossip.
    pub(crate) facts: ArcSwap<NodeFacts>,
    pub(crate) book: Arc<Book>,
    pub(crate) links: Links,
    pub(crate) members: Members<NodeFacts>,
    pub(crate) agreement: Arc<Agreement>,
    pub(crate) sampler: Sampler,
    /// Looks at the GPUs, which no watchdog watches: a daemon that is started anew meets the same hung driver.
    pub(crate) gpus: ringrift_gpu::Sampler,
    pub(crate) supervisor: Supervisor,
    /// Or why this node has no part in models.
    pub(crate) models: Result<Models, String>,
    pub(crate) jobs: Jobs,
}

/// The parts, and what they tell each other.
pub(crate) struct Inner {
    parts: Parts,
    started: Instant,
    pub(crate) heartbeats: Heartbeats,
    snapshots: Renewed<Snapshot>,
    /// Where the leader decides about jobs.
    pub(crate) desk: Desk,
    /// Counts whatever the agreed state or the leadership did; readers that follow events wait on it.
    changes: watch::Sender<u64>,
    leader_changes: AtomicU64,
    ready: AtomicBool,
    stopping: AtomicBool,
    /// One reload at a time.
    pub(crate) reloading: Mutex<()>,
    /// Ids that this node has seen used by two machines.
    pub(crate) conflicts: Conflicts,
    /// Why the last reload was refused; shown until one succeeds.
    pub(crate) reload_refused: ArcSwapOption<String>,
    router: OnceLock<Router>,
    pipeline: OnceLock<PipelineSampler>,
}

/// The heartbeats of the daemon's own loops.
pub(crate) struct Heartbeats {
    pub(crate) leader: Heartbeat,
    pub(crate) publisher: Heartbeat,
    pub(crate) scheduler: Heartbeat,
}

impl Deref for Shared {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Deref for Inner {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        let heartbeats = Heartbeats {
            leader: parts.supervisor.register(LEADER, LIMIT),
            publisher: parts.supervisor.register(PUBLISHER, LIMIT),
            scheduler: parts.supervisor.register(SCHEDULER, LIMIT),
        };
        Self(Arc::new(Inner {
            parts,
            started: Instant::now(),
            heartbeats,
            snapshots: Renewed::default(),
            desk: Desk::default(),
            changes: watch::Sender::new(0),
            leader_changes: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            reloading: Mutex::new(()),
            conflicts: Conflicts::default(),
            reload_refused: ArcSwapOption::empty(),
            router: OnceLock::new(),
            pipeline: OnceLock::new(),
        }))
    }

    /// The router that serves what this node is asked for under its own name.
    pub(crate) fn set_router(&self, router: Router) {
        let _ = self.router.set(router);
    }

    /// What the read-only routes show now.
    pub(crate) fn snapshot(&self) -> Arc<Made<Snapshot>> {
        let begin = |before: Arc<Made<Snapshot>>| {
            let shared = self.clone();
            // Not even a thousand nodes are a reason for heartbeats to wait.
            tokio::task::spawn_blocking(move || {
                shared.snapshots.renew(&before, || Snapshot::after(&before, shared.picture()));
            });
        };
        self.snapshots.get(|| Snapshot::of(self.picture()), begin)
    }

    /// Looks at the pipeline's files from now on, where the hosts file in force says that they are.
    pub(crate) fn watch_pipeline(&self, stop: CancellationToken) {
        let shared = self.clone();
        let folders = move || {
            let hosts = shared.hosts();
            jobs::folders(&shared.settings(), hosts.as_ref().and_then(|hosts| hosts.hosts.get(shared.node())))
        };
        let _ = self.pipeline.set(PipelineSampler::start(folders, LOOK_AT_PIPELINE_EVERY, stop));
    }

    /// Answers a request that was addressed to this node by its name.
    pub(crate) async fn answer_here(&self, caller: Caller, mut request: Request) -> Result<Response, ApiError> {
        let router = self.router.get().ok_or_else(|| ApiError::Overloaded("this node is starting".into()))?;
        // The router judges callers anew. This one has been judged, and must not gain or lose by it.
        request.extensions_mut().insert(caller);
        Ok(router.clone().oneshot(request).await.into_response())
    }
}

impl Inner {
    /// This node's id.
    pub(crate) fn node(&self) -> &NodeId {
        &self.node
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Puts settings in force that were read again.
    pub(crate) fn set_settings(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
        self.jobs.look_now();
        self.snapshots.forget();
    }

    /// This node's models, if it has a part in them.
    pub(crate) fn models(&self) -> Result<&Models, ApiError> {
        self.models.as_ref().map_err(|why| ApiError::Overloaded(format!("{} has no part in models: {why}", self.node)))
    }

    /// The hosts file as it was last loaded.
    pub(crate) fn hosts(&self) -> Option<Arc<HostsFile>> {
        self.hosts.load_full()
    }

    /// The voters that this node's file or settings name.
    pub(crate) fn named_voters(&self) -> Arc<BTreeSet<NodeId>> {
        self.named_voters.load_full()
    }

    /// Puts a newly loaded hosts file in force, and what it means for this node.
    pub(crate) fn set_hosts(&self, hosts: Arc<HostsFile>, plan: &StartPlan) {
        self.book.set_hosts(Some(hosts.clone()));
        self.hosts.store(Some(hosts));
        self.named_voters.store(Arc::new(plan.voters.clone()));
        self.members.set_known(plan.known.clone());
        self.snapshots.forget();
    }

    /// Whether the hosts file names the node or it was ever seen.
    pub(crate) fn knows(&self, node: &NodeId) -> bool {
        self.members.table().get(node).is_some() || self.hosts().is_some_and(|h| h.hosts.contains_key(node))
    }

    /// Whether an address is one that the hosts file or a node itself names, or this machine's loopback.
    pub(crate) fn is_own_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is = |text: &str| text.parse().is_ok_and(|named: IpAddr| named.to_canonical() == address);
        let in_file = || {
            self.hosts().is_some_and(|hosts| {
                let named = |host: &Host| {
                    host.tailscale_ip.as_deref().is_some_and(is) || host.dial_host().as_deref().is_some_and(is)
                };
                hosts.hosts.values().any(named)
            })
        };
        let told = || {
            let table = self.members.table();
            let mut all = table.others().filter_map(|member| member.facts.as_deref());
            all.any(|facts| is(&facts.address.host) || facts.address.alternate_ips.iter().any(|ip| is(ip)))
        };
        address.is_loopback() || in_file() || told()
    }

    /// Has a command agreed on. On the leader only: routes that propose are forwarded there.
    pub(crate) async fn propose(&self, command: Command) -> Result<Committed, ApiError> {
        let (consensus, _) =
            self.agreement.voting().ok_or_else(|| ApiError::NoLeader(format!("{} does not vote", self.node)))?;
        let committed = consensus.propose(command).await?;
        self.snapshots.forget();
        Ok(committed)
    }

    /// Returns once this node has applied everything that was acknowledged before the call. On the leader only.
    pub(crate) async fn read_barrier(&self) -> Result<(), ApiError> {
        let (consensus, _) =
            self.agreement.voting().ok_or_else(|| ApiError::NoLeader(format!("{} does not vote", self.node)))?;
        Ok(consensus.read_barrier().await?)
    }

    /// Asks the scheduler. On the leader only: nobody else decides.
    pub(crate) fn decide<T>(&self, ask: impl FnOnce(&mut Scheduler, Duration, &View<'_>) -> T) -> Result<T, ApiError> {
        let (consensus, status) =
            self.agreement.voting().ok_or_else(|| ApiError::NoLeader(format!("{} does not vote", self.node)))?;
        let led_for = status.led_since.map(|at| at.elapsed()).unwrap_or_default();
        let picture = self.picture();
        let mut desk = self.desk.open();
        let desk = desk.in_term(status.term);
        let sight = desk.sight(&picture, consensus.agreed(), led_for);
        let now = desk.now();
        Ok(ask(desk.scheduler(), now, &sight.view()))
    }

    /// What every view is made from.
    pub(crate) fn picture(&self) -> Picture {
        Picture {
            node: self.node.clone(),
            now: epoch_seconds(),
            at: Instant::now(),
            uptime: self.started.elapsed(),
            settings: self.settings(),
            hosts: self.hosts(),
            facts: self.facts.load_full(),
            resources: self.sampler.latest(),
            pipeline: self.pipeline.get().and_then(PipelineSampler::latest),
            local_jobs: self.jobs.local(),
            gpus: self.gpus.latest(),
            members: self.members.table(),
            links: self.links.connected(),
            leadership: self.agreement.leadership(),
            agreed: self.agreement.agreed(),
            subsystems: self.supervisor.states(),
            queue_refused: self.jobs.tally.queue_refused.get(),
            dispatch_failed: self.jobs.tally.dispatch_failed.get(),
            leader_changes: self.leader_changes.load(Ordering::Relaxed),
            waiting: self.agreement.consensus().and_then(|c| c.status().borrow().waiting.clone()),
            reload_refused: self.reload_refused.load_full(),
        }
    }

    pub(crate) fn forget_snapshot(&self) {
        self.snapshots.forget();
    }

    /// Wakes when the agreed state or the leadership may have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn note_change(&self) {
        self.snapshots.forget();
        self.changes.send_modify(|n| *n += 1);
    }

    pub(crate) fn note_leader_change(&self) {
        self.leader_changes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.changes.send_modify(|n| *n += 1);
    }
}
