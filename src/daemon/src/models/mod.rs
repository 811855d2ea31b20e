//! What does this node do about models? It fetches and publishes what is agreed, serves what it has, and tells the others.

mod aside;
pub(crate) mod distribution;
mod facts;
mod keep;
mod news;
mod promote;
pub(crate) mod scrub;
mod serve;
mod swarm;
mod tell;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use ringrift_config::{Capability, Settings};
use ringrift_exchange::{Engine, EngineConfig, ExchangeEvent};
use ringrift_store::{Store, StoreConfig, StoreEvent};
use tokio::sync::{Notify, broadcast::error::RecvError};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub(crate) use self::{
    aside::{Noted, SetAside, record_set_aside},
    facts::{KeptFact, ModelFact, ModelFacts, ModelState},
    keep::in_use,
    promote::{CommitModel, Wish, change, commit, promote},
    serve::{signing, start as serve},
    swarm::SwarmDialer,
};
use self::{
    keep::{Keeper, Wanted},
    tell::Told,
};
use crate::{http::server::Watched, node::Shared};

/// This node's part in models. Clones are handles to the same one.
#[derive(Clone)]
pub(crate) struct Models {
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    /// What the others are told; replaced after each look.
    facts: Arc<ArcSwap<ModelFacts>>,
    /// Wakes the loop for a look at once.
    look: Arc<Notify>,
}

/// How often the disk is looked at when nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Models {
    /// Opens the store and begins to exchange. Blocks on the disk for a moment.
    ///
    /// # Errors
    ///
    /// If the folders cannot be used. A node without models still votes and works: the caller says so and goes on.
    pub(crate) fn start(
        settings: &Settings,
        dials_out_only: bool,
        dialer: SwarmDialer,
        shutdown: CancellationToken,
    ) -> ringrift_store::Result<Self> {
        let config = StoreConfig {
            keep_versions: *settings.models_keep as usize,
            scrub_bytes_per_second: u64::from(*settings.models_scrub) * 1_000_000,
            ..StoreConfig::new(settings.state_dir.join("store"), settings.models_dir.value.clone())
        };
        let store = Store::open(config)?;
        let engine = EngineConfig { dials_out_only, ..EngineConfig::new(settings.node_id.value.clone()) };
        let engine = Engine::start(engine, Arc::new(store.clone()), Arc::new(dialer), shutdown);
        Ok(Self { store, engine, facts: Arc::default(), look: Arc::default() })
    }

    /// What the others are told.
    pub(crate) fn facts(&self) -> Arc<ModelFacts> {
        self.facts.load_full()
    }

    /// Something was done to the files, or shall be: they are looked at now.
    pub(crate) fn look_now(&self) {
        self.look.notify_one();
    }
}

/// Keeps this node's models until `shutdown`.
pub(crate) async fn run(shared: Shared, models: Models, watched: Watched, shutdown: CancellationToken) {
    let mut files = models.store.events();
    let mut exchange = models.engine.events();
    let mut changes = shared.changes();
    let mut tick = ringrift_tick::every(LOOK_EVERY);
    let mut keeper = Keeper::new(models.store.clone(), watches(&shared));
    let mut told = Told::default();
    loop {
        watched.hang.point(watched.name).await;
        watched.heartbeat.beat();
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
            _ = changes.changed() => {}
            () = models.look.notified() => {}
            event = files.recv() => match event {
                Ok(event) => note_file(&mut keeper, &models, event),
                Err(RecvError::Lagged(_)) => models.engine.recheck(),
                Err(RecvError::Closed) => return,
            },
            event = exchange.recv() => match event {
                Ok(event) => note_exchange(&event),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
        let agreed = shared.agreement.agreed();
        told.wishes(&shared, &models, &agreed.state);
        let wanted = Wanted { models: agreed.state.models.clone(), removed: agreed.state.removed.clone() };
        let in_use = keep::in_use(&agreed.state);
        // Hashing and copying take as long as the disk does; the heartbeat goes on meanwhile.
        let looking = tokio::task::spawn_blocking(move || {
            let look = keeper.look(&wanted, &in_use);
            (keeper, look)
        });
        let Some((back, look)) = beating(looking, &watched).await else {
            error!("the look at the models ended by itself: this node tells no more of its models");
            return;
        };
        keeper = back;
        if look.damaged {
            models.engine.recheck();
        }
        for (name, sha256) in &look.new {
            told.promote(&shared, name, *sha256, agreed.state.generation_of(name));
        }
        for aside in &look.aside {
            Told::set_aside(&shared, aside);
        }
        told.facts(&models, &agreed.state, &look);
    }
}

/// Waits for work in another thread, and shows meanwhile that it is waited for. `None` if that thread panicked.
async fn beating<T>(work: tokio::task::JoinHandle<T>, watched: &Watched) -> Option<T> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done.ok(),
            () = tokio::time::sleep(LOOK_EVERY) => watched.heartbeat.beat(),
        }
    }
}

