use std::{collections::HashMap, time::SystemTime};

use ringrift_blob::Digest;
use serde::{Deserialize, Serialize};

use crate::Identity;

/// How many digests are remembered: ten times the files of a large folder.
const MAX: usize = 4096;

/// Digests of files by what the files are, never by where they lie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Identity, Digest)>", into = "Vec<(Identity, Digest)>")]
pub(crate) struct DigestCache {
    digests: HashMap<Identity, (Digest, u64)>,
    /// Grows with each use; the smallest goes first.
    uses: u64,
}

impl DigestCache {
    /// The digest of a file in this state.
    pub(crate) fn get(&mut self, identity: &Identity) -> Option<Digest> {
        self.uses += 1;
        let (digest, used) = self.digests.get_mut(identity)?;
        *used = self.uses;
        Some(*digest)
    }

    /// Remembers a digest that was computed after `read_from`, unless the file was so young then that a later change may not show.
    pub(crate) fn put(&mut self, identity: Identity, digest: Digest, read_from: SystemTime) -> bool {
        if !identity.settled(read_from) {
            return false;
        }
        self.uses += 1;
        if self.digests.len() >= MAX && !self.digests.contains_key(&identity) {
            let oldest = self.digests.iter().min_by_key(|(_, (_, used))| *used).map(|(identity, _)| *identity);
            oldest.map(|identity| self.digests.remove(&identity));
        }
        self.digests.insert(identity, (digest, self.uses));
        true
    }
}

impl From<Vec<(Identity, Digest)>> for DigestCache {
    fn from(list: Vec<(Identity, Digest)>) -> Self {
        let digests = list.into_iter().take(MAX).zip(1..).map(|((identity, digest), used)| (identity, (digest, used)));
        Self { digests: digests.collect(), uses: MAX as u64 }
    }
}

impl From<DigestCache> for Vec<(Identity, Digest)> {
    fn from(cache: DigestCache) -> Self {
        let mut list: Vec<_> = cache.digests.into_iter().collect();
        list.sort_unstable_by_key(|(_, (_, used))| *used);
        list.into_iter().map(|(identity, (digest, _))| (identity, digest)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        time::Duration,
    };

    use super::*;

    fn identity(path: &std::path::Path) -> Identity {
        Identity::of(&File::open(path).unwrap()).unwrap()
    }

    #[test]
    fn a_digest_is_remembered_for_a_file_in_one_state() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "old").unwrap();
        let later = SystemTime::now() + Duration::from_mins(1);
        let mut cache = DigestCache::default();
        let old = identity(&path);
        let digest = Digest::of(b"old");
        assert!(cache.put(old, digest, later));
        // The same file under another name is the same file; a change or another file under its name is not.
        fs::rename(&path, dir.path().join("b")).unwrap();
        fs::write(&path, "old").unwrap();
        assert_eq!(cache.get(&identity(&path)), None);
        assert_eq!(cache.get(&old), Some(digest));
        let list: Vec<(Identity, Digest)> = cache.into();
        assert_eq!(DigestCache::from(list).get(&old), Some(digest));
    }

    #[test]
    fn nothing_is_remembered_while_a_second_change_could_hide() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "old").unwrap();
        let identity = identity(&path);
        let now = SystemTime::now();
        let mut cache = DigestCache::default();
        for (read_from, remembered) in [
            (now, false),
            (now + Duration::from_millis(1900), false),
            (now - Duration::from_hours(1), false),
            (now + Duration::from_millis(2100), true),
        ] {
            assert_eq!(cache.put(identity, Digest::of(b"old"), read_from), remembered);
        }
        // An old modification time, as cp -p or touch leave it, does not make a young change old.
        File::options().write(true).open(&path).unwrap().set_modified(now - Duration::from_hours(9)).unwrap();
        assert!(!super::Identity::of(&File::open(&path).unwrap()).unwrap().settled(SystemTime::now()));
    }

    #[test]
    fn it_is_bounded_and_the_least_used_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let later = SystemTime::now() + Duration::from_mins(1);
        let mut cache = DigestCache::default();
        let file = File::create(&path).unwrap();
        let state = |size: u64| {
            file.set_len(size).unwrap();
            Identity::of(&file).unwrap()
        };
        let first = state(1);
        assert!(cache.put(first, Digest::of(b"1"), later));
        let second = state(2);
        assert!(cache.put(second, Digest::of(b"2"), later));
        for size in 3..=MAX as u64 {
            assert!(cache.put(state(size), Digest::of(b"n"), later));
        }
        assert_eq!(cache.get(&first), Some(Digest::of(b"1")));
        assert!(cache.put(state(1 << 30), Digest::of(b"m"), later));
        assert_eq!(cache.digests.len(), MAX);
        assert!(cache.get(&second).is_none() && cache.get(&first).is_some());
    }
}
