use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringrift_config::{Capability, NodeId};
use ringrift_job::{ClassName, GameConfig, Needs};
use ringrift_state::{Eligibility, Jobs};

use crate::Settings;

/// All that the scheduler decides by.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The agreed jobs.
    pub jobs: &'a Jobs,
    /// The nodes that the leader knows, itself among them.
    pub nodes: &'a [NodeView],
    /// How long this leader has led, by its own clock.
    pub led_for: Duration,
    /// Configurations that have too few games, the neediest first.
    pub underserved: &'a [GameConfig],
    /// What is configured.
    pub settings: &'a Settings,
}

/// A node as the leader sees it.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// Its name.
    pub id: NodeId,
    /// Whether it is there.
    pub presence: Presence,
    /// Whether it may be given work, as agreed.
    pub eligibility: Eligibility,
    /// Whether the hosts file says `ready`.
    pub ready: bool,
    /// What it is for: [`ringrift_config::Host::capabilities`].
    pub capabilities: Vec<Capability>,
    /// How many jobs it takes at once.
    pub slots: u32,
    /// How busy it is, from 0 to 1. Of nodes that have as much room the less busy one is chosen.
    pub load: f32,
    /// Why it takes no work at present, in its own words: its disk, its memory, its runner.
    pub refuses: Option<String>,
    /// Whether its idle slots may be filled.
    pub fill: bool,
    /// The classes that it can run, and what they need there.
    pub offer: BTreeMap<ClassName, Needs>,
    /// Its GPUs.
    pub gpus: Vec<GpuView>,
    /// Its main memory; 0 when nobody knows.
    pub memory_bytes: u64,
    /// The configurations whose newest model it has verified.
    pub models: BTreeSet<GameConfig>,
}

/// Whether a node is there, by the leader's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It answers.
    Alive,
    /// It has not answered for a moment.
    Suspect,
    /// It is judged dead, or it has said goodbye.
    Dead {
        /// For how long.
        since: Duration,
    },
}

/// A GPU of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpuView {
    /// Its index on the node.
    pub index: u32,
    /// Its memory.
    pub vram_bytes: u64,
    /// Whether jobs may have it: it answers and has no fatal error.
    pub usable: bool,
}