/// Whether a new file in this node's models folder is everybody's next version.
fn watches(shared: &Shared) -> bool {
    let trains = || {
        let hosts = shared.hosts();
        hosts.and_then(|h| h.hosts.get(shared.node()).map(|host| host.capabilities().contains(&Capability::Training)))
    };
    shared.settings().models_watch.value.or_else(trains).unwrap_or(false)
}

fn note_file(keeper: &mut Keeper, models: &Models, event: StoreEvent) {
    match event {
        StoreEvent::Changed { name, size } => {
            info!(size, "{name}: a program of this node wrote another file there");
            keeper.note_changed(name);
        }
        StoreEvent::Rot { sha256, aside } => {
            let aside = aside.map(|path| format!("; it lies at {} now", path.display())).unwrap_or_default();
            error!(%sha256, "{sha256} was damaged on the disk, and is fetched again{aside}");
            models.engine.recheck();
        }
        StoreEvent::Disturbed { sha256 } => {
            warn!(%sha256, "somebody opened {sha256} in the store for writing; it is read again before it is served");
            models.engine.recheck();
        }
        StoreEvent::Repaired { name, sha256 } => warn!(%sha256, "{name} was damaged on the disk; it is {sha256} again"),
        StoreEvent::Missing { name } => warn!("{name} was removed by somebody; it is put back"),
        StoreEvent::DiskFull { path, needed } => {
            error!("the disk of {} is too full for models: {needed} more bytes are needed", path.display());
        }
        StoreEvent::DiskFree => info!("there is room for models again"),
        StoreEvent::Removed { sha256, size } => info!(size, %sha256, "the old version {sha256} was removed"),
        StoreEvent::Forgotten { path, why } => warn!("{}: {why}; it was set up anew", path.display()),
    }
}

fn note_exchange(event: &ExchangeEvent) {
    match event {
        ExchangeEvent::Fetched { sha256, took, by_peer } => {
            let from: Vec<String> = by_peer.iter().map(|(peer, bytes)| format!("{peer} {bytes}")).collect();
            info!(%sha256, seconds = took.as_secs_f64(), "fetched {sha256}; bytes by node: {}", from.join(", "));
        }
        ExchangeEvent::SourceDropped { peer, reason } => warn!(%peer, "{peer} {reason}; it is not asked for a while"),
        ExchangeEvent::DiskFull { sha256, reason } => error!(%sha256, "{sha256} waits for room on the disk: {reason}"),
        ExchangeEvent::DiskFree { sha256 } => info!(%sha256, "there is room for {sha256} again"),
        ExchangeEvent::Failed { sha256, reason } => error!(%sha256, "{sha256} cannot be stored: {reason}"),
        ExchangeEvent::Stuck { sha256, missing, lasted, reason } => {
            warn!(%sha256, missing, "nothing of {sha256} came for {} s: {reason}", lasted.as_secs());
        }
    }
}
