//! The events of models, with the keys that clients read.

use std::collections::{BTreeMap, BTreeSet};

use ringrift_blob::{Digest, ModelName};
use ringrift_config::NodeId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::event::shorten;
use crate::{Distribution, NewEvent, Promotion, kind};

/// Details of `MODEL_PROMOTED`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelPromoted {
    /// The file's name without its extension, for example `canonical_hex8_2p`.
    pub model_id: String,
    /// Where programs find it, below the root of the installation.
    pub model_path: String,
    /// For example `hex8`; `None` when the name does not tell.
    pub board_type: Option<String>,
    /// For example 2.
    pub num_players: Option<u32>,
    /// For example `hex8_2p`.
    pub config_key: Option<String>,
    /// Its rating, if somebody measured it.
    pub elo: Option<f64>,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// When, by the proposer's clock, seconds since the epoch.
    pub timestamp: f64,
}

/// Details of `MODEL_DISTRIBUTION_STARTED`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelDistributionStarted {
    /// The file's name without its extension.
    pub model_id: String,
    /// For example `hex8_2p`; `None` when the name does not tell.
    pub config_key: Option<String>,
    /// SHA-256 of the file.
    pub sha256: Digest,
}

/// Details of `MODEL_DISTRIBUTION_COMPLETE` and `MODEL_DISTRIBUTION_FAILED`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelDistributionEnded {
    /// The file's name without its extension.
    pub model_id: String,
    /// For example `hex8_2p`; `None` when the name does not tell.
    pub config_key: Option<String>,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// The nodes that verified it.
    pub nodes_succeeded: Vec<NodeId>,
    /// The nodes that did not.
    pub nodes_failed: Vec<NodeId>,
    /// From its start to its end.
    pub duration_seconds: f64,
    /// Why not; left out when all have it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<NodeId, String>,
    /// How many nodes did not fit into this event; left out when all did.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nodes_omitted: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl ModelPromoted {
    /// Reads it from an event of that kind.
    pub fn of(event: &NewEvent) -> Option<Self> {
        read(event, &[kind::MODEL_PROMOTED])
    }

    pub(super) fn event(name: &ModelName, promotion: &Promotion, deed: &str) -> NewEvent {
        let Promotion { sha256, elo, by, at_ms, .. } = promotion;
        let rated = elo.map(|elo| format!(" with Elo {}", elo.get())).unwrap_or_default();
        let by = if by.is_empty() { String::new() } else { format!(", by {by}") };
        let details = Self {
            model_id: model_id(name),
            model_path: format!("models/{name}"),
            board_type: name.board_and_players().map(|(board, _)| board.to_owned()),
            num_players: name.board_and_players().map(|(_, players)| players),
            config_key: name.config_key().map(str::to_owned),
            elo: elo.map(f64::from),
            sha256: *sha256,
            timestamp: *at_ms as f64 / 1000.0,
        };
        let message = format!("{name} {deed} {}{rated}{by}", short(sha256));
        with(NewEvent::new(kind::MODEL_PROMOTED, message, *at_ms).about(&promotion.source), &details)
    }
}

/// Details of `MODEL_REMOVED`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRemoved {
    /// The file's name without its extension.
    pub model_id: String,
    /// For example `hex8_2p`; `None` when the name does not tell.
    pub config_key: Option<String>,
    /// What was current until then.
    pub sha256: Digest,
}

impl ModelRemoved {
    /// Reads it from an event of that kind.
    pub fn of(event: &NewEvent) -> Option<Self> {
        read(event, &[kind::MODEL_REMOVED])
    }

    pub(super) fn event(name: &ModelName, sha256: &Digest, by: &str, at_ms: u64) -> NewEvent {
        let details =
            Self { model_id: model_id(name), config_key: name.config_key().map(str::to_owned), sha256: *sha256 };
        let by = if by.is_empty() { String::new() } else { format!(", by {by}") };
        let message = format!("{name} is removed{by}; it was {}", short(sha256));
        with(NewEvent::new(kind::MODEL_REMOVED, message, at_ms), &details)
    }
}

/// Details of `MODEL_SET_ASIDE`, which the node records that did it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSetAside {
    /// The file's name without its extension.
    pub model_id: String,
    /// For example `hex8_2p`; `None` when the name does not tell.
    pub config_key: Option<String>,
    /// What the file is, if it was read.
    pub sha256: Option<Digest>,
    /// Where it lies on that node.
    pub path: String,
}

impl ModelSetAside {
    /// Reads it from an event of that kind.
    pub fn of(event: &NewEvent) -> Option<Self> {
        read(event, &[kind::MODEL_SET_ASIDE])
    }

    /// The event of a file of a program on `node` that lies at `path` now.
    pub fn event(name: &ModelName, sha256: Option<Digest>, path: &str, node: &NodeId, at_ms: u64) -> NewEvent {
        let details = Self {
            model_id: model_id(name),
            config_key: name.config_key().map(str::to_owned),
            sha256,
            path: shorten(path.to_owned(), 4096),
        };
        let message = format!(
            "a program on {node} wrote {name} over a version that is not the agreed one any more: its file is at {path}"
        );
        with(NewEvent::new(kind::MODEL_SET_ASIDE, message, at_ms).about(node), &details)
    }
}

