//! A piece of a store's life with every kind of change in it, and what must be true wherever it ends.

use std::{fs, path::Path, time::SystemTime};

use ringrift_blob::{Blob, Digest};
use ringrift_store::{Result, Seams, Store, disk::Hook};

use super::{blob, bytes, config, later, name, put, read, settled};

pub(crate) const MODEL: &str = "canonical_hex8_2p.pth";
const FIRST: &str = "canonical_square8_2p.pth";
/// Published for a while.
const GONE: &str = "canonical_square19_2p.pth";
const CHUNK: u32 = 4096;

/// The old model, the new one, and one that an upload brings.
pub(crate) fn versions() -> [Vec<u8>; 3] {
    [bytes(1, 20_000), bytes(2, 30_000), bytes(3, 10_000)]
}

pub(crate) fn new_blob() -> Blob {
    blob(&versions()[1], CHUNK)
}

/// What the store is before: one model, published and remembered.
pub(crate) fn prepare(dir: &Path) {
    let store = Store::open_with(config(dir), settled(Hook::default())).unwrap();
    let sha256 = put(&store, &versions()[0]);
    store.publish(&name(MODEL), &sha256).unwrap();
    for _ in 0..3 {
        store.tend(later(0)).unwrap();
    }
}

/// Fetches a new version of the model and publishes it; takes an upload and publishes it for the first time; publishes a name and takes
/// it away; keeps bytes beside a model; settles, collects.
pub(crate) fn travel(dir: &Path, hook: Hook) -> Result<()> {
    let [_, new, upload] = versions();
    let mut config = config(dir);
    config.keep_versions = 1;
    let store = Store::open_with(config, settled(hook))?;
    let sha256 = Digest::of(&new);
    if store.object(&sha256).is_none() {
        let blob = new_blob();
        let partial = store.partial(&blob)?;
        for chunk in partial.have().iter_missing() {
            let range = blob.range(chunk);
            assert!(partial.write(chunk, &new[range.start as usize..range.end as usize])?);
            if chunk == 3 {
                partial.claim()?;
            }
        }
        partial.finish()?;
    }
    store.publish(&name(MODEL), &sha256)?;
    let mut taken = store.upload("upload");
    std::io::Write::write_all(&mut taken, &upload).map_err(|error| error.downcast().unwrap())?;
    let second = taken.finish(Some(Digest::of(&upload)))?.sha256();
    store.publish(&name(FIRST), &second)?;
    store.publish_for(&name(GONE), &second, 3)?;
    store.unpublish(&name(GONE), 4)?;
    store.keep_beside(&name(MODEL), &second)?;
    for _ in 0..3 {
        store.tend(later(0))?;
    }
    store.gc(&[].into())?;
    Ok(())
}

/// What everybody sees, before anything is repaired.
pub(crate) fn check_what_programs_see(dir: &Path, context: &str) {
    let [old, new, upload] = versions();
    let models = dir.join("models");
    let model = fs::read(models.join(MODEL)).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(model == old || model == new, "{context}: half a model");
    let beside = fs::read_dir(&models).unwrap().map(|entry| entry.unwrap().path());
    let beside = beside.filter(|path| path.extension().is_some_and(|extension| extension == "aside"));
    for path in [FIRST, GONE].map(|file| models.join(file)).into_iter().chain(beside) {
        if let Ok(first) = fs::read(&path) {
            assert!(first == upload, "{context}: half a model at {}", path.display());
        }
    }
    for file in [MODEL, FIRST, GONE] {
        if let Ok(sidecar) = fs::read_to_string(models.join(format!("{file}.sha256"))) {
            let sha256 = Digest::of(&fs::read(models.join(file)).unwrap());
            assert_eq!(sidecar, format!("{sha256}  {file}\n"), "{context}: the sidecar of other bytes");
        }
        let link = models.join(file.replace("canonical", "ringrift_best"));
        if let Ok(target) = fs::read_link(&link) {
            assert_eq!(target.to_str(), Some(file), "{context}");
            assert!(link.exists(), "{context}: a link to nothing");
        }
    }
}

/// What a store says after the next start, and that the journey can be made to its end.
pub(crate) fn check_the_next_start(dir: &Path, context: &str) {
    let [_, new, upload] = versions();
    {
        let store = Store::open_with(config(dir), Seams { hook: Hook::default(), now: SystemTime::now })
            .unwrap_or_else(|error| panic!("{context}: {error}"));
        for holding in store.holdings() {
            let bytes = read(&store, &holding.sha256).unwrap_or_else(|| panic!("{context}: a false holding"));
            assert_eq!(Digest::of(&bytes), holding.sha256, "{context}: a false holding");
        }
        for hidden in fs::read_dir(dir.join("models")).unwrap() {
            let file = hidden.unwrap().file_name().into_string().unwrap();
            assert!(!file.starts_with('.'), "{context}: {file} was left behind");
        }
        for published in store.published() {
            // What was begun was finished.
            assert!(published.intact, "{context}: {} is not what it should be", published.name);
            let found = Digest::of(&fs::read(dir.join("models").join(published.name.as_str())).unwrap());
            assert_eq!(found, published.sha256, "{context}: {} lies", published.name);
        }
        for blob in store.partials() {
            let claimed = store.partial(&blob).unwrap_or_else(|error| panic!("{context}: {error}"));
            for chunk in claimed.have().iter() {
                let mut bytes = Vec::new();
                assert!(claimed.read(chunk, &mut bytes).unwrap(), "{context}: chunk {chunk} is claimed and not there");
            }
        }
    }
    check_what_programs_see(dir, context);
    travel(dir, Hook::default()).unwrap_or_else(|error| panic!("{context}: {error}"));
    let models = dir.join("models");
    assert_eq!(fs::read(models.join(MODEL)).unwrap(), new, "{context}");
    assert_eq!(fs::read(models.join(FIRST)).unwrap(), upload, "{context}");
    for file in [MODEL, FIRST] {
        let sha256 = Digest::of(&fs::read(models.join(file)).unwrap());
        let sidecar = fs::read_to_string(models.join(format!("{file}.sha256"))).unwrap();
        assert_eq!(sidecar, format!("{sha256}  {file}\n"), "{context}");
        assert!(models.join(file.replace("canonical", "ringrift_best")).exists(), "{context}");
    }
    assert!(!models.join(GONE).exists(), "{context}");
    let store = Store::open(config(dir)).unwrap();
    assert!(store.partials().is_empty(), "{context}");
    assert!(store.published().iter().all(|published| published.intact), "{context}");
}

pub(crate) fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
