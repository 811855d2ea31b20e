use std::sync::OnceLock;

use bytes::Bytes;
use ringrift_api::{ComponentReport, Health, Status};

use super::{Picture, cluster, components, health, json, status};

/// Everything that the read-only routes answer with, at one instant. What only some of them need is made when it is asked for.
pub(crate) struct Snapshot {
    picture: Picture,
    pub(crate) status: Status,
    pub(crate) health: Health,
    components: OnceLock<ComponentReport>,
    alive_only_json: OnceLock<Bytes>,
    all_json: OnceLock<Bytes>,
    cluster_json: OnceLock<Bytes>,
    health_json: OnceLock<Bytes>,
    components_json: OnceLock<Bytes>,
}

impl Snapshot {
    pub(crate) fn of(picture: Picture) -> Self {
        let status = status::status(&picture);
        Self {
            health: health::health(&picture, &status),
            status,
            picture,
            components: OnceLock::new(),
            alive_only_json: OnceLock::new(),
            all_json: OnceLock::new(),
            cluster_json: OnceLock::new(),
            health_json: OnceLock::new(),
            components_json: OnceLock::new(),
        }
    }

    /// The same with the answers written that were asked of the one `before`.
    pub(crate) fn after(before: &Self, picture: Picture) -> Self {
        let next = Self::of(picture);
        if before.alive_only_json.get().is_some() {
            next.status_json(true);
        }
        if before.all_json.get().is_some() {
            next.status_json(false);
        }
        if before.cluster_json.get().is_some() {
            next.cluster_json();
        }
        if before.health_json.get().is_some() {
            next.health_json();
        }
        if before.components_json.get().is_some() {
            next.components_json();
        }
        next
    }

    /// `/status` as JSON, its `peers` with or without the dead.
    pub(crate) fn status_json(&self, alive_only: bool) -> Bytes {
        if !alive_only || self.status.dead_peers == 0 {
            return self.all_json.get_or_init(|| json(&self.status)).clone();
        }
        self.alive_only_json
            .get_or_init(|| {
                let mut status = self.status.clone();
                status.peers.retain(|_, p| p.is_alive);
                json(&status)
            })
            .clone()
    }

    /// `/api/cluster/status` as JSON.
    pub(crate) fn cluster_json(&self) -> Bytes {
        self.cluster_json.get_or_init(|| json(&cluster::cluster_status(&self.picture, &self.status))).clone()
    }

    /// `/health` as JSON.
    pub(crate) fn health_json(&self) -> Bytes {
        self.health_json.get_or_init(|| json(&self.health)).clone()
    }

    /// What `/api/health/components` says of this node.
    pub(crate) fn components(&self) -> &ComponentReport {
        self.components.get_or_init(|| components::report(&self.picture))
    }

    /// The same as JSON.
    pub(crate) fn components_json(&self) -> Bytes {
        self.components_json.get_or_init(|| json(self.components())).clone()
    }
}
