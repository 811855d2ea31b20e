//! What the store notices by itself: files by others, rot, age.

#![allow(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::fs::FileExt,
    time::{Duration, Instant, SystemTime},
};

use ringrift_blob::{Digest, ModelName};
use ringrift_store::{Seams, Stop, Store, StoreError, StoreEvent, disk::Hook};
use support::{Place, bytes, drain, later, name, put, read};

const MODEL: &str = "canonical_hex8_2p.pth";

/// A store with a published model, remembered and settled.
fn settled(place: &Place) -> (Store, Digest, Vec<u8>) {
    let store = place.open_settled();
    let data = bytes(1, 200_000);
    let sha256 = put(&store, &data);
    store.publish(&name(MODEL), &sha256).unwrap();
    for _ in 0..3 {
        store.tend(later(0)).unwrap();
    }
    (store, sha256, data)
}

fn changed(events: Vec<StoreEvent>) -> Vec<ModelName> {
    let names = events.into_iter().filter_map(|event| match event {
        StoreEvent::Changed { name, .. } => Some(name),
        _ => None,
    });
    names.collect()
}

/// Puts a file there in one of the ways of trainers.
type Way = fn(&Place, &[u8]);

const WAYS: [(&str, Way); 3] = [
    ("overwritten in place", |place, new| fs::write(place.model(MODEL), new).unwrap()),
    ("renamed over", |place, new| {
        fs::write(place.model("checkpoint.part"), new).unwrap();
        fs::rename(place.model("checkpoint.part"), place.model(MODEL)).unwrap();
    }),
    ("some bytes changed", |place, new| {
        let file = fs::OpenOptions::new().write(true).open(place.model(MODEL)).unwrap();
        file.write_all_at(new, 0).unwrap();
        file.set_len(new.len() as u64).unwrap();
    }),
];

#[test]
fn a_file_that_a_trainer_leaves_is_noticed_once_when_he_is_done() {
    for (way, put_there) in WAYS {
        let place = Place::new();
        let (store, sha256, _) = settled(&place);
        let mut events = store.events();
        let new = bytes(9, 200_000);
        put_there(&place, &new);
        let start = Instant::now();
        for (after, expected) in [(0, 0), (1, 0), (2, 1), (3, 0), (60, 0)] {
            store.tend(start + Duration::from_secs(after)).unwrap();
            assert_eq!(changed(drain(&mut events)).len(), expected, "{way}: after {after} s");
        }
        assert!(!store.published()[0].intact, "{way}");
        let taken = store.take(&name(MODEL)).unwrap().sha256();
        assert_eq!(taken, Digest::of(&new), "{way}");
        store.publish(&name(MODEL), &taken).unwrap();
        assert!(store.published()[0].intact, "{way}");
        store.publish(&name(MODEL), &sha256).unwrap();
        store.tend(start + Duration::from_secs(90)).unwrap();
        assert!(changed(drain(&mut events)).is_empty(), "{way}: what the store does itself is no news");
    }
}

#[test]
fn a_file_that_is_still_open_or_still_changes_is_not_taken() {
    let place = Place::new();
    let (store, ..) = settled(&place);
    let mut events = store.events();
    let mut writer = fs::File::create(place.model("canonical_square8_2p.pth")).unwrap();
    let start = Instant::now();
    for second in 0..6 {
        if second < 3 {
            writer.write_all(&bytes(second, 1000)).unwrap();
        }
        store.tend(start + Duration::from_secs(second)).unwrap();
    }
    // Quiet for 3 s, but its writer is not gone.
    assert!(changed(drain(&mut events)).is_empty());
    drop(writer);
    // Another test that starts a process may hold a copy of the file for an instant.
    let deadline = Instant::now() + Duration::from_secs(10);
    let found = loop {
        store.tend(start + Duration::from_secs(6)).unwrap();
        let found = changed(drain(&mut events));
        if !found.is_empty() {
            break found;
        }
        assert!(Instant::now() < deadline);
    };
    assert_eq!(found, [name("canonical_square8_2p.pth")]);
    // By the true clock its last change is too young.
    drop(store);
    let store = place.open();
    let mut events = store.events();
    fs::write(place.model("canonical_square8_2p.pth"), "fresh").unwrap();
    store.tend(start + Duration::from_secs(100)).unwrap();
    store.tend(start + Duration::from_secs(200)).unwrap();
    assert!(changed(drain(&mut events)).is_empty());
}