impl ModelDistributionStarted {
    /// Reads it from an event of that kind.
    pub fn of(event: &NewEvent) -> Option<Self> {
        read(event, &[kind::MODEL_DISTRIBUTION_STARTED])
    }

    pub(super) fn event(name: &ModelName, sha256: &Digest, distribution: &Distribution) -> NewEvent {
        let details =
            Self { model_id: model_id(name), config_key: name.config_key().map(str::to_owned), sha256: *sha256 };
        let again = if distribution.force { ", which hash it again if they have it" } else { "" };
        let message = format!("{name} {} goes to all nodes{again}", short(sha256));
        with(NewEvent::new(kind::MODEL_DISTRIBUTION_STARTED, message, distribution.started_at_ms), &details)
    }
}

impl ModelDistributionEnded {
    /// Reads it from an event of either kind.
    pub fn of(event: &NewEvent) -> Option<Self> {
        read(event, &[kind::MODEL_DISTRIBUTION_COMPLETE, kind::MODEL_DISTRIBUTION_FAILED])
    }

    pub(super) fn event(
        name: &ModelName,
        sha256: &Digest,
        succeeded: &BTreeSet<NodeId>,
        failed: &BTreeMap<NodeId, String>,
        duration_ms: u64,
        at_ms: u64,
    ) -> NewEvent {
        // Names first, reasons as far as they fit: who has failed is what somebody must know.
        let mut room = NewEvent::MAX_DETAILS - 1024;
        let nodes_failed = fitting(failed.keys(), &mut room);
        let nodes_succeeded = fitting(succeeded.iter(), &mut room);
        let mut reasons = BTreeMap::new();
        for (node, reason) in failed.iter().take(nodes_failed.len()) {
            let reason = shorten(reason.clone(), Distribution::MAX_REASON);
            let Some(rest) = room.checked_sub(node.as_str().len() + reason.len() + 2) else { break };
            room = rest;
            reasons.insert(node.clone(), reason);
        }
        let omitted = failed.len() + succeeded.len() - nodes_failed.len() - nodes_succeeded.len();
        let (of, seconds) = (failed.len() + succeeded.len(), duration_ms as f64 / 1000.0);
        let (kind, result) = if failed.is_empty() {
            (kind::MODEL_DISTRIBUTION_COMPLETE, format!("is on all {of} nodes after {seconds:.1} s"))
        } else {
            let named: Vec<String> = failed.iter().take(8).map(|(node, why)| missing(node, why)).collect();
            let more = if failed.len() > named.len() { ", …" } else { "" };
            let named = named.join(", ");
            let had = succeeded.len();
            (
                kind::MODEL_DISTRIBUTION_FAILED,
                format!("is on {had} of {of} nodes after {seconds:.1} s; not on {named}{more}"),
            )
        };
        let details = Self {
            model_id: model_id(name),
            config_key: name.config_key().map(str::to_owned),
            sha256: *sha256,
            nodes_succeeded,
            nodes_failed,
            duration_seconds: seconds,
            reasons,
            nodes_omitted: omitted as u64,
        };
        with(NewEvent::new(kind, format!("{name} {} {result}", short(sha256)), at_ms), &details)
    }
}

fn missing(node: &NodeId, why: &str) -> String {
    if why.is_empty() { node.to_string() } else { format!("{node} ({})", shorten(why.to_owned(), 80)) }
}

/// The nodes whose names still fit.
fn fitting<'a>(nodes: impl Iterator<Item = &'a NodeId>, room: &mut usize) -> Vec<NodeId> {
    let mut named = Vec::new();
    for node in nodes {
        let Some(rest) = room.checked_sub(node.as_str().len() + 2) else { break };
        *room = rest;
        named.push(node.clone());
    }
    named
}

fn model_id(name: &ModelName) -> String {
    name.as_str().strip_suffix(".pth").unwrap_or(name.as_str()).to_owned()
}

/// As many digits as people compare.
pub(super) fn short(sha256: &Digest) -> String {
    format!("{}…", sha256.to_string().chars().take(12).collect::<String>())
}

fn with(event: NewEvent, details: &impl Serialize) -> NewEvent {
    match serde_json::to_value(details) {
        Ok(Value::Object(map)) => NewEvent { details: map.into_iter().collect(), ..event },
        // They are structs of texts and finite numbers.
        other => unreachable!("the details of an event are an object, not {other:?}"),
    }
}

fn read<T: DeserializeOwned>(event: &NewEvent, kinds: &[&str]) -> Option<T> {
    let details = || Value::Object(event.details.iter().map(|(name, value)| (name.clone(), value.clone())).collect());
    kinds.contains(&event.kind.as_str()).then(|| serde_json::from_value(details()).ok()).flatten()
}
