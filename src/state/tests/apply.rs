//! What each command does.

mod support;

use ringrift_state::{Agreed, ClusterState, Command, Eligibility, EntryMeta, Gap, NewEvent, Outcome, RecentRequests};
use serde_json::json;
use support::{id, ids};

/// A state and the commands applied to it so far.
#[derive(Default)]
struct History {
    agreed: Agreed,
}

impl History {
    fn apply(&mut self, command: &Command) -> Outcome {
        let meta = EntryMeta { term: 3, index: self.agreed.index + 1 };
        self.agreed.apply(meta, command).expect("the next index")
    }

    fn state(&self) -> &ClusterState {
        &self.agreed.state
    }

    /// The newest event's kind and message.
    fn last_event(&self) -> String {
        let event = &self.state().events.back().expect("an event").event;
        format!("{} {}", event.kind, event.message)
    }
}

fn set(node: &str, eligibility: Eligibility, reason: &str) -> Command {
    Command::SetEligibility { node: id(node), eligibility, by: "ada".into(), reason: reason.into(), at_ms: 1_500 }
}

fn adopt(voters: &[&str], replaced: &[&str]) -> Command {
    Command::AdoptVoters {
        voters: ids(voters),
        replaced: ids(replaced),
        revision: "ab12".into(),
        by: "ada".into(),
        at_ms: 7,
    }
}

fn form(cluster_id: &str) -> Command {
    let voters = ids(&["a", "b", "c"]);
    Command::FormCluster { cluster_id: cluster_id.into(), voters, revision: String::new(), by: "a".into(), at_ms: 9 }
}

fn restore(state: ClusterState) -> Command {
    Command::Restore { state: Box::new(state), source: "monday.snap".into(), by: "ada".into(), at_ms: 4 }
}

fn once(request_id: &str, inner: Command) -> Command {
    Command::Once { request_id: request_id.into(), inner: Box::new(inner) }
}

