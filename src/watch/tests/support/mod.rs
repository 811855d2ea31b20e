//! Voters without Raft, and a switchboard between them and their watchers.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use ringrift_config::NodeId;
use ringrift_state::{Agreed, Command, EntryMeta, NewEvent, Update};
use ringrift_watch::{
    BoxedStream, Dialer, FollowStatus, Follower, FollowerConfig, Hub, HubConfig, Leadership, ServeError, Source,
};
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) fn id(text: &str) -> NodeId {
    text.parse().expect("a node id")
}

/// A voter's log and what is agreed after it.
pub(crate) struct Log {
    state: Mutex<LogState>,
    length: watch::Sender<u64>,
    leadership: watch::Sender<Leadership>,
}

#[derive(Default)]
struct LogState {
    agreed: Arc<Agreed>,
    /// The entries that are still at hand, up to `agreed.index`.
    entries: Vec<Update>,
}

impl Log {
    pub(crate) fn new(cluster_id: &str, term: u64) -> Arc<Self> {
        let agreed = Arc::new(Agreed { cluster_id: cluster_id.into(), ..Agreed::default() });
        Arc::new(Self {
            state: Mutex::new(LogState { agreed, entries: Vec::new() }),
            length: watch::Sender::new(0),
            leadership: watch::Sender::new(Leadership {
                term,
                leader: Some(id("a")),
                voters: BTreeSet::from([id("a"), id("b"), id("c")]),
                committed: 0,
                leader_seen: Some(Instant::now().into_std()),
            }),
        })
    }

    fn locked(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().expect("no test thread panicked")
    }

    /// Commits this command.
    pub(crate) fn commit(&self, command: Command) {
        let term = self.leadership.borrow().term;
        let mut state = self.locked();
        let meta = EntryMeta { term, index: state.agreed.index + 1 };
        Arc::make_mut(&mut state.agreed).apply(meta, &command).expect("the next index");
        state.entries.push(Update::Entry { meta, command });
        self.length.send_replace(meta.index);
    }

    /// Commits so many events.
    pub(crate) fn events(&self, count: u64) {
        for n in 0..count {
            self.commit(Command::Record { event: NewEvent::new("E", format!("event {n}"), n) });
        }
    }

    /// Commits an entry without a command.
    pub(crate) fn blank(&self) {
        let term = self.leadership.borrow().term;
        let mut state = self.locked();
        let meta = EntryMeta { term, index: state.agreed.index + 1 };
        Arc::make_mut(&mut state.agreed).advance(meta).expect("the next index");
        state.entries.push(Update::Blank(meta));
        self.length.send_replace(meta.index);
    }

    /// Drops all entries, as a log does once a snapshot holds them.
    pub(crate) fn purge(&self) {
        self.locked().entries.clear();
    }

    /// Becomes what a recovery made of it.
    pub(crate) fn rename(&self, cluster_id: &str) {
        Arc::make_mut(&mut self.locked().agreed).cluster_id = cluster_id.into();
    }

    /// Changes who leads.
    pub(crate) fn lead(&self, change: impl FnOnce(&mut Leadership)) {
        self.leadership.send_modify(change);
    }

    fn after(&self, from: u64) -> Option<Update> {
        let state = self.locked();
        let last = state.agreed.index;
        if from > last {
            return None;
        }
        let first = last + 1 - state.entries.len() as u64;
        match from.checked_sub(first) {
            Some(skip) => Some(state.entries[usize::try_from(skip).expect("a short log")].clone()),
            None => Some(Update::Snapshot(Arc::clone(&state.agreed))),
        }
    }
}

/// A log as a hub reads it.
pub(crate) struct LogSource(pub(crate) Arc<Log>);

impl Source for LogSource {
    fn agreed(&self) -> Arc<Agreed> {
        Arc::clone(&self.0.locked().agreed)
    }

    fn subscribe(&self, from_index: u64) -> BoxStream<'static, Update> {
        let length = self.0.length.subscribe();
        let start = (from_index, length, Arc::clone(&self.0));
        stream::unfold(start, |(next, mut length, log)| async move {
            loop {
                length.borrow_and_update();
                if let Some(update) = log.after(next) {
                    let next = if let Update::Snapshot(agreed) = &update { agreed.index + 1 } else { next + 1 };
                    return Some((update, (next, length, log)));
                }
                length.changed().await.ok()?;
            }
        })
        .boxed()
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.0.leadership.subscribe()
    }

    fn leadership_now(&self) -> Leadership {
        self.0.leadership.borrow().clone()
    }
}

