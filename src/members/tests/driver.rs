//! The task around the machine, over a transport in memory and in paused time.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use ringrift_config::NodeId;
use ringrift_members::{Event, Members, MembersConfig, State, Timing, Transport};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

type Card = BTreeMap<String, u64>;

/// The nodes that can be reached.
#[derive(Clone, Default)]
struct Wires(Arc<Mutex<BTreeMap<NodeId, Members<Card>>>>);

/// The wires as one node uses them.
struct Plug {
    own: NodeId,
    wires: Wires,
}

#[async_trait]
impl Transport for Plug {
    async fn exchange(&self, to: &NodeId, request: Bytes, _deadline: Duration) -> Result<Bytes, String> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let peer = self.wires.0.lock().unwrap().get(to).cloned().ok_or("connection refused")?;
        peer.serve(&self.own, request).await
    }
}

struct Node {
    members: Members<Card>,
    stop: CancellationToken,
}

fn id(name: &str) -> NodeId {
    name.parse().unwrap()
}

fn start(name: &str, instance: u64, known: &[&str], wires: &Wires) -> Node {
    let config = MembersConfig { node: id(name), instance, timing: Timing::default() };
    let plug = Arc::new(Plug { own: id(name), wires: wires.clone() });
    let stop = CancellationToken::new();
    let card = Card::from([("instance".into(), instance)]);
    let members = Members::start(config, card, known.iter().copied().map(id).collect(), plug, stop.clone());
    wires.0.lock().unwrap().insert(id(name), members.clone());
    Node { members, stop }
}

impl Node {
    /// As `kill -9` would: nothing is said, and others are refused.
    fn kill(&self, wires: &Wires) {
        self.stop.cancel();
        wires.0.lock().unwrap().remove(self.members.table().own().id.as_str());
    }

    /// Waits until the table shows `condition`, and says how long that took.
    async fn shows(&self, condition: impl Fn(&Members<Card>) -> bool) -> Duration {
        let start = Instant::now();
        let mut changes = self.members.changes();
        let wait = async {
            while !condition(&self.members) {
                changes.changed().await.unwrap();
            }
        };
        timeout(Duration::from_secs(30), wait).await.expect("it is shown within 30 s");
        start.elapsed()
    }

