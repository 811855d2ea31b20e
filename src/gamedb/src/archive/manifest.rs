use jiff::Timestamp;
use ringrift_blob::Digest;
use serde::{Deserialize, Serialize};

use crate::{copy::Copied, find::is_name};

/// What is in an archive: its last member, so that an archive that was cut off has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What this is: `ringrift-backup`.
    pub format: String,
    /// Of the format: 1.
    pub version: u32,
    /// Whose databases they are.
    pub node: String,
    /// When the archive was finished, in UTC.
    pub finished_at: String,
    /// The databases, in the order of the archive.
    pub databases: Vec<Member>,
    /// What should be in it and is not.
    pub missing: Vec<Absent>,
    /// What lies where game databases are, and is none.
    pub others: Vec<Absent>,
}

/// A database in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its path below the node's root.
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
    /// Its path below the node's root.
    pub name: String,
    /// Why.
    pub reason: String,
}

const FORMAT: &str = "ringrift-backup";
const VERSION: u32 = 1;

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
        }
    }

    /// Reads one, and refuses names that lead elsewhere.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("its manifest makes no sense: {error}"))?;
        if manifest.format != FORMAT || manifest.version != VERSION {
            let (format, version) = (&manifest.format, manifest.version);
            return Err(format!("it is of format {format} {version}, not {FORMAT} {VERSION}"));
        }
        if let Some(member) = manifest.databases.iter().find(|member| !is_name(&member.name)) {
            return Err(format!("it has a member {:?}, which is no place of a game database", member.name));
        }
        Ok(manifest)
    }

    /// Whether all databases of the node are in it, and each is whole.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.databases.iter().all(|member| member.whole)
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
