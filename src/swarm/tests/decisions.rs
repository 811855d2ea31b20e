//! What a planner decides when something goes wrong, or is too much.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use ringrift_blob::{Blob, ChunkSet, Digest};
use ringrift_config::NodeId;
use ringrift_swarm::{DropReason, Input, Output, Planner, PlannerConfig};

fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

fn blob(name: &str, chunks: u32) -> Blob {
    let digests = (0..chunks).map(|n| Digest::of(&n.to_le_bytes())).collect();
    Blob { sha256: Digest::of(name.as_bytes()), size: u64::from(chunks) * 4096, chunk_size: 4096, chunks: digests }
}

/// A planner and what it said.
struct Bench {
    planner: Planner,
    ms: u64,
}

impl Bench {
    fn new() -> Self {
        Self { planner: Planner::new(PlannerConfig::default()), ms: 0 }
    }

    fn step(&mut self, input: Input<'_>) -> Vec<Output> {
        let mut out = Vec::new();
        self.planner.step(Duration::from_millis(self.ms), input, &mut out);
        out
    }

    /// A peer comes up that has these chunks.
    fn peer(&mut self, name: &str, blob: &Blob, chunks: ChunkSet) -> Vec<Output> {
        let mut out = self.step(Input::PeerUp { peer: node(name) });
        out.extend(self.step(Input::Has { peer: node(name), sha256: blob.sha256, chunks }));
        out
    }

    fn want(&mut self, blob: &Blob) -> Vec<Output> {
        self.step(Input::Want { blob, have: ChunkSet::of(blob) })
    }
}

fn requests(out: &[Output]) -> Vec<(String, u32)> {
    out.iter()
        .filter_map(|output| match output {
            Output::Request { peer, chunk, .. } => Some((peer.to_string(), *chunk)),
            _ => None,
        })
        .collect()
}