/// How a watcher's stream ended on the voter's side.
pub(crate) type Served = JoinHandle<Result<(), ServeError>>;

/// How large a stream's buffer is: what a link lets through before the reader takes it.
pub(crate) const PIPE: usize = 64 << 10;

/// Connects followers with the hubs of voters.
#[derive(Default)]
pub(crate) struct Switchboard {
    hubs: Mutex<BTreeMap<NodeId, Hub>>,
    served: Mutex<Vec<(NodeId, Served)>>,
    dialled: Mutex<Vec<NodeId>>,
}

impl Switchboard {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A voter with this log can be dialled from now on.
    pub(crate) fn plug(&self, voter: &str, log: &Arc<Log>) -> Hub {
        self.plug_with(HubConfig::new(id(voter)), log)
    }

    pub(crate) fn plug_with(&self, config: HubConfig, log: &Arc<Log>) -> Hub {
        let node = config.node.clone();
        let hub = Hub::start(config, Arc::new(LogSource(Arc::clone(log))), CancellationToken::new());
        self.hubs.lock().expect("no test thread panicked").insert(node, hub.clone());
        hub
    }

    /// The voter is gone, and so are its streams.
    pub(crate) fn unplug(&self, voter: &str) {
        self.hubs.lock().expect("no test thread panicked").remove(&id(voter));
        self.served.lock().expect("no test thread panicked").retain(|(node, served)| {
            let goes = *node == id(voter);
            if goes {
                served.abort();
            }
            !goes
        });
    }

    /// Who was dialled, in order.
    pub(crate) fn dialled(&self) -> Vec<NodeId> {
        self.dialled.lock().expect("no test thread panicked").clone()
    }
}

#[async_trait]
impl Dialer for Switchboard {
    async fn open(&self, avoid: &BTreeSet<NodeId>) -> Result<(NodeId, BoxedStream), String> {
        let hubs = self.hubs.lock().expect("no test thread panicked").clone();
        let voter = hubs.keys().find(|voter| !avoid.contains(*voter)).or_else(|| hubs.keys().next());
        let voter = voter.ok_or("no voter is reachable")?.clone();
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let hub = hubs[&voter].clone();
        let served = tokio::spawn(async move { hub.serve(&id("worker"), theirs).await });
        self.served.lock().expect("no test thread panicked").push((voter.clone(), served));
        self.dialled.lock().expect("no test thread panicked").push(voter.clone());
        Ok((voter, Box::new(ours)))
    }
}

/// A follower whose cache lies in `dir`, and the token that stops it.
pub(crate) fn follow(dir: &Path, board: &Arc<Switchboard>) -> (Follower, CancellationToken) {
    let stop = CancellationToken::new();
    let config = FollowerConfig::new(id("worker"), dir.join("agreed.cache"));
    let follower = Follower::start(config, Arc::clone(board) as Arc<dyn Dialer>, stop.clone()).expect("a good cache");
    (follower, stop)
}

/// Waits until the follower holds what the log holds.
pub(crate) async fn caught_up(follower: &Follower, log: &Arc<Log>) {
    let wanted = LogSource(Arc::clone(log)).agreed();
    until_index(follower, wanted.index).await;
    assert_eq!(*follower.agreed(), *wanted);
}

/// Waits until this entry is applied.
pub(crate) async fn until_index(follower: &Follower, index: u64) {
    let mut changes = follower.changes();
    let reached = changes.wait_for(|applied| *applied >= index);
    let reached = tokio::time::timeout(Duration::from_mins(1), reached).await.is_ok();
    assert!(reached, "entry {index} was not reached: {:?}", follower.status().borrow());
}

/// Waits until the status is so, and answers with it.
pub(crate) async fn until(follower: &Follower, so: impl FnMut(&FollowStatus) -> bool) -> FollowStatus {
    let mut status = follower.status();
    let reached = tokio::time::timeout(Duration::from_mins(1), status.wait_for(so))
        .await
        .map(|so| so.expect("the follower lives").clone());
    reached.unwrap_or_else(|_| panic!("the status never became so: {:?}", follower.status().borrow()))
}

/// A stream of which the hub holds the other end.
pub(crate) fn raw(hub: &Hub, watcher: &str) -> (DuplexStream, Served) {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let (hub, watcher) = (hub.clone(), id(watcher));
    (ours, tokio::spawn(async move { hub.serve(&watcher, theirs).await }))
}
