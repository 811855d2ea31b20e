//! What one planner decides, step by step.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::VecDeque, time::Duration};

use ringrift_blob::{Blob, ChunkSet, Digest};
use ringrift_config::NodeId;
use ringrift_swarm::{Input, Output, Planner, PlannerConfig};

fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

/// A blob of so many chunks; planners do not look at the bytes.
fn blob(name: &str, chunks: u32) -> Blob {
    let chunk_size = 4096;
    let digests = (0..chunks).map(|n| Digest::of(&n.to_le_bytes())).collect();
    Blob { sha256: Digest::of(name.as_bytes()), size: u64::from(chunks) * 4096, chunk_size, chunks: digests }
}

fn step(planner: &mut Planner, ms: u64, input: Input<'_>) -> Vec<Output> {
    let mut out = Vec::new();
    planner.step(Duration::from_millis(ms), input, &mut out);
    out
}

#[test]
fn all_chunks_come_once_from_one_to_the_other() {
    let (blob, a, b) = (blob("m", 200), node("a"), node("b"));
    let mut seed = Planner::new(PlannerConfig::default());
    let mut leech = Planner::new(PlannerConfig { seed: 1, ..PlannerConfig::default() });
    step(&mut seed, 0, Input::Hold { blob: &blob });
    step(&mut leech, 0, Input::Want { blob: &blob, have: ChunkSet::of(&blob) });
    step(&mut seed, 0, Input::PeerUp { peer: b.clone() });
    step(&mut leech, 0, Input::PeerUp { peer: a.clone() });
    let chunks = seed.have(&blob.sha256).unwrap().clone();
    let mut outputs: VecDeque<(bool, Output)> =
        step(&mut leech, 0, Input::Has { peer: a.clone(), sha256: blob.sha256, chunks })
            .into_iter()
            .map(|output| (false, output))
            .collect();
    let (mut ms, mut served, mut done) = (0, 0, 0);
    while let Some((by_seed, output)) = outputs.pop_front() {
        ms += 1;
        let (to_seed, inputs) = match output {
            Output::Request { sha256, chunk, .. } => (true, vec![Input::Asked { peer: b.clone(), sha256, chunk }]),
            Output::Announce { sha256, chunk, .. } => (!by_seed, vec![Input::Have { peer: b.clone(), sha256, chunk }]),
            Output::Serve { sha256, chunk, .. } => {
                served += 1;
                outputs.extend(
                    step(&mut seed, ms, Input::Sent { peer: b.clone(), sha256, chunk }).into_iter().map(|o| (true, o)),
                );
                (false, vec![Input::Arrived { peer: a.clone(), sha256, chunk }])
            }
            Output::Done { sha256 } => {
                assert_eq!(sha256, blob.sha256);
                done += 1;
                continue;
            }
            other => panic!("{other:?}"),
        };
        for input in inputs {
            let planner = if to_seed { &mut seed } else { &mut leech };
            outputs.extend(step(planner, ms, input).into_iter().map(|o| (to_seed, o)));
        }
    }
    assert_eq!((served, done), (200, 1));
    assert!(leech.have(&blob.sha256).unwrap().is_full());
}
