//! What the outside is shown: the contract's JSON, made from what the subsystems publish.
//!
//! Behind it is no lock, disk, subprocess or network: every source is swapped atomically by its owner, and all requests of
//! a moment share one snapshot and its bytes.

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
mod renewed;
mod snapshot;
mod status;
mod status_line;
mod voters;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

pub(crate) use self::{
    event::event,
    health::timestamp,
    jobs::{Items, backpressure, history, job, status_of, why, work_status},
    models::{manifest, model_list, models_progress, phase},
    nodes::node_list,
    picture::Picture,
    renewed::{Made, Renewed},
    snapshot::Snapshot,
    status_line::status_line,
    voters::voters_report,
};

/// Milliseconds since the epoch by the wall clock: shown to people and programs, never compared.
pub(crate) fn epoch_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

/// Seconds since the epoch by the wall clock.
pub(crate) fn epoch_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> Bytes {
    // These types have string keys and finite numbers only, so serialising them cannot fail.
    serde_json::to_vec(value).map_or_else(|e| Bytes::from(format!("{{\"error\":\"{e}\"}}")), Bytes::from)
}
