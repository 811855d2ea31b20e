use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use ringrift_blob::Digest;
use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};

use super::version::{Version, Way};
use crate::{failure::Failure, kept::Kept};

/// Which version each node of a hosts file had before it was updated last. It is written before a node is touched.
#[derive(Debug)]
pub(super) struct Record {
    file: Kept,
    page: Page,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Page {
    /// For people who look into it.
    hosts_file: PathBuf,
    /// Of each way by which a node was updated one; the last is that of its last update.
    nodes: BTreeMap<NodeId, Vec<Entry>>,
}

/// What was before, of one node and one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) before: Version,
    /// `None` while it is updated, and where that failed.
    pub(super) after: Option<Version>,
    /// Whether its daemon ran before.
    pub(super) ran: bool,
    /// What stood here, until this update has changed something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earlier: Option<Box<Self>>,
}

impl Record {
    /// The one of this hosts file. Its cluster cannot be asked for a name: after a bad update nobody may answer.
    pub(super) fn of(hosts_file: &Path) -> Result<Self, Failure> {
        let path = fs::canonicalize(hosts_file)
            .map_err(|e| Failure::local(format!("cannot find {}", hosts_file.display()), &e))?;
        let digest = Digest::of(path.as_os_str().as_encoded_bytes()).to_string();
        Self::at(Kept::named(&format!("update-{}.json", &digest[..16]))?, path)
    }

    fn at(file: Kept, hosts_file: PathBuf) -> Result<Self, Failure> {
        let page = file.read::<Page>()?.unwrap_or_default();
        Ok(Self { file, page: Page { hosts_file, ..page } })
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Of this way, or of the node's last update: one that did not come to its end, or else the last that changed something.
    pub(super) fn entry(&self, node: &NodeId, way: Option<Way>) -> Option<&Entry> {
        let entries = self.page.nodes.get(node)?;
        match way {
            Some(way) => entries.iter().find(|entry| entry.before.way() == way),
            None => entries.iter().find(|entry| entry.after.is_none()).or(entries.last()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.page.nodes.is_empty()
    }

    /// Notes that a node is about to be updated. Where an earlier update did not come to its end, what was before that one is
    /// what was before: what it left behind never was a version that worked.
    pub(super) fn begin(&mut self, node: &NodeId, before: &Version, ran: bool) -> Result<Entry, String> {
        let entries = self.page.nodes.entry(node.clone()).or_default();
        let place = entries.iter().position(|entry| entry.before.way() == before.way());
        let entry = match place.map(|place| &entries[place]) {
            Some(unfinished) if unfinished.after.is_none() => unfinished.clone(),
            earlier => Entry { before: before.clone(), after: None, ran, earlier: earlier.cloned().map(Box::new) },
        };
        match place {
            Some(place) => entries[place] = entry.clone(),
            None => entries.push(entry.clone()),
        }
        self.write()?;
        Ok(entry)
    }

    /// Notes that a node has this version, and is well.
    pub(super) fn done(&mut self, node: &NodeId, after: &Version) -> Result<(), String> {
        match self.take(node, after.way()) {
            Some((place, entry)) if entry.before == *after => self.put_back(node, place, entry),
            Some((_, entry)) => {
                let entry = Entry { after: Some(after.clone()), earlier: None, ..entry };
                self.page.nodes.entry(node.clone()).or_default().push(entry);
                self.write()
            }
            None => Ok(()),
        }
    }

    /// Notes that a node has this version, whatever came of its update. If it is what the node had before, there is nothing to go
    /// back to but what there was until then.
    pub(super) fn unchanged(&mut self, node: &NodeId, now: &Version) -> Result<(), String> {
        match self.entry(node, Some(now.way())) {
            Some(entry) if entry.before == *now => match self.take(node, now.way()) {
                Some((place, entry)) => self.put_back(node, place, entry),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Notes that a node is back at what was before.
    pub(super) fn forget(&mut self, node: &NodeId, way: Way) -> Result<(), String> {
        self.take(node, way);
        self.write()
    }

    /// Puts what stood there before in the place of an entry that was taken out.
    fn put_back(&mut self, node: &NodeId, place: usize, taken: Entry) -> Result<(), String> {
        if let Some(earlier) = taken.earlier {
            self.page.nodes.entry(node.clone()).or_default().insert(place, *earlier);
        }
        self.write()
    }

    fn take(&mut self, node: &NodeId, way: Way) -> Option<(usize, Entry)> {
        let entries = self.page.nodes.get_mut(node)?;
        let place = entries.iter().position(|entry| entry.before.way() == way)?;
        let entry = entries.remove(place);
        if entries.is_empty() {
            self.page.nodes.remove(node);
        }
        Some((place, entry))
    }

    fn write(&self) -> Result<(), String> {
        if self.page.nodes.is_empty() { self.file.remove() } else { self.file.write(&self.page) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: &str) -> Version {
        Version::Debian { package: "ringrift-p2p".to_owned(), version: number.to_owned() }
    }

    #[test]
    fn what_was_before_outlives_the_program_and_an_update_that_failed() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("state/update.json");
        let open = || Record::at(Kept::at(path.clone()), "hosts.yaml".into()).map_err(|f| f.message);
        let (alpha, beta) = ("alpha".parse::<NodeId>()?, "beta".parse::<NodeId>()?);
        let mut record = open()?;
        assert!(record.is_empty());
        record.begin(&alpha, &version("1"), true)?;

        // It failed half way, with the new version there: once more, by another run.
        let mut record = open()?;
        let entry = record.begin(&alpha, &version("2"), false)?;
        assert_eq!(entry, Entry { before: version("1"), after: None, ran: true, earlier: None });
        record.done(&alpha, &version("2"))?;
        record.begin(&beta, &version("1"), true)?;
        record.done(&beta, &version("1"))?;

        // The next update begins at what is there.
        let mut record = open()?;
        assert!(record.entry(&beta, None).is_none(), "nothing was changed there");
        assert_eq!(record.begin(&alpha, &version("2"), true)?.before, version("2"));
        // It changed nothing: what was before the last one that did is still known.
        record.unchanged(&alpha, &version("2"))?;
        assert_eq!(open()?.entry(&alpha, None).map(|entry| entry.before.clone()), Some(version("1")));
        assert_eq!(record.begin(&alpha, &version("2"), true)?.before, version("2"));
        record.done(&alpha, &version("2"))?;
        assert_eq!(open()?.entry(&alpha, None).map(|entry| entry.before.clone()), Some(version("1")));

        // Another part of the node, which is updated by another way.
        record.begin(&alpha, &Version::Git { commit: "c0".to_owned(), branch: None }, true)?;
        let way = |record: &Record, way| record.entry(&alpha, way).map(|entry| entry.before.way());
        assert_eq!((way(&record, None), way(&record, Some(Way::Debian))), (Some(Way::Git), Some(Way::Debian)));
        record.unchanged(&alpha, &Version::Git { commit: "c0".to_owned(), branch: None })?;
        assert!(record.entry(&alpha, Some(Way::Git)).is_none());
        assert!(path.exists());
        record.forget(&alpha, Way::Debian)?;
        assert!(!path.exists());
        Ok(())
    }
}
