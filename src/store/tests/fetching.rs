//! Chunks that come in, and what is left of them after a restart.

#![allow(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod support;

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use ringrift_blob::{Blob, ChunkSet, Digest, InvalidBlob};
use ringrift_store::{
    Partial, Store, StoreError, StoreEvent,
    disk::{Hook, Step},
};
use support::{Place, blob, bytes, config, drain, put, read, settled};

const CHUNK: u32 = 4096;

fn part<'a>(blob: &Blob, data: &'a [u8], chunk: u32) -> &'a [u8] {
    let range = blob.range(chunk);
    &data[range.start as usize..range.end as usize]
}

fn fill(partial: &Partial, data: &[u8], chunks: impl IntoIterator<Item = u32>) {
    for chunk in chunks {
        assert!(partial.write(chunk, part(partial.blob(), data, chunk)).unwrap());
    }
}

fn partial_file(place: &Place, sha256: &Digest, suffix: &str) -> PathBuf {
    place.path().join(format!("store/partial/{sha256}{suffix}"))
}

#[test]
fn chunks_in_any_order_from_many_threads_become_the_object() {
    let place = Place::new();
    let store = place.open();
    let data = bytes(1, 300_001);
    let blob = blob(&data, CHUNK);
    let partial = Arc::new(store.partial(&blob).unwrap());
    let next = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= 2 * blob.count() {
                        break;
                    }
                    // Each chunk twice, in an order that jumps.
                    fill(&partial, &data, [nth * 31 % blob.count()]);
                    let mut buffer = Vec::new();
                    assert!(partial.read(nth * 31 % blob.count(), &mut buffer).unwrap());
                }
            });
        }
    });
    assert!(partial.is_complete());
    let finished = std::thread::scope(|scope| {
        [scope.spawn(|| partial.finish().unwrap()), scope.spawn(|| partial.finish().unwrap())]
            .map(|t| t.join().unwrap())
    });
    assert!(Arc::ptr_eq(&finished[0], &finished[1]));
    assert_eq!(read(&store, &blob.sha256).unwrap(), data);
    assert_eq!(store.blob(&blob.sha256), Some(blob.clone()));
    let mut buffer = Vec::new();
    assert!(partial.read(3, &mut buffer).unwrap());
    assert_eq!(buffer, part(&blob, &data, 3));
    assert!(partial.write(3, &buffer).unwrap());
    drop(partial);
    assert!(store.partials().is_empty());
    assert_eq!(fs::read_dir(place.path().join("store/partial")).unwrap().count(), 0);
}

#[test]
fn wrong_bytes_are_refused_and_change_nothing() {
    let place = Place::new();
    let store = place.open();
    let data = bytes(1, 50_000);
    let blob = blob(&data, CHUNK);
    let partial = store.partial(&blob).unwrap();
    let good = part(&blob, &data, 0);
    let mut flipped = good.to_vec();
    flipped[4000] ^= 1;
    for (chunk, wrong) in [
        (0, &flipped[..]),
        (0, &good[..100]),
        (0, &[good, good].concat()),
        (0, &[]),
        (0, part(&blob, &data, 1)),
        (1, good),
        (blob.count(), good),
        (blob.count(), &[]),
        (u32::MAX, good),
        (blob.count() - 1, good),
    ] {
        assert!(!partial.write(chunk, wrong).unwrap(), "{chunk}");
    }
    assert!(partial.have().is_empty() && !partial.is_complete());
    assert!(!partial.read(0, &mut Vec::new()).unwrap());
    let error = partial.finish().unwrap_err().to_string();
    assert!(error.contains("13 chunks are missing"), "{error}");
    assert!(store.object(&blob.sha256).is_none() && store.holdings().is_empty());
    let invalid = Blob { size: 1, ..blob };
    assert!(matches!(store.partial(&invalid), Err(StoreError::Invalid { source: InvalidBlob::Count { .. }, .. })));
}

#[test]
fn a_fetch_goes_on_after_a_restart_with_what_is_on_the_disk() {
    let place = Place::new();
    let data = bytes(1, 400_000);
    let blob = blob(&data, CHUNK);
    {
        let store = place.open();
        let partial = store.partial(&blob).unwrap();
        fill(&partial, &data, (0..blob.count()).filter(|chunk| chunk % 3 == 0));
        assert!(matches!(store.partial(&blob), Err(StoreError::InUse(_))));
        assert!(matches!(store.forget_partial(&blob.sha256), Err(StoreError::InUse(_))));
    }
    let store = place.open();
    assert_eq!(store.partials(), std::slice::from_ref(&blob));
    let partial = store.partial(&blob).unwrap();
    assert_eq!(partial.have().count(), blob.count().div_ceil(3));
    fill(&partial, &data, partial.have().iter_missing());
    partial.finish().unwrap();
    drop(partial);
    assert_eq!(read(&store, &blob.sha256).unwrap(), data);
    // The second time there is nothing to do: the object is here.
    assert_eq!(put(&store, &data), blob.sha256);
}

