//! What the leader does about a hosts file's voters.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;

use proptest::prelude::*;
use ringrift_config::NodeId;
use ringrift_state::{Command, Decision, VoterHistory, majority, reconcile};
use support::{id, ids, nodes, state_after};

/// The history of a cluster that had these lists one after the other.
fn history(lists: &[&[&str]]) -> VoterHistory {
    let adoptions: Vec<Command> = lists
        .iter()
        .map(|list| Command::AdoptVoters {
            voters: ids(list),
            replaced: BTreeSet::new(),
            revision: String::new(),
            by: "ada".into(),
            at_ms: 0,
        })
        .collect();
    state_after(&adoptions).voters
}

fn list(names: &[&str]) -> Vec<NodeId> {
    names.iter().map(|name| id(name)).collect()
}

/// The decision in one line.
fn told(decision: Decision) -> String {
    let names = |nodes: &BTreeSet<NodeId>| nodes.iter().map(NodeId::as_str).collect::<Vec<_>>().join(" ");
    match decision {
        Decision::Unchanged => "unchanged".to_owned(),
        Decision::Change { to, added, removed, dead } => {
            format!("to {}: +[{}] -[{}] dead [{}]", names(&to), names(&added), names(&removed), names(&dead))
        }
        Decision::Refuse { reason } => format!("refused: {reason}"),
        Decision::Stale { since, reason } => format!("stale since {}: {reason}", since.index),
    }
}

#[test]
fn each_case_is_decided_with_a_sentence_that_names_the_nodes() {
    let all = ["a", "b", "c", "d", "e"];
    let past: &[&[&str]] = &[&["a", "b", "c"]];
    let ten: Vec<String> = (0..10).map(|n| format!("n{n}")).collect();
    let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("same", &["c", "b", "a"], &all),
        ("same while a majority is dead", &["a", "b", "c"], &["a"]),
        ("one more and one less", &["a", "b", "d"], &all),
        ("grown by two of which one is dead", &["a", "b", "c", "d", "e"], &["a", "b", "c", "d"]),
        ("shrunk to one", &["a"], &all),
        ("none", &[], &all),
        ("twice", &["a", "b", "a"], &all),
        ("ten", &ten, &all),
        ("would have no quorum", &["a", "d", "e"], &["a", "b", "c"]),
        ("the old ones have no quorum", &["a", "d", "e"], &["a", "d", "e"]),
    ];
    let mut all_told = String::new();
    for (case, file, alive) in cases {
        let decision = reconcile(&ids(&["a", "b", "c"]), &list(file), &history(past), &ids(alive), false);
        writeln!(all_told, "{case}: {}", told(decision)).unwrap();
    }
    insta::assert_snapshot!(all_told);
}

#[test]
fn a_copy_that_was_left_behind_is_stale_unless_it_is_meant() {
    let past = history(&[&["a", "b", "c"], &["a", "b", "d"], &["a", "b", "e"]]);
    let (current, alive) = (ids(&["a", "b", "e"]), ids(&["a", "b", "c", "d", "e"]));
    let decide = |file: &[&str], explicit| told(reconcile(&current, &list(file), &past, &alive, explicit));
    insta::assert_snapshot!(decide(&["a", "b", "c"], false), @"stale since 2: the hosts file names the voters a, b, c, which were replaced by a, b, d at log index 2 by ada: it is an old copy, and a, b, e stay the voters; bring the new file here, or ask for the old voters explicitly if you mean them");
    assert!(decide(&["a", "b", "d"], false).starts_with("stale since 3"));
    assert_eq!(decide(&["a", "b", "d"], true), "to a b d: +[d] -[e] dead []");
    assert_eq!(decide(&["a", "c", "d"], false), "to a c d: +[c d] -[b e] dead []", "never in force, so new");
}

#[test]
fn a_list_that_came_back_is_not_stale() {
    let past = history(&[&["a"], &["b"], &["a"]]);
    assert_eq!(reconcile(&ids(&["a"]), &list(&["a"]), &past, &ids(&["a", "b"]), false), Decision::Unchanged);
    // Raft went on to c, and its leader died before it wrote that down: a is no old copy as far as anyone knows.
    assert_eq!(
        told(reconcile(&ids(&["c"]), &list(&["a"]), &past, &ids(&["a", "c"]), false)),
        "to a: +[a] -[c] dead []"
    );
}

proptest! {
    #[test]
    fn a_change_always_leaves_a_quorum_of_both_lists(
        current in nodes(), file in nodes(), alive in nodes(), past in prop::collection::vec(nodes(), 0..5), explicit: bool,
    ) {
        let adoptions: Vec<Command> = past.into_iter().map(|voters| Command::AdoptVoters {
            voters, replaced: BTreeSet::new(), revision: String::new(), by: String::new(), at_ms: 0,
        }).collect();
        let history = state_after(&adoptions).voters;
        let listed: Vec<NodeId> = file.iter().cloned().collect();
        match reconcile(&current, &listed, &history, &alive, explicit) {
            Decision::Unchanged => prop_assert_eq!(file, current),
            Decision::Change { to, added, removed, dead } => {
                prop_assert_eq!(&to, &file);
                prop_assert!(to.intersection(&alive).count() >= majority(to.len()));
                prop_assert!(current.intersection(&alive).count() >= majority(current.len()));
                prop_assert_eq!(&(&current | &added) - &removed, to.clone());
                prop_assert!(dead.is_disjoint(&alive) && dead.is_subset(&to));
                prop_assert!(explicit || history.superseded_by(&to).is_none());
            }
            Decision::Refuse { reason } => prop_assert!(file.is_empty() || file.iter().any(|node| reason.contains(node.as_str()))
                || current.is_empty() || current.iter().any(|node| reason.contains(node.as_str()))),
            Decision::Stale { since, .. } => {
                prop_assert!(!explicit);
                prop_assert!(since.voters != file);
            }
        }
    }
}
