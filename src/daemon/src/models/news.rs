//! Which files of programs were written over what is agreed, and which over a version that is outdated?
//!
//! When a decision on a name becomes known here, the file that lies there was written by somebody who knew nothing of it. It is
//! remembered by its identity. A file that is written later is another one, and may become the next version.

use std::collections::BTreeMap;

use ringrift_blob::{Digest, ModelName};
use ringrift_store::{Identity, Store};

/// The decisions on names that this node knows of, and the files that they overtook.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The last decision on each name; from one run to the next the store remembers what it published.
    known: BTreeMap<ModelName, u64>,
    overtaken: BTreeMap<ModelName, Identity>,
    /// What programs of this node wrote, and was proposed; the latest few.
    own: BTreeMap<ModelName, Vec<Digest>>,
}

/// So many files of one name can be proposed before it is known here what became of the first.
const MAX_OWN: usize = 8;

impl News {
    /// The decision on a name that this node knew of until now.
    pub(super) fn known(&mut self, store: &Store, name: &ModelName) -> u64 {
        *self.known.entry(name.clone()).or_insert_with(|| store.generation(name))
    }

    /// A decision is known from now on. `foreign`: what lies under the name is not what the store published.
    pub(super) fn learn(
        &mut self,
        store: &Store,
        name: &ModelName,
        generation: u64,
        current: Option<Digest>,
        foreign: bool,
    ) {
        if self.known(store, name) == generation {
            return;
        }
        self.known.insert(name.clone(), generation);
        // What a program here wrote itself is no news to it: the file that lies there now is the next one.
        if let (Some(own), Some(current)) = (self.own.get(name), current)
            && own.contains(&current)
        {
            return;
        }
        self.own.remove(name);
        match store.file(name).filter(|_| foreign) {
            Some(file) => self.overtaken.insert(name.clone(), file),
            None => self.overtaken.remove(name),
        };
    }

    /// A program of this node wrote these bytes, and they are proposed.
    pub(super) fn propose(&mut self, name: &ModelName, sha256: Digest) {
        let own = self.own.entry(name.clone()).or_default();
        if !own.contains(&sha256) {
            own.push(sha256);
            own.drain(..own.len().saturating_sub(MAX_OWN));
        }
    }

    /// Whether the file that lies there was written over what is not agreed on any more.
    pub(super) fn is_overtaken(&self, store: &Store, name: &ModelName) -> bool {
        let overtaken = self.overtaken.get(name);
        overtaken.zip(store.file(name)).is_some_and(|(overtaken, file)| file.has_bytes_of(overtaken))
    }

    /// It is dealt with.
    pub(super) fn settle(&mut self, name: &ModelName) {
        self.overtaken.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use ringrift_store::StoreConfig;

    use super::*;

    struct Place {
        dir: tempfile::TempDir,
        store: Store,
        news: News,
        name: ModelName,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(StoreConfig::new(dir.path().join("store"), dir.path().join("models"))).unwrap();
            Self { dir, store, news: News::default(), name: ModelName::canonical("hex8_2p").unwrap() }
        }

        /// As trainers do: another file each time.
        fn write(&self, text: &str) -> Digest {
            let folder = self.dir.path().join("models");
            fs::write(folder.join("new"), text).unwrap();
            fs::rename(folder.join("new"), folder.join(self.name.as_str())).unwrap();
            Digest::of(text.as_bytes())
        }

        fn learn(&mut self, generation: u64, current: Digest, foreign: bool) {
            self.news.learn(&self.store, &self.name, generation, Some(current), foreign);
        }

        fn is_overtaken(&self) -> bool {
            self.news.is_overtaken(&self.store, &self.name)
        }
    }

    #[test]
    fn a_decision_overtakes_the_file_that_lies_there_and_none_that_is_written_later() {
        let mut place = Place::new();
        place.write("written in ignorance");
        place.learn(7, Digest::of(b"agreed"), true);
        assert!(place.is_overtaken());
        let path = place.dir.path().join("models").join(place.name.as_str());
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(place.is_overtaken(), "another mode makes no other file of it");
        place.learn(7, Digest::of(b"agreed"), true);
        assert!(place.is_overtaken(), "the same decision is no news");
        place.write("written in knowledge");
        assert!(!place.is_overtaken());
        place.learn(8, Digest::of(b"agreed later"), true);
        assert!(place.is_overtaken());
        // What the store published is nobody's loss.
        place.learn(9, Digest::of(b"agreed at last"), false);
        assert!(!place.is_overtaken());
    }

    #[test]
    fn what_became_of_a_file_of_its_own_is_no_news_to_a_node() {
        let mut place = Place::new();
        let (name, first) = (place.name.clone(), place.write("first"));
        place.news.propose(&name, first);
        let second = place.write("second");
        place.news.propose(&name, second);
        place.learn(7, first, true);
        assert!(!place.is_overtaken(), "the second was written over the first");
        place.learn(8, second, true);
        assert!(!place.is_overtaken());
        // Somebody else's came in between.
        let third = place.write("third");
        place.news.propose(&name, third);
        place.learn(9, Digest::of(b"of another node"), true);
        assert!(place.is_overtaken());
    }

    #[test]
    fn from_one_run_to_the_next_the_store_remembers() {
        let mut place = Place::new();
        let sha256 = place.write("agreed");
        place.store.take(&place.name).unwrap();
        place.store.publish_for(&place.name, &sha256, 7).unwrap();
        place.write("written without a daemon");
        place.learn(7, sha256, true);
        assert!(!place.is_overtaken(), "it was written over what is agreed on");
        place.news = News::default();
        place.learn(9, Digest::of(b"agreed meanwhile"), true);
        assert!(place.is_overtaken());
    }
}
