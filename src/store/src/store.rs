use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use ringrift_blob::{Blob, Digest, ModelName};
use rustix::{fs::FlockOperation, io::Errno};
use tokio::sync::broadcast;

use crate::{
    config::StoreConfig,
    disk::{Folder, Hook},
    error::{Result, StoreError},
    event::StoreEvent,
    index::{Facts, Index},
    mapping::Mapping,
    object::Object,
    watch::Sightings,
};

/// How many events a slow subscriber may lag behind before it misses some and is told so.
const EVENTS: usize = 1024;

/// Bytes by what they are, and the models that are published from them. Clones are the same store. Calls block on the disk.
#[derive(Debug, Clone)]
pub struct Store(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: StoreConfig,
    pub(crate) objects: Folder,
    pub(crate) facts: Folder,
    pub(crate) partial: Folder,
    pub(crate) aside: Folder,
    pub(crate) tmp: Folder,
    pub(crate) root: Folder,
    pub(crate) models: Folder,
    pub(crate) state: Mutex<State>,
    /// One at a time: whoever changes names. Taken before `installing`.
    pub(crate) changing: Mutex<()>,
    /// One at a time: whoever changes which objects there are, or reserves room.
    pub(crate) installing: Mutex<()>,
    pub(crate) seams: Seams,
    events: broadcast::Sender<StoreEvent>,
    /// Held as long as this process has the store open.
    _lock: File,
}

/// What a test puts in place of the world.
#[derive(Debug, Clone)]
pub struct Seams {
    /// Sees each change to the disk before it is made.
    pub hook: Hook,
    /// The time of day.
    pub now: fn() -> SystemTime,
}

impl Default for Seams {
    fn default() -> Self {
        Self { hook: Hook::default(), now: SystemTime::now }
    }
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) entries: HashMap<Digest, Entry>,
    pub(crate) index: Index,
    /// Published files whose last change is too young to be remembered, verified meanwhile.
    pub(crate) young: HashMap<ModelName, crate::Identity>,
    /// Objects that are no longer served, until what lies in socket buffers has left.
    pub(crate) retired: Vec<(Instant, Arc<Object>)>,
    pub(crate) fetching: HashSet<Digest>,
    pub(crate) sightings: Sightings,
    pub(crate) full: Option<u64>,
    pub(crate) counter: u64,
}

/// A file under its digest.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) size: u64,
    pub(crate) facts: Option<Facts>,
    pub(crate) open: Option<Arc<Object>>,
    /// Milliseconds since 1970; `None` until it was verified in its present state.
    pub(crate) verified_at_ms: Option<u64>,
    /// Whether the whole was hashed since, not only each chunk.
    pub(crate) whole: bool,
}

/// A blob that is here and was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// What it is.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// When all its bytes were last read and found right; milliseconds since 1970.
    pub verified_at_ms: u64,
    /// Under which names it is published.
    pub names: Vec<ModelName>,
}

impl Store {
    /// Where events of the store arrive, those from now on.
    pub fn events(&self) -> broadcast::Receiver<StoreEvent> {
        self.0.events.subscribe()
    }

    /// The settings it was opened with.
    pub fn config(&self) -> &StoreConfig {
        &self.0.config
    }

    /// The blobs that are here and verified, by digest.
    pub fn holdings(&self) -> Vec<Holding> {
        let state = self.0.state();
        let names = |sha256: &Digest| {
            let named = state.index.names.iter().filter(|(_, named)| named.sha256 == *sha256);
            named.map(|(name, _)| name.clone()).collect()
        };
        let mut holdings: Vec<Holding> = state
            .entries
            .iter()
            .filter_map(|(sha256, entry)| {
                let verified_at_ms = entry.verified_at_ms?;
                Some(Holding { sha256: *sha256, size: entry.size, verified_at_ms, names: names(sha256) })
            })
            .collect();
        holdings.sort_unstable_by_key(|holding| holding.sha256);
        holdings
    }

    /// The chunks of a blob that is here whole and verified.
    pub fn blob(&self, sha256: &Digest) -> Option<Blob> {
        let state = self.0.state();
        let entry = state.entries.get(sha256).filter(|entry| entry.verified_at_ms.is_some())?;
        entry.facts.as_ref().map(|facts| facts.blob.clone())
    }

    /// A blob that is here. Reads it whole first when its file is not in the state in which it was verified; `None` if it is then
    /// found damaged, or somebody has it open for writing, or it is not here.
    pub fn object(&self, sha256: &Digest) -> Option<Arc<Object>> {
        self.fetch(sha256).ok()
    }

