//! The scheduler of the node that leads, and what it sees.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ringrift_config::{Host, HostsFile, NodeId, RunnerKind};
use ringrift_job::{Class, GameConfig};
use ringrift_schedule::{FillPolicy, GpuView, NodeView, Presence, Scheduler, Settings, View};
use ringrift_state::Agreed;

use super::backlog::Backlog;
use crate::{
    facts::{GpuFact, NodeFacts},
    models::{ModelFacts, ModelState},
    view::Picture,
};

/// The classes that idle slots are filled with, the first that fits.
const FILL: [&str; 2] = ["gpu_selfplay", "selfplay"];

/// A lock around the scheduler: it works for a few milliseconds at a time, and nobody waits in it.
#[derive(Default)]
pub(crate) struct Desk(Mutex<Inner>);

pub(crate) struct Inner {
    /// The term in which it began to decide; its memory is of that term alone.
    term: u64,
    scheduler: Scheduler,
    began: Instant,
    /// Since when nodes are seen to be away.
    away: BTreeMap<NodeId, Instant>,
    backlog: Backlog,
}

/// All that a view borrows from.
pub(crate) struct Sight {
    agreed: Arc<Agreed>,
    nodes: Vec<NodeView>,
    led_for: Duration,
    underserved: Vec<GameConfig>,
    settings: Settings,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            term: 0,
            scheduler: Scheduler::new(rand::random()),
            began: Instant::now(),
            away: BTreeMap::new(),
            backlog: Backlog::default(),
        }
    }
}

impl Desk {
    pub(crate) fn open(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Begins anew when another term has begun.
    pub(crate) fn in_term(&mut self, term: u64) -> &mut Self {
        if self.term != term {
            *self = Self { term, ..Self::default() };
        }
        self
    }

    /// The time by which this scheduler thinks.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn backlog(&mut self) -> &mut Backlog {
        &mut self.backlog
    }

    pub(crate) fn scheduler(&mut self) -> &mut Scheduler {
        &mut self.scheduler
    }

    /// What there is to decide by.
    pub(crate) fn sight(&mut self, picture: &Picture, agreed: Arc<Agreed>, led_for: Duration) -> Sight {
        let now = Instant::now();
        let mut names: BTreeSet<NodeId> = picture.members.iter().map(|member| member.id.clone()).collect();
        names.insert(picture.node.clone());
        self.away.retain(|node, _| names.contains(node));
        let nodes = names.iter().map(|node| self.node(picture, node, now)).collect();
        let classes = |name: &str| picture.settings.job_classes.get(name).cloned();
        let classes: Vec<Arc<Class>> = FILL.iter().filter_map(|name| classes(name)).collect();
        let fill = FillPolicy { enabled: true, classes, weights: BTreeMap::new() };
        let settings = Settings {
            reconnect_window: *picture.settings.reconnect_window,
            fill: fill.agreed(agreed.state.fill.as_ref()),
            ..Settings::default()
        };
        let underserved = picture.hosts.as_deref().map(underserved).unwrap_or_default();
        Sight { agreed, nodes, led_for, underserved, settings }
    }

    fn node(&mut self, picture: &Picture, id: &NodeId, now: Instant) -> NodeView {
        let own = *id == picture.node;
        let member = picture.members.get(id);
        let facts: Option<&NodeFacts> =
            if own { Some(&picture.facts) } else { member.and_then(|m| m.facts.as_deref()) };
        let presence = if own {
            Presence::Alive
        } else {
            use ringrift_members::State;
            match member.map(|member| member.state) {
                Some(State::Alive) => Presence::Alive,
                Some(State::Suspect) => Presence::Suspect,
                Some(State::Dead | State::Left | State::Unseen) | None => {
                    let since = *self.away.entry(id.clone()).or_insert(now);
                    Presence::Dead { since: now.saturating_duration_since(since) }
                }
            }
        };
        if !matches!(presence, Presence::Dead { .. }) {
            self.away.remove(id);
        }
        let host = picture.hosts.as_ref().and_then(|hosts| hosts.hosts.get(id));
        let jobs = facts.map(|facts| facts.jobs.clone()).unwrap_or_default();
        let refuses = if jobs.runner.is_empty() {
            Some("it has not said what it can run".to_owned())
        } else if jobs.runner == RunnerKind::Nothing.as_str() {
            Some("it runs no jobs".to_owned())
        } else {
            Some(jobs.refuses).filter(|reason| !reason.is_empty())
        };
        NodeView {
            presence,
            eligibility: picture.agreed.state.eligibility_of(id),
            ready: host.is_some_and(Host::is_ready) || picture.hosts.is_none(),
            capabilities: capabilities(picture, host),
            slots: jobs.slots,
            load: facts.map_or(0.0, |facts| (facts.resources.cpu_percent / 100.0) as f32),
            refuses,
            offer: jobs.offers.into_iter().map(|offer| (offer.class, offer.needs)).collect(),
            gpus: gpus(facts, host),
            memory_bytes: jobs.memory_bytes,
            models: facts.map(|facts| verified(&facts.models)).unwrap_or_default(),
            fill: jobs.fill,
            id: id.clone(),
        }
    }
}

impl Sight {
    pub(crate) fn view(&self) -> View<'_> {
        View {
            jobs: &self.agreed.state.jobs,
            nodes: &self.nodes,
            led_for: self.led_for,
            underserved: &self.underserved,
            settings: &self.settings,
        }
    }
}

/// What a host may do. A cluster of one without a hosts file does everything itself.
fn capabilities(picture: &Picture, host: Option<&Host>) -> Vec<ringrift_config::Capability> {
    use ringrift_config::Capability::{Selfplay, Training};
    match host {
        Some(host) => host.capabilities(),
        None if picture.hosts.is_none() => vec![Selfplay, Training],
        None => Vec::new(),
    }
}

/// The GPUs of a node as they were measured; before that, those that the hosts file names. What memory nobody told is not held
/// against them.
fn gpus(facts: Option<&NodeFacts>, host: Option<&Host>) -> Vec<GpuView> {
    if let Some(facts) = facts.filter(|facts| facts.gpu_state.is_measured()) {
        let view = |gpu: &GpuFact| GpuView { index: gpu.index, vram_bytes: gpu.memory_mib << 20, usable: gpu.usable };
        return facts.gpus.iter().map(view).collect();
    }
    let Some(gpu) = host.and_then(|host| host.gpu.as_ref()) else { return Vec::new() };
    let told = host.and_then(|host| host.gpu_vram_gb).filter(|gb| *gb > 0);
    let vram_bytes = told.map_or(u64::MAX, |gb| (gb << 30) / u64::from(gpu.count.max(1)));
    (0..gpu.count.min(64)).map(|index| GpuView { index, vram_bytes, usable: true }).collect()
}

/// The configurations whose current model a node has verified.
fn verified(models: &ModelFacts) -> BTreeSet<GameConfig> {
    let verified = models.files.iter().filter(|file| file.state == ModelState::Verified);
    verified.filter_map(|file| file.name.config_key()?.parse().ok()).collect()
}

/// `sync_routing.underserved_configs` of the hosts file, those that are configurations of the game.
fn underserved(hosts: &HostsFile) -> Vec<GameConfig> {
    let named = hosts.extra.get("sync_routing").and_then(|routing| routing.get("underserved_configs"));
    let named = named.and_then(|list| list.as_sequence()).into_iter().flatten();
    named.filter_map(|config| config.as_str()?.parse().ok()).collect()
}
