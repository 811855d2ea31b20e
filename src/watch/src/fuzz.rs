//! What reads bytes from outside, for coverage-guided tests (`tests/fuzz`). Each function takes any bytes and panics if the crate does
//! what it must not.

use std::time::{Duration, Instant};

use rand::{SeedableRng as _, rngs::StdRng};
use ringrift_config::NodeId;
use ringrift_state::encode;

use self::pieces::pieces;
use crate::{
    FollowerConfig,
    cache::Cache,
    machine::{Input, Machine, Output},
    session::{codec_reader, greeted},
    wire::greeting,
};

#[path = "../../../tests/fuzz/pieces.rs"]
mod pieces;

fn id(name: &str) -> NodeId {
    name.parse().expect("a node id")
}

/// Frames that a voter sends. After one that is refused the stream is over, and the next is opened.
pub fn frames(bytes: &[u8]) {
    let mut now = Instant::now();
    let config = FollowerConfig::new(id("worker"), "agreed.cache".into());
    let mut machine = Machine::new(config, Cache::default(), StdRng::seed_from_u64(7), now);
    let mut open = false;
    for frame in pieces(bytes) {
        if !open {
            now = machine.deadline().expect("a follower without a stream waits for the next attempt");
            assert!(matches!(machine.step(now, Input::Tick), Output::Dial(..)));
            assert_eq!(machine.step(now, Input::Opened(id("voter"))), Output::Wait);
        }
        now += Duration::from_millis(10);
        let (index, recovered) = (machine.agreed().index, machine.agreed().cluster_id.clone());
        open = machine.step(now, Input::Frame(frame)) == Output::Wait;
        let agreed = machine.agreed();
        assert!(agreed.index >= index || agreed.cluster_id != recovered, "what was agreed does not go back");
        assert_eq!(machine.status().applied, agreed.index);
    }
    cache(&encode(&machine.cache()).expect("it can be encoded"));
}

/// A follower's copy of the state on disk.
pub fn cache(bytes: &[u8]) {
    let Ok(cache) = ringrift_state::decode::<Cache>(bytes) else { return };
    let bytes = encode(&cache).expect("what was decoded can be encoded");
    assert_eq!(ringrift_state::decode::<Cache>(&bytes).ok().as_ref(), Some(&cache));
    let now = Instant::now();
    let config = FollowerConfig::new(id("worker"), "agreed.cache".into());
    let mut machine = Machine::new(config, cache, StdRng::seed_from_u64(7), now);
    assert!(matches!(machine.step(now, Input::Tick), Output::Dial(..)));
}

/// What a watcher says first.
pub fn hello(bytes: &[u8]) {
    let read = |bytes: &[u8]| futures::executor::block_on(greeted(&id("worker"), &mut codec_reader(bytes)));
    if let Ok(hello) = read(bytes)
        && let Ok(again) = greeting(&hello)
    {
        assert_eq!(read(&again).ok(), Some(hello));
    }
}

#[cfg(test)]
#[path = "../../../tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ringrift_state::{Agreed, Command, EntryMeta, NewEvent};

    use super::{pieces::joined, *};
    use crate::wire::{Entry, Hello, Kind, Report, frame, value_frame};

    /// Without its length, as the codec cuts it.
    fn cut(frame: &[u8]) -> Vec<u8> {
        frame[4..].to_vec()
    }

    #[test]
    fn no_frames_of_the_corpus_upset_a_follower() {
        let report = |cluster: &str, term| {
            let (leader, voters) = (Some(id("voter")), BTreeSet::from([id("voter")]));
            let report =
                Report { cluster_id: cluster.into(), term, leader, voters, committed: 3, leader_seen_ms: Some(0) };
            cut(&value_frame(Kind::Report, &report).expect("it fits"))
        };
        let entry = |index, message: Option<&str>| {
            let command = message.map(|text| Command::Record { event: NewEvent::new("E", text, index) });
            cut(&value_frame(Kind::Entry, &Entry { meta: EntryMeta { term: 1, index }, command }).expect("it fits"))
        };
        let agreed = Agreed { index: 9, term: 2, cluster_id: "f00d".into(), ..Agreed::default() };
        let snapshot = encode(&agreed).expect("it can be encoded");
        let part = |kind, bytes: &[u8]| cut(&frame(kind, bytes).expect("it fits"));
        let (first, last) = snapshot.split_at(20);
        let seeds = [
            ("entries", joined([report("f00d", 1), entry(1, None), entry(2, Some("x")), entry(3, None)])),
            ("snapshot", joined([report("f00d", 2), part(Kind::SnapshotPart, first), part(Kind::SnapshotEnd, last)])),
            (
                "recovered",
                joined([
                    report("f00d", 5),
                    entry(1, None),
                    report("f00d.1-feed", 1),
                    part(Kind::SnapshotEnd, &snapshot),
                ]),
            ),
            ("refused", joined([part(Kind::Refusal, b"full"), report("", 1)])),
        ];
        corpus::replay("watch_frames", frames, &seeds);
    }

    #[test]
    fn no_copy_of_the_corpus_upsets_a_follower() {
        let agreed = Agreed { index: 9, term: 2, cluster_id: "f00d".into(), ..Agreed::default() };
        let full = Cache { agreed: agreed.into(), term: 3, voters: BTreeSet::from([id("a"), id("b")]) };
        let encoded = |cache: &Cache| encode(cache).expect("it can be encoded");
        corpus::replay("watch_cache", cache, &[("empty", encoded(&Cache::default())), ("full", encoded(&full))]);
    }

    #[test]
    fn no_greeting_of_the_corpus_upsets_a_voter() {
        let hello_of = Hello { node: id("worker"), cluster_id: "f00d".into(), from_index: 10, term: 3 };
        corpus::replay("watch_hello", hello, &[("hello", greeting(&hello_of).expect("it fits").to_vec())]);
    }
}
