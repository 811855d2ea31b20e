use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use ringrift_blob::Digest;
use ringrift_gamedb::{Course, Manifest, verify};
use serde::Deserialize;

use crate::error::CleanupError;

/// Which bytes are elsewhere as well, as manifests say: the only reason for which training data may go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies {
    /// Of each digest, the places that have it.
    places: BTreeMap<Digest, BTreeSet<String>>,
}

/// A manifest of nodes: which has which file.
#[derive(Debug, Deserialize)]
struct Nodes {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    node_id: String,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Debug, Deserialize)]
struct File {
    sha256: Digest,
}

impl Copies {
    /// Adds what a file says: an archive of `db backup`, which is read from end to end, or JSON with `nodes`, each with `node_id` and
    /// `files`, each with `sha256`. What `own` has is not elsewhere.
    ///
    /// # Errors
    ///
    /// If it is neither, or the archive is damaged.
    pub fn add(&mut self, path: &Path, own: &str, course: &mut Course<'_>) -> Result<(), CleanupError> {
        if path.to_string_lossy().ends_with(".zst") {
            let verified = verify(path, course)
                .map_err(|error| CleanupError::Manifest { path: path.to_owned(), why: error.to_string() })?;
            self.add_archive(path, &verified.manifest);
            return Ok(());
        }
        let text = fs::read(path).map_err(CleanupError::io("read", path))?;
        let nodes: Nodes = serde_json::from_slice(&text)
            .map_err(|error| CleanupError::Manifest { path: path.to_owned(), why: error.to_string() })?;
        for node in nodes.nodes.into_iter().filter(|node| node.node_id != own) {
            for file in node.files {
                self.places.entry(file.sha256).or_default().insert(node.node_id.clone());
            }
        }
        Ok(())
    }

    /// Adds the databases of an archive that was read again and found right.
    pub fn add_archive(&mut self, path: &Path, manifest: &Manifest) {
        for member in manifest.databases.iter().filter(|member| member.whole) {
            self.places.entry(member.sha256).or_default().insert(path.display().to_string());
        }
    }

    /// In how many other places these bytes are.
    pub fn of(&self, digest: &Digest) -> usize {
        self.places.get(digest).map_or(0, BTreeSet::len)
    }

    /// Whether nothing is known to be elsewhere.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}
