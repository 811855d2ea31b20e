//! What a server hands out while somebody works on the files underneath.

#![allow(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod support;

use std::{
    fs,
    io::{self, Read, Write},
    ops::Range,
    os::unix::net::UnixStream,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ringrift_store::{Object, Store, StoreEvent, mapping};
use support::{Place, bytes, drain, later, name, put, read};

const SIZE: usize = 3 << 20;

/// Sends a slice as a server does: without touching it. What arrived, and how it ended.
fn serve(object: &Arc<Object>, mut between: impl FnMut(usize)) -> (Vec<u8>, io::Result<()>) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).unwrap();
        all
    });
    let slice = object.slice(0..object.size());
    let mut sent = 0;
    let ended = loop {
        if sent == slice.len() {
            break Ok(());
        }
        between(sent);
        let rest = &slice[sent..];
        let (mapping, offset) = mapping::locate(rest.as_ptr(), rest.len()).unwrap();
        match mapping.send(&ours, offset, rest.len().min(512 << 10)) {
            Ok(length) => sent += length,
            Err(error) => break Err(error),
        }
    };
    drop(ours);
    (reader.join().unwrap(), ended)
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn stored(place: &Place) -> (Store, Vec<u8>, Arc<Object>) {
    let store = place.open();
    let data = bytes(1, SIZE);
    let sha256 = put(&store, &data);
    let object = store.object(&sha256).unwrap();
    (store, data, object)
}

#[test]
fn slices_are_found_by_their_addresses_and_other_memory_is_not() {
    let place = Place::new();
    let (store, data, object) = stored(&place);
    let slice = object.slice(1000..5000);
    let (mapping, offset) = mapping::locate(slice.as_ptr(), slice.len()).unwrap();
    assert_eq!((offset, mapping.size()), (1000, SIZE as u64));
    let whole = object.slice(0..u64::MAX);
    assert_eq!(whole.len(), SIZE);
    assert!(object.slice(SIZE as u64..u64::MAX).is_empty() && object.slice(Range { start: 9, end: 3 }).is_empty());
    assert!(mapping::locate(whole.as_ptr(), SIZE + 1).is_none());
    assert!(mapping::locate(data.as_ptr(), data.len()).is_none());
    assert!(mapping::locate(whole.as_ptr(), usize::MAX).is_none());
    let address = whole.as_ptr();
    drop((slice, whole, object, mapping, store));
    assert!(mapping::locate(address, 1).is_none());
}

#[test]
fn whatever_is_done_to_the_published_file_the_served_bytes_stay() {
    for deed in ["truncate -s 5", "dd if=/dev/zero conv=notrunc bs=1M count=2 status=none of=", "rm", "cp /dev/null"] {
        let place = Place::new();
        let (store, data, object) = stored(&place);
        store.publish(&name("canonical_hex8_2p.pth"), &object.sha256()).unwrap();
        let file = place.model("canonical_hex8_2p.pth");
        let (arrived, ended) = serve(&object, |sent| {
            if (1..=512 << 10).contains(&sent) {
                let space = if deed.ends_with('=') { "" } else { " " };
                let command = format!("{deed}{space}{}", file.display());
                assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
            }
        });
        ended.unwrap();
        assert!(arrived == data, "{deed}");
        assert!(object.unchanged(), "{deed}");
        assert!(!store.published()[0].intact, "{deed}");
    }
}