#[test]
fn touched_copied_back_hidden_and_linked_files_are_no_news_and_a_missing_one_is() {
    let place = Place::new();
    let (store, _, data) = settled(&place);
    let mut events = store.events();
    fs::write(place.model(MODEL), &data).unwrap();
    fs::write(place.model(".hidden.pth"), "x").unwrap();
    fs::write(place.model("empty.pth"), "").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", place.model("passwd.pth")).unwrap();
    fs::create_dir(place.model("folder.pth")).unwrap();
    for second in [0, 3, 6, 9] {
        store.tend(later(second)).unwrap();
    }
    assert_eq!(drain(&mut events), []);
    assert!(store.published()[0].intact);
    fs::remove_file(place.model(MODEL)).unwrap();
    store.tend(later(20)).unwrap();
    store.tend(later(21)).unwrap();
    assert_eq!(drain(&mut events), [StoreEvent::Missing { name: name(MODEL) }]);
    drop(store);
    // Removed on purpose: a restart does not bring it back.
    let store = place.open();
    assert!(!place.model(MODEL).exists() && !store.published()[0].intact);
}

/// Changes bytes of a file and gives it its times back. Its change time tells all the same, so the test makes the store believe the new
/// state was verified: that is what rot looks like.
fn rot(place: &Place, path: &std::path::Path) {
    let before = fs::metadata(path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 1000).unwrap_or_else(|_| {
        fs::File::open(path).unwrap().read_exact_at(&mut byte, 1000).unwrap();
    });
    file.write_all_at(&[byte[0] ^ 4], 1000).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    assert_eq!(fs::metadata(path).unwrap().len(), before.len(), "{}", place.path().display());
}

#[test]
fn scrubbing_finds_rot_sets_it_aside_and_never_serves_it() {
    let place = Place::new();
    let (store, sha256, data) = settled(&place);
    let good = put(&store, &bytes(2, 100_000));
    drop(store);
    rot(&place, &place.object(&sha256));
    let store = place.open_settled();
    let mut events = store.events();
    let scrubbed = store.scrub(&Stop::new()).unwrap();
    assert_eq!((scrubbed.rotten, scrubbed.files, scrubbed.bytes), (vec![sha256], 3, 500_000));
    assert!(
        matches!(&drain(&mut events)[..], [StoreEvent::Rot { sha256: rotten, aside: Some(_) }] if *rotten == sha256)
    );
    assert!(store.object(&sha256).is_none() && store.blob(&sha256).is_none());
    assert!(matches!(store.verify(&sha256), Err(StoreError::Unknown(_))));
    assert_eq!(store.verify(&good).unwrap().size, 100_000);
    // The published copy is whole, and brings it back.
    assert_eq!(store.take(&name(MODEL)).unwrap().sha256(), sha256);
    assert_eq!(read(&store, &sha256), Some(data));
    let again = store.verify(&sha256).unwrap();
    assert_eq!((again.names, again.wrong), (vec![name(MODEL)], vec![]));
}

#[test]
fn verify_reads_the_bytes_whatever_is_remembered() {
    let place = Place::new();
    let (store, sha256, _) = settled(&place);
    rot(&place, &place.model(MODEL));
    let verified = store.verify(&sha256).unwrap();
    assert_eq!((verified.names, verified.wrong), (vec![], vec![name(MODEL)]));
    assert!(verified.at_ms > 0 && verified.sha256 == sha256);
    assert!(matches!(store.verify(&Digest::of(b"?")), Err(StoreError::Unknown(_))));
}