    async fn sees(&self, node: &str, state: State) -> Duration {
        self.shows(|m| m.table().get(&id(node)).is_some_and(|m| m.state == state)).await
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_find_each_other_and_their_facts_and_tables_name_everybody() {
    let wires = Wires::default();
    let names = ["a", "b", "c"];
    let nodes = names.map(|n| start(n, 1, &["a", "b", "c", "d"], &wires));
    let table = nodes[0].members.table();
    assert_eq!(table.own().id, id("a"));
    assert_eq!(
        table.iter().map(|m| m.state).collect::<Vec<_>>(),
        [State::Alive, State::Unseen, State::Unseen, State::Unseen]
    );
    assert_eq!(table.others().count(), 3);
    for node in &nodes {
        node.shows(|m| names.iter().all(|n| m.table().get(&id(n)).unwrap().facts.is_some())).await;
    }
    nodes[2].members.set_local(Card::from([("load".into(), 99)]));
    let loaded = |m: &Members<Card>| m.table().get(&id("c")).unwrap().facts.as_ref().unwrap().get("load") == Some(&99);
    for node in &nodes {
        node.shows(loaded).await;
    }
    let table = nodes[0].members.table();
    let c = table.get(&id("c")).unwrap();
    assert!(c.known && c.incarnation >= 1 && c.rtt.is_some() && c.facts_at.is_some());
    assert_eq!(table.get(&id("d")).unwrap().state, State::Unseen);
}

#[tokio::test(start_paused = true)]
async fn a_killed_node_is_dead_after_the_suspicion_and_alive_again_when_it_is_restarted() {
    let wires = Wires::default();
    let nodes = ["a", "b", "c", "d"].map(|n| start(n, 1, &["a", "b", "c", "d"], &wires));
    for node in &nodes {
        for name in ["a", "b", "c", "d"] {
            node.sees(name, State::Alive).await;
        }
    }
    let mut events = nodes[0].members.events();
    nodes[3].kill(&wires);
    nodes[..3].iter().for_each(|n| n.members.link_lost(&id("d")));
    for node in &nodes[..3] {
        let seen = node.sees("d", State::Dead).await;
        assert!(seen < Duration::from_millis(4500), "{seen:?}");
    }
    let again = start("d", 2, &["a"], &wires);
    for node in nodes[..3].iter().chain([&again]) {
        for name in ["a", "b", "c", "d"] {
            let seen = node.sees(name, State::Alive).await;
            assert!(seen < Duration::from_secs(2), "{seen:?}");
        }
        node.shows(|m| m.table().get(&id("d")).unwrap().facts.as_ref().unwrap().get("instance") == Some(&2)).await;
    }
    assert_eq!(nodes[0].members.table().get(&id("d")).unwrap().instance, 2);
    let mut states = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::Changed { node, to, .. } = event {
            assert_eq!(node, id("d"));
            states.push(to);
        }
    }
    assert_eq!(states, [State::Suspect, State::Dead, State::Alive]);
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_is_heard_at_once_and_can_be_said_twice_or_to_nobody() {
    let wires = Wires::default();
    let nodes = ["a", "b", "c"].map(|n| start(n, 1, &["a", "b", "c"], &wires));
    for node in &nodes {
        for name in ["a", "b", "c"] {
            node.sees(name, State::Alive).await;
        }
    }
    let start_of_goodbye = Instant::now();
    nodes[1].members.leave().await;
    assert!(start_of_goodbye.elapsed() < Duration::from_millis(200), "{:?}", start_of_goodbye.elapsed());
    assert_eq!(nodes[1].members.table().own().state, State::Left);
    for other in [0, 2] {
        assert_eq!(nodes[other].members.table().get(&id("b")).unwrap().state, State::Left);
    }
    nodes[1].members.leave().await;

    let alone = start("z", 1, &[], &Wires::default());
    timeout(Duration::from_secs(2), alone.members.leave()).await.expect("nobody has to hear it");

    // Whoever does not answer is waited for, but not longer than a second.
    let silent = start("c", 9, &["a"], &wires);
    silent.sees("a", State::Alive).await;
    wires.0.lock().unwrap().clear();
    nodes[0].stop.cancel();
    let start_of_goodbye = Instant::now();
    silent.members.leave().await;
    assert!(start_of_goodbye.elapsed() <= Duration::from_millis(1100), "{:?}", start_of_goodbye.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_seed_is_met_and_leads_to_the_others() {
    let wires = Wires::default();
    let a = start("a", 1, &[], &wires);
    let b = start("b", 1, &[], &wires);
    let c = start("c", 1, &[], &wires);
    b.members.meet(&id("a"));
    c.members.meet(&id("a"));
    for node in [&a, &b, &c] {
        for name in ["a", "b", "c"] {
            node.sees(name, State::Alive).await;
        }
    }
    assert!(!a.members.table().get(&id("c")).unwrap().known);
    a.members.set_known(vec![id("c"), id("x")]);
    a.shows(|m| m.table().get(&id("c")).unwrap().known && m.table().get(&id("x")).is_some()).await;
    a.members.set_known(vec![]);
    a.shows(|m| m.table().get(&id("x")).is_none()).await;
    assert_eq!(
        a.members.table().get(&id("c")).unwrap().state,
        State::Alive,
        "out of the file is not out of the cluster"
    );
}

#[tokio::test(start_paused = true)]
async fn garbage_gets_an_error_and_a_stopped_node_says_so() {
    let wires = Wires::default();
    let a = start("a", 1, &["b"], &wires);
    let mut events = a.members.events();
    let error = a.members.serve(&id("b"), Bytes::from_static(b"\x01garbage")).await.unwrap_err();
    assert!(error.contains("cannot be decoded"), "{error}");
    assert_eq!(events.recv().await.unwrap(), Event::Garbage { node: id("b"), error });
    a.stop.cancel();
    let stopped = async {
        while a.members.serve(&id("b"), Bytes::new()).await.unwrap_err() != "this node is stopping" {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(5), stopped).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn progress_goes_on_and_readers_are_only_woken_by_changes() {
    let wires = Wires::default();
    let a = start("a", 1, &["a", "b"], &wires);
    let _b = start("b", 1, &["a", "b"], &wires);
    a.shows(|m| m.table().get(&id("b")).unwrap().facts.is_some()).await;
    let (progress, table) = (a.members.progress(), a.members.table());
    let mut changes = a.members.changes();
    changes.mark_unchanged();
    let quiet = timeout(Duration::from_mins(1), changes.changed()).await;
    assert!(quiet.is_err(), "nothing changed");
    assert!(a.members.progress() >= progress + 60);
    let before = table.get(&id("b")).unwrap().last_seen.unwrap();
    let after = a.members.table().get(&id("b")).unwrap().last_seen.unwrap();
    assert!(after >= before + Duration::from_secs(58), "b was seen all the time: {:?}", after - before);
}
