use std::{collections::VecDeque, time::Duration};

use ringrift_blob::ChunkSet;
use ringrift_config::NodeId;
use ringrift_swarm::{DropReason, Planner};

use super::links::Lane;

/// How a node treats what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    #[default]
    Honest,
    /// Sends other bytes than it was asked for: changed ones, or too few.
    Lies,
    /// Takes requests and sends nothing.
    Mute,
}

/// A node before it starts.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Bytes a second.
    pub up: f64,
    /// Bytes a second.
    pub down: f64,
    /// One way to the middle of the network.
    pub latency: Duration,
    pub dials_out_only: bool,
    pub behaviour: Behaviour,
}

impl Spec {
    /// A node with so many Mbit/s both ways.
    pub fn mbit(rate: f64) -> Self {
        Self::asymmetric(rate, rate)
    }

    pub fn asymmetric(up: f64, down: f64) -> Self {
        Self {
            up: up * 125_000.0,
            down: down * 125_000.0,
            latency: Duration::from_millis(2),
            dials_out_only: false,
            behaviour: Behaviour::Honest,
        }
    }

    pub fn latency(self, ms: u64) -> Self {
        Self { latency: Duration::from_millis(ms), ..self }
    }

    pub fn behaviour(self, behaviour: Behaviour) -> Self {
        Self { behaviour, ..self }
    }

    pub fn hidden(self) -> Self {
        Self { dials_out_only: true, ..self }
    }
}

/// A node that runs, or did.
pub struct Node {
    pub id: NodeId,
    pub spec: Spec,
    pub planner: Option<Planner>,
    /// When it started first.
    pub started: Duration,
    pub starts: u32,
    /// What its disk has of each blob.
    pub disk: Vec<ChunkSet>,
    pub lanes: Vec<Lane>,
    /// Lanes with something to send, the next one first.
    pub turns: VecDeque<usize>,
    pub up_busy: bool,
    /// When the downlink has drained what arrived.
    pub down_free: u64,
    pub tick_at: u64,
    pub sent: u64,
    pub received: u64,
    /// Bytes that came twice.
    pub wasted: u64,
    /// Bytes that were bad.
    pub bad: u64,
    pub refused: u64,
    pub dropped: Vec<(NodeId, DropReason)>,
    /// When each blob was complete.
    pub done: Vec<Option<Duration>>,
}
