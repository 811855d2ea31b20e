//! Whatever a peer sends: an answer or an error that says what was wrong, never a panic, and no harm.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use rand::{SeedableRng, rngs::SmallRng};
use ringrift_config::NodeId;
use ringrift_members::{Event, Input, Machine, MembersConfig, Moment, Output, Timing};
use serde::Serialize;

type Card = std::collections::BTreeMap<String, u64>;

const NOW: Moment = Moment { at: Duration::from_secs(10), wall_ms: 1_700_000_000_000 };

fn id(name: &str) -> NodeId {
    name.parse().unwrap()
}

/// A machine called `name` that knows `a`, `b` and `c`.
fn machine(name: &str) -> Machine<Card> {
    let config = MembersConfig { node: id(name), instance: 7, timing: Timing::default() };
    let known = ["a", "b", "c"].map(id).to_vec();
    Machine::new(config, Card::from([("cpu".into(), 3)]), known, SmallRng::seed_from_u64(1), NOW, &mut Vec::new())
}

/// What `machine` answers when `a` sends `payload`, and what it reports.
fn answer(machine: &mut Machine<Card>, payload: Bytes) -> (Result<Bytes, String>, Vec<Event>) {
    let mut out = Vec::new();
    machine.step(NOW, Input::Request { ticket: 1, from: id("a"), payload }, &mut out);
    let mut reply = None;
    let mut events = Vec::new();
    for output in out {
        match output {
            Output::Reply { ticket: 1, answer } => assert!(reply.replace(answer).is_none(), "answered twice"),
            Output::Event(event) => events.push(event),
            _ => {}
        }
    }
    (reply.expect("every request is answered, or waits for a probe"), events)
}

/// A real request of `a` with a digest and facts of its own.
fn request() -> Vec<u8> {
    let mut out = Vec::new();
    machine("a").step(NOW, Input::Meet(id("b")), &mut out);
    let Some(Output::Send { payload, .. }) = out.into_iter().find(|o| matches!(o, Output::Send { .. })) else {
        panic!("it talks to whom it meets");
    };
    payload.to_vec()
}

#[derive(Serialize)]
struct Message {
    head: Head,
    digest: Option<Vec<Row>>,
    rows: Vec<Row>,
    wants: Vec<String>,
}

#[derive(Serialize)]
struct Head {
    node: &'static str,
    instance: u64,
    incarnation: u64,
    beat: u64,
    wall_ms: i64,
}

#[derive(Serialize, Clone)]
struct Row {
    n: String,
    x: u64,
    i: u64,
    s: u8,
    v: u64,
    f: Option<Blob>,
}

#[derive(Clone)]
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

fn row(node: &str) -> Row {
    Row { n: node.into(), x: 9, i: 1, s: 1, v: 0, f: None }
}

fn message() -> Message {
    let head = Head { node: "a", instance: 7, incarnation: 1, beat: 1, wall_ms: 0 };
    Message { head, digest: None, rows: Vec::new(), wants: Vec::new() }
}

fn encoded(message: &Message) -> Bytes {
    [vec![1], rmp_serde::to_vec_named(message).unwrap()].concat().into()
}

