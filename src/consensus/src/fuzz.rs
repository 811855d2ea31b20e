//! What reads bytes from outside, for coverage-guided tests (`tests/fuzz`). Each function takes any bytes and panics if the crate does
//! what it must not.

use std::collections::BTreeMap;

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest};
use redb::{Builder, TableDefinition, backends::InMemoryBackend};
use serde::{Serialize, de::DeserializeOwned};

use self::pieces::pieces;
use crate::{
    record::{LogPos, SnapshotHead, VoteRecord},
    store::File,
    types::{LogId, SnapshotMeta, Types, Vote},
    wire::{Append, Appended, Ballot, Envelope, Request, Response, pack, unpack, vote_response},
};

#[path = "../../../tests/fuzz/pieces.rs"]
mod pieces;

/// A request of another voter, up to where Raft takes it.
pub fn request(bytes: &[u8]) {
    let Some(envelope) = same_again::<Envelope>(bytes) else { return };
    match envelope.request {
        Request::Hello { .. } => {}
        Request::Append(append) => {
            let request: AppendEntriesRequest<Types> = append.into();
            let once = Append::from(&request);
            let twice = Append::from(&AppendEntriesRequest::from(again(&once)));
            assert_eq!(pack(&once), pack(&twice), "Raft is given what is sent on");
            // It is logged.
            let _ = request.to_string();
        }
        Request::Vote(ballot) | Request::PreVote(ballot) => {
            let bytes = pack(&ballot);
            let request: VoteRequest<Types> = ballot.into();
            assert_eq!(pack(&Ballot::from(&request)), bytes);
            let _ = request.to_string();
        }
        Request::Snapshot(piece) => {
            let meta = SnapshotMeta::from(&piece.head);
            let once = SnapshotHead::from(&meta);
            assert_eq!(SnapshotHead::from(&SnapshotMeta::from(&once)), once);
            vote(&piece.vote);
            let _ = meta.to_string();
        }
        Request::Transfer { from_leader, last, .. } => {
            vote(&from_leader);
            assert_eq!(last.map(|last| LogPos::from(LogId::from(last))), last);
        }
    }
}

/// What another voter answers.
pub fn response(bytes: &[u8]) {
    let Some(response) = same_again::<Response>(bytes) else { return };
    if let Response::Append(appended) = response {
        let bytes = pack(&appended);
        let raft: AppendEntriesResponse<Types> = appended.into();
        assert_eq!(pack(&Appended::from(raft)), bytes);
    } else if let Some(raft) = vote_response(response) {
        let _ = Response::from(raft);
    }
}

fn vote(record: &VoteRecord) {
    assert_eq!(VoteRecord::from(&Vote::from(record.clone())), *record);
}

/// A log file whose pages are whole, with anything in its tables. Each piece is a row: the first byte names the table (and the key,
/// where it is a name), the next eight an index, the rest is the value.
pub fn file(bytes: &[u8]) {
    let db = Builder::new().create_with_backend(InMemoryBackend::new()).expect("memory is always there");
    let txn = db.begin_write().expect("nobody else writes");
    {
        const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
        const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
        const SNAPSHOT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("snapshot");
        let mut meta = txn.open_table(META).expect("a table");
        let mut log = txn.open_table(LOG).expect("a table");
        let mut snapshot = txn.open_table(SNAPSHOT).expect("a table");
        for (key, value) in [("format", &1_u64.to_le_bytes()[..]), ("node", b"a")] {
            meta.insert(key, value).expect("a row");
        }
        for row in pieces(bytes) {
            let Some((table, rest)) = row.split_first() else { continue };
            let name = KEYS.get(usize::from(*table)).copied();
            match (table, name) {
                (_, Some(key)) => drop(meta.insert(key, rest).expect("a row")),
                (b's', _) => drop(snapshot.insert("current", rest).expect("a row")),
                _ => {
                    let Some((index, value)) = rest.split_first_chunk::<8>() else { continue };
                    log.insert(u64::from_be_bytes(*index), value).expect("a row");
                }
            }
        }
    }
    txn.commit().expect("memory is always there");
    let Ok(mirror) = File::read_all(db, &"a".parse().expect("a node id")) else { return };
    let entries = mirror.range(..);
    assert!(entries.windows(2).all(|pair| pair[0].log_id.index() + 1 == pair[1].log_id.index()), "there are no holes");
    assert!(mirror.check().is_ok());
    let kinds: BTreeMap<u64, String> = entries.iter().map(|entry| (entry.log_id.index(), entry.to_string())).collect();
    assert_eq!(kinds.len(), entries.len());
    if let Some(last) = entries.last() {
        assert_eq!(mirror.last(), Some(last.log_id));
        let first = entries[0].log_id.index();
        assert_eq!(
            mirror.updates(first, last.log_id.index(), usize::MAX).map(|updates| updates.len()),
            Some(entries.len())
        );
    }
}

/// The keys of the first table, each under the byte that names it in an input.
const KEYS: [&str; 5] = ["vote", "committed", "purged", "standing", "format"];

fn same_again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let message = unpack::<T>(bytes).ok()?;
    let again = again(&message);
    assert_eq!(pack(&message), pack(&again));
    Some(again)
}

