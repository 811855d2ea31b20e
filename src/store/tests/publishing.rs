//! What programs find where they look for models.

#![allow(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod support;

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ringrift_blob::Digest;
use ringrift_store::{
    Seams, Store, StoreError, StoreEvent,
    disk::{Hook, Step},
};
use support::{Place, bytes, drain, later, name, put, read};

const MODEL: &str = "canonical_hex8_2p.pth";

#[test]
fn a_published_model_has_its_file_sidecar_and_link() {
    let place = Place::new();
    let store = place.open();
    let data = bytes(1, 700_000);
    let sha256 = put(&store, &data);
    store.publish(&name(MODEL), &sha256).unwrap();
    assert_eq!(fs::read(place.model(MODEL)).unwrap(), data);
    let sidecar = fs::read_to_string(place.model("canonical_hex8_2p.pth.sha256")).unwrap();
    assert_eq!(sidecar, format!("{sha256}  canonical_hex8_2p.pth\n"));
    let link = fs::read_link(place.model("ringrift_best_hex8_2p.pth")).unwrap();
    assert_eq!(link.to_str(), Some(MODEL));
    assert_eq!(fs::read_dir(place.model("")).unwrap().count(), 3);
    let checked =
        Command::new("sha256sum").args(["-c", "canonical_hex8_2p.pth.sha256"]).current_dir(place.model("")).output();
    assert!(checked.unwrap().status.success());
    let [published] = &store.published()[..] else { panic!("one model") };
    assert!(published.intact && published.sha256 == sha256);
    let [object, file] = [place.object(&sha256), place.model(MODEL)].map(|path| fs::metadata(path).unwrap());
    assert_ne!(object.ino(), file.ino());
    assert_eq!([object, file].map(|meta| meta.permissions().mode() & 0o777), [0o444, 0o644]);
    drop(store);
    let store = place.open();
    assert_eq!(read(&store, &sha256), Some(data));
    assert_eq!(store.published()[0].sha256, sha256);
    // A name that is no configuration's has no link.
    store.publish(&name("experiment.pth"), &sha256).unwrap();
    assert_eq!(fs::read_dir(place.model("")).unwrap().count(), 5);
}

#[test]
fn a_reader_sees_the_whole_old_file_or_the_whole_new_one() {
    let place = Place::new();
    let store = place.open();
    let versions = [bytes(1, 300_000), bytes(2, 500_000)];
    let digests = [0, 1].map(|n: usize| put(&store, &versions[n]));
    store.publish(&name(MODEL), &digests[0]).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) || reads == 0 {
                for path in [MODEL, "ringrift_best_hex8_2p.pth"] {
                    let found = fs::read(place.model(path)).unwrap();
                    assert!(versions.contains(&found), "{path}: {} bytes", found.len());
                }
                reads += 1;
            }
        });
        for turn in 0..30 {
            store.publish(&name(MODEL), &digests[(turn + 1) % 2]).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    // A rollback moves no byte into the store, and history tells of it.
    assert_eq!(store.holdings().len(), 2);
    assert_eq!(store.published()[0].before.len(), 1);
}

#[test]
fn what_a_trainer_put_there_is_kept_before_it_is_replaced() {
    let place = Place::new();
    let store = place.open();
    let trained = bytes(7, 90_000);
    let [first, second] = [1, 2].map(|seed| put(&store, &bytes(seed, 50_000)));
    fs::write(place.model(MODEL), &trained).unwrap();
    store.publish(&name(MODEL), &first).unwrap();
    assert_eq!(read(&store, &Digest::of(&trained)), Some(trained.clone()));
    fs::write(place.model(MODEL), &trained[..80_000]).unwrap();
    store.publish(&name(MODEL), &second).unwrap();
    assert_eq!(read(&store, &Digest::of(&trained[..80_000])).unwrap(), trained[..80_000]);
    let before: Vec<Digest> = store.published()[0].before.iter().map(|(sha256, _)| *sha256).collect();
    assert_eq!(before, [Digest::of(&trained[..80_000]), first, Digest::of(&trained)]);
    store.publish(&name(MODEL), &Digest::of(&trained)).unwrap();
    assert_eq!(fs::read(place.model(MODEL)).unwrap(), trained);
}

