//! What does the hosts file say?

mod address;
mod auto_sync;
mod check;
mod error;
mod fields;
mod gpu;
mod host;
mod loopback;
mod ports;
mod read;
mod role;
mod status;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use auto_sync::{AutoSync, BandwidthOverride};
pub use error::HostsError;
pub use gpu::Gpu;
pub use host::{Host, StoragePaths};
use indexmap::IndexMap;
pub use ports::PublicPorts;
pub use role::{Capability, Role};
use serde_yaml::Value;
use sha2::{Digest as _, Sha256};
pub use status::Status;

use crate::{
    Finding, NodeId, Severity,
    hex::hex,
    yaml::{self, Map},
};

/// `distributed_hosts.yaml`, read: the one file that describes the cluster. What was wrong with it is an error; what was
/// only odd is among the warnings.
#[derive(Debug, Clone)]
pub struct HostsFile {
    /// The file, as it was named.
    pub path: PathBuf,
    /// SHA-256 of its text, in hexadecimal digits.
    pub revision: String,
    /// In the order of the file.
    pub hosts: IndexMap<NodeId, Host>,
    /// `p2p_voters`, all of which are hosts. `None` if the file has no such key: it can be listed and checked, and no
    /// daemon starts on it.
    pub voters: Option<Vec<NodeId>>,
    /// How fast files may travel.
    pub auto_sync: AutoSync,
    /// Sections that are not read here, known or not, as they are.
    pub extra: IndexMap<String, Value>,
    /// What was odd.
    pub warnings: Vec<Finding>,
    document: Arc<Map>,
}

/// A thousand hosts are below 1 MiB; a wrong path may name anything.
const MAX_BYTES: u64 = 8 << 20;

impl HostsFile {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, HostsError> {
        Self::parse(&Self::text(path)?, path)
    }

    /// The text of a file.
    pub(crate) fn text(path: &Path) -> Result<String, HostsError> {
        let unreadable = |error| HostsError::Read { path: path.to_owned(), error };
        let invalid = |message: &str| HostsError::Invalid(vec![Finding::error(path, None, "", message)]);
        if fs::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
            return Err(invalid("is larger than 8 MiB: this is no hosts file"));
        }
        let bytes = fs::read(path).map_err(unreadable)?;
        String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8 text"))
    }

    /// Reads a text; `path` is what findings call it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, HostsError> {
        let document = match yaml::parse(text) {
            Ok(document) => document,
            Err(faults) => {
                let finding = |f: yaml::Fault| Finding::error(path, f.line, &f.key, f.message);
                return Err(HostsError::Invalid(faults.into_iter().map(finding).collect()));
            }
        };
        let Some(root) = document.as_ref().and_then(yaml::Node::as_map) else {
            let found = document.map_or("nothing".into(), |node| node.describe());
            let message = format!("expected a map with hosts and p2p_voters, found {found}");
            return Err(HostsError::Invalid(vec![Finding::error(path, 1, "", message)]));
        };
        let mut findings = Vec::new();
        let content = read::content(path, root, &mut findings);
        findings.sort_by_key(|finding| finding.line);
        let (errors, warnings): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|finding| finding.severity == Severity::Error);
        if !errors.is_empty() {
            return Err(HostsError::Invalid(errors));
        }
        let revision = hex(&Sha256::digest(text.as_bytes()));
        Ok(Self {
            path: path.to_owned(),
            revision,
            hosts: content.hosts,
            voters: content.voters,
            auto_sync: content.auto_sync,
            extra: content.extra,
            warnings,
            document: Arc::new(root.clone()),
        })
    }

    /// Whether the file names `node` as a voter.
    pub fn is_voter(&self, node: &NodeId) -> bool {
        self.voters.iter().flatten().any(|voter| voter == node)
    }
}
