//! Names that are taken away, and files that are kept beside a model.

#![allow(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, SystemTime},
};

use ringrift_blob::Digest;
use ringrift_store::{Seams, Store, disk::Hook};
use support::{Place, bytes, name, put, read};

const MODEL: &str = "canonical_hex8_2p.pth";

fn names(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.model("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

#[test]
fn a_name_that_is_taken_away_leaves_its_bytes_in_the_store_and_other_files_alone() {
    let place = Place::new();
    let store = place.open();
    let sha256 = put(&store, &bytes(1, 5000));
    store.publish_for(&name(MODEL), &sha256, 3).unwrap();
    assert_eq!((store.published()[0].generation, store.generation(&name(MODEL))), (3, 3));
    fs::write(place.model("other.pth"), "x").unwrap();
    assert_eq!(store.unpublish(&name(MODEL), 4).unwrap(), None);
    assert_eq!(names(&place), ["other.pth"]);
    assert!(store.published().is_empty() && store.object(&sha256).is_some());
    // Once more, after a crash before the end of it: there is nothing to do.
    assert_eq!(store.unpublish(&name(MODEL), 4).unwrap(), None);
    drop(store);
    let store = place.open();
    assert_eq!(store.generation(&name(MODEL)), 4);
    assert_eq!(store.generation(&name("other.pth")), 0);
    // Published again it has its past.
    let second = put(&store, &bytes(2, 5000));
    store.publish_for(&name(MODEL), &second, 9).unwrap();
    let published = store.published().remove(0);
    assert_eq!((published.generation, published.before[0].0), (9, sha256));
}

#[test]
fn a_file_of_somebody_else_under_the_name_is_moved_aside() {
    let place = Place::new();
    let store = place.open();
    let sha256 = put(&store, &bytes(1, 5000));
    store.publish(&name(MODEL), &sha256).unwrap();
    fs::write(place.model(MODEL), "by somebody else").unwrap();
    let aside = store.unpublish(&name(MODEL), 4).unwrap().unwrap();
    assert_eq!(fs::read_to_string(&aside).unwrap(), "by somebody else");
    assert_eq!(names(&place), [aside.file_name().unwrap().to_str().unwrap()]);
    // What lies there is no model, and no sweep or collection takes it.
    let in_a_month = || SystemTime::now() + Duration::from_hours(31 * 24);
    drop(store);
    let store = Store::open_with(place.config(), Seams { hook: Hook::default(), now: in_a_month }).unwrap();
    store.gc(&BTreeSet::new()).unwrap();
    assert!(aside.exists());
}

#[test]
fn the_only_copy_of_what_was_published_is_moved_aside_and_not_removed() {
    let place = Place::new();
    let store = place.open();
    let data = bytes(1, 5000);
    let sha256 = put(&store, &data);
    store.publish(&name(MODEL), &sha256).unwrap();
    drop(store);
    fs::remove_file(place.object(&sha256)).unwrap();
    let store = place.open();
    let aside = store.unpublish(&name(MODEL), 4).unwrap().unwrap();
    assert_eq!(fs::read(aside).unwrap(), data);
}

#[test]
fn bytes_are_kept_beside_a_model_without_touching_it() {
    let place = Place::new();
    let store = place.open();
    let (current, late) = (bytes(1, 5000), bytes(2, 6000));
    let sha256 = put(&store, &current);
    store.publish(&name(MODEL), &sha256).unwrap();
    let kept = put(&store, &late);
    let [first, second] = [0, 1].map(|_| store.keep_beside(&name(MODEL), &kept).unwrap());
    assert_ne!(first, second, "neither takes the other's place");
    for path in [first, second] {
        assert_eq!(fs::read(&path).unwrap(), late);
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(file.starts_with("canonical_hex8_2p.pth."), "{file}");
        assert_eq!(path.extension().unwrap(), "aside");
    }
    assert_eq!(fs::read(place.model(MODEL)).unwrap(), current);
    assert!(store.published()[0].intact);
    assert!(store.keep_beside(&name(MODEL), &Digest::of(b"unknown")).is_err());
}

#[test]
fn the_versions_of_a_name_that_was_taken_away_go_by_count_and_age_like_others() {
    let place = Place::new();
    let mut config = place.config();
    config.keep_versions = 2;
    let store = Store::open(config.clone()).unwrap();
    let versions: Vec<Digest> = (0..4).map(|seed| put(&store, &bytes(seed, 5000))).collect();
    for sha256 in &versions {
        store.publish(&name(MODEL), sha256).unwrap();
    }
    store.unpublish(&name(MODEL), 4).unwrap();
    let mut old = vec![versions[0], versions[1]];
    old.sort_unstable();
    assert_eq!(store.gc(&BTreeSet::new()).unwrap().objects, old);
    assert!(read(&store, &versions[3]).is_some());
    drop(store);
    let in_a_month = || SystemTime::now() + Duration::from_hours(31 * 24);
    let store = Store::open_with(config, Seams { hook: Hook::default(), now: in_a_month }).unwrap();
    assert_eq!(store.gc(&BTreeSet::new()).unwrap().objects.len(), 2);
}

#[test]
fn the_same_bytes_for_another_decision_are_remembered_without_being_written() {
    let place = Place::new();
    let store = place.open();
    let sha256 = put(&store, &bytes(1, 5000));
    store.publish_for(&name(MODEL), &sha256, 3).unwrap();
    let before = store.file(&name(MODEL)).unwrap();
    store.publish_for(&name(MODEL), &sha256, 5).unwrap();
    // An upload under the name is no decision.
    store.publish(&name(MODEL), &sha256).unwrap();
    assert_eq!(store.file(&name(MODEL)), Some(before));
    drop(store);
    assert_eq!(place.open().generation(&name(MODEL)), 5);
}

#[test]
fn a_file_whose_mode_was_changed_has_the_bytes_that_it_had() {
    let place = Place::new();
    let store = place.open();
    fs::write(place.model(MODEL), "trained").unwrap();
    let before = store.file(&name(MODEL)).unwrap();
    fs::set_permissions(place.model(MODEL), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let after = store.file(&name(MODEL)).unwrap();
    assert!(after.has_bytes_of(&before));
    // Renamed over: another file.
    fs::write(place.model("next"), "trained").unwrap();
    fs::rename(place.model("next"), place.model(MODEL)).unwrap();
    assert!(!store.file(&name(MODEL)).unwrap().has_bytes_of(&before));
    assert_eq!(store.file(&name("nothing.pth")), None);
}