#[test]
fn a_scrub_keeps_its_rate_and_stops_when_told() {
    let place = Place::new();
    let mut config = place.config();
    config.scrub_bytes_per_second = 4 << 20;
    let store = Store::open(config.clone()).unwrap();
    put(&store, &bytes(1, 1 << 20));
    let began = Instant::now();
    assert_eq!(store.scrub(&Stop::new()).unwrap().bytes, 1 << 20);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(250), "{took:?}");
    drop(store);
    config.scrub_bytes_per_second = 1;
    let store = Store::open(config.clone()).unwrap();
    let stop = Stop::new();
    std::thread::scope(|scope| {
        let scrub = scope.spawn(|| store.scrub(&stop));
        stop.stop();
        assert!(matches!(scrub.join().unwrap(), Err(StoreError::Stopped)));
    });
    drop(store);
    config.scrub_bytes_per_second = 0;
    assert_eq!(Store::open(config).unwrap().scrub(&Stop::new()).unwrap().files, 0);
}

#[test]
fn old_versions_go_by_count_and_by_age_and_none_in_use() {
    let place = Place::new();
    let mut config = place.config();
    config.keep_versions = 3;
    let store = Store::open(config.clone()).unwrap();
    let mut events = store.events();
    let versions: Vec<Digest> = (0..6).map(|seed| put(&store, &bytes(seed, 5000))).collect();
    for sha256 in &versions {
        store.publish(&name(MODEL), sha256).unwrap();
    }
    let unpublished = put(&store, &bytes(20, 5000));
    let read = store.object(&versions[1]).unwrap();
    let collected = store.gc(&BTreeSet::from([versions[0]])).unwrap();
    // In use by agreement: 0; being read: 1; the newest three: 3, 4, 5.
    assert_eq!((collected.objects, collected.bytes), (vec![versions[2]], 5000));
    assert_eq!(drain(&mut events), [StoreEvent::Removed { sha256: versions[2], size: 5000 }]);
    assert!(!place.object(&versions[2]).exists() && store.object(&versions[2]).is_none());
    // One slice of it on its way to a client is enough.
    let slice = read.slice(0..1000);
    drop(read);
    assert_eq!(store.gc(&BTreeSet::new()).unwrap().objects, [versions[0]]);
    drop(slice);
    assert_eq!(store.gc(&BTreeSet::new()).unwrap().objects, [versions[1]]);
    assert!(store.object(&unpublished).is_some());
    // A rollback makes an old version the one in use.
    store.publish(&name(MODEL), &versions[3]).unwrap();
    drop(store);
    let in_a_month = || SystemTime::now() + Duration::from_hours(31 * 24);
    let store = Store::open_with(config.clone(), Seams { hook: Hook::default(), now: in_a_month }).unwrap();
    let mut left = vec![versions[4], versions[5], unpublished];
    left.sort_unstable();
    assert_eq!(store.gc(&BTreeSet::new()).unwrap().objects, left);
    assert!(store.object(&versions[3]).is_some());
    assert_eq!(store.gc(&BTreeSet::new()).unwrap(), ringrift_store::Collected::default());
}

#[test]
fn damaged_files_and_forgotten_fetches_do_not_pile_up() {
    let place = Place::new();
    let store = place.open();
    let blob = support::blob(&bytes(1, 5000), 4096);
    drop(store.partial(&blob).unwrap());
    for n in 0..20 {
        fs::write(place.path().join(format!("store/aside/x.{}", u64::MAX - n)), "bad").unwrap();
    }
    let collected = store.gc(&BTreeSet::new()).unwrap();
    assert_eq!((collected.aside, collected.partials.len()), (4, 0));
    drop(store);
    let in_a_month = || SystemTime::now() + Duration::from_hours(31 * 24);
    let store = Store::open_with(place.config(), Seams { hook: Hook::default(), now: in_a_month }).unwrap();
    let busy = store.partial(&blob).unwrap();
    assert!(store.gc(&BTreeSet::new()).unwrap().partials.is_empty());
    drop(busy);
    assert!(store.gc(&BTreeSet::from([blob.sha256])).unwrap().partials.is_empty());
    assert_eq!(store.gc(&BTreeSet::new()).unwrap().partials, [blob.sha256]);
    assert!(store.partials().is_empty());
}
