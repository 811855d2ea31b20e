//! Does a node keep, resume, forget and close what it should?
#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::actor::{Actor, part};
use common::{LONG, Net, Node, blob, config, id, members, noise, store_at};
use ringrift_blob::CHUNK;
use ringrift_exchange::wire::{Farewell, Frame, Next};
use ringrift_exchange::{ExchangeEvent, FetchState, Rates};
use tokio::time::timeout;

fn files_under(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_goes_on_where_it_was() {
    let net = Arc::new(Net::default());
    let bytes = noise(8 << 20, 2);
    let wanted = blob(&bytes, CHUNK);
    let first = Node::start(&net, config("m"));
    first.engine.set_wanted(vec![wanted.clone()]);
    let mut actor = Actor::greet(net.connect(&id("x"), &id("m")).unwrap(), id("x")).await;
    actor.has_all(&wanted).await;
    for _ in 0..20 {
        let which = actor.requested().await.unwrap();
        actor.data(which, part(&wanted, &bytes, which.chunk)).await;
    }
    let some = 20 * u64::from(CHUNK);
    first.until("partly there", |now| now.first().is_some_and(|one| one.have == some)).await;
    let Node { store, .. } = &first;
    let gone = store.clone();
    drop(gone);
    let folder = first.die().await;
    let store = store_at(folder.path());
    let mut again = Node::start_with(&net, config("m"), folder, store);
    let source = Node::start(&net, config("s"));
    source.ingest(&bytes);
    for node in [&again, &source] {
        node.engine.set_members(members(&["m", "s"]));
        node.engine.set_wanted(vec![wanted.clone()]);
    }
    again.has(wanted.sha256).await;
    assert_eq!(again.bytes(&wanted.sha256), bytes);
    let fetched = |event| match event {
        ExchangeEvent::Fetched { by_peer, .. } => Some(by_peer),
        _ => None,
    };
    let by_peer = again.event(fetched).await;
    assert_eq!(by_peer, [(id("s"), wanted.size - some)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_only_dials_out_serves_others() {
    let net = Arc::new(Net::default());
    let mut hidden = config("h");
    hidden.dials_out_only = true;
    let nodes = [Node::start(&net, hidden), Node::start(&net, config("a")), Node::start(&net, config("z"))];
    let bytes = noise(2 << 20, 3);
    let wanted = nodes[0].ingest(&bytes);
    for node in &nodes {
        node.engine.set_members(vec![(id("h"), true), (id("a"), false), (id("z"), false)]);
        node.engine.set_wanted(vec![wanted.clone()]);
    }
    for node in &nodes {
        node.has(wanted.sha256).await;
        assert_eq!(node.bytes(&wanted.sha256), bytes);
    }
    assert!(net.dials.lock().unwrap().iter().all(|(_, to)| *to != id("h")), "somebody dialled who cannot be");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_promotion_is_forgotten_everywhere() {
    let net = Arc::new(Net::default());
    let node = Node::start(&net, config("m"));
    let (old, new) = (noise(4 << 20, 4), noise(1 << 20, 5));
    let (before, after) = (blob(&old, CHUNK), blob(&new, CHUNK));
    node.engine.set_wanted(vec![before.clone()]);
    let mut actor = Actor::greet(net.connect(&id("x"), &id("m")).unwrap(), id("x")).await;
    actor.has_all(&before).await;
    actor.has_all(&after).await;
    let which = actor.requested().await.unwrap();
    actor.data(which, part(&before, &old, which.chunk)).await;
    // Who lacks the chunk is told of it, and told again that it is gone.
    let mut other = Actor::greet(net.connect(&id("y"), &id("m")).unwrap(), id("y")).await;
    let told = |next: &Option<Next>| match next {
        Some(Next::Frame(Frame::Has { sha256, .. } | Frame::Have { sha256, .. })) => *sha256 == before.sha256,
        _ => false,
    };
    while !told(&other.hears().await) {}
    node.engine.set_wanted(vec![after.clone()]);
    while other.hears().await.expect("the session goes on") != Next::Frame(Frame::Forget(before.sha256)) {}
    let serve = async {
        while let Some(next) = actor.hears().await {
            match next {
                // The news of the new one came before it was wanted.
                Next::Frame(Frame::Request(which)) if which.sha256 == after.sha256 => {
                    actor.data(which, part(&after, &new, which.chunk)).await;
                }
                // What was on its way for the old one may still come.
                Next::Frame(Frame::Cancel(which)) => actor.data(which, part(&before, &old, which.chunk)).await,
                _ => {}
            }
        }
    };
    tokio::select! {
        () = serve => panic!("the session ended"),
        () = node.has(after.sha256) => {}
    }
    node.until("alone", |now| now.len() == 1).await;
    let partial = node.folder.path().join("store/partial");
    let stop = (node.stop.clone(), node.engine.clone());
    stop.0.cancel();
    stop.1.ended().await;
    assert_eq!(files_under(&partial), 0);
    assert!(node.store.object(&before.sha256).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_keep_one_session_and_close_it_when_all_is_said() {
    let net = Arc::new(Net::default());
    let quick = |name| {
        let mut config = config(name);
        config.linger = Duration::from_millis(1);
        config
    };
    let nodes = [Node::start(&net, quick("a")), Node::start(&net, quick("b"))];
    let wanted = nodes[1].ingest(&noise(1 << 20, 6));
    for node in &nodes {
        node.engine.set_members(members(&["a", "b"]));
        node.engine.set_wanted(vec![wanted.clone()]);
    }
    nodes[0].has(wanted.sha256).await;
    timeout(LONG, net.all_closed()).await.expect("the sessions close");
    assert_eq!(net.dials.lock().unwrap().first(), Some(&(id("b"), id("a"))), "the greater id dials");
    // And again when there is something new.
    let later = nodes[0].ingest(&noise(1 << 20, 7));
    for node in &nodes {
        node.engine.set_wanted(vec![later.clone(), wanted.clone()]);
    }
    nodes[1].has(later.sha256).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_hold_and_can_change() {
    for (up, down) in [(Some(40), None), (None, Some(40))] {
        let net = Arc::new(Net::default());
        let (mut from, mut to) = (config("a"), config("b"));
        (from.rates.up_mbps, to.rates.down_mbps) = (up, down);
        let nodes = [Node::start(&net, from), Node::start(&net, to)];
        let wanted = nodes[0].ingest(&noise(8 << 20, 8));
        nodes[0].engine.set_members(members(&["a", "b"]));
        nodes[1].engine.set_members(members(&["a", "b"]));
        nodes[0].engine.set_wanted(vec![wanted.clone()]);
        nodes[0].has(wanted.sha256).await;
        let start = Instant::now();
        nodes[1].engine.set_wanted(vec![wanted.clone()]);
        nodes[1].has(wanted.sha256).await;
        let rate = wanted.size as f64 * 8.0 / 1e6 / start.elapsed().as_secs_f64();
        assert!((36.0..=44.0).contains(&rate), "{rate:.1} Mbit/s instead of 40 (up {up:?}, down {down:?})");
        let later = nodes[0].ingest(&noise(8 << 20, 9));
        let start = Instant::now();
        for node in &nodes {
            node.engine.set_rates(Rates { up_mbps: Some(1), down_mbps: None });
            node.engine.set_wanted(vec![later.clone()]);
        }
        nodes[1].until("begun", |now| now.first().is_some_and(|one| one.sha256 == later.sha256 && one.have > 0)).await;
        for node in &nodes {
            node.engine.set_rates(Rates::default());
        }
        nodes[1].has(later.sha256).await;
        assert!(start.elapsed() < Duration::from_secs(30), "at 1 Mbit/s it would take 67 s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_promotions_leave_nothing_behind() {
    let net = Arc::new(Net::default());
    let nodes = [Node::start(&net, config("a")), Node::start(&net, config("b")), Node::start(&net, config("c"))];
    for node in &nodes {
        node.engine.set_members(members(&["a", "b", "c"]));
    }
    for round in 0..100 {
        let wanted = nodes[round % 3].ingest(&noise(600_000, 1000 + round as u64));
        for node in &nodes {
            node.engine.set_wanted(vec![wanted.clone()]);
        }
        // Every second one is superseded before it is everywhere.
        if round % 2 == 0 {
            for node in &nodes {
                node.has(wanted.sha256).await;
            }
        }
    }
    let folders: Vec<_> = nodes.iter().map(|node| node.folder.path().join("store/partial")).collect();
    for node in &nodes {
        node.engine.set_wanted(Vec::new());
        node.until("empty", <[_]>::is_empty).await;
        node.stop.cancel();
        node.engine.ended().await;
    }
    assert!(folders.iter().all(|folder| files_under(folder) == 0));
    timeout(LONG, net.all_closed()).await.expect("no stream is left");
    let no_tasks = async {
        while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, no_tasks).await.expect("no task is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_says_goodbye() {
    let net = Arc::new(Net::default());
    let node = Node::start(&net, config("m"));
    let actor = Actor::greet(net.connect(&id("x"), &id("m")).unwrap(), id("x")).await;
    node.engine.set_wanted(vec![blob(&[1; 100], CHUNK)]);
    node.until("open", |now| now.first().is_some_and(|one| one.state == FetchState::Fetching)).await;
    let (last, ()) = tokio::join!(actor.until_closed(), async {
        node.stop.cancel();
        node.engine.ended().await;
    });
    assert_eq!(last, Some(Next::Frame(Frame::Bye(Farewell::Stopping))));
    let count = node.engine.progress_counter();
    assert!(count > 0);
}

const INSIDE: &str = "RINGRIFT_TEST_INSIDE_MOUNT_NAMESPACE";

#[test]
fn a_full_disk_is_waited_out() {
    if std::env::var_os(INSIDE).is_none() {
        let me = std::env::current_exe().unwrap();
        let inside = Command::new("unshare")
            .args(["--mount", "--propagation", "private"])
            .arg(me)
            .args(["--exact", "a_full_disk_is_waited_out", "--nocapture"])
            .env(INSIDE, "1")
            .output();
        match inside {
            Ok(inside) => {
                let said = String::from_utf8_lossy(&inside.stderr).into_owned();
                if said.contains("unshare failed") || said.contains("Operation not permitted") {
                    return eprintln!("skipped: a full disk needs root and a mount namespace: {said}");
                }
                assert!(inside.status.success(), "{}{said}", String::from_utf8_lossy(&inside.stdout));
            }
            Err(error) => eprintln!("skipped: a full disk needs unshare(1): {error}"),
        }
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(full_disk());
}

async fn full_disk() {
    let net = Arc::new(Net::default());
    let folder = tempfile::tempdir().unwrap();
    let mount = |options: &str| {
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(folder.path()).status();
        assert!(done.unwrap().success(), "mount {options}");
    };
    mount("size=6m");
    let store = store_at(folder.path());
    let path = folder.path().to_owned();
    let source = Node::start(&net, config("s"));
    let bytes = noise(8 << 20, 10);
    let wanted = source.ingest(&bytes);
    let mut node = Node::start_with(&net, config("m"), tempfile::tempdir().unwrap(), store);
    for node in [&source, &node] {
        node.engine.set_members(members(&["m", "s"]));
        node.engine.set_wanted(vec![wanted.clone()]);
    }
    let full = |event| match event {
        ExchangeEvent::DiskFull { sha256, reason } => Some((sha256, reason)),
        _ => None,
    };
    let (sha256, reason) = node.event(full).await;
    assert!(sha256 == wanted.sha256 && reason.contains("no room"), "{reason}");
    node.until("waiting", |now| matches!(now.first(), Some(one) if matches!(one.state, FetchState::NoSpace(_)))).await;
    let done = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&path).status();
    assert!(done.unwrap().success());
    node.has(wanted.sha256).await;
    assert_eq!(node.bytes(&wanted.sha256), bytes);
    let free = |event| matches!(event, ExchangeEvent::DiskFree { .. }).then_some(());
    node.event(free).await;
    node.stop.cancel();
    node.engine.ended().await;
    drop(node);
    let _ = Command::new("umount").arg("--lazy").arg(path).status();
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_got_before_it_was_wanted_here_is_known_here() {
    let net = Arc::new(Net::default());
    let bytes = noise(1 << 20, 9);
    let wanted = blob(&bytes, CHUNK);
    let everybody = members(&["early", "late", "source"]);
    let (early, late) = (Node::start(&net, config("early")), Node::start(&net, config("late")));
    early.engine.set_wanted(vec![wanted.clone()]);
    early.engine.set_members(everybody.clone());
    late.engine.set_members(everybody.clone());
    // In virtual time: both are connected, and have nothing that they could tell.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let source = Node::start(&net, config("source"));
    source.ingest(&bytes);
    source.engine.set_wanted(vec![wanted.clone()]);
    source.engine.set_members(everybody);
    early.has(wanted.sha256).await;
    source.die().await;
    late.engine.set_wanted(vec![wanted.clone()]);
    late.has(wanted.sha256).await;
    assert_eq!(late.bytes(&wanted.sha256), bytes);
}
