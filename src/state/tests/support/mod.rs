//! Arbitrary commands and states.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeSet;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use ringrift_config::NodeId;
use ringrift_state::{Agreed, ClusterState, Command, Eligibility, EntryMeta, NewEvent, Update};
use serde_json::Value;

pub(crate) fn id(text: &str) -> NodeId {
    text.parse().expect("a node id")
}

pub(crate) fn ids(texts: &[&str]) -> BTreeSet<NodeId> {
    texts.iter().map(|text| id(text)).collect()
}

/// Few nodes, so that commands meet.
pub(crate) fn node() -> impl Strategy<Value = NodeId> + Clone {
    (0..12u8).prop_map(|n| id(&format!("node-{n}")))
}

pub(crate) fn nodes() -> impl Strategy<Value = BTreeSet<NodeId>> + Clone {
    btree_set(node(), 0..6)
}

fn eligibility() -> impl Strategy<Value = Eligibility> + Clone {
    prop_oneof![Just(Eligibility::Eligible), Just(Eligibility::Cordoned), Just(Eligibility::Draining)]
}

fn value() -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300f64).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[a-z]{1,6}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

pub(crate) fn new_event() -> impl Strategy<Value = NewEvent> + Clone {
    ("[A-Z_]{1,20}", prop::option::of(node()), ".{0,60}", any::<u64>(), btree_map("[a-z_]{1,8}", value(), 0..4))
        .prop_map(|(kind, node, message, at_ms, details)| NewEvent { kind, node, message, at_ms, details })
}

/// A command that holds no other state or command.
fn simple() -> impl Strategy<Value = Command> + Clone {
    let text = "[ -~äß]{0,12}";
    let hash = "[0-9a-f]{64}";
    let cluster =
        prop_oneof![Just("c-1".to_owned()), Just("c-1-r1-x".to_owned()), Just("c-1-r2-y".to_owned()), "[a-z]{0,3}"];
    prop_oneof![
        4 => (node(), eligibility(), text, text, any::<u64>()).prop_map(|(node, eligibility, by, reason, at_ms)| {
            Command::SetEligibility { node, eligibility, by, reason, at_ms }
        }),
        4 => new_event().prop_map(|event| Command::Record { event }),
        2 => (nodes(), nodes(), hash, text, any::<u64>()).prop_map(|(voters, replaced, revision, by, at_ms)| {
            Command::AdoptVoters { voters, replaced, revision, by, at_ms }
        }),
        1 => (cluster, nodes(), hash, text, any::<u64>()).prop_map(|(cluster_id, voters, revision, by, at_ms)| {
            Command::FormCluster { cluster_id, voters, revision, by, at_ms }
        }),
    ]
}

fn once(inner: impl Strategy<Value = Command> + Clone) -> impl Strategy<Value = Command> + Clone {
    ("[a-f]{0,1}", inner).prop_map(|(request_id, inner)| Command::Once { request_id, inner: Box::new(inner) })
}

pub(crate) fn command() -> impl Strategy<Value = Command> + Clone {
    let flat = prop_oneof![5 => simple(), 2 => once(simple())];
    let restore = (vec(flat.clone(), 0..20), "[ -~]{0,12}", any::<u64>()).prop_map(|(commands, source, at_ms)| {
        let state = Box::new(after(&commands).state);
        Command::Restore { state, source, by: "ops".to_owned(), at_ms }
    });
    prop_oneof![20 => flat.clone(), 1 => restore, 1 => once(once(flat))]
}

pub(crate) fn commands(most: usize) -> impl Strategy<Value = Vec<Command>> {
    vec(command(), 0..most)
}

/// What is agreed after these commands, in the entries 1, 2, 3 …
pub(crate) fn after(commands: &[Command]) -> Agreed {
    let mut agreed = Agreed::default();
    replay(&mut agreed, commands);
    agreed
}

pub(crate) fn replay(agreed: &mut Agreed, commands: &[Command]) {
    for command in commands {
        let meta = EntryMeta { term: 1 + agreed.index / 7, index: agreed.index + 1 };
        agreed.apply(meta, command).expect("the next index");
    }
}

pub(crate) fn state_after(commands: &[Command]) -> ClusterState {
    after(commands).state
}

pub(crate) fn update() -> impl Strategy<Value = Update> {
    let meta = (any::<u64>(), any::<u64>()).prop_map(|(term, index)| EntryMeta { term, index });
    prop_oneof![
        commands(20).prop_map(|commands| Update::Snapshot(after(&commands).into())),
        (meta.clone(), command()).prop_map(|(meta, command)| Update::Entry { meta, command }),
        meta.prop_map(Update::Blank),
    ]
}