/// What is done to the journal, or to the data of this name.
type Lie = fn(&Place, &PathBuf, &mut Vec<u8>);

#[test]
fn a_journal_cannot_claim_what_is_not_there() {
    let data = bytes(1, 200_000);
    let blob = blob(&data, CHUNK);
    let other = support::blob(&bytes(2, 200_000), CHUNK);
    let good = |place: &Place| {
        let store = place.open();
        let partial = store.partial(&blob).unwrap();
        fill(&partial, &data, 0..20);
        drop(partial);
        let journal = partial_file(place, &blob.sha256, ".have");
        let bytes = fs::read(&journal).unwrap();
        assert_eq!(bytes.len(), 20 * 8);
        (journal, bytes)
    };
    let lies: [(&str, Lie, u32); 7] = [
        ("torn in a record", |_, _, journal| journal.truncate(10 * 8 + 5), 20),
        ("zeros at the end", |_, _, journal| journal.extend([0; 4096]), 20),
        ("noise", |_, _, journal| journal.iter_mut().for_each(|byte| *byte ^= 0x5A), 20),
        ("longer than any journal", |_, _, journal| journal.extend(vec![1; 1 << 20]), 20),
        (
            "all zero data",
            |place, sha, _| fs::write(place.path().join("store/partial").join(sha), vec![0; 200_000]).unwrap(),
            0,
        ),
        (
            "half the data",
            |place, sha, _| {
                let file =
                    fs::OpenOptions::new().write(true).open(place.path().join("store/partial").join(sha)).unwrap();
                file.set_len(10 * u64::from(CHUNK)).unwrap();
                file.set_len(200_000).unwrap();
            },
            10,
        ),
        ("gone", |_, _, journal| journal.clear(), 20),
    ];
    for (what, lie, left) in lies {
        let place = Place::new();
        let (path, mut journal) = good(&place);
        lie(&place, &PathBuf::from(blob.sha256.to_string()), &mut journal);
        fs::write(&path, journal).unwrap();
        let store = place.open();
        let partial = store.partial(&blob).unwrap();
        assert_eq!(
            partial.have(),
            (0..left).fold(ChunkSet::of(&blob), |mut set, chunk| {
                set.insert(chunk);
                set
            }),
            "{what}"
        );
        fill(&partial, &data, partial.have().iter_missing());
        partial.finish().unwrap();
        assert_eq!(read(&store, &blob.sha256).unwrap(), data, "{what}");
    }
    // The journal and the data of another blob, complete.
    let place = Place::new();
    {
        let store = place.open();
        let partial = store.partial(&other).unwrap();
        fill(&partial, &bytes(2, 200_000), 0..other.count());
    }
    for suffix in ["", ".have"] {
        fs::rename(partial_file(&place, &other.sha256, suffix), partial_file(&place, &blob.sha256, suffix)).unwrap();
    }
    assert!(place.open().partial(&blob).unwrap().have().is_empty());
}

#[test]
fn a_chunk_that_spoils_on_the_disk_counts_as_missing_again() {
    let place = Place::new();
    let store = place.open();
    let data = bytes(1, 50_000);
    let blob = blob(&data, CHUNK);
    let partial = store.partial(&blob).unwrap();
    fill(&partial, &data, 0..blob.count());
    let mut file = fs::OpenOptions::new().write(true).open(partial_file(&place, &blob.sha256, "")).unwrap();
    file.write_all(b"spoilt").unwrap();
    let mut buffer = Vec::new();
    assert!(!partial.read(0, &mut buffer).unwrap() && buffer.is_empty());
    assert!(partial.read(1, &mut buffer).unwrap());
    assert!(!partial.is_complete() && partial.finish().is_err());
    fill(&partial, &data, [0]);
    drop(file);
    partial.finish().unwrap();
    assert_eq!(read(&store, &blob.sha256).unwrap(), data);
}

#[test]
fn chunks_that_make_up_other_bytes_than_were_named_never_get_a_name() {
    let place = Place::new();
    let store = place.open();
    let mut events = store.events();
    let data = bytes(1, 50_000);
    // A list of chunks that fits itself, under the digest of something else.
    let liar = Blob { sha256: Digest::of(b"something else"), ..blob(&data, CHUNK) };
    let partial = store.partial(&liar).unwrap();
    fill(&partial, &data, 0..liar.count());
    partial.finish().unwrap();
    drop(partial);
    let model = support::name("canonical_hex8_2p.pth");
    let error = store.publish(&model, &liar.sha256).unwrap_err();
    assert!(matches!(error, StoreError::Rotten(sha256) if sha256 == liar.sha256), "{error}");
    assert_eq!(fs::read_dir(place.model("")).unwrap().count(), 0);
    assert!(store.object(&liar.sha256).is_none());
    assert!(drain(&mut events).iter().any(|event| matches!(event, StoreEvent::Rot { .. })));
    // Unpublished it is found by itself, at the next look.
    let partial = store.partial(&liar).unwrap();
    fill(&partial, &data, 0..liar.count());
    partial.finish().unwrap();
    store.tend(support::later(0)).unwrap();
    assert!(store.object(&liar.sha256).is_none() && store.holdings().is_empty());
}

