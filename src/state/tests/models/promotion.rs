//! Which version of a model is current.

use super::*;

#[test]
fn the_events_have_the_keys_that_clients_read() {
    let mut cluster = Cluster::default();
    cluster.done(&promote("hex8_2p", 1));
    cluster.done(&ended("hex8_2p", 1, 1, &["a", "b"], &[("c", "its disk is full"), ("d", "")]));
    cluster.done(&ended("hex8_2p", 1, 1, &["a", "b", "c", "d"], &[]));
    let events: Vec<_> = cluster.agreed.state.events.iter().map(|event| event.to_json()).collect();
    insta::assert_snapshot!("events", format!("{:#}", json!(events)));
    // A model of another name tells no board.
    let other = Command::PromoteModel {
        name: "experiment-7.pth".parse().unwrap(),
        blob: blob(2, 1),
        elo: None,
        source: id("trainer"),
        by: String::new(),
        force: false,
        over: None,
        at_ms: 0,
    };
    cluster.done(&other);
    insta::assert_snapshot!("event_of_another_name", format!("{:#}", json!(cluster.newest(2))));
}

#[test]
fn what_an_event_says_can_be_read_as_a_type() {
    let mut cluster = Cluster::default();
    cluster.done(&promote("hex8_2p", 1));
    cluster.done(&ended("hex8_2p", 1, 1, &["a"], &[("c", "its disk is full")]));
    let events = cluster.newest(3);
    let promoted = ModelPromoted::of(&events[0]).unwrap();
    assert_eq!((promoted.sha256, promoted.elo, promoted.num_players), (sha256(1), Some(1501.0), Some(2)));
    assert_eq!(ModelDistributionStarted::of(&events[1]).unwrap().model_id, "canonical_hex8_2p");
    let ended = ModelDistributionEnded::of(&events[2]).unwrap();
    assert_eq!(ended.reasons[&id("c")], "its disk is full");
    assert_eq!(ModelPromoted::of(&events[2]), None);
}

#[test]
fn a_promotion_is_current_and_the_one_before_is_history() {
    let mut cluster = Cluster::default();
    cluster.done(&promote("hex8_2p", 1));
    cluster.done(&promote("hex8_2p", 2));
    cluster.done(&promote("square8_2p", 2));
    let record = cluster.record("hex8_2p");
    assert_eq!((record.current.sha256, record.current.generation), (sha256(2), 2));
    assert_eq!((record.current.size, record.current.by.as_str()), (4096 + 8, "ada"));
    assert_eq!(record.history.iter().map(|p| p.sha256).collect::<Vec<_>>(), [sha256(1)]);
    assert!(record.distribution.is_running());
    assert_eq!(cluster.agreed.state.blobs.len(), 2, "two names share their bytes");
}

#[test]
fn the_same_bytes_again_change_nothing_unless_forced() {
    let mut cluster = Cluster::default();
    cluster.done(&promote("hex8_2p", 1));
    cluster.done(&ended("hex8_2p", 1, 1, &["a"], &[]));
    let seq = cluster.agreed.state.last_seq;
    assert_eq!(cluster.apply(&promote("hex8_2p", 1)), Outcome::Unchanged);
    assert_eq!(cluster.agreed.state.last_seq, seq);
    let Command::PromoteModel { name, blob, elo, source, by, at_ms, .. } = promote("hex8_2p", 1) else {
        unreachable!()
    };
    cluster.done(&Command::PromoteModel { name, blob, elo, source, by, force: true, over: None, at_ms });
    let record = cluster.record("hex8_2p");
    assert!(record.distribution.is_running() && record.distribution.force && record.history.is_empty());
    assert_eq!(record.current.generation, 4);
}

#[test]
fn a_repeated_promotion_is_applied_once() {
    let once = |inner: Command| Command::Once { request_id: "r1".into(), inner: inner.into() };
    let mut cluster = Cluster::default();
    cluster.done(&once(promote("hex8_2p", 1)));
    cluster.done(&promote("hex8_2p", 2));
    assert_eq!(cluster.apply(&once(promote("hex8_2p", 1))), Outcome::Duplicate);
    assert_eq!(cluster.record("hex8_2p").current.sha256, sha256(2));
}

