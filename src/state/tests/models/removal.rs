//! Names that are taken away, and what a restored state brings back.

use super::*;

#[test]
fn a_removed_name_is_gone_with_its_history_until_it_is_promoted_again() {
    let mut cluster = Cluster::default();
    assert!(cluster.refusal(&remove("hex8_2p")).starts_with("no model canonical_hex8_2p.pth was promoted"));
    cluster.done(&promote("hex8_2p", 1));
    cluster.done(&promote("hex8_2p", 2));
    cluster.done(&promote("square8_2p", 2));
    cluster.done(&remove("hex8_2p"));
    let state = &cluster.agreed.state;
    assert!(!state.models.contains_key(&model("hex8_2p")));
    let removal = Removal { generation: cluster.agreed.index, by: "ada".into(), at_ms: 6_000 };
    assert_eq!(state.removed, BTreeMap::from([(model("hex8_2p"), removal.clone())]));
    assert_eq!(state.blobs.keys().collect::<Vec<_>>(), [&sha256(2)], "another name has these bytes");
    let event = cluster.newest(1).remove(0);
    assert_eq!(
        event.message,
        format!("canonical_hex8_2p.pth is removed, by ada; it was {:.12}…", sha256(2).to_string())
    );
    assert_eq!(ModelRemoved::of(&event).unwrap().sha256, sha256(2));

    cluster.refusal(&remove("hex8_2p"));
    cluster.refusal(&roll_back("hex8_2p", 1));
    assert_eq!(cluster.apply(&ended("hex8_2p", 2, 2, &["a"], &[])), Outcome::Unchanged, "a verdict that comes late");
    // A file of a node that was off meanwhile does not bring it back; one that was written since does.
    assert!(cluster.refusal(&over("hex8_2p", 3, 2)).contains("was removed since"));
    assert!(cluster.refusal(&over("hex8_2p", 3, 0)).contains("was removed since"));
    cluster.done(&over("hex8_2p", 3, removal.generation));
    assert!(cluster.record("hex8_2p").history.is_empty());
    assert!(cluster.agreed.state.removed.is_empty());
}

#[test]
fn a_restore_brings_a_removed_model_back() {
    let mut cluster = Cluster::default();
    cluster.done(&promote("hex8_2p", 1));
    let saved = Box::new(cluster.agreed.state.clone());
    cluster.done(&remove("hex8_2p"));
    cluster.done(&Command::Restore { state: saved, source: String::new(), by: String::new(), at_ms: 0 });
    assert_eq!(cluster.record("hex8_2p").current.sha256, sha256(1));
    assert!(cluster.agreed.state.removed.is_empty());
}

#[test]
fn of_the_removed_names_the_latest_are_remembered() {
    let mut cluster = Cluster::default();
    for n in 0..=Removal::MAX {
        cluster.done(&promote(&format!("board{n}_2p"), 1));
        cluster.done(&remove(&format!("board{n}_2p")));
    }
    let removed = &cluster.agreed.state.removed;
    assert_eq!(removed.len(), Removal::MAX);
    assert!(!removed.contains_key(&model("board0_2p")) && removed.contains_key(&model("board1_2p")));
}

#[test]
fn a_restore_promotes_what_was_current_and_takes_no_model_away() {
    let restore = |state: ClusterState| Command::Restore {
        state: state.into(),
        source: "monday.snap".into(),
        by: "ada".into(),
        at_ms: 4,
    };
    let mut saved = Cluster::default();
    saved.done(&promote("hex8_2p", 1));
    saved.done(&promote("hex8_2p", 2));
    saved.done(&promote("hex8_3p", 5));

    let mut cluster = Cluster::default();
    cluster.done(&promote("hex8_2p", 3));
    cluster.done(&promote("square8_2p", 4));
    cluster.done(&restore(saved.agreed.state.clone()));
    let record = cluster.record("hex8_2p");
    assert_eq!((record.current.sha256, record.current.generation), (sha256(2), 3));
    assert_eq!(record.earlier().map(|p| p.sha256).collect::<Vec<_>>(), [sha256(3)]);
    assert_eq!(cluster.record("square8_2p").current.sha256, sha256(4));
    assert_eq!(cluster.record("hex8_3p").current.generation, 3, "of this log, not of the saved one");
    let kinds: Vec<String> = cluster.newest(5).into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds[0], "STATE_RESTORED");
    assert_eq!(kinds.iter().filter(|kind| *kind == "MODEL_PROMOTED").count(), 2);
    // Once more: nothing differs any more.
    let seq = cluster.agreed.state.last_seq;
    cluster.done(&restore(saved.agreed.state.clone()));
    assert_eq!(cluster.agreed.state.last_seq, seq + 1);

    let mut young = Cluster::default();
    young.done(&restore(saved.agreed.state.clone()));
    young.done(&roll_back("hex8_2p", 1));

    let mut hollow = saved.agreed.state.clone();
    hollow.blobs.clear();
    assert_eq!(young.refusal(&restore(hollow)), "the saved state does not have the chunks of canonical_hex8_2p.pth");
}