fn refusal(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused { reason } => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn each_change_of_eligibility_is_an_event_and_no_change_is_none() {
    let mut history = History::default();
    let steps = [
        (set("n1", Eligibility::Eligible, ""), Outcome::Unchanged, None),
        (
            set("n1", Eligibility::Cordoned, "new disk"),
            Outcome::Done,
            Some("NODE_CORDONED n1 gets no new work, by ada: new disk"),
        ),
        (set("n1", Eligibility::Cordoned, "again"), Outcome::Unchanged, None),
        (
            set("n1", Eligibility::Draining, ""),
            Outcome::Done,
            Some("NODE_DRAINING n1 gets no new work, and its work is moved away, by ada"),
        ),
        (set("n1", Eligibility::Eligible, ""), Outcome::Done, Some("NODE_UNCORDONED n1 gets work again, by ada")),
    ];
    for (command, outcome, event) in steps {
        let before = history.state().last_seq;
        assert_eq!(history.apply(&command), outcome, "{command:?}");
        assert_eq!(history.state().last_seq, before + u64::from(event.is_some()));
        if let Some(event) = event {
            assert_eq!(history.last_event(), event);
        }
    }
    assert!(history.state().eligibility.is_empty(), "an eligible node takes no room");
}

#[test]
fn a_standing_says_who_and_why() {
    let mut history = History::default();
    history.apply(&set("n1", Eligibility::Cordoned, "new disk"));
    let standing = &history.state().eligibility[&id("n1")];
    assert_eq!((standing.by.as_str(), standing.reason.as_str(), standing.at_ms), ("ada", "new disk", 1_500));
    assert_eq!(history.state().eligibility_of(&id("n1")), Eligibility::Cordoned);
    assert_eq!(history.state().eligibility_of(&id("n2")), Eligibility::Eligible);
}

#[test]
fn the_nodes_with_a_standing_are_bounded() {
    let mut history = History::default();
    for n in 0..ClusterState::MAX_NODES {
        assert_eq!(history.apply(&set(&format!("n{n}"), Eligibility::Cordoned, "")), Outcome::Done);
    }
    let reason = refusal(history.apply(&set("one-more", Eligibility::Cordoned, "")));
    assert!(reason.starts_with("4096 nodes are cordoned or draining already"), "{reason}");
    assert_eq!(history.apply(&set("n7", Eligibility::Draining, "")), Outcome::Done, "a known one may change");
    assert_eq!(history.apply(&set("n7", Eligibility::Eligible, "")), Outcome::Done);
    assert_eq!(history.apply(&set("one-more", Eligibility::Cordoned, "")), Outcome::Done);
}

#[test]
fn clients_read_an_event_in_seconds_and_under_their_names() {
    let mut history = History::default();
    history.apply(&Command::Record { event: NewEvent::leader_elected(&id("a"), 4, 1_700_000_000_250) });
    assert_eq!(
        history.state().events.back().unwrap().to_json(),
        json!({
            "seq": 1,
            "type": "LEADER_ELECTED",
            "timestamp": 1_700_000_000.25,
            "node_id": "a",
            "message": "a leads in term 4",
            "details": {"term": 4},
        })
    );
    history.apply(&Command::Record { event: NewEvent::new("SOMETHING", "happened", 0) });
    let json = history.state().events.back().unwrap().to_json();
    assert_eq!((json["node_id"].clone(), json["details"].clone()), (json!(null), json!({})));
}

#[test]
fn details_that_are_too_large_or_too_deep_leave_a_note() {
    let large = NewEvent::new("E", "m", 0).with("list", vec!["x".repeat(100); 100]);
    let deep = (0..2 * NewEvent::MAX_DEPTH).fold(json!(1), |inner, _| json!([inner]));
    for event in [large, NewEvent::new("E", "m", 0).with("deep", deep)] {
        let mut history = History::default();
        history.apply(&Command::Record { event });
        let kept = &history.state().events.back().unwrap().event;
        assert_eq!(kept.details["omitted"], json!("more than 8192 bytes or 16 levels"));
    }
}

#[test]
fn an_adopted_voter_list_is_history_from_then_on() {
    let mut history = History::default();
    assert_eq!(history.apply(&adopt(&["a", "b", "c"], &[])), Outcome::Done);
    assert_eq!(history.last_event(), "VOTERS_CHANGED the voters are now a, b, c, by ada");
    assert_eq!(
        history.apply(&adopt(&["a", "b", "c"], &[])),
        Outcome::Unchanged,
        "a second leader writes it down again"
    );
    assert_eq!(history.apply(&adopt(&["a", "b", "d"], &["a", "b", "c"])), Outcome::Done);
    let voters = &history.state().voters;
    assert_eq!(voters.len(), 2);
    assert_eq!(voters.current().unwrap().voters, ids(&["a", "b", "d"]));
    assert_eq!(voters.superseded_by(&ids(&["a", "b", "c"])).unwrap().index, 3);
    assert!(voters.superseded_by(&ids(&["a", "b", "d"])).is_none(), "it is in force");
    assert!(voters.superseded_by(&ids(&["x"])).is_none(), "it never was");
}

#[test]
fn a_list_that_was_in_force_unrecorded_is_written_down_when_it_is_replaced() {
    let mut history = History::default();
    history.apply(&adopt(&["a", "b", "d"], &["a", "b", "c"]));
    let voters = &history.state().voters;
    assert_eq!(
        voters.iter().map(|revision| revision.voters.clone()).collect::<Vec<_>>(),
        [ids(&["a", "b", "c"]), ids(&["a", "b", "d"])]
    );
}

#[test]
fn a_voter_list_that_cannot_vote_is_refused() {
    let mut history = History::default();
    let ten: Vec<String> = (0..10).map(|n| format!("n{n}")).collect();
    let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
    assert_eq!(refusal(history.apply(&adopt(&[], &["a"]))), "a cluster has 1 to 9 voters, not 0");
    assert_eq!(refusal(history.apply(&adopt(&ten, &["a"]))), "a cluster has 1 to 9 voters, not 10");
    assert!(history.state().voters.is_empty());
}

#[test]
fn a_cluster_is_named_once_and_renamed_only_by_a_recovery_of_the_same_cluster() {
    let mut history = History::default();
    assert_eq!(history.apply(&form("c0ffee")), Outcome::Done);
    assert_eq!(history.last_event(), "CLUSTER_FORMED the cluster c0ffee is formed, with the voters a, b, c");
    assert_eq!(history.apply(&form("c0ffee")), Outcome::Unchanged);
    assert_eq!(refusal(history.apply(&form("beef"))), "\"beef\" cannot be the id of this cluster, which is \"c0ffee\"");
    assert_eq!(history.apply(&form("c0ffee-r1-x7")), Outcome::Done);
    assert_eq!(
        history.last_event(),
        "CLUSTER_RECOVERED the cluster c0ffee-r1-x7 is recovered, with the voters a, b, c"
    );
    refusal(history.apply(&form("c0ffee-r1-y8")));
    refusal(history.apply(&form("c0ffee")));
    assert_eq!(history.agreed.cluster_id, "c0ffee-r1-x7");
    assert_eq!(history.state().voters.len(), 1, "the voters did not change");
}

#[test]
fn a_restore_brings_back_the_work_and_keeps_what_describes_this_cluster() {
    let mut saved = History::default();
    saved.apply(&form("old"));
    saved.apply(&set("n1", Eligibility::Draining, "was so"));
    saved.apply(&once("saved-request", adopt(&["x", "y", "z"], &[])));

    let mut history = History::default();
    history.apply(&form("new"));
    history.apply(&set("n2", Eligibility::Cordoned, "will be gone"));
    for _ in 0..5 {
        history.apply(&once("r1", Command::Record { event: NewEvent::new("E", "m", 0) }));
    }
    let (seq, voters) = (history.state().last_seq, history.state().voters.clone());
    assert_eq!(history.apply(&restore(saved.state().clone())), Outcome::Done);

    assert_eq!(history.state().eligibility.keys().collect::<Vec<_>>(), [&id("n1")]);
    assert_eq!(history.agreed.cluster_id, "new");
    assert_eq!(history.state().voters, voters);
    assert!(history.state().requests.contains("r1") && !history.state().requests.contains("saved-request"));
    assert_eq!(history.state().last_seq, seq + 1, "readers go on where they were");
    assert_eq!(history.last_event(), "STATE_RESTORED a saved state was restored from monday.snap, by ada");
}

#[test]
fn a_restore_into_a_young_cluster_brings_the_longer_event_log() {
    let mut saved = History::default();
    for n in 0..9 {
        saved.apply(&Command::Record { event: NewEvent::new("E", format!("number {n}"), 0) });
    }
    let mut history = History::default();
    history.apply(&form("new"));
    history.apply(&restore(saved.state().clone()));
    let seqs: Vec<u64> = history.state().events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=10).collect::<Vec<_>>());
    assert_eq!(history.state().events.front().unwrap().event.message, "number 0");
}

