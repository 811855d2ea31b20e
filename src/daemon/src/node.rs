//! One running node: what its parts share, and how they are started and stopped.

use std::{
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
use ringrift_config::{HostsFile, NodeId, Settings};
use ringrift_consensus::Committed;
use ringrift_health::Sampler;
use ringrift_link::Links;
use ringrift_members::Members;
use ringrift_state::Command;
use ringrift_systemd::{Heartbeat, Supervisor};
use tokio::sync::{Mutex, watch};
use tower::ServiceExt as _;

use crate::{
    agreement::Agreement,
    book::Book,
    facts::NodeFacts,
    http::{auth::Caller, error::ApiError},
    view::{Picture, Snapshot, Snapshots, epoch_seconds},
};

/// A handle to the running node; clones are cheap.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

/// What the parts of a node share. Each field says who changes it.
pub(crate) struct Inner {
    node: NodeId,
    pub(crate) instance: u64,
    started: Instant,
    /// Never changes while the process lives.
    settings: Arc<Settings>,
    /// Replaced by a reload.
    hosts: ArcSwapOption<HostsFile>,
    /// Replaced by the publisher, which also hands it to gossip.
    pub(crate) facts: ArcSwap<NodeFacts>,
    pub(crate) book: Arc<Book>,
    pub(crate) links: Links,
    pub(crate) members: Members<NodeFacts>,
    pub(crate) agreement: Arc<Agreement>,
    pub(crate) sampler: Sampler,
    pub(crate) supervisor: Supervisor,
    pub(crate) heartbeats: Heartbeats,
    snapshots: Snapshots,
    /// Counts whatever the agreed state or the leadership did; readers that follow events wait on it.
    changes: watch::Sender<u64>,
    leader_changes: AtomicU64,
    ready: AtomicBool,
    stopping: AtomicBool,
    /// One reload at a time.
    pub(crate) reloading: Mutex<()>,
    router: OnceLock<Router>,
}

/// The heartbeats of the daemon's own loops.
pub(crate) struct Heartbeats {
    pub(crate) leader: Heartbeat,
    pub(crate) publisher: Heartbeat,
}

/// What a node is made of, in the order in which it is made.
pub(crate) struct Parts {
    pub(crate) node: NodeId,
    pub(crate) instance: u64,
    pub(crate) settings: Arc<Settings>,
    pub(crate) hosts: Option<Arc<HostsFile>>,
    pub(crate) facts: NodeFacts,
    pub(crate) book: Arc<Book>,
    pub(crate) links: Links,
    pub(crate) members: Members<NodeFacts>,
    pub(crate) agreement: Arc<Agreement>,
    pub(crate) sampler: Sampler,
    pub(crate) supervisor: Supervisor,
}

/// The silence that a loop of the daemon itself is allowed; they go round at least once a second.
const LOOP_LIMIT: Duration = Duration::from_secs(15);

impl Deref for Shared {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        let heartbeats = Heartbeats {
            leader: parts.supervisor.register("leader", LOOP_LIMIT),
            publisher: parts.supervisor.register("publisher", LOOP_LIMIT),
        };
        Self(Arc::new(Inner {
            node: parts.node,
            instance: parts.instance,
            started: Instant::now(),
            settings: parts.settings,
            hosts: ArcSwapOption::new(parts.hosts),
            facts: ArcSwap::from_pointee(parts.facts),
            book: parts.book,
            links: parts.links,
            members: parts.members,
            agreement: parts.agreement,
            sampler: parts.sampler,
            supervisor: parts.supervisor,
            heartbeats,
            snapshots: Snapshots::default(),
            changes: watch::Sender::new(0),
            leader_changes: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            reloading: Mutex::new(()),
            router: OnceLock::new(),
        }))
    }

    /// The router that serves what this node is asked for under its own name.
    pub(crate) fn set_router(&self, router: Router) {
        let _ = self.router.set(router);
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

    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// The hosts file as it was last loaded.
    pub(crate) fn hosts(&self) -> Option<Arc<HostsFile>> {
        self.hosts.load_full()
    }

    /// Puts a newly loaded hosts file in force.
    pub(crate) fn set_hosts(&self, hosts: Arc<HostsFile>) {
        let known = known_nodes(&hosts, &self.node);
        self.book.set_hosts(Some(hosts.clone()));
        self.hosts.store(Some(hosts));
        self.members.set_known(known);
        self.snapshots.forget();
    }

    /// Whether the hosts file names the node or it was ever seen.
    pub(crate) fn knows(&self, node: &NodeId) -> bool {
        self.members.table().get(node).is_some() || self.hosts().is_some_and(|h| h.hosts.contains_key(node))
    }

    /// Has a command agreed on. On the leader only: routes that propose are forwarded there.
    pub(crate) async fn propose(&self, command: Command) -> Result<Committed, ApiError> {
        let (consensus, _) =
            self.agreement.voting().ok_or_else(|| ApiError::NoLeader(format!("{} does not vote", self.node)))?;
        let committed = consensus.propose(command).await?;
        self.snapshots.forget();
        Ok(committed)
    }

    /// What every view is made from.
    pub(crate) fn picture(&self) -> Picture {
        Picture {
            node: self.node.clone(),
            now: epoch_seconds(),
            at: Instant::now(),
            uptime: self.started.elapsed(),
            settings: self.settings.clone(),
            hosts: self.hosts(),
            facts: self.facts.load_full(),
            resources: self.sampler.latest(),
            members: self.members.table(),
            links: self.links.connected(),
            leadership: self.agreement.leadership(),
            agreed: self.agreement.agreed(),
            subsystems: self.supervisor.states(),
            leader_changes: self.leader_changes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.get(|| self.picture())
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

/// The other nodes that the file expects to run.
pub(crate) fn known_nodes(hosts: &HostsFile, node: &NodeId) -> Vec<NodeId> {
    hosts.hosts.values().filter(|h| h.runs_daemon() && h.id != *node).map(|h| h.id.clone()).collect()
}