#[test]
fn room_is_reserved_before_the_first_byte() {
    let place = Place::new();
    let store = place.open();
    let data = bytes(1, 1 << 20);
    let blob = blob(&data, CHUNK);
    let partial = store.partial(&blob).unwrap();
    let meta = fs::metadata(partial_file(&place, &blob.sha256, "")).unwrap();
    assert!(std::os::unix::fs::MetadataExt::blocks(&meta) * 512 >= 1 << 20);
    drop(partial);
    assert!(store.forget_partial(&blob.sha256).unwrap() && !store.forget_partial(&blob.sha256).unwrap());
    drop(store);
    // Room for others is left alone.
    let mut config = config(&place.path());
    config.min_free = 1 << 60;
    let store = Store::open(config).unwrap();
    let mut events = store.events();
    let error = store.partial(&blob).unwrap_err();
    assert!(error.is_disk_full() && error.to_string().contains("more bytes are needed"), "{error}");
    assert!(store.space().unwrap().full.unwrap() > 1 << 50);
    assert!(matches!(drain(&mut events)[..], [StoreEvent::DiskFull { .. }]));
    assert_eq!(fs::read_dir(place.path().join("store/partial")).unwrap().count(), 0);
}

#[test]
fn a_full_disk_is_told_once_and_so_is_its_end() {
    let place = Place::new();
    let full = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&full);
    let hook = Hook::new(move |step| match step {
        Step::Allocate(..) | Step::Write(..) if state.load(Ordering::Relaxed) => {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        _ => Ok(()),
    });
    let store = Store::open_with(place.config(), settled(hook)).unwrap();
    let mut events = store.events();
    let data = bytes(1, 50_000);
    let blob = blob(&data, CHUNK);
    for _ in 0..3 {
        assert!(store.partial(&blob).unwrap_err().is_disk_full());
        let mut upload = store.upload("a model");
        assert!(upload.write_all(&data).is_err());
    }
    assert!(matches!(drain(&mut events)[..], [StoreEvent::DiskFull { .. }]));
    full.store(false, Ordering::Relaxed);
    store.tend(support::later(0)).unwrap();
    assert_eq!(drain(&mut events), [StoreEvent::DiskFree]);
    assert_eq!(store.space().unwrap().full, None);
    let partial = store.partial(&blob).unwrap();
    fill(&partial, &data, 0..blob.count());
    partial.finish().unwrap();
}

/// A filesystem of 4 MiB, really full. It needs a mount namespace; without one the test says so.
#[test]
fn a_small_filesystem_that_fills_up_keeps_what_was_whole() {
    const INSIDE: &str = "RINGRIFT_STORE_TEST_SMALL";
    let Some(dir) = std::env::var_os(INSIDE) else {
        let place = Place::new();
        let script = "mount -t tmpfs -o size=4m none \"$0\" && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", script]).arg(place.path());
        command.arg(std::env::current_exe().unwrap());
        command.args(["a_small_filesystem_that_fills_up_keeps_what_was_whole", "--exact", "--nocapture"]);
        let ended = command.env(INSIDE, place.path()).output().unwrap();
        let text = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
        if text.contains("Operation not permitted") || text.contains("unshare failed") {
            assert!(std::env::var_os("CI").is_none(), "no mount namespace here: {text}");
            eprintln!("NOT TESTED: no mount namespace here: {text}");
            return;
        }
        assert!(ended.status.success(), "{text}");
        return;
    };
    let dir = PathBuf::from(dir);
    let store = Store::open(config(&dir)).unwrap();
    let old = bytes(1, 1 << 20);
    let sha256 = put(&store, &old);
    let model = support::name("canonical_hex8_2p.pth");
    store.publish(&model, &sha256).unwrap();
    // 2 MiB are used. A fetch of 1.5 MiB would leave no room for its publication.
    let new = bytes(2, 3 << 19);
    assert!(store.partial(&blob(&new, CHUNK)).unwrap_err().is_disk_full());
    let mut upload = store.upload("new");
    upload.write_all(&new).unwrap();
    let object = upload.finish(None).unwrap();
    assert!(store.publish(&model, &object.sha256()).unwrap_err().is_disk_full());
    let mut upload = store.upload("another");
    assert!(upload.write_all(&bytes(3, 3 << 20)).is_err());
    drop(upload);
    assert_eq!(fs::read(dir.join("models/canonical_hex8_2p.pth")).unwrap(), old);
    assert_eq!(fs::read_dir(dir.join("models")).unwrap().count(), 3);
    assert_eq!(fs::read_dir(dir.join("store/tmp")).unwrap().count(), 0);
    assert!(store.space().unwrap().full.is_some());
}
