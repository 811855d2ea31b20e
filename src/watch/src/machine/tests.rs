use proptest::prelude::*;
use rand::SeedableRng;
use ringrift_state::{Command, EntryMeta, NewEvent, encode};

use super::*;
use crate::wire::{SNAPSHOT_PART, value_frame};

fn id(text: &str) -> NodeId {
    text.parse().unwrap()
}

/// A machine, its clock, and what it was told to do.
struct Bench {
    machine: Machine,
    now: Instant,
}

impl Bench {
    fn new(cache: Cache) -> Self {
        let now = Instant::now();
        let config = FollowerConfig::new(id("worker"), "/var/lib/x/agreed.cache".into());
        Self { machine: Machine::new(config, cache, StdRng::seed_from_u64(7), now), now }
    }

    fn step(&mut self, input: Input<'_>) -> Output {
        self.machine.step(self.now, input)
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    /// Waits until the machine dials, and answers with what it says and whom it avoids.
    fn dials(&mut self) -> (Hello, BTreeSet<NodeId>) {
        self.now = self.machine.deadline().expect("it waits for something");
        match self.step(Input::Tick) {
            Output::Dial(hello, avoid) => (hello, avoid),
            other => panic!("it did not dial: {other:?}"),
        }
    }

    fn opens(&mut self, voter: &str) -> Hello {
        let (hello, _) = self.dials();
        assert_eq!(self.step(Input::Opened(id(voter))), Output::Wait);
        hello
    }

    /// Takes a frame without its length, as the codec cuts it.
    fn frame(&mut self, frame: &[u8]) -> Output {
        self.step(Input::Frame(&frame[4..]))
    }

    fn report(&mut self, report: &Report) -> Output {
        let frame = value_frame(Kind::Report, report).unwrap();
        self.frame(&frame)
    }

    fn entry(&mut self, term: u64, index: u64) -> Output {
        let event = NewEvent::new("E", format!("number {index}"), index);
        let entry = Entry { meta: EntryMeta { term, index }, command: Some(Command::Record { event }) };
        let frame = value_frame(Kind::Entry, &entry).unwrap();
        self.frame(&frame)
    }

    fn snapshot(&mut self, agreed: &Agreed) -> Output {
        let frame = crate::wire::frame(Kind::SnapshotEnd, &encode(agreed).unwrap()).unwrap();
        self.frame(&frame)
    }

    fn trouble(&self) -> &str {
        self.machine.status().trouble.as_deref().unwrap_or("none")
    }

    fn index(&self) -> u64 {
        self.machine.agreed().index
    }
}

fn report(cluster_id: &str, term: u64, leader: Option<&str>) -> Report {
    Report {
        cluster_id: cluster_id.into(),
        term,
        leader: leader.map(id),
        voters: BTreeSet::from([id("a"), id("b"), id("c")]),
        committed: 9,
        leader_seen_ms: Some(100),
    }
}

fn agreed(cluster_id: &str, term: u64, index: u64) -> Agreed {
    Agreed { index, term, cluster_id: cluster_id.into(), ..Agreed::default() }
}

fn cached(cluster_id: &str, term: u64, index: u64) -> Cache {
    Cache { agreed: agreed(cluster_id, term, index).into(), term, voters: BTreeSet::new() }
}

#[test]
fn it_asks_for_the_next_entry_and_applies_what_comes() {
    let mut bench = Bench::new(cached("c", 4, 7));
    let hello = bench.opens("a");
    assert_eq!(hello, Hello { node: id("worker"), cluster_id: "c".into(), from_index: 8, term: 4 });
    assert_eq!(bench.report(&report("c", 4, Some("a"))), Output::Wait);
    assert_eq!(bench.entry(4, 8), Output::Wait);
    assert_eq!(bench.entry(5, 9), Output::Wait);
    assert_eq!(bench.report(&report("c", 5, Some("a"))), Output::Wait);
    let status = bench.machine.status();
    assert_eq!((status.applied, status.term, status.committed), (9, 5, 9));
    assert_eq!((status.connected_to.clone(), status.leader.clone()), (Some(id("a")), Some(id("a"))));
    assert_eq!(bench.machine.agreed().state.last_seq, 2);
}

#[test]
fn a_voter_with_an_older_term_is_named_left_and_avoided() {
    let mut bench = Bench::new(cached("c", 7, 7));
    bench.opens("a");
    assert_eq!(bench.report(&report("c", 6, Some("a"))), Output::HangUp);
    assert_eq!(bench.trouble(), "a speaks for term 6, but a leader in term 7 was heard of: a is behind");
    assert_eq!(bench.machine.status().connected_to, None);
    let (_, avoid) = bench.dials();
    assert_eq!(avoid, BTreeSet::from([id("a")]));
    bench.step(Input::Opened(id("b")));
    assert_eq!(bench.report(&report("c", 8, Some("b"))), Output::Wait);
    assert_eq!(bench.machine.status().term, 8);
}

#[test]
fn a_voter_that_was_avoided_long_enough_is_not_avoided_any_more() {
    let mut bench = Bench::new(cached("c", 7, 7));
    bench.opens("a");
    bench.report(&report("c", 6, None));
    bench.opens("b");
    bench.report(&report("c", 7, Some("b")));
    bench.pass(2_999);
    assert_eq!(bench.step(Input::Tick), Output::Wait);
    bench.pass(1);
    assert_eq!(bench.step(Input::Tick), Output::HangUp);
    assert_eq!(bench.trouble(), "b said nothing for 3s");
    assert_eq!(bench.dials().1, BTreeSet::from([id("a"), id("b")]));
    bench.pass(29_000);
    bench.step(Input::NotOpened(None, "nobody there".into()));
    assert_eq!(bench.dials().1, BTreeSet::from([id("b")]));
    assert_eq!(bench.trouble(), "nobody there");
}

#[test]
fn a_candidates_term_is_not_a_term_that_was_heard_of() {
    let mut bench = Bench::new(cached("c", 5, 7));
    bench.opens("cut-off");
    assert_eq!(bench.report(&report("c", 30, None)), Output::Wait);
    assert_eq!(bench.machine.status().term, 5);
    bench.step(Input::Lost("reset".into()));
    bench.opens("a");
    assert_eq!(bench.report(&report("c", 6, Some("a"))), Output::Wait, "{}", bench.trouble());
}

#[test]
fn a_foreign_cluster_is_refused_with_what_to_do_if_it_is_meant() {
    let mut bench = Bench::new(cached("ours", 4, 7));
    bench.opens("a");
    assert_eq!(bench.report(&report("theirs", 9, Some("a"))), Output::HangUp);
    assert_eq!(
        bench.trouble(),
        "a belongs to the cluster theirs, and this node follows ours: if it is to follow the other one, stop it, remove \
         /var/lib/x/agreed.cache and start it again"
    );
    bench.opens("b");
    assert_eq!(bench.report(&report("", 9, Some("a"))), Output::HangUp);
    assert_eq!(bench.trouble(), "b does not know yet to which cluster it belongs");
    assert_eq!(bench.machine.status().term, 4, "what they said of terms does not count");
}

#[test]
fn a_recovered_cluster_is_followed_from_a_snapshot_and_never_back() {
    let mut bench = Bench::new(cached("c", 40, 700));
    bench.opens("a");
    assert_eq!(bench.report(&report("c-r1-x", 12, Some("a"))), Output::Wait);
    assert_eq!(bench.index(), 700, "what is known stays until the snapshot is there");
    assert_eq!(bench.snapshot(&agreed("c-r1-x", 11, 650)), Output::Wait, "{}", bench.trouble());
    assert_eq!(bench.report(&report("c-r1-x", 12, Some("a"))), Output::Wait);
    assert_eq!(bench.entry(12, 651), Output::Wait);
    assert_eq!((bench.index(), bench.machine.status().term), (651, 12));
    bench.step(Input::Lost("reset".into()));
    assert_eq!(bench.opens("old").cluster_id, "c-r1-x");
    assert_eq!(bench.report(&report("c", 41, Some("old"))), Output::HangUp);
    assert!(bench.trouble().starts_with("old belongs to the cluster c, and this node follows c-r1-x"));
}

#[test]
fn a_recovered_cluster_must_begin_with_its_snapshot() {
    let mut bench = Bench::new(cached("c", 4, 7));
    bench.opens("a");
    bench.report(&report("c-r1-x", 12, Some("a")));
    assert_eq!(bench.entry(12, 8), Output::HangUp);
    assert_eq!(bench.trouble(), "a sent a log entry where a snapshot was due");
    assert_eq!((bench.index(), bench.machine.status().term), (7, 4));
    assert_eq!(bench.opens("a").from_index, 0);
}

#[test]
fn a_cluster_that_gets_its_name_while_it_is_followed_is_the_same_one() {
    let mut bench = Bench::new(Cache::default());
    bench.opens("a");
    bench.report(&report("", 1, Some("a")));
    bench.entry(1, 1);
    assert_eq!(bench.report(&report("c", 1, Some("a"))), Output::Wait);
    assert_eq!(bench.machine.agreed().cluster_id, "c");
    assert_eq!(bench.report(&report("d", 1, Some("a"))), Output::HangUp);
    assert_eq!(bench.trouble(), "a changed from the cluster c to d");
}

#[test]
fn a_gap_is_noticed_and_closed_by_a_snapshot() {
    for found in [7, 9, 100] {
        let mut bench = Bench::new(cached("c", 4, 7));
        bench.opens("a");
        bench.report(&report("c", 4, Some("a")));
        assert_eq!(bench.entry(4, found), Output::HangUp);
        assert_eq!(bench.trouble(), format!("a: entry {found} does not follow entry 7, the last one applied"));
        assert_eq!(bench.index(), 7);
        assert_eq!(bench.opens("b").from_index, 0);
        bench.report(&report("c", 4, Some("a")));
        assert_eq!(bench.snapshot(&agreed("c", 4, 20)), Output::Wait);
        assert_eq!(bench.entry(4, 21), Output::Wait);
        bench.step(Input::Lost("reset".into()));
        assert_eq!(bench.opens("b").from_index, 22, "after the snapshot the log goes on");
    }
}

/// A voter's log goes ahead of what it says about who leads.
#[test]
fn the_leader_of_an_older_term_is_not_taken_for_that_of_a_newer_one() {
    for by_snapshot in [false, true] {
        let mut bench = Bench::new(Cache::default());
        bench.opens("a");
        bench.report(&report("x", 1, Some("b")));
        if by_snapshot {
            bench.snapshot(&agreed("x", 2, 7));
        } else {
            bench.entry(2, 1);
        }
        let status = bench.machine.status();
        assert_eq!((status.term, status.leader.as_ref(), &status.trouble), (2, None, &None), "{status:?}");
        bench.report(&report("x", 2, Some("c")));
        assert_eq!(bench.machine.status().leader, Some(id("c")));
    }
}

#[test]
fn an_entry_whose_term_goes_back_is_from_another_log() {
    let mut bench = Bench::new(cached("c", 4, 7));
    bench.opens("a");
    bench.report(&report("c", 4, Some("a")));
    assert_eq!(bench.entry(3, 8), Output::HangUp);
    assert_eq!(bench.trouble(), "a sent entry 8 of term 3 after term 4: that is another log");
}

#[test]
fn a_snapshot_that_goes_back_is_not_taken() {
    let mut bench = Bench::new(cached("c", 4, 7));
    bench.opens("a");
    bench.report(&report("c", 4, Some("a")));
    assert_eq!(bench.snapshot(&agreed("c", 4, 6)), Output::HangUp);
    assert_eq!(bench.trouble(), "a is behind: its snapshot ends with entry 6, and 7 was applied here");
    assert_eq!(bench.index(), 7);
}

#[test]
fn a_snapshot_of_another_cluster_than_was_said_is_not_taken() {
    let mut bench = Bench::new(cached("c", 4, 7));
    bench.opens("a");
    bench.report(&report("c", 4, Some("a")));
    assert_eq!(bench.snapshot(&agreed("d", 4, 9)), Output::HangUp);
    assert_eq!(bench.trouble(), "a sent a snapshot of the cluster \"d\" for \"c\"");
}

#[test]
fn a_snapshot_comes_in_pieces_and_is_bounded() {
    let mut bench = Bench::new(Cache::default());
    bench.opens("a");
    bench.report(&report("c", 4, Some("a")));
    let bytes = encode(&agreed("c", 4, 9)).unwrap();
    let (one, two) = bytes.split_at(5);
    for (kind, part) in [(Kind::SnapshotPart, one), (Kind::SnapshotEnd, two)] {
        let frame = crate::wire::frame(kind, part).unwrap();
        assert_eq!(bench.frame(&frame), Output::Wait);
    }
    assert_eq!(bench.index(), 9);

    let part = crate::wire::frame(Kind::SnapshotPart, &vec![0; SNAPSHOT_PART]).unwrap();
    let refused = (0..100).find(|_| bench.frame(&part) == Output::HangUp).unwrap();
    assert_eq!(refused, 64);
    assert_eq!(bench.trouble(), "a: its snapshot is larger than 64 MiB");
}

#[test]
fn nonsense_is_named_and_left() {
    let cases: [(&[u8], &str); 4] = [
        (&[], "a sent an empty frame"),
        (&[99, 1], "a sent a frame of the unknown kind 99"),
        (&[Kind::Report as u8, 0xc1], "a sent a frame that cannot be read: "),
        (b"\x05too many here", "a does not serve this node: too many here"),
    ];
    for (frame, trouble) in cases {
        let mut bench = Bench::new(Cache::default());
        bench.opens("a");
        assert_eq!(bench.step(Input::Frame(frame)), Output::HangUp);
        assert!(bench.trouble().starts_with(trouble), "{}", bench.trouble());
    }
    let mut bench = Bench::new(Cache::default());
    bench.opens("a");
    assert_eq!(bench.entry(1, 1), Output::HangUp);
    assert_eq!(bench.trouble(), "a did not say first who leads");
}

#[test]
fn a_voter_without_a_leader_is_left_after_a_while_and_not_before() {
    for seen in [None, Some(60_000)] {
        let mut bench = Bench::new(Cache::default());
        bench.opens("a");
        let leaderless = Report { leader_seen_ms: seen, ..report("c", 4, None) };
        for _ in 0..10 {
            assert_eq!(bench.report(&leaderless), Output::Wait);
            bench.pass(1_000);
        }
        assert_eq!(bench.report(&leaderless), Output::HangUp);
        assert_eq!(bench.trouble(), "a has known of no leader for 10s");
    }
}

#[test]
fn pauses_grow_up_to_five_seconds_and_begin_small_after_a_good_stream() {
    let mut bench = Bench::new(Cache::default());
    let mut longest = Duration::ZERO;
    for attempt in 1..=40 {
        bench.dials();
        bench.step(Input::NotOpened(None, "nobody there".into()));
        let pause = bench.machine.deadline().unwrap() - bench.now;
        let ceiling = Duration::from_millis(100 * (1 << attempt.min(10))).min(Duration::from_secs(5));
        assert!((Duration::from_millis(100)..=ceiling).contains(&pause), "{attempt}: {pause:?}");
        longest = longest.max(pause);
    }
    assert!(longest > Duration::from_secs(4), "{longest:?}");
    bench.opens("a");
    bench.report(&report("c", 4, Some("a")));
    bench.pass(6_000);
    bench.report(&report("c", 4, Some("a")));
    bench.step(Input::Lost("reset".into()));
    assert!(bench.machine.deadline().unwrap() - bench.now <= Duration::from_millis(200));
    assert_eq!(bench.trouble(), "the stream from a ended: reset");
}

#[derive(Debug, Clone)]
enum Move {
    Report(Report),
    Entry(u64, u64),
    Snapshot(Box<Agreed>),
    Junk(Vec<u8>),
    Lose,
    Pass(u64),
}

fn moves() -> impl Strategy<Value = Move> {
    let cluster = || prop_oneof![4 => Just("c"), 1 => Just("c-r1-x"), 1 => Just("d"), 1 => Just("")];
    let leader = prop_oneof![Just(None), Just(Some("a"))];
    prop_oneof![
        5 => (cluster(), 1..6u64, leader).prop_map(|(cluster, term, leader)| Move::Report(report(cluster, term, leader))),
        8 => (1..6u64, 0..4u64).prop_map(|(term, ahead)| Move::Entry(term, ahead)),
        2 => (cluster(), 1..6u64, 0..30u64).prop_map(|(cluster, term, index)| Move::Snapshot(Box::new(agreed(cluster, term, index)))),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Move::Junk),
        1 => Just(Move::Lose),
        1 => (0..5_000u64).prop_map(Move::Pass),
    ]
}