fn again<T: Serialize + DeserializeOwned>(message: &T) -> T {
    unpack(&pack(message).expect("what was decoded can be encoded")).expect("what was encoded can be decoded")
}

#[cfg(test)]
#[path = "../../../tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use bytes::Bytes;
    use ringrift_config::NodeId;
    use ringrift_state::{Agreed, Command, NewEvent, encode};

    use super::{pieces::joined, *};
    use crate::{
        record::{Payload, Record, VoterSets},
        store::{Standing, StateImage},
        wire::{Greeting, Part, Piece},
    };

    fn id(name: &str) -> NodeId {
        name.parse().unwrap()
    }

    fn voters() -> BTreeSet<NodeId> {
        ["a", "b", "c"].map(id).into()
    }

    fn at(index: u64) -> LogPos {
        LogPos { term: 3, index }
    }

    fn vote_of(node: &str) -> VoteRecord {
        VoteRecord { term: 3, node: id(node), committed: true }
    }

    fn records() -> Vec<Record> {
        let change = VoterSets { sets: vec![voters(), ["a", "d"].map(id).into()], learners: ["e"].map(id).into() };
        let event = Command::Record { event: NewEvent::new("TRIED", "an event", 7) };
        let payloads = [Payload::Blank, Payload::Voters(change), Payload::Command(Arc::new(event))];
        (8..).zip(payloads).map(|(index, payload)| Record { term: 3, index, payload }).collect()
    }

    fn head() -> SnapshotHead {
        let voters = VoterSets { sets: vec![voters()], learners: BTreeSet::new() };
        SnapshotHead { last: Some(at(7)), voters_at: Some(at(1)), voters }
    }

    #[test]
    fn no_request_of_the_corpus_upsets_a_voter() {
        let ballot = || Ballot { vote: vote_of("a"), last: Some(at(9)), transfer: true };
        let append = Append { vote: vote_of("a"), prev: Some(at(7)), entries: records(), committed: Some(at(7)) };
        let piece = Piece { vote: vote_of("a"), head: head(), offset: 0, size: 3, data: Bytes::from_static(b"abc") };
        let seeds = [
            ("hello", Request::Hello { genesis: voters() }),
            ("append", Request::Append(append)),
            ("vote", Request::Vote(ballot())),
            ("pre_vote", Request::PreVote(ballot())),
            ("snapshot", Request::Snapshot(piece)),
            ("transfer", Request::Transfer { from_leader: vote_of("a"), to: id("b"), last: Some(at(9)) }),
        ];
        let seeds = seeds.map(|(name, request)| {
            let envelope = Envelope { from: id("a"), to: id("b"), cluster: "f00d".into(), request };
            (name, pack(&envelope).unwrap().to_vec())
        });
        corpus::replay("consensus_request", request, &seeds);
    }

    #[test]
    fn no_answer_of_the_corpus_upsets_a_voter() {
        let greeting = Greeting {
            part: Part::Member,
            genesis: voters(),
            cluster: "f00d".into(),
            term: 3,
            last: Some(at(9)),
            voters: head().voters,
            voters_at: Some(at(1)),
            life: 77,
            met: [(id("c"), 78)].into(),
        };
        let seeds = [
            ("hello", Response::Hello(greeting)),
            ("done", Response::Append(Appended::Done)),
            ("up_to", Response::Append(Appended::UpTo(Some(at(8))))),
            ("conflict", Response::Append(Appended::Conflict)),
            ("newer", Response::Append(Appended::Newer(vote_of("c")))),
            ("vote", Response::Vote { vote: vote_of("c"), granted: true, last: None }),
            ("snapshot", Response::Snapshot { vote: vote_of("a") }),
            ("transfer", Response::Transfer { accepted: false }),
        ];
        corpus::replay(
            "consensus_response",
            response,
            &seeds.map(|(name, answer)| (name, pack(&answer).unwrap().to_vec())),
        );
    }

    #[test]
    fn no_log_of_the_corpus_upsets_a_start() {
        fn row<T: Serialize>(table: u8, value: &T) -> Vec<u8> {
            [&[table], &encode(value).unwrap()[..]].concat()
        }
        let entry = |index: u64, record: &Record| [b"l", &index.to_be_bytes()[..], &encode(record).unwrap()].concat();
        let log = || (8..).zip(&records()).map(|(index, record)| entry(index, record)).collect::<Vec<_>>();
        let image = StateImage { head: head(), agreed: Agreed { index: 7, term: 3, ..Agreed::default() } };
        let meta = || vec![row(0, &vote_of("a")), row(1, &Some(at(9))), row(2, &at(7)), row(3, &Standing::Member)];
        let founder = Standing::Founder { genesis: voters() };
        let seeds = [
            ("whole", joined([meta(), vec![row(b's', &image)], log()].concat())),
            (
                "founder",
                joined([
                    row(0, &vote_of("b")),
                    row(3, &founder),
                    entry(0, &Record { term: 0, index: 0, ..records()[1].clone() }),
                ]),
            ),
            ("hole", joined([meta(), log()].concat())),
            ("joining", joined([row(3, &Standing::Joining { cluster: "f00d".into() })])),
        ];
        corpus::replay("consensus_file", file, &seeds);
    }
}
