//! Files of real clusters: what is changed and changed back is the same file, byte for byte.

use std::path::PathBuf;

use super::{super::HostsDraft, id, settings};

/// In the repository, of the shape of a real one.
const LOOK_ALIKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/commented.yaml");

/// The file of a real cluster, which is not part of the repository.
const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/distributed_hosts_42.yaml");

fn there_and_back(path: &str) {
    let bytes = std::fs::read_to_string(path).unwrap();
    let mut draft = HostsDraft::load(&PathBuf::from(path)).unwrap();
    assert!(draft.text() == bytes && !draft.is_changed(), "nothing was asked for");
    let file = draft.file().unwrap();
    let new = id("a-new-one");
    draft.add(&new, &settings(&[("ssh_host", "10.0.0.9"), ("role", "mixed"), ("storage_paths.games", "/g")])).unwrap();
    assert_eq!(draft.file().unwrap().hosts.len(), file.hosts.len() + 1);
    draft.set_voter(&new, true).unwrap();
    draft.remove(&new).unwrap();
    assert_eq!(draft.text(), bytes, "added and removed");
    for (host, said) in &file.hosts {
        draft.rename(host, &new).unwrap();
        draft.rename(&new, host).unwrap();
        draft.set(host, "status", "maintenance").unwrap();
        draft.set(host, "status", said.status.as_str()).unwrap();
        draft.set(host, "colour", "blue").unwrap();
        draft.unset(host, "colour").unwrap();
        assert_eq!(draft.text(), bytes, "{host}");
    }
    assert!(!draft.is_changed());
    for host in file.hosts.keys().skip(1) {
        draft.remove(host).unwrap();
    }
    assert_eq!(draft.file().unwrap().hosts.len(), 1);
    let sections = |file: &crate::HostsFile| file.extra.keys().cloned().collect::<Vec<_>>();
    assert_eq!(sections(&draft.file().unwrap()), sections(&file));
}

#[test]
fn a_commented_file_comes_back_byte_for_byte() {
    there_and_back(LOOK_ALIKE);
}

#[test]
fn the_file_of_a_real_cluster_comes_back_byte_for_byte() {
    if !std::path::Path::new(REAL).exists() {
        eprintln!("NOT TESTED: {REAL} is not here");
        return;
    }
    there_and_back(REAL);
}