proptest! {
    #[test]
    fn whatever_voters_send_nothing_goes_back_except_by_a_recovery(moves in prop::collection::vec(moves(), 0..60)) {
        let mut bench = Bench::new(cached("c", 2, 5));
        for step in moves {
            if bench.machine.voter().is_none() {
                bench.opens("a");
            }
            let before = (Arc::clone(bench.machine.agreed()), bench.machine.status().clone());
            match step {
                Move::Report(report) => { bench.report(&report); }
                Move::Entry(term, ahead) => { let index = bench.index() + ahead; bench.entry(term, index); }
                Move::Snapshot(agreed) => { bench.snapshot(&agreed); }
                Move::Junk(junk) => { bench.step(Input::Frame(&junk)); }
                Move::Lose => { bench.step(Input::Lost("reset".into())); }
                Move::Pass(millis) => { bench.pass(millis); bench.step(Input::Tick); }
            }
            let (agreed, status) = (bench.machine.agreed(), bench.machine.status());
            prop_assert_eq!(agreed.index, status.applied);
            if agreed.cluster_id == before.0.cluster_id {
                prop_assert!(agreed.index >= before.0.index);
                prop_assert!(status.term >= before.1.term);
            } else {
                prop_assert_eq!((before.0.cluster_id.as_str(), agreed.cluster_id.as_str()), ("c", "c-r1-x"));
            }
            prop_assert!(status.connected_to.is_none() || bench.machine.voter().is_some());
        }
    }
}