#[test]
fn of_two_that_race_the_later_in_the_log_is_current_and_the_verdict_on_the_other_is_ignored() {
    let mut cluster = Cluster::default();
    cluster.done(&promote("hex8_2p", 1));
    cluster.done(&promote("hex8_2p", 2));
    for late in [
        ended("hex8_2p", 1, 1, &["a"], &[]),
        ended("hex8_2p", 1, 2, &["a"], &[]),
        ended("hex8_2p", 2, 1, &["a"], &[]),
        ended("square8_2p", 2, 2, &["a"], &[]),
    ] {
        assert_eq!(cluster.apply(&late), Outcome::Unchanged, "{late:?}");
    }
    assert!(cluster.record("hex8_2p").distribution.is_running());
    cluster.done(&ended("hex8_2p", 2, 2, &["a"], &[]));
    let complete = DistributionState::Complete { nodes: 1, duration_ms: 12_340, at_ms: 1_700_000_012_590 };
    assert_eq!(cluster.record("hex8_2p").distribution.state, complete);
    // What is complete stays so: a node that comes later catches up by itself.
    assert_eq!(cluster.apply(&ended("hex8_2p", 2, 2, &["a"], &[("b", "late")])), Outcome::Unchanged);
}

#[test]
fn a_rollback_brings_back_an_earlier_version_with_its_rating() {
    let mut cluster = Cluster::default();
    cluster.done(&promote("hex8_2p", 1));
    cluster.done(&promote("hex8_2p", 2));
    assert_eq!(cluster.apply(&roll_back("hex8_2p", 2)), Outcome::Unchanged);
    cluster.done(&roll_back("hex8_2p", 1));
    let record = cluster.record("hex8_2p");
    assert_eq!((record.current.sha256, record.current.elo.unwrap().get()), (sha256(1), 1501.0));
    assert_eq!((record.current.source.as_str(), record.current.generation), ("trainer", 4));
    assert_eq!(record.earlier().map(|p| p.sha256).collect::<Vec<_>>(), [sha256(2)], "and forward again");
    assert_eq!(
        cluster.newest(2).iter().map(|event| event.message.as_str()).collect::<Vec<_>>(),
        [
            format!("canonical_hex8_2p.pth is rolled back to {:.12}… with Elo 1501, by ada", sha256(1).to_string()),
            format!("canonical_hex8_2p.pth {:.12}… goes to all nodes", sha256(1).to_string()),
        ]
    );
}

#[test]
fn a_rollback_to_what_is_not_known_is_refused_with_a_sentence() {
    let mut cluster = Cluster::default();
    let unknown = "no model canonical_hex8_2p.pth was promoted: `ringriftctl models list` shows those that were";
    assert_eq!(cluster.refusal(&roll_back("hex8_2p", 1)), unknown);
    for number in 1..=4 {
        cluster.done(&promote("hex8_2p", number));
    }
    cluster.done(&promote("square8_2p", 9));
    // The bytes of another model are known, and no version of this one.
    assert!(cluster.refusal(&roll_back("hex8_2p", 9)).contains("never was"));
    let gone = cluster.refusal(&roll_back("hex8_2p", 1));
    assert!(gone.contains("promote the file of that version again"), "{gone}");
    cluster.done(&roll_back("hex8_2p", 2));
}

#[test]
fn bytes_that_were_made_over_an_earlier_version_take_no_later_ones_place() {
    let mut cluster = Cluster::default();
    assert!(cluster.refusal(&over("hex8_2p", 1, 7)).starts_with("nothing is agreed on canonical_hex8_2p.pth"));
    cluster.done(&over("hex8_2p", 1, 0));
    let first = cluster.record("hex8_2p").current.generation;
    cluster.done(&promote("hex8_2p", 2));
    let late = cluster.refusal(&over("hex8_2p", 3, first));
    assert_eq!(
        late,
        format!("canonical_hex8_2p.pth became {:.12}… since that file's forerunner", sha256(2).to_string())
    );
    cluster.refusal(&over("hex8_2p", 3, 0));
    // A repetition whose first attempt was agreed on.
    assert_eq!(cluster.apply(&over("hex8_2p", 2, first)), Outcome::Unchanged);
    let second = cluster.record("hex8_2p").current.generation;
    cluster.done(&over("hex8_2p", 3, second));
    // Other promotions are about other bytes: who asks for one by hand knows what he does.
    cluster.done(&promote("hex8_2p", 4));
}

#[test]
fn the_event_of_a_file_that_was_set_aside_says_where_it_is() {
    let event = ModelSetAside::event(&model("hex8_2p"), Some(sha256(1)), "/m/x.1.aside", &id("gpu-3"), 5_000);
    insta::assert_snapshot!(
        event.message,
        @"a program on gpu-3 wrote canonical_hex8_2p.pth over a version that is not the agreed one any more: its file is at /m/x.1.aside"
    );
    let details = ModelSetAside::of(&event).unwrap();
    assert_eq!(
        (details.path.as_str(), details.sha256, event.node),
        ("/m/x.1.aside", Some(sha256(1)), Some(id("gpu-3")))
    );
}