#[test]
fn whoever_writes_to_an_object_waits_and_no_byte_of_his_is_served() {
    // truncate(1) does not wait: it gives up.
    for deed in [": >", "echo cut >", "dd if=/dev/zero conv=notrunc bs=1M count=2 status=none of="] {
        let place = Place::new();
        let (store, data, object) = stored(&place);
        let mut events = store.events();
        let sha256 = object.sha256();
        let space = if deed.ends_with('=') { "" } else { " " };
        let command = format!("{deed}{space}{}", place.object(&sha256).display());
        let mut vandal = None;
        let (arrived, ended) = serve(&object, |sent| {
            if sent >= 1 << 20 && vandal.is_none() {
                vandal = Some(Command::new("sh").args(["-c", &command]).spawn().unwrap());
                until("the object is disturbed", || !object.unchanged());
            }
        });
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::InvalidData, "{deed}");
        assert_eq!(arrived.len(), 1 << 20, "{deed}");
        assert!(data.starts_with(&arrived), "{deed}");
        assert!(object.read_at(&mut [0; 10], 0).is_err(), "{deed}");
        // While he waits the file is as it was, and it is not served.
        assert!(store.object(&sha256).is_none(), "{deed}");
        assert!(store.holdings().is_empty(), "{deed}");
        assert!(drain(&mut events).contains(&StoreEvent::Disturbed { sha256 }), "{deed}");
        assert!(fs::read(place.object(&sha256)).unwrap() == data, "{deed}");
        drop(object);
        store.tend(later(11)).unwrap();
        assert!(vandal.unwrap().wait().unwrap().success(), "{deed}");
        store.tend(later(12)).unwrap();
        assert!(store.object(&sha256).is_none() && store.blob(&sha256).is_none(), "{deed}");
        let rot = drain(&mut events).into_iter().find_map(|event| match event {
            StoreEvent::Rot { sha256: rotten, aside } => Some((rotten, aside.unwrap())),
            _ => None,
        });
        let (rotten, aside) = rot.unwrap();
        assert!(rotten == sha256 && aside.exists() && !place.object(&sha256).exists(), "{deed}");
        // It can be fetched again.
        assert_eq!(put(&store, &data), sha256);
        assert!(read(&store, &sha256).unwrap() == data, "{deed}");
    }
}

#[test]
fn who_opens_an_object_for_writing_and_changes_nothing_does_no_harm() {
    let place = Place::new();
    let (store, data, object) = stored(&place);
    let sha256 = object.sha256();
    let path = place.object(&sha256);
    let vandal = thread::spawn(move || fs::OpenOptions::new().append(true).open(path).unwrap());
    until("the object is disturbed", || !object.unchanged());
    store.tend(later(0)).unwrap();
    drop(object);
    store.tend(later(11)).unwrap();
    let opened = vandal.join().unwrap();
    assert!(store.object(&sha256).is_none(), "served while somebody may write");
    drop(opened);
    assert!(read(&store, &sha256).unwrap() == data);
}

#[test]
fn an_object_whose_file_is_removed_is_served_to_its_end() {
    let place = Place::new();
    let (store, data, object) = stored(&place);
    let path = place.object(&object.sha256());
    let (arrived, ended) = serve(&object, |sent| {
        if sent == 512 << 10 {
            fs::remove_file(&path).unwrap();
        }
    });
    ended.unwrap();
    assert!(arrived == data);
    let mut all = vec![0; SIZE + 10];
    assert_eq!(object.read_at(&mut all, 0).unwrap(), SIZE);
    assert!(all[..SIZE] == data);
    assert_eq!(object.read_at(&mut all, SIZE as u64).unwrap(), 0);
    drop((object, store));
}

#[test]
fn what_was_changed_while_the_store_was_closed_is_not_served() {
    let place = Place::new();
    let store = place.open_settled();
    let data = bytes(5, SIZE);
    let [cut, written, gone] = [1, 2, 3].map(|seed| put(&store, &bytes(seed, SIZE)));
    let good = put(&store, &data);
    for _ in 0..5 {
        store.tend(later(0)).unwrap();
    }
    drop(store);
    fs::OpenOptions::new().write(true).open(place.object(&cut)).unwrap().set_len(77).unwrap();
    fs::OpenOptions::new().write(true).open(place.object(&written)).unwrap().write_all(b"other").unwrap();
    fs::remove_file(place.object(&gone)).unwrap();
    let store = place.open();
    // Without reading a byte: only one is what it was.
    let holdings: Vec<_> = store.holdings().into_iter().map(|holding| holding.sha256).collect();
    assert_eq!(holdings, [good]);
    let mut events = store.events();
    assert!([cut, written, gone].iter().all(|sha256| store.object(sha256).is_none()));
    let rotten = drain(&mut events).into_iter().filter(|event| matches!(event, StoreEvent::Rot { .. })).count();
    assert_eq!(rotten, 2);
    assert!(read(&store, &good).unwrap() == data);
}