#[test]
fn each_kind_of_garbage_is_refused_with_its_name_and_reported_with_the_peers() {
    let with = |change: fn(&mut Message)| {
        let mut m = message();
        change(&mut m);
        encoded(&m)
    };
    let deep = [vec![1, 0x82, 0xa1, b'z'], vec![0x91; 5000]].concat();
    // A list of 4,294,967,295 rows, says the header.
    let long = [vec![1, 0x81, 0xa4], b"rows".to_vec(), vec![0xdd, 0xff, 0xff, 0xff, 0xff]].concat();
    let table: Vec<(Bytes, &str)> = vec![
        (Bytes::new(), "is empty"),
        (Bytes::from(vec![1; (1 << 20) + 1]), "1048577 bytes"),
        (Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n"), "version 71"),
        (Bytes::from_static(&[1]), "cannot be decoded"),
        (Bytes::from_static(&[1, 0xc1, 0xc1]), "cannot be decoded"),
        (deep.into(), "cannot be decoded"),
        (long.into(), "cannot be decoded"),
        (with(|m| m.head.node = "b"), "comes from \"b\""),
        (with(|m| m.head.instance = 0), "row \"a\": instance 0"),
        (with(|m| m.head.incarnation = 0), "row \"a\": incarnation 0"),
        (with(|m| m.rows = vec![Row { i: u64::MAX, ..row("c") }]), "row \"c\": incarnation 18446744073709551615"),
        (with(|m| m.rows = vec![Row { s: 9, ..row("c") }]), "9 is no state"),
        (with(|m| m.rows = vec![Row { s: 0, ..row("c") }]), "0 is no state"),
        (with(|m| m.rows = vec![row("not a node")]), "row \"not a node\": node id"),
        (with(|m| m.rows = vec![row("c"); 4097]), "rows holds 4097 rows"),
        (with(|m| m.wants = vec!["c".into(); 4097]), "wants holds 4097 rows"),
        (with(|m| m.digest = Some(vec![row("c"), row("b")])), "not in ascending order at \"b\""),
        (with(|m| m.rows = vec![Row { f: Some(Blob(vec![0])), ..row("c") }]), "facts without a version"),
        (
            with(|m| m.rows = vec![Row { v: 1, f: Some(Blob(vec![0; 70_000])), ..row("c") }]),
            "row \"c\": facts of 70000 bytes",
        ),
    ];
    for (payload, expected) in table {
        let mut machine = machine("b");
        let revision = machine.revision();
        let (reply, events) = answer(&mut machine, payload);
        let error = reply.expect_err(expected);
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
        assert_eq!(events, [Event::Garbage { node: id("a"), error }]);
        assert_eq!(machine.revision(), revision, "nothing of a refused message may be used: {expected}");
    }
}

#[test]
fn a_peer_that_sends_garbage_all_day_is_reported_twice_a_minute_at_most() {
    let mut machine = machine("b");
    let reports: usize = (0..1000).map(|_| answer(&mut machine, Bytes::from_static(b"x")).1.len()).sum();
    assert_eq!(reports, 1);
}

#[test]
fn facts_that_this_version_cannot_read_are_reported_and_do_not_hide_their_node() {
    let mut machine = machine("b");
    let mut m = message();
    m.rows = vec![Row { v: 3, f: Some(Blob(rmp_serde::to_vec("text").unwrap())), ..row("c") }];
    let (reply, events) = answer(&mut machine, encoded(&m));
    assert!(reply.is_ok());
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::BadFacts { node, error } if *node == id("c") && error.contains("version 3"))),
        "{events:?}"
    );
    assert_eq!(machine.member(&id("c")).unwrap().0, ringrift_members::State::Alive);
}

#[test]
fn a_later_version_may_add_parts() {
    #[derive(Serialize)]
    struct Later {
        head: Head,
        rows: Vec<Row>,
        weather: Vec<&'static str>,
    }
    let later = Later { head: message().head, rows: vec![row("c")], weather: vec!["rain"] };
    let payload = [vec![1], rmp_serde::to_vec_named(&later).unwrap()].concat();
    let mut machine = machine("b");
    assert!(answer(&mut machine, payload.into()).0.is_ok());
    assert_eq!(machine.member(&id("c")).unwrap().0, ringrift_members::State::Alive);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = answer(&mut machine("b"), bytes.clone().into());
        let _ = answer(&mut machine("b"), [vec![1], bytes].concat().into());
    }

    #[test]
    fn damaged_messages_never_panic(cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..6)) {
        let mut payload = request();
        for (at, byte, kind) in cuts {
            let at = at.index(payload.len().max(1));
            match kind {
                0 => payload.truncate(at),
                1 if at < payload.len() => payload[at] = byte,
                2 if at < payload.len() => { payload.remove(at); }
                _ => payload.insert(at.min(payload.len()), byte),
            }
        }
        let mut machine = machine("b");
        let _ = answer(&mut machine, payload.into());
        // Whatever was believed: the next real request is understood.
        prop_assert!(answer(&mut machine, request().into()).0.is_ok());
    }

    #[test]
    fn any_rows_in_any_order_leave_a_machine_that_works(
        rows in prop::collection::vec(("[a-d]", 1..4u64, 1..5u64, 1..5u8, 0..3u64), 0..30),
    ) {
        let mut machine = machine("b");
        for (node, x, i, s, v) in rows {
            let mut m = message();
            let f = (v > 0).then(|| Blob(rmp_serde::to_vec(&Card::from([("v".to_owned(), v)])).unwrap()));
            m.rows = vec![Row { n: node, x, i, s, v, f }];
            m.head.instance = 1;
            prop_assert!(answer(&mut machine, encoded(&m)).0.is_ok());
        }
        prop_assert_eq!(machine.member(&id("b")).unwrap().0, ringrift_members::State::Alive);
        let mut out = Vec::new();
        for second in 11..60 {
            machine.step(Moment { at: Duration::from_secs(second), ..NOW }, Input::Tick, &mut out);
            prop_assert!(machine.wake_at() > Duration::from_secs(second), "a machine that is always due would spin");
        }
    }
}