fn served(out: &[Output]) -> Vec<(String, u32)> {
    out.iter()
        .filter_map(|output| match output {
            Output::Serve { peer, chunk, .. } => Some((peer.to_string(), *chunk)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_chunk_that_was_bad_twice_comes_from_a_third() {
    let (blob, mut bench) = (blob("m", 1), Bench::new());
    bench.want(&blob);
    let mut out = bench.peer("a", &blob, ChunkSet::full(1));
    for name in ["a", "b"] {
        assert_eq!(requests(&out), [(name.to_owned(), 0)]);
        let next = if name == "a" { "b" } else { "c" };
        bench.peer(next, &blob, ChunkSet::full(1));
        out = bench.step(Input::Bad { peer: node(name), sha256: blob.sha256, chunk: 0 });
        let reason = DropReason::BadChunk { sha256: blob.sha256, chunk: 0 };
        assert!(out.contains(&Output::Drop { peer: node(name), reason }), "{out:?}");
    }
    assert_eq!(requests(&out), [("c".to_owned(), 0)]);
    let out = bench.step(Input::Arrived { peer: node("c"), sha256: blob.sha256, chunk: 0 });
    assert!(out.contains(&Output::Done { sha256: blob.sha256 }));
}

#[test]
fn a_liar_comes_back_when_its_ban_is_over() {
    let (blob, mut bench) = (blob("m", 9), Bench::new());
    bench.want(&blob);
    bench.peer("a", &blob, ChunkSet::full(9));
    bench.step(Input::Bad { peer: node("a"), sha256: blob.sha256, chunk: 0 });
    bench.ms = 59_000;
    let out = bench.peer("a", &blob, ChunkSet::full(9));
    let reason = DropReason::Banned { left: Duration::from_secs(1) };
    assert_eq!(out, [Output::Drop { peer: node("a"), reason }]);
    bench.ms = 60_000;
    assert!(!requests(&bench.peer("a", &blob, ChunkSet::full(9))).is_empty());
}

#[test]
fn a_late_source_loses_its_chunks_and_at_last_the_session() {
    let (blob, mut bench) = (blob("m", 40), Bench::new());
    bench.want(&blob);
    let mut mute: BTreeSet<u32> =
        requests(&bench.peer("mute", &blob, ChunkSet::full(40))).into_iter().map(|(_, chunk)| chunk).collect();
    let mut out = bench.peer("good", &blob, ChunkSet::full(40));
    let mut ended = false;
    // One chunk each second comes from the good one.
    while bench.ms < 60_000 && !ended {
        let asked = requests(&out);
        mute.extend(asked.iter().filter(|(peer, _)| peer == "mute").map(|(_, chunk)| *chunk));
        bench.ms += 1000;
        out = bench.step(Input::Tick);
        for (_, chunk) in asked.iter().filter(|(peer, _)| peer == "good").take(1) {
            out.extend(bench.step(Input::Arrived { peer: node("good"), sha256: blob.sha256, chunk: *chunk }));
        }
        for (_, chunk) in asked.iter().filter(|(peer, _)| peer == "good").skip(1) {
            out.push(Output::Request { peer: node("good"), sha256: blob.sha256, chunk: *chunk });
        }
        ended = out.iter().any(|output| {
            matches!(output, Output::Drop { peer, reason: DropReason::Silent { .. } } if *peer == node("mute"))
        });
    }
    assert!(ended, "it was never dropped");
    assert!((20_000..40_000).contains(&bench.ms), "after {} ms", bench.ms);
    let have = bench.planner.have(&blob.sha256).unwrap();
    assert!(mute.iter().any(|chunk| have.contains(*chunk)), "what the mute one was asked for came from the other");
}

#[test]
fn nobody_is_blamed_while_nothing_comes_from_anybody() {
    let (blob, mut bench) = (blob("m", 9), Bench::new());
    bench.want(&blob);
    bench.peer("a", &blob, ChunkSet::full(9));
    bench.ms = 3_600_000;
    assert_eq!(bench.step(Input::Tick), []);
}

#[test]
fn a_busy_peer_rests_and_a_refused_chunk_is_asked_of_another() {
    let (blob, mut bench) = (blob("m", 1), Bench::new());
    bench.want(&blob);
    bench.peer("a", &blob, ChunkSet::full(1));
    let busy = Input::Refused { peer: node("a"), sha256: blob.sha256, chunk: 0, busy: true };
    assert_eq!(bench.step(busy), []);
    let due = bench.planner.deadline().unwrap();
    bench.ms = due.as_millis() as u64;
    assert_eq!(requests(&bench.step(Input::Tick)), [("a".to_owned(), 0)]);
    bench.peer("b", &blob, ChunkSet::full(1));
    let not_this = Input::Refused { peer: node("a"), sha256: blob.sha256, chunk: 0, busy: false };
    assert_eq!(requests(&bench.step(not_this)), [("b".to_owned(), 0)]);
}

#[test]
fn four_are_served_at_a_time_in_turn_and_too_many_are_refused() {
    let (blob, mut bench) = (blob("m", 200), Bench::new());
    bench.step(Input::Hold { blob: &blob });
    let mut out = Vec::new();
    for name in ["a", "b"] {
        bench.peer(name, &blob, ChunkSet::of(&blob));
    }
    let ask = |peer: &str, chunk| Input::Asked { peer: node(peer), sha256: blob.sha256, chunk };
    for chunk in 0..100 {
        out.extend(bench.step(ask("a", chunk)));
    }
    assert_eq!(served(&out), [0, 1, 2, 3].map(|chunk| ("a".to_owned(), chunk)));
    let refused = out.iter().filter(|output| matches!(output, Output::Refuse { busy: true, .. })).count();
    assert_eq!(refused, 100 - 4 - 64);
    let sent = Input::Sent { peer: node("a"), sha256: blob.sha256, chunk: 0 };
    assert_eq!(served(&bench.step(sent)).len(), 1);
    bench.step(ask("b", 150));
    let sent = Input::Sent { peer: node("a"), sha256: blob.sha256, chunk: 1 };
    assert_eq!(served(&bench.step(sent)), [("b".to_owned(), 150)], "who was not served comes first");
    bench.step(Input::PeerDown { peer: node("a") });
    assert_eq!(bench.step(ask("a", 0)).len(), 1, "without a session nothing is served");
}

#[test]
fn a_seed_hands_each_chunk_out_before_it_repeats_one() {
    let (blob, mut bench) = (blob("m", 6), Bench::new());
    bench.step(Input::Hold { blob: &blob });
    bench.peer("a", &blob, ChunkSet::of(&blob));
    bench.peer("b", &blob, ChunkSet::of(&blob));
    let mut ask = |peer: &str, chunk| bench.step(Input::Asked { peer: node(peer), sha256: blob.sha256, chunk });
    for chunk in 0..5 {
        ask("a", chunk);
    }
    let refused = Output::Refuse { peer: node("b"), sha256: blob.sha256, chunk: 0, busy: false };
    assert_eq!(ask("b", 0), [refused], "chunk 5 was not handed out yet");
    assert_eq!(ask("b", 5), []);
    assert_eq!(ask("b", 0), [], "now that all were, it waits for a slot");
}

#[test]
fn news_go_to_those_who_lack_it() {
    let (blob, mut bench) = (blob("m", 2), Bench::new());
    bench.want(&blob);
    let mut one = ChunkSet::of(&blob);
    one.insert(0);
    bench.peer("a", &blob, one.clone());
    bench.peer("b", &blob, one);
    bench.peer("c", &blob, ChunkSet::of(&blob));
    let out = bench.step(Input::Arrived { peer: node("a"), sha256: blob.sha256, chunk: 0 });
    let told: Vec<_> = out.iter().filter(|output| matches!(output, Output::Announce { .. })).collect();
    assert_eq!(told, [&Output::Announce { peer: node("c"), sha256: blob.sha256, chunk: 0 }]);
}

#[test]
fn what_was_said_before_the_promotion_and_after_forgetting_is_known() {
    let (blob, mut bench) = (blob("m", 2), Bench::new());
    assert_eq!(requests(&bench.peer("a", &blob, ChunkSet::full(2))), []);
    assert_eq!(requests(&bench.want(&blob)).len(), 2);
    let out = bench.step(Input::Forget { sha256: blob.sha256 });
    assert_eq!(out.iter().filter(|output| matches!(output, Output::Cancel { .. })).count(), 2);
    assert_eq!(requests(&bench.want(&blob)).len(), 2, "a rollback asks again");
}

proptest! {
    /// Whatever peers say, in whatever order: what is asked for is missing here and there at the peer, once; and no more is served than
    /// there are slots.
    #[test]
    fn nothing_confuses_it(inputs: Vec<(u8, u8, u8, u8)>) {
        let blobs = [blob("m", 70), blob("n", 3)];
        let mut bench = Bench::new();
        let (mut asked, mut serving) = (BTreeSet::<(NodeId, Digest, u32)>::new(), Vec::<(NodeId, Digest, u32)>::new());
        for (what, who, which, chunk) in inputs {
            let peer = node(&format!("p{}", who % 5));
            let blob = &blobs[usize::from(which % 2)];
            let (sha256, chunk) = (blob.sha256, u32::from(chunk) % 75);
            bench.ms += u64::from(which) * 4;
            let input = match what % 14 {
                0 => Input::Want { blob, have: ChunkSet::of(blob) },
                1 if which > 200 => Input::Forget { sha256 },
                2 => Input::PeerUp { peer: peer.clone() },
                3 if which > 200 => Input::PeerDown { peer: peer.clone() },
                4 => Input::Has { peer: peer.clone(), sha256, chunks: ChunkSet::full(blob.count() + u32::from(chunk > 70)) },
                5 => Input::Have { peer: peer.clone(), sha256, chunk },
                6 if chunk < blob.count() => Input::Arrived { peer: peer.clone(), sha256, chunk },
                7 if which > 250 => Input::Bad { peer: peer.clone(), sha256, chunk },
                8 => Input::Refused { peer: peer.clone(), sha256, chunk, busy: which % 3 == 0 },
                9 | 10 => Input::Asked { peer: peer.clone(), sha256, chunk },
                11 => Input::Cancelled { peer: peer.clone(), sha256, chunk },
                12 => Input::Sent { peer: peer.clone(), sha256, chunk },
                _ => Input::Tick,
            };
            match &input {
                Input::PeerUp { peer } | Input::PeerDown { peer } => {
                    asked.retain(|(id, ..)| id != peer);
                    serving.retain(|(id, ..)| id != peer);
                }
                Input::Arrived { .. } | Input::Refused { .. } => {
                    asked.remove(&(peer.clone(), sha256, chunk));
                }
                Input::Sent { .. } => serving.retain(|one| *one != (peer.clone(), sha256, chunk)),
                Input::Forget { .. } => asked.retain(|(_, other, _)| *other != sha256),
                _ => {}
            }
            for output in bench.step(input) {
                match output {
                    Output::Request { peer, sha256, chunk } => {
                        prop_assert!(bench.planner.have(&sha256).is_some_and(|have| !have.contains(chunk)));
                        prop_assert!(asked.insert((peer, sha256, chunk)), "asked twice");
                    }
                    Output::Cancel { peer, sha256, chunk } => {
                        asked.remove(&(peer, sha256, chunk));
                    }
                    Output::Serve { peer, sha256, chunk } => {
                        serving.push((peer, sha256, chunk));
                        prop_assert!(serving.len() <= 4);
                    }
                    Output::Drop { peer, .. } => {
                        asked.retain(|(id, ..)| *id != peer);
                        serving.retain(|(id, ..)| *id != peer);
                    }
                    _ => {}
                }
            }
        }
    }
}