    /// As [`object`](Self::object), with the reason.
    pub(crate) fn fetch(&self, sha256: &Digest) -> Result<Arc<Object>> {
        let inner = &self.0;
        let open = inner.state().entries.get(sha256).ok_or(StoreError::Unknown(*sha256))?.open.clone();
        match open {
            Some(object) if object.unchanged() => return Ok(object),
            Some(object) => self.retire(&object),
            None => {}
        }
        let mapping = match inner.objects.open_read(&sha256.to_string()).and_then(Mapping::new) {
            Ok(mapping) => mapping,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
                self.set_aside(sha256);
                return Err(StoreError::Rotten(*sha256));
            }
            Err(error) => return Err(StoreError::io("open", inner.objects.join(&sha256.to_string()))(error)),
        };
        let known = {
            let state = inner.state();
            let entry = state.entries.get(sha256).ok_or(StoreError::Unknown(*sha256))?;
            entry.facts.as_ref().and_then(|facts| facts.verified)
        };
        if mapping.had_writers() {
            return Err(StoreError::Changing(inner.objects.join(&sha256.to_string())));
        }
        let verified_at_ms = match known {
            Some((identity, at_ms)) if identity == mapping.identity() => at_ms,
            _ => self.read_again(sha256, &mapping)?,
        };
        let object = Arc::new(Object::new(*sha256, mapping));
        let mut state = inner.state();
        let entry = state.entries.get_mut(sha256).ok_or(StoreError::Unknown(*sha256))?;
        entry.verified_at_ms = Some(verified_at_ms);
        entry.whole = true;
        Ok(Arc::clone(entry.open.get_or_insert(object)))
    }

    /// Reads an object whole. When it was found right, in milliseconds since 1970.
    pub(crate) fn read_again(&self, sha256: &Digest, mapping: &Mapping) -> Result<u64> {
        let inner = &self.0;
        let path = inner.objects.join(&sha256.to_string());
        let now_ms = inner.now_ms();
        let blob = match crate::hash::blob(mapping.file(), mapping.size()) {
            Ok(blob) => blob,
            Err(error) if is_damage(&error) => {
                self.set_aside(sha256);
                return Err(StoreError::Rotten(*sha256));
            }
            Err(error) => return Err(StoreError::io("read", path)(error)),
        };
        if !mapping.unchanged() {
            return Err(StoreError::Changing(path));
        }
        if blob.sha256 != *sha256 {
            self.set_aside(sha256);
            return Err(StoreError::Rotten(*sha256));
        }
        let mut state = inner.state();
        if let Some(entry) = state.entries.get_mut(sha256) {
            entry.size = blob.size;
            entry.verified_at_ms = Some(now_ms);
            entry.whole = true;
            // The chunks that were agreed on stay, whatever their size.
            entry.facts.get_or_insert(Facts { blob, verified: None }).verified = None;
        }
        Ok(now_ms)
    }

    /// Stops serving an object, and keeps its file open while its bytes may be on their way.
    pub(crate) fn retire(&self, object: &Arc<Object>) {
        let mut state = self.0.state();
        let Some(entry) = state.entries.get_mut(&object.sha256()) else { return };
        if entry.open.take_if(|open| Arc::ptr_eq(open, object)).is_none() {
            return;
        }
        entry.verified_at_ms = None;
        if let Some(facts) = &mut entry.facts {
            facts.verified = None;
        }
        state.retired.push((Instant::now(), Arc::clone(object)));
        drop(state);
        self.0.tell(StoreEvent::Disturbed { sha256: object.sha256() });
    }

    /// Moves a damaged object out of the way, and tells.
    pub(crate) fn set_aside(&self, sha256: &Digest) {
        let inner = &self.0;
        let hex = sha256.to_string();
        let name = format!("{hex}.{}", inner.now_ms());
        let moved = inner.objects.rename(&hex, &inner.aside, &name).and_then(|()| inner.objects.sync());
        // A file that cannot be moved is still forgotten: what is not in `entries` is not served.
        let _ = inner.facts.unlink(&hex);
        let entry = inner.state().entries.remove(sha256);
        if let Some(open) = entry.and_then(|entry| entry.open) {
            open.mapping().condemn();
            inner.state().retired.push((Instant::now(), open));
        }
        let aside = moved.is_ok().then(|| inner.aside.join(&name));
        inner.tell(StoreEvent::Rot { sha256: *sha256, aside });
    }
}

impl Inner {
    pub(crate) fn new(config: StoreConfig, seams: Seams) -> Result<Self> {
        let folder = |path: std::path::PathBuf, mode| {
            Folder::open(&path, mode, &seams.hook).map_err(StoreError::io("open the folder", path))
        };
        let root = folder(config.dir.clone(), 0o700)?;
        let lock = lock(&root)?;
        Ok(Self {
            objects: folder(config.dir.join("objects"), 0o700)?,
            facts: folder(config.dir.join("facts"), 0o700)?,
            partial: folder(config.dir.join("partial"), 0o700)?,
            aside: folder(config.dir.join("aside"), 0o700)?,
            tmp: folder(config.dir.join("tmp"), 0o700)?,
            models: folder(config.models.clone(), 0o755)?,
            root,
            state: Mutex::default(),
            changing: Mutex::default(),
            installing: Mutex::default(),
            seams,
            events: broadcast::Sender::new(EVENTS),
            config,
            _lock: lock,
        })
    }

    /// No code that holds it can panic between two changes that belong together.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn installing(&self) -> MutexGuard<'_, ()> {
        self.installing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell(&self, event: StoreEvent) {
        // Nobody listening is no error.
        let _ = self.events.send(event);
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.seams.now)()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }

    /// A name in `tmp` that nobody uses.
    pub(crate) fn fresh_name(&self) -> String {
        let mut state = self.state();
        state.counter += 1;
        state.counter.to_string()
    }
}

/// Whether a read failed because the bytes on the disk are not what they were: cut, longer, or unreadable for the device.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
        || error.raw_os_error() == Some(libc::EIO)
}

fn lock(root: &Folder) -> Result<File> {
    let path = root.join("lock");
    let open = || match root.open_write("lock") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => root.create("lock", 0o600),
        other => other,
    };
    let file = open().and_then(|sink| sink.file().try_clone()).map_err(StoreError::io("open", &path))?;
    for patience in (0..100).rev() {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            // A process that just ended may have been starting another one, which holds all its files for an instant.
            Err(Errno::WOULDBLOCK) if patience > 0 => std::thread::sleep(Duration::from_millis(1)),
            Err(Errno::WOULDBLOCK) => break,
            Err(error) => return Err(StoreError::io("lock", path)(error.into())),
        }
    }
    Err(StoreError::InUse(root.path().to_owned()))
}