#[test]
fn a_repeated_request_is_applied_once_and_a_refused_one_may_be_tried_again() {
    let mut history = History::default();
    let record = Command::Record { event: NewEvent::new("E", "m", 0) };
    assert_eq!(history.apply(&once("r1", record.clone())), Outcome::Done);
    assert_eq!(history.apply(&once("r1", record.clone())), Outcome::Duplicate);
    assert_eq!(history.state().last_seq, 1);

    refusal(history.apply(&once("r2", adopt(&[], &[]))));
    assert_eq!(history.apply(&once("r2", adopt(&["a"], &[]))), Outcome::Done);

    refusal(history.apply(&once("", record.clone())));
    refusal(history.apply(&once(&"x".repeat(RecentRequests::MAX_ID_LEN + 1), record.clone())));
    refusal(history.apply(&once("r3", once("r4", record))));
}

#[test]
fn an_entry_out_of_turn_is_not_applied() {
    let mut agreed = Agreed::default();
    let record = Command::Record { event: NewEvent::new("E", "m", 0) };
    agreed.apply(EntryMeta { term: 1, index: 1 }, &record).unwrap();
    agreed.advance(EntryMeta { term: 2, index: 2 }).unwrap();
    let before = agreed.clone();
    for found in [0, 1, 2, 4] {
        let meta = EntryMeta { term: 2, index: found };
        assert_eq!(agreed.apply(meta, &record), Err(Gap { applied: 2, found }));
        assert_eq!(agreed.advance(meta), Err(Gap { applied: 2, found }));
    }
    assert_eq!(agreed, before);
}
