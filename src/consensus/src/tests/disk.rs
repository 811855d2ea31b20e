//! What is on disk comes back, or the start says why not.

use std::{fs, os::unix::fs::FileExt, path::Path};

use futures::StreamExt;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::cluster::{Cluster, id, until};
use crate::{StartError, store::Store};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

/// A stopped single voter's disk with a few entries.
async fn used(cluster: &mut Cluster) -> std::path::PathBuf {
    cluster.start_all("a").await;
    for n in 0..20 {
        cluster.write(n).await;
    }
    cluster.stop("a").await;
    cluster.disk("a").join("consensus.redb")
}

fn change(path: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let db = Database::open(path).unwrap();
    let txn = db.begin_write().unwrap();
    change(&txn);
    txn.commit().unwrap();
}

/// What is in the file: as tables, or, where it has none, as bytes.
fn contents(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let Ok(db) = redb::ReadOnlyDatabase::open(path) else { return vec![(Vec::new(), fs::read(path).unwrap())] };
    let txn = db.begin_read().unwrap();
    let meta = txn.open_table(META).unwrap();
    let log = txn.open_table(LOG).unwrap();
    let meta = meta.iter().unwrap().map(|row| row.map(|(k, v)| (k.value().into(), v.value().into())));
    let log = log.iter().unwrap().map(|row| row.map(|(k, v)| (k.value().to_be_bytes().into(), v.value().into())));
    meta.chain(log).collect::<Result<_, _>>().unwrap()
}

/// Starts the voter on its damaged disk and returns what it says; the file must not be touched.
async fn refusal(cluster: &mut Cluster, path: &Path) -> StartError {
    let before = contents(path);
    let refused = cluster.start("a", "a").await.expect_err("it must not start");
    assert!(contents(path) == before, "nothing may be changed");
    let said = refused.to_string();
    assert!(said.contains(path.to_str().unwrap()), "it names the file: {said}");
    refused
}

