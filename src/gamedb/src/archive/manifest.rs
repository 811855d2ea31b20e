use jiff::Timestamp;
use ringrift_blob::Digest;
use serde::{Deserialize, Serialize};

use crate::{copy::Copied, find::is_name};

/// What is in an archive: its last member, so that an archive that was cut off has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What this is: `ringrift-backup`.
    pub format: String,
    /// Of the format: 1, or 2 if it is of several nodes.
    pub version: u32,
    /// Whose databases they are; empty if they are of several nodes.
    #[serde(default)]
    pub node: String,
    /// When the archive was finished, in UTC.
    pub finished_at: String,
    /// The databases, in the order of the archive.
    pub databases: Vec<Member>,
    /// What should be in it and is not.
    pub missing: Vec<Absent>,
    /// What lies where game databases are, and is none.
    pub others: Vec<Absent>,
    /// Of several nodes: what became of each. All names above begin with the node's then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Part>,
}

/// One node of an archive of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub node: String,
    /// What became of it.
    pub state: PartState,
    /// Why it is not in it; empty if it is.
    pub reason: String,
}

/// What became of a node whose databases were to be in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    /// It was asked for all of its databases.
    Asked,
    /// Nothing is expected of it.
    Skipped,
    /// Databases of it may be missing, and nobody knows which.
    Missing,
}

/// A database in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its path below the node's root, behind the node's name in an archive of several.
    pub name: String,
    /// Bytes.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: Digest,
    /// Games in it; `None` if they cannot be counted.
    pub games: Option<u64>,
    /// The version of its tables.
    pub schema_version: Option<String>,
    /// What was wrong with it when it was copied.
    pub faults: Vec<String>,
    /// Whether all of it could be read.
    pub whole: bool,
    /// The moment that it is of, in UTC.
    pub copied_at: String,
}

/// A file that is not in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// Its path below the node's root, behind the node's name in an archive of several.
    pub name: String,
    /// Why.
    pub reason: String,
}

const FORMAT: &str = "ringrift-backup";
const VERSION: u32 = 1;
/// Of archives of several nodes.
const OF_NODES: u32 = 2;

impl Manifest {
    pub(super) fn new(node: &str, databases: Vec<Member>, missing: Vec<Absent>, others: Vec<Absent>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            node: node.to_owned(),
            finished_at: now(),
            databases,
            missing,
            others,
            nodes: Vec::new(),
        }
    }

    /// Of several nodes.
    pub(super) fn of_nodes(
        databases: Vec<Member>,
        missing: Vec<Absent>,
        others: Vec<Absent>,
        nodes: Vec<Part>,
    ) -> Self {
        Self { version: OF_NODES, nodes, ..Self::new("", databases, missing, others) }
    }

    /// Reads one, and refuses names that lead elsewhere.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("its manifest makes no sense: {error}"))?;
        if manifest.format != FORMAT || ![VERSION, OF_NODES].contains(&manifest.version) {
            let (format, version) = (&manifest.format, manifest.version);
            return Err(format!("it is of format {format} {version}, not {FORMAT} {VERSION} or {OF_NODES}"));
        }
        let is_placed = |member: &&Member| {
            let (node, name) = manifest.place(member);
            is_name(name) && (manifest.version == VERSION || manifest.nodes.iter().any(|part| part.node == node))
        };
        if let Some(member) = manifest.databases.iter().find(|member| !is_placed(member)) {
            return Err(format!("it has a member {:?}, which is no place of a game database", member.name));
        }
        Ok(manifest)
    }

    /// Whether all databases of the node, or of all nodes, are in it, and each is whole.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
            && self.databases.iter().all(|member| member.whole)
            && self.nodes.iter().all(|part| part.state != PartState::Missing)
    }

    /// Of which node a database is, and its path below that node's root.
    pub fn place<'m>(&'m self, member: &'m Member) -> (&'m str, &'m str) {
        match member.name.split_once('/') {
            Some(place) if self.version == OF_NODES => place,
            _ => (&self.node, &member.name),
        }
    }

    /// Whose databases they are, for people.
    pub fn whose(&self) -> String {
        match self.nodes.len() {
            0 => self.node.clone(),
            1 => "1 node".to_owned(),
            count => format!("{count} nodes"),
        }
    }
}

impl Member {
    pub(super) fn new(name: &str, copied: &Copied, copied_at: String) -> Self {
        Self {
            name: name.to_owned(),
            size_bytes: copied.size_bytes,
            sha256: copied.sha256,
            games: copied.check.games,
            schema_version: copied.check.schema_version.clone(),
            faults: copied.check.faults(),
            whole: copied.check.is_whole(),
            copied_at,
        }
    }
}

/// This moment, in UTC and whole seconds.
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
