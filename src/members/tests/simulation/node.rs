//! The nodes of an imagined cluster, and what lies between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use ringrift_config::NodeId;
use ringrift_members::Machine;
use serde::{Deserialize, Serialize};

/// What a simulated node tells of itself; about as long as the real thing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    pub value: u64,
    pub padding: String,
}

/// What the network does to messages.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// One way, shortest and longest; a random one for each message, so they overtake each other.
    pub delay: (Duration, Duration),
    /// Part of the messages that vanish, requests and answers alike.
    pub loss: f64,
    /// Part of the requests that arrive twice.
    pub duplication: f64,
}

impl Network {
    /// A wide area network on a good day.
    pub const GOOD: Self =
        Self { delay: (Duration::from_millis(2), Duration::from_millis(80)), loss: 0.0, duplication: 0.01 };

    pub fn losing(part: f64) -> Self {
        Self { loss: part, ..Self::GOOD }
    }
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// The host is gone: silence.
    PowerCut,
    /// `kill -9`: links break and new ones are refused.
    Kill,
}

pub struct Node {
    pub id: NodeId,
    pub machine: Option<Machine<Card>>,
    /// Which run of the node this is; messages to an earlier one are lost.
    pub run: u64,
    pub instance: u64,
    pub refuses: bool,
    pub frozen_until: Duration,
    pub next_wake: Duration,
    /// Everything that this node takes in waits for this long.
    pub slowness: Duration,
    /// This node's wall clock minus the true one.
    pub clock_off_ms: i64,
    pub calls: BTreeSet<u64>,
    pub tickets: BTreeMap<u64, (usize, u64, u64)>,
    pub last_ticket: u64,
    pub group: u32,
}

#[derive(Debug)]
pub enum Item {
    Wake,
    Request { from: usize, run: u64, call: u64, payload: Bytes },
    Answer { call: u64, payload: Option<Bytes> },
    LinkLost(usize),
}

impl Node {
    pub fn named(id: &str) -> Self {
        Self {
            id: id.parse().expect("a valid id"),
            machine: None,
            run: 0,
            instance: 0,
            refuses: false,
            frozen_until: Duration::ZERO,
            next_wake: Duration::MAX,
            slowness: Duration::ZERO,
            clock_off_ms: 0,
            calls: BTreeSet::new(),
            tickets: BTreeMap::new(),
            last_ticket: 0,
            group: 0,
        }
    }
}
