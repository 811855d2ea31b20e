//! What the outside is shown: the contract's JSON, made from what the subsystems publish.
//!
//! Behind it is no lock, disk, subprocess or network: every source is swapped atomically by its owner. A snapshot is
//! made when somebody asks and the last one is older than [`MAX_AGE`]; all other requests share it and its bytes.

mod cluster;
mod components;
mod event;
mod gpu;
mod health;
mod holding;
mod jobs;
pub(crate) mod metrics;
mod models;
pub(crate) mod node;
mod nodes;
mod picture;
mod process;
mod status;
mod status_line;
mod voters;

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use ringrift_api::{ClusterStatus, ComponentReport, Health, Status};

pub(crate) use self::{
    event::event,
    health::timestamp,
    jobs::{Items, backpressure, history, job, status_of, why, work_status},
    models::{manifest, model_list, models_progress, phase},
    nodes::node_list,
    picture::Picture,
    status_line::status_line,
    voters::voters_report,
};

/// How old a shown snapshot may be.
const MAX_AGE: Duration = Duration::from_millis(500);

/// Milliseconds since the epoch by the wall clock: shown to people and programs, never compared.
pub(crate) fn epoch_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

/// Seconds since the epoch by the wall clock.
pub(crate) fn epoch_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// Everything that the read-only routes answer with, at one instant.
pub(crate) struct Snapshot {
    taken: Instant,
    pub(crate) status: Status,
    pub(crate) health: Health,
    pub(crate) components: ComponentReport,
    pub(crate) cluster: ClusterStatus,
    alive_only: OnceLock<Bytes>,
    all: OnceLock<Bytes>,
    cluster_json: OnceLock<Bytes>,
    health_json: OnceLock<Bytes>,
    components_json: OnceLock<Bytes>,
}

impl Snapshot {
    fn of(picture: &Picture) -> Self {
        let status = status::status(picture);
        Self {
            taken: Instant::now(),
            health: health::health(picture, &status),
            components: components::report(picture),
            cluster: cluster::cluster_status(picture, &status),
            status,
            alive_only: OnceLock::new(),
            all: OnceLock::new(),
            cluster_json: OnceLock::new(),
            health_json: OnceLock::new(),
            components_json: OnceLock::new(),
        }
    }

    /// `/status` as JSON, its `peers` with or without the dead.
    pub(crate) fn status_json(&self, alive_only: bool) -> Bytes {
        if !alive_only {
            return self.all.get_or_init(|| json(&self.status)).clone();
        }
        self.alive_only
            .get_or_init(|| {
                let mut status = self.status.clone();
                status.peers.retain(|_, p| p.is_alive);
                json(&status)
            })
            .clone()
    }

    /// `/api/cluster/status` as JSON.
    pub(crate) fn cluster_json(&self) -> Bytes {
        self.cluster_json.get_or_init(|| json(&self.cluster)).clone()
    }

    /// `/health` as JSON.
    pub(crate) fn health_json(&self) -> Bytes {
        self.health_json.get_or_init(|| json(&self.health)).clone()
    }

    /// `/api/health/components` as JSON.
    pub(crate) fn components_json(&self) -> Bytes {
        self.components_json.get_or_init(|| json(&self.components)).clone()
    }
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> Bytes {
    // These types have string keys and finite numbers only, so serialising them cannot fail.
    serde_json::to_vec(value).map_or_else(|e| Bytes::from(format!("{{\"error\":\"{e}\"}}")), Bytes::from)
}

/// Keeps the newest snapshot.
#[derive(Default)]
pub(crate) struct Snapshots {
    newest: ArcSwapOption<Snapshot>,
    /// Held by the one request that makes the next snapshot; nobody waits for it.
    making: Mutex<()>,
}

impl Snapshots {
    /// The newest snapshot, at most [`MAX_AGE`] old unless another request is making the next one right now.
    pub(crate) fn get(&self, picture: impl Fn() -> Picture) -> Arc<Snapshot> {
        let newest = self.newest.load_full();
        if let Some(snapshot) = &newest
            && snapshot.taken.elapsed() < MAX_AGE
        {
            return snapshot.clone();
        }
        match (self.making.try_lock(), newest) {
            (Err(_), Some(old)) => old,
            (_guard, _) => {
                let snapshot = Arc::new(Snapshot::of(&picture()));
                self.newest.store(Some(snapshot.clone()));
                snapshot
            }
        }
    }

    /// Makes the next request see what is true now.
    pub(crate) fn forget(&self) {
        self.newest.store(None);
    }
}
