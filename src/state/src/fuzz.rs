//! What reads bytes from outside, for coverage-guided tests (`tests/fuzz`). Each function takes any bytes and panics if the crate does
//! what it must not.

use crate::{Agreed, Command, EntryMeta, NewEvent, decode, encode, envelope};

use self::pieces::pieces;

#[path = "../../../tests/fuzz/pieces.rs"]
mod pieces;

/// Commands, one after the other, on an empty state.
pub fn commands(bytes: &[u8]) {
    let mut agreed = Agreed::default();
    for piece in pieces(bytes) {
        let Ok(command) = decode::<Command>(piece) else { continue };
        assert_eq!(again(&command), command);
        let meta = EntryMeta { term: 1, index: agreed.index + 1 };
        let mut other = agreed.clone();
        let outcome = agreed.apply(meta, &command);
        assert_eq!(other.apply(meta, &command), outcome, "every node comes to the same");
        assert_eq!(other, agreed, "every node comes to the same");
    }
    assert_eq!(again(&agreed), agreed, "a node that gets a snapshot goes on from the same state");
}

/// A snapshot: of a voter's disk, from another voter, or in an operator's file.
pub fn snapshot(bytes: &[u8]) {
    let _ = envelope::open::<Agreed>(bytes);
    let Ok(agreed) = decode::<Agreed>(bytes) else { return };
    assert_eq!(again(&agreed), agreed);
    let sealed = envelope::seal(&agreed).expect("what was decoded can be encoded");
    assert_eq!(envelope::open::<Agreed>(&sealed).ok().as_ref(), Some(&agreed));

    let restore = Command::Restore {
        state: Box::new(agreed.state.clone()),
        source: "a file".to_owned(),
        by: String::new(),
        at_ms: 1,
    };
    let record = Command::Record { event: NewEvent::new("TRIED", "an event", 1) };
    for mut state in [Agreed::default(), agreed] {
        for command in [&record, &restore, &record] {
            // Of the last entry that can be there is no next one.
            let Some(index) = state.index.checked_add(1) else { return };
            let meta = EntryMeta { term: state.term, index };
            state.apply(meta, command).expect("it is the next one");
        }
        assert_eq!(again(&state), state);
    }
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let bytes = encode(value).expect("what was decoded can be encoded");
    decode(&bytes).expect("what was encoded can be decoded")
}

#[cfg(test)]
#[path = "../../../tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use ringrift_blob::{Blob, Digest};
    use ringrift_job::{Ending, How, Kind, Limits, Usage};

    use super::{pieces::joined, *};
    use crate::{Assignment, Eligibility, Holder, JobChange, NewJob, Origin};

    /// Commands of every area, most of which do something after those before them.
    fn history() -> Vec<Command> {
        let node = |name: &str| name.parse().expect("a node id");
        let voters = BTreeSet::from([node("a"), node("b"), node("c")]);
        let (by, at_ms) = ("ada".to_owned(), 7);
        let name = "ringrift_best_hex8_2p.pth".parse().expect("a model's name");
        let part = Digest::of(b"part");
        let blob = Blob {
            sha256: Digest::of(b"whole"),
            size: 8192,
            chunk_size: 4096,
            chunks: [part, part].into_iter().collect(),
        };
        let (sha256, job) = (blob.sha256, "selfplay-1".parse().expect("a job id"));
        let new_job = NewJob {
            id: "selfplay-1".parse().expect("a job id"),
            class: "selfplay".parse().expect("a class"),
            kind: Kind::Selfplay,
            params: BTreeMap::new().into_iter().collect(),
            game: "hex8_2p".parse().ok(),
            priority: 50,
            depends_on: Vec::new(),
            timeout_s: 0,
            max_attempts: 3,
            pinned: None,
            origin: Origin::Operator,
            by: by.clone(),
            limits: Limits::default(),
        };
        let id = || "selfplay-1".parse().expect("a job id");
        let assignment = Assignment { holder: Holder::Node(node("b")), gpus: vec![0], gpu_share: 50, memory: 1 << 30 };
        let ending = Ending { how: How::Stopped, ran_ms: 1500, usage: Usage::default() };
        let changes = vec![
            JobChange::Place { job: id(), attempt: 1, assignment, slots: 2 },
            JobChange::Started { job: id(), attempt: 1, since_ms: 9 },
            JobChange::Recall { job: id(), attempt: 1, reason: "drained".into() },
            JobChange::Ended { job: id(), attempt: 1, ending },
        ];
        let record = Command::Record { event: NewEvent::new("TRIED", "an event", at_ms) };
        vec![
            Command::FormCluster {
                cluster_id: "f00d".into(),
                voters: voters.clone(),
                revision: String::new(),
                by: by.clone(),
                at_ms,
            },
            Command::SetEligibility {
                node: node("a"),
                eligibility: Eligibility::Cordoned,
                by: by.clone(),
                reason: "disk".into(),
                at_ms,
            },
            Command::PromoteModel {
                name,
                blob,
                elo: None,
                source: node("a"),
                by: by.clone(),
                force: false,
                over: None,
                at_ms,
            },
            Command::StartDistribution { name: None, by: by.clone(), force: true, at_ms },
            Command::DistributionEnded {
                name: "ringrift_best_hex8_2p.pth".parse().expect("a model's name"),
                sha256,
                generation: 4,
                succeeded: voters.clone(),
                failed: [(node("d"), "no room".to_owned())].into(),
                duration_ms: 900,
                at_ms,
            },
            Command::SubmitJobs { jobs: vec![new_job], hard_limit: 100, at_ms },
            Command::ChangeJobs { changes, at_ms },
            Command::LimitJob { job, limits: Limits::default(), by: by.clone(), at_ms },
            Command::CancelJobs { jobs: [id()].into(), by: by.clone(), at_ms },
            Command::SetFill { fill: None, at_ms },
            Command::AdoptVoters { voters: [node("a")].into(), replaced: voters, revision: "ab".into(), by, at_ms },
            Command::Once { request_id: "r1".into(), inner: Box::new(record.clone()) },
            Command::Once { request_id: "r1".into(), inner: Box::new(record) },
        ]
    }

    fn after(history: &[Command]) -> Agreed {
        let mut agreed = Agreed::default();
        for (index, command) in (1..).zip(history) {
            agreed.apply(EntryMeta { term: 1, index }, command).expect("one follows the other");
        }
        agreed
    }

    #[test]
    fn no_commands_of_the_corpus_upset_the_state() {
        let history = history();
        let encoded =
            |commands: &[Command]| joined(commands.iter().map(|command| encode(command).expect("it can be encoded")));
        let restore = Command::Restore {
            state: Box::new(after(&history[..3]).state),
            source: "a file".into(),
            by: "ada".into(),
            at_ms: 9,
        };
        let seeds = [
            ("all", encoded(&history)),
            ("models", encoded(&history[2..5])),
            ("jobs", encoded(&history[5..9])),
            ("restored", encoded(&[history[0].clone(), restore])),
        ];
        corpus::replay("state_commands", commands, &seeds);
    }

    #[test]
    fn no_snapshot_of_the_corpus_upsets_the_state() {
        let history = history();
        let seeds = [
            ("empty", encode(&Agreed::default()).expect("it can be encoded")),
            ("full", encode(&after(&history)).expect("it can be encoded")),
            ("file", envelope::seal(&after(&history[..3])).expect("it can be encoded")),
        ];
        corpus::replay("state_snapshot", snapshot, &seeds);
    }
}