#[test]
fn no_name_and_no_link_leads_out_of_the_folder() {
    let place = Place::new();
    let store = place.open();
    let sha256 = put(&store, &bytes(1, 5000));
    let outside = place.path().join("outside");
    fs::write(&outside, "precious").unwrap();
    for file in
        [MODEL, "canonical_hex8_2p.pth.sha256", ".ringrift-canonical_hex8_2p.pth.tmp", "ringrift_best_hex8_2p.pth"]
    {
        symlink(&outside, place.model(file)).unwrap();
    }
    assert!(matches!(store.take(&name(MODEL)), Err(StoreError::NotAFile(_))));
    store.publish(&name(MODEL), &sha256).unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "precious");
    assert!(fs::symlink_metadata(place.model(MODEL)).unwrap().is_file());
    assert_eq!(fs::read_link(place.model("ringrift_best_hex8_2p.pth")).unwrap().to_str(), Some(MODEL));
    // A link over a published file: neither followed nor taken for it.
    fs::remove_file(place.model(MODEL)).unwrap();
    symlink(&outside, place.model(MODEL)).unwrap();
    assert!(!store.published()[0].intact);
    assert_eq!(store.unpublish(&name(MODEL), 1).unwrap(), None);
    assert!(fs::symlink_metadata(place.model(MODEL)).unwrap().is_symlink());
    for reserved in ["a.pth.sha256", "ringrift_best_hex8_2p.pth", "x.tmp", "a.pth.17.aside"] {
        assert!(matches!(store.publish(&name(reserved), &sha256), Err(StoreError::ReservedName(_))), "{reserved}");
    }
    // An object that is a link is none.
    drop(store);
    fs::remove_file(place.object(&sha256)).unwrap();
    symlink(&outside, place.object(&sha256)).unwrap();
    let store = place.open();
    assert!(store.object(&sha256).is_none() && store.holdings().is_empty());
    // Neither a folder nor a pipe is a model, and nobody waits for one.
    fs::create_dir(place.model("folder.pth")).unwrap();
    assert!(Command::new("mkfifo").arg(place.model("pipe.pth")).status().unwrap().success());
    for file in ["folder.pth", "pipe.pth"] {
        assert!(matches!(store.take(&name(file)), Err(StoreError::NotAFile(_))), "{file}");
        assert!(matches!(store.ingest(&place.model(file), None), Err(StoreError::NotAFile(_))), "{file}");
    }
}

#[test]
fn what_enters_is_compared_and_what_changes_meanwhile_is_not_taken() {
    let place = Place::new();
    let store = place.open();
    let data = bytes(1, 3 << 20);
    let path = place.path().join("model.pth");
    fs::write(&path, &data).unwrap();
    let wrong = store.ingest(&path, Some(Digest::of(b"other"))).unwrap_err();
    assert!(matches!(wrong, StoreError::WrongDigest { .. }) && wrong.to_string().contains("model.pth"), "{wrong}");
    assert!(store.holdings().is_empty());
    let object = store.ingest(&path, Some(Digest::of(&data))).unwrap();
    assert_eq!((object.sha256(), object.size()), (Digest::of(&data), 3 << 20));
    fs::write(&path, "").unwrap();
    assert!(matches!(store.ingest(&path, None), Err(StoreError::Invalid { .. })));
    let mut upload = store.upload("upload");
    upload.write_all(b"abc").unwrap();
    assert!(matches!(upload.finish(Some(Digest::of(b"abd"))), Err(StoreError::WrongDigest { .. })));
    drop(store.upload("nothing at all"));
    assert!(matches!(store.upload("empty").finish(None), Err(StoreError::Invalid { .. })));
    assert_eq!(fs::read_dir(place.path().join("store/tmp")).unwrap().count(), 0);
    // Somebody appends to it while it is copied.
    drop(store);
    let growing = place.path().join("growing.pth");
    fs::write(&growing, &data).unwrap();
    let theirs = growing.clone();
    let hook = Hook::new(move |step| match step {
        Step::Write(_, 1_048_576, _) => fs::OpenOptions::new().append(true).open(&theirs)?.write_all(b"more"),
        _ => Ok(()),
    });
    let store = Store::open_with(place.config(), support::settled(hook)).unwrap();
    let taken = store.ingest(&growing, None);
    assert!(matches!(taken, Err(StoreError::Changing(_))), "{taken:?}");
    assert_eq!(fs::read_dir(place.path().join("store/tmp")).unwrap().count(), 0);
}

#[test]
fn a_publication_that_fails_is_not_taken_for_done() {
    let place = Place::new();
    let full = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&full);
    let hook = Hook::new(move |step| match step {
        Step::Clone(..) if state.load(Ordering::Relaxed) => Err(std::io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    });
    let store = Store::open_with(place.config(), Seams { hook, ..Seams::default() }).unwrap();
    let [old, new] = [1, 2].map(|seed| put(&store, &bytes(seed, 5000)));
    store.publish(&name(MODEL), &old).unwrap();
    full.store(true, Ordering::Relaxed);
    assert!(store.publish(&name(MODEL), &new).unwrap_err().is_disk_full());
    assert_eq!(fs::read(place.model(MODEL)).unwrap(), bytes(1, 5000));
    assert!(!store.published()[0].intact);
    full.store(false, Ordering::Relaxed);
    store.publish(&name(MODEL), &new).unwrap();
    assert_eq!(fs::read(place.model(MODEL)).unwrap(), bytes(2, 5000));
    assert!(store.published()[0].intact);
}

#[test]
fn two_stores_do_not_share_a_folder() {
    let place = Place::new();
    let store = place.open();
    assert!(matches!(Store::open(place.config()), Err(StoreError::InUse(_))));
    drop(store);
    place.open();
}

#[test]
fn a_damaged_index_costs_history_and_no_bytes() {
    let place = Place::new();
    let store = place.open();
    let data = bytes(1, 5000);
    let sha256 = put(&store, &data);
    store.publish(&name(MODEL), &sha256).unwrap();
    drop(store);
    for file in ["index", &format!("facts/{sha256}")] {
        fs::write(place.path().join("store").join(file), "RINGRIFTnoise").unwrap();
    }
    let store = place.open_settled();
    let mut events = store.events();
    assert_eq!(read(&store, &sha256), Some(data));
    store.tend(later(0)).unwrap();
    store.tend(later(3)).unwrap();
    assert_eq!(drain(&mut events), [StoreEvent::Changed { name: name(MODEL), size: 5000 }]);
}
