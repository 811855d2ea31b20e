//! A node's folder to try things on.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use ringrift_blob::Digest;
use ringrift_cleanup::{Asked, Copies, Disk, Item, Opened, Plan, Roots, Thresholds, Trash, look, plan};
use ringrift_gamedb::{Course, digest};
use tempfile::TempDir;

pub(crate) const DAY: f64 = 86_400.0;

pub(crate) struct Bed {
    /// The node's folder is one folder below it: what is beside that is outside.
    pub(crate) outside: TempDir,
    pub(crate) node: PathBuf,
    pub(crate) thresholds: Thresholds,
    pub(crate) copies: Copies,
    pub(crate) disk: Disk,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        let node = outside.path().canonicalize().unwrap().join("node");
        for folder in ["data/games", "data/selfplay", "data/training", "models", "logs", "checkpoints"] {
            fs::create_dir_all(node.join(folder)).unwrap();
        }
        let thresholds = Thresholds { replicas: 1, ..Thresholds::default() };
        Self { outside, node, thresholds, copies: Copies::default(), disk: Disk { total_bytes: 1000, used_bytes: 500 } }
    }

    /// A file of this age; its bytes are its name, as often as needed.
    pub(crate) fn file(&self, name: &str, days: f64, size: usize) -> PathBuf {
        let path = self.node.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes: Vec<u8> = name.bytes().cycle().take(size).collect();
        fs::write(&path, bytes).unwrap();
        age(&path, days);
        path
    }

    pub(crate) fn digest(&self, name: &str) -> Digest {
        let path = self.node.join(name);
        digest(&path, &path, &mut Course::silent()).unwrap().0
    }

    /// Says that so many other nodes have what is in these files.
    pub(crate) fn others_have(&mut self, names: &[&str], nodes: usize) {
        let files: Vec<_> = names.iter().map(|name| serde_json::json!({ "sha256": self.digest(name) })).collect();
        let nodes: Vec<_> =
            (0..nodes).map(|i| serde_json::json!({ "node_id": format!("other-{i}"), "files": files })).collect();
        // What the node itself has is no copy.
        let own = serde_json::json!({ "node_id": "own", "files": files });
        let all: Vec<_> = nodes.into_iter().chain([own]).collect();
        let path = self.outside.path().join("manifest.json");
        fs::write(&path, serde_json::json!({ "nodes": all }).to_string()).unwrap();
        self.copies.add(&path, "own", &mut Course::silent()).unwrap();
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::of(&self.node, None).unwrap()
    }

    pub(crate) fn plan(&self, keep_days: f64, only_if_needed: bool) -> Plan {
        let items = look(&self.roots(), &Opened::now()).unwrap();
        let asked = Asked {
            now: now(),
            keep_seconds: keep_days * DAY,
            only_if_needed,
            node: self.node.clone(),
            replicas: self.thresholds.replicas,
        };
        let wanted = self.thresholds.replicas;
        let hash = |item: &Item| ringrift_cleanup::digests(item, &self.copies, wanted, &mut Course::silent());
        plan(items, &asked, &self.thresholds, self.disk, &self.copies, hash)
    }

    pub(crate) fn trash(&self) -> Trash {
        Trash::of(&self.roots())
    }

    /// Moves all that goes; what is refused then is told.
    pub(crate) fn clean(&self, plan: &Plan, moment: &str) -> Vec<&'static str> {
        plan.going().filter_map(|item| self.trash().take(item, moment).unwrap()).collect()
    }

    /// Every file outside of the trash, with its bytes.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut waiting = vec![self.outside.path().canonicalize().unwrap()];
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let kind = path.symlink_metadata().unwrap();
                if kind.is_dir() && path.file_name().unwrap() != ".ringrift-trash" {
                    waiting.push(path);
                } else if kind.is_file() {
                    found.insert(path.display().to_string(), fs::read(&path).unwrap());
                }
            }
        }
        found
    }
}

pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

pub(crate) fn age(path: &Path, days: f64) {
    let at = SystemTime::now() - Duration::from_secs_f64(days * DAY);
    fs::File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
}

/// The names of what goes.
pub(crate) fn going(plan: &Plan) -> Vec<&str> {
    plan.going().map(|item| item.name.as_str()).collect()
}

/// Why a file stays.
pub(crate) fn stays(plan: &Plan, name: &str) -> String {
    let decision = plan.decisions.iter().find(|decision| decision.item.name == name);
    let decision = decision.unwrap_or_else(|| panic!("{name} was not looked at"));
    decision.stays.as_ref().map_or("goes".to_owned(), ringrift_cleanup::Stays::sentence)
}