#[tokio::test(start_paused = true)]
async fn a_restarted_voter_has_its_state_and_its_term() {
    let mut cluster = Cluster::empty();
    used(&mut cluster).await;
    cluster.start("a", "a").await.unwrap();
    cluster.any_leader().await;
    let done = cluster.write(99).await;
    assert!(done.index > 20 && done.term > 1);
    cluster.crash("a").await;
    cluster.start("a", "a").await.unwrap();
    cluster.any_leader().await;
    until("it is there again", || (cluster.node("a").agreed().index > done.index).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn all_voters_that_crash_at_once_come_back_with_everything_confirmed() {
    let mut cluster = Cluster::of("a b c").await;
    let mut confirmed = Vec::new();
    for round in 0..5 {
        cluster.any_leader().await;
        for n in 0..7 {
            confirmed.push(cluster.write(round * 7 + n).await);
        }
        for name in ["a", "b", "c"] {
            cluster.crash(name).await;
        }
        for name in ["a", "b", "c"] {
            cluster.start(name, "a b c").await.unwrap();
        }
    }
    let leader = cluster.any_leader().await;
    cluster.write(1000).await;
    let last = confirmed.last().unwrap();
    assert!(cluster.node(&leader).agreed().index > last.index);
    let state = &cluster.node(&leader).agreed().state;
    let expected = super::cluster::command(34);
    let ringrift_state::Command::SetEligibility { node, eligibility, .. } = expected else { unreachable!() };
    assert_eq!(state.eligibility_of(&node), eligibility);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_cannot_be_decoded_stops_the_start() {
    let mut cluster = Cluster::empty();
    let path = used(&mut cluster).await;
    change(&path, |txn| drop(txn.open_table(LOG).unwrap().insert(7, &b"\xc1rubbish"[..]).unwrap()));
    let refused = refusal(&mut cluster, &path).await;
    assert!(matches!(&refused, StartError::Damaged { what, .. } if what.contains("log entry 7")), "{refused}");
    assert!(refused.to_string().contains("docs/operations.md"));
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_a_kind_that_this_program_does_not_know_stops_the_start() {
    #[derive(serde::Serialize)]
    struct Later {
        term: u64,
        index: u64,
        payload: std::collections::BTreeMap<&'static str, u64>,
    }
    let mut cluster = Cluster::empty();
    let path = used(&mut cluster).await;
    let later = Later { term: 1, index: 7, payload: [("teleport", 7)].into() };
    let bytes = ringrift_state::encode(&later).unwrap();
    change(&path, |txn| drop(txn.open_table(LOG).unwrap().insert(7, &*bytes).unwrap()));
    let refused = refusal(&mut cluster, &path).await;
    assert!(refused.to_string().contains("teleport"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_missing_entry_stops_the_start() {
    let mut cluster = Cluster::empty();
    let path = used(&mut cluster).await;
    change(&path, |txn| drop(txn.open_table(LOG).unwrap().remove(5).unwrap()));
    let refused = refusal(&mut cluster, &path).await;
    assert!(refused.to_string().contains("log entry 5 is missing"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_vote_that_cannot_be_decoded_stops_the_start() {
    let mut cluster = Cluster::empty();
    let path = used(&mut cluster).await;
    change(&path, |txn| drop(txn.open_table(META).unwrap().insert("vote", &b"\x01"[..]).unwrap()));
    let refused = refusal(&mut cluster, &path).await;
    assert!(refused.to_string().contains("the vote"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_newer_format_stops_the_start_and_says_which() {
    let mut cluster = Cluster::empty();
    let path = used(&mut cluster).await;
    change(&path, |txn| {
        drop(txn.open_table(META).unwrap().insert("format", &2u64.to_le_bytes()[..]).unwrap());
    });
    let refused = refusal(&mut cluster, &path).await;
    assert!(matches!(refused, StartError::Newer { found: 2, known: 1, .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_truncated_empty_or_foreign_file_stops_the_start() {
    let mut cluster = Cluster::empty();
    let path = used(&mut cluster).await;
    let whole = fs::read(&path).unwrap();
    for size in [whole.len() - 4096, whole.len() / 2, 5000, 64, 1, 0] {
        fs::write(&path, &whole[..size]).unwrap();
        let refused = refusal(&mut cluster, &path).await;
        assert!(matches!(refused, StartError::Damaged { .. }), "{size}: {refused}");
    }
    fs::write(&path, "-- not a log at all --".repeat(1000)).unwrap();
    let refused = refusal(&mut cluster, &path).await;
    assert!(matches!(refused, StartError::Damaged { .. }), "{refused}");
    // The whole one is good again.
    fs::write(&path, &whole).unwrap();
    cluster.start("a", "a").await.unwrap();
}

/// Any altered byte is found, or was in a part of the file that means nothing.
#[tokio::test(start_paused = true)]
async fn no_altered_byte_changes_what_is_read() {
    let mut cluster = Cluster::empty();
    let path = used(&mut cluster).await;
    let whole = fs::read(&path).unwrap();
    let read = |path: &Path| {
        let store = Store::open(path.parent().unwrap(), &id("a"), true)?;
        let mirror = store.mirror();
        let said = (format!("{:?}", mirror.range(..)), mirror.vote.clone(), mirror.standing.clone());
        drop(mirror);
        store.cut();
        Ok::<_, StartError>(said)
    };
    let expected = read(&path).unwrap();
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut found = 0;
    for at in used.iter().step_by(used.len() / 400 + 1) {
        fs::write(&path, &whole).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[whole[*at] ^ 0x55], *at as u64).unwrap();
        drop(file);
        match read(&path) {
            Ok(said) => assert_eq!(said, expected, "byte {at} changed what was read"),
            Err(StartError::Damaged { .. } | StartError::Newer { .. } | StartError::OtherNode { .. }) => found += 1,
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    assert!(found > 0);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_in_use_or_another_nodes_is_refused() {
    let mut cluster = Cluster::of("a").await;
    let dir = cluster.disk("a");
    let open = |name: &str| Store::open(&dir, &id(name), true).err().unwrap();
    assert!(matches!(open("a"), StartError::InUse { .. }));
    cluster.stop("a").await;
    assert!(matches!(open("b"), StartError::OtherNode { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_cannot_be_written_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let refused = Store::open(&dir.path().join("file/below"), &id("a"), true).err().unwrap();
    assert!(refused.to_string().contains("file/below"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_voter_whose_disk_fails_stops_and_says_so_and_another_one_leads() {
    let cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let node = cluster.node(&leader);
    node.inner.service.store.cut();
    let refused = node.propose(super::cluster::command(1)).await.unwrap_err();
    assert_eq!(refused, crate::ProposeError::Stopped);
    until("it says so", || cluster.status(&leader).stopped).await;
    assert_eq!(cluster.status(&leader).role, crate::Role::Learner);
    let progress = node.progress();
    let others: Vec<_> = cluster.names().into_iter().filter(|n| *n != leader).collect();
    cluster.leader(&others.join(" ")).await;
    assert_eq!(node.progress(), progress, "the watchdog sees that it is stuck");
    assert!(node.subscribe(1).map(drop).collect::<Vec<()>>().await.is_empty(), "its readers go elsewhere");
}
