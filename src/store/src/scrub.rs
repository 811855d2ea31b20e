use std::{
    fs::File,
    io,
    num::NonZeroU64,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ringrift_blob::{Digest, ModelName};
use rustix::fs::{Advice, fadvise};
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Result, StoreError},
    event::StoreEvent,
    hash,
    mapping::Mapping,
    store::{Store, is_damage},
};

/// Ends long work from another thread. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Not yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Now, for all that look at it.
    pub fn stop(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Waits so long, or until it is stopped; whether it is.
    pub fn wait(&self, time: Duration) -> bool {
        let stopped = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(stopped, time, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// What [`Store::scrub`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Files that were read whole.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were damaged and set aside.
    pub rotten: Vec<Digest>,
    /// Published files that were damaged and published again.
    pub repaired: Vec<ModelName>,
}

/// What [`Store::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What was read.
    pub sha256: Digest,
    /// Its bytes.
    pub size: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The names that lead to these bytes; each file was read, too.
    pub names: Vec<ModelName>,
    /// The names that should, and lead to other bytes or to none.
    pub wrong: Vec<ModelName>,
}

impl Store {
    /// Reads all objects and all published files once, from the disk and not from memory, at the rate of the settings. What is damaged
    /// is set aside and told; a damaged published file is published again.
    ///
    /// # Errors
    ///
    /// If it was stopped.
    pub fn scrub(&self, stop: &Stop) -> Result<Scrubbed> {
        let mut scrubbed = Scrubbed::default();
        let rate = self.0.config.scrub_bytes_per_second;
        if rate == 0 {
            return Ok(scrubbed);
        }
        let mut pace = Pace { rate, began: Instant::now(), read: 0 };
        let mut objects: Vec<Digest> = self.0.state().entries.keys().copied().collect();
        objects.sort_unstable();
        for sha256 in objects {
            let Ok(mapping) = self.open_unchecked(&sha256) else { continue };
            scrubbed.files += 1;
            match slow_digest(&mapping, &mut pace, stop) {
                Ok(found) if found == sha256 && mapping.unchanged() => self.note_verified(&sha256),
                // Somebody writes to it: the next who wants it reads it again.
                Ok(_) if !mapping.unchanged() => {}
                Ok(_) => {
                    self.set_aside(&sha256);
                    scrubbed.rotten.push(sha256);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(StoreError::Stopped),
                Err(error) if is_damage(&error) => {
                    self.set_aside(&sha256);
                    scrubbed.rotten.push(sha256);
                }
                Err(_) => {}
            }
        }
        self.scrub_published(&mut pace, stop, &mut scrubbed)?;
        scrubbed.bytes = pace.read;
        Ok(scrubbed)
    }

    fn scrub_published(&self, pace: &mut Pace, stop: &Stop, scrubbed: &mut Scrubbed) -> Result<()> {
        for published in self.published().into_iter().filter(|published| published.intact) {
            let Ok(mapping) = self.0.models.open_read(published.name.as_str()).and_then(Mapping::unleased) else {
                continue;
            };
            scrubbed.files += 1;
            match slow_digest(&mapping, pace, stop) {
                Ok(found) if found == published.sha256 => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(StoreError::Stopped),
                // Changed by somebody meanwhile: that is not rot.
                _ if !mapping.unchanged() => {}
                _ => {
                    let _one = self.0.changing();
                    self.forget_file(&published.name);
                    if self.noting_space(self.publish_over(&published.name, &published.sha256)).is_ok() {
                        let (name, sha256) = (published.name, published.sha256);
                        scrubbed.repaired.push(name.clone());
                        self.0.tell(StoreEvent::Repaired { name, sha256 });
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads an object and the files published from it, from the disk, whatever is remembered about them.
    ///
    /// # Errors
    ///
    /// If it is not here, somebody writes to it, or it is damaged; then it was set aside.
    pub fn verify(&self, sha256: &Digest) -> Result<Verified> {
        let mapping = self.open_unchecked(sha256)?;
        if mapping.had_writers() {
            return Err(StoreError::Changing(self.0.objects.join(&sha256.to_string())));
        }
        forget_pages(mapping.file(), mapping.size());
        let at_ms = self.read_again(sha256, &mapping)?;
        let (mut names, mut wrong) = (Vec::new(), Vec::new());
        for published in self.published().into_iter().filter(|published| published.sha256 == *sha256) {
            let right = self.0.models.open_read(published.name.as_str()).is_ok_and(|file| {
                forget_pages(&file, mapping.size());
                hash::digest(&file, mapping.size()).is_ok_and(|found| found == *sha256)
            });
            if right { names.push(published.name) } else { wrong.push(published.name) }
        }
        Ok(Verified { sha256: *sha256, size: mapping.size(), at_ms, names, wrong })
    }

    fn open_unchecked(&self, sha256: &Digest) -> Result<Arc<Mapping>> {
        let known = self.0.state().entries.get(sha256).map(|entry| entry.open.clone());
        if let Some(open) = known.ok_or(StoreError::Unknown(*sha256))?.filter(|open| open.unchanged()) {
            return Ok(Arc::clone(open.mapping()));
        }
        let hex = sha256.to_string();
        match self.0.objects.open_read(&hex).and_then(Mapping::new) {
            Ok(mapping) => Ok(mapping),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
                self.set_aside(sha256);
                Err(StoreError::Rotten(*sha256))
            }
            Err(error) => Err(StoreError::io("open", self.0.objects.join(&hex))(error)),
        }
    }

    fn note_verified(&self, sha256: &Digest) {
        let now_ms = self.0.now_ms();
        if let Some(entry) = self.0.state().entries.get_mut(sha256) {
            entry.verified_at_ms = Some(now_ms);
            entry.whole = true;
        }
    }
}

/// Bytes read since a time, and how many may have been.
struct Pace {
    rate: u64,
    began: Instant,
    read: u64,
}

impl Pace {
    /// How long to wait before more is read.
    fn debt(&self) -> Duration {
        let due = Duration::from_secs_f64(self.read as f64 / self.rate as f64);
        due.saturating_sub(self.began.elapsed())
    }
}

/// What lies in memory is not what lies on the disk. Dropping it costs readers little: it is read again at once.
fn forget_pages(file: &File, size: u64) {
    // Advice only.
    let _ = fadvise(file, 0, NonZeroU64::new(size), Advice::DontNeed);
}

fn slow_digest(mapping: &Mapping, pace: &mut Pace, stop: &Stop) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    forget_pages(mapping.file(), mapping.size());
    hash::pieces(mapping.file(), mapping.size(), |_, piece| {
        hasher.update(piece);
        pace.read += piece.len() as u64;
        if stop.wait(pace.debt()) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    })?;
    Ok(Digest::from_bytes(hasher.finalize().into()))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, os::unix::net::UnixStream};

    use super::*;
    use crate::{Identity, StoreConfig};

    /// Changes a byte, and has the store believe that the file was verified so: to it this is a disk that forgot.
    fn forget_a_byte(path: &std::path::Path) -> Identity {
        use std::os::unix::fs::FileExt;
        let mut byte = [0];
        let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        file.read_exact_at(&mut byte, 1000).unwrap();
        file.write_all_at(&[byte[0] ^ 4], 1000).unwrap();
        Identity::of(&file).unwrap()
    }

    #[test]
    fn rot_that_no_time_tells_of_is_found_and_no_longer_served() {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            min_free: 0,
            scrub_bytes_per_second: 1 << 40,
            ..StoreConfig::new(dir.path().join("store"), dir.path().join("models"))
        };
        let store = Store::open(config.clone()).unwrap();
        let data: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut upload = store.upload("a");
        upload.write_all(&data).unwrap();
        let sha256 = upload.finish(None).unwrap().sha256();
        let name: ModelName = "canonical_hex8_2p.pth".parse().unwrap();
        store.publish(&name, &sha256).unwrap();
        let mut events = store.events();

        // Under the published name: it is published again.
        let identity = forget_a_byte(&dir.path().join("models/canonical_hex8_2p.pth"));
        store.0.state().young.insert(name.clone(), identity);
        assert!(store.published()[0].intact);
        assert_eq!(store.scrub(&Stop::new()).unwrap().repaired, std::slice::from_ref(&name));
        assert_eq!(events.try_recv().unwrap(), StoreEvent::Repaired { name, sha256 });
        assert!(fs::read(dir.path().join("models/canonical_hex8_2p.pth")).unwrap() == data);
        assert!(store.published()[0].intact);

        // In the store: while it is served.
        let path = dir.path().join("store/objects").join(sha256.to_string());
        drop(store);
        let identity = forget_a_byte(&path);
        let store = Store::open(config).unwrap();
        let mut events = store.events();
        if let Some(facts) = store.0.state().entries.get_mut(&sha256).and_then(|entry| entry.facts.as_mut()) {
            facts.verified = Some((identity, 1));
        }
        let object = store.object(&sha256).unwrap();
        let (socket, _peer) = UnixStream::pair().unwrap();
        assert_eq!(object.mapping().send(&socket, 0, 100).unwrap(), 100);
        assert_eq!(store.scrub(&Stop::new()).unwrap().rotten, [sha256]);
        assert!(object.mapping().send(&socket, 100, 100).is_err() && object.read_at(&mut [0], 0).is_err());
        assert!(store.object(&sha256).is_none());
        assert!(matches!(events.try_recv().unwrap(), StoreEvent::Rot { aside: Some(_), .. }));
    }
}
