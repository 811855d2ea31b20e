//! Decides; touches nothing.

use std::path::{Path, PathBuf};

use ringrift_blob::{Digest, ModelName};
use serde::Serialize;

use crate::{copies::Copies, look::Item, roots::Kind, thresholds::Thresholds};

/// What somebody asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Now, seconds since the epoch.
    pub now: f64,
    /// What is younger stays, seconds.
    pub keep_seconds: f64,
    /// Whether only as much shall go as is needed to come below the thresholds.
    pub only_if_needed: bool,
    /// The node's folder.
    pub node: PathBuf,
    /// How many others must have what is training data.
    pub replicas: usize,
}

/// How full the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// Bytes of the filesystem that files can have.
    pub total_bytes: u64,
    /// Bytes that are taken.
    pub used_bytes: u64,
}

/// Why a file stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stays {
    /// It is too young.
    Young,
    /// Some process has it open.
    InUse,
    /// It is a canonical model.
    Canonical,
    /// A link leads to it.
    Linked,
    /// It may be the only copy: so many others are known to have it, and more are wanted.
    OnlyCopy {
        /// How many others.
        known: usize,
        /// How many are wanted.
        wanted: usize,
    },
    /// Nobody knows what it is.
    NotOurs,
    /// The disk has room enough.
    RoomEnough,
}

impl Stays {
    /// As people say it.
    pub fn sentence(&self) -> String {
        match self {
            Self::Young => "is too young".to_owned(),
            Self::InUse => "is in use".to_owned(),
            Self::Canonical => "is a canonical model".to_owned(),
            Self::Linked => "is linked to".to_owned(),
            Self::OnlyCopy { known, wanted } => {
                format!("may be the only copy: {known} others are known to have it, {wanted} are wanted")
            }
            Self::NotOurs => "is nothing that a cleanup knows".to_owned(),
            Self::RoomEnough => "need not go: the disk has room enough".to_owned(),
        }
    }
}

/// What is decided about a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// The file.
    pub item: Item,
    /// Why it stays; `None` if it may go.
    pub stays: Option<Stays>,
}

/// What is decided about all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// About each file, by name.
    pub decisions: Vec<Decision>,
    /// How full the disk is.
    pub disk: Disk,
    /// Whether it is fuller than the thresholds allow.
    pub needed: bool,
}

impl Plan {
    /// What goes.
    pub fn going(&self) -> impl Iterator<Item = &Item> {
        self.decisions.iter().filter(|decision| decision.stays.is_none()).map(|decision| &decision.item)
    }

    /// Bytes of what goes.
    pub fn bytes(&self) -> u64 {
        self.going().map(|item| item.size_bytes).sum()
    }
}

/// Decides. `digests` is asked for those of training data that is old enough and not in use, and of nothing else: that reads all of it.
pub fn plan(
    items: Vec<Item>,
    asked: &Asked,
    thresholds: &Thresholds,
    disk: Disk,
    copies: &Copies,
    mut digests: impl FnMut(&Item) -> Vec<Digest>,
) -> Plan {
    let full = |used: u64| {
        disk.total_bytes > 0 && {
            let percent = used as f64 * 100.0 / disk.total_bytes as f64;
            percent > thresholds.max_percent || 100.0 - percent < thresholds.min_free_percent
        }
    };
    let needed = full(disk.used_bytes);
    let in_pool = |item: &Item| {
        let folders = thresholds.pool.iter().flat_map(|pool| &pool.folders);
        folders.map(|folder| asked.node.join(folder)).any(|folder| item.path.starts_with(folder))
    };
    let of_pool: u64 = items.iter().filter(|item| in_pool(item)).map(|item| item.size_bytes).sum();
    let mut over_quota =
        thresholds.pool.as_ref().map_or(0, |pool| of_pool.saturating_sub(pool.quota(disk.total_bytes)));

    // The oldest first; where room is needed, the pool before all others.
    let mut order: Vec<(bool, Item)> = items.into_iter().map(|item| (in_pool(&item), item)).collect();
    let pool_first = needed && thresholds.pool.as_ref().is_some_and(|pool| pool.first);
    order.sort_by(|(pool_a, a), (pool_b, b)| {
        let first = if pool_first { pool_b.cmp(pool_a) } else { std::cmp::Ordering::Equal };
        first.then(a.modified.total_cmp(&b.modified)).then_with(|| a.path.cmp(&b.path))
    });
    let target =
        (disk.total_bytes as f64 * thresholds.target_percent.min(100.0 - thresholds.min_free_percent) / 100.0) as u64;
    let mut used = disk.used_bytes;
    let mut decisions = Vec::new();
    for (pooled, mut item) in order {
        // A pool that is too large, or in the way, is cleaned up by its own age.
        let by_pool = pooled && (over_quota > 0 || pool_first);
        let keep = match &thresholds.pool {
            Some(pool) if by_pool => pool.age_seconds.min(asked.keep_seconds),
            _ => asked.keep_seconds,
        };
        let mut stays = judge(&mut item, asked, keep, copies, &mut digests);
        let too_much = pooled && over_quota > 0;
        if stays.is_none() && asked.only_if_needed && !too_much && !(needed && used > target) {
            stays = Some(Stays::RoomEnough);
        }
        if stays.is_none() {
            used = used.saturating_sub(item.size_bytes);
            if pooled {
                over_quota = over_quota.saturating_sub(item.size_bytes);
            }
        }
        decisions.push(Decision { item, stays });
    }
    decisions.sort_by(|a, b| a.item.name.cmp(&b.item.name));
    Plan { decisions, disk, needed }
}

/// Why a file stays, whatever the disk needs.
fn judge(
    item: &mut Item,
    asked: &Asked,
    keep_seconds: f64,
    copies: &Copies,
    digests: &mut impl FnMut(&Item) -> Vec<Digest>,
) -> Option<Stays> {
    if item.in_use {
        return Some(Stays::InUse);
    }
    if item.linked {
        return Some(Stays::Linked);
    }
    if item.kind == Kind::Models {
        if is_canonical(&item.path) {
            return Some(Stays::Canonical);
        }
        // The store's own folders, and whatever else programs keep beside models.
        if !ends_with(&item.path, &["pth", "pt"]) || is_hidden(&item.path, &asked.node) {
            return Some(Stays::NotOurs);
        }
    }
    if asked.now - item.modified < keep_seconds {
        return Some(Stays::Young);
    }
    if item.kind == Kind::TrainingData {
        item.sha256 = digests(item).into_iter().max_by_key(|sha256| copies.of(sha256));
        let known = item.sha256.as_ref().map_or(0, |sha256| copies.of(sha256));
        if known < asked.replicas.max(1) {
            return Some(Stays::OnlyCopy { known, wanted: asked.replicas.max(1) });
        }
    }
    None
}

/// Whether a model has a name under which programs look for the best one.
fn is_canonical(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".sha256").unwrap_or(&name);
    // Also of a configuration that this version does not know.
    stem.parse::<ModelName>().is_ok_and(|name| name.as_str().starts_with("canonical_"))
        || stem.starts_with("canonical")
        || stem.starts_with("ringrift_best")
}

fn ends_with(path: &Path, ends: &[&str]) -> bool {
    path.extension().is_some_and(|end| ends.iter().any(|wanted| end == *wanted))
}

fn is_hidden(path: &Path, node: &Path) -> bool {
    let below = path.strip_prefix(node).unwrap_or(path);
    below.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."))
}
