//! Who has it, and when that is everybody.

use super::*;

#[test]
fn what_has_failed_may_still_become_complete() {
    let mut cluster = Cluster::default();
    cluster.done(&promote("hex8_2p", 1));
    cluster.done(&ended("hex8_2p", 1, 1, &["a"], &[("b", "silent")]));
    assert_eq!(cluster.apply(&ended("hex8_2p", 1, 1, &["a"], &[("b", "still silent")])), Outcome::Unchanged);
    cluster.done(&ended("hex8_2p", 1, 1, &["a", "b"], &[]));
    assert!(matches!(cluster.record("hex8_2p").distribution.state, DistributionState::Complete { nodes: 2, .. }));
    let mut young = Cluster::default();
    young.done(&promote("hex8_2p", 1));
    let nobody = young.refusal(&ended("hex8_2p", 1, 1, &[], &[]));
    assert_eq!(nobody, "the distribution of canonical_hex8_2p.pth cannot end without a node");
}

#[test]
fn an_operator_asks_again_for_one_or_all() {
    let mut cluster = Cluster::default();
    assert_eq!(cluster.refusal(&distribute(None, false)), "no model was promoted yet");
    cluster.done(&promote("hex8_2p", 1));
    cluster.done(&promote("square8_2p", 2));
    assert!(cluster.refusal(&distribute(Some("hex8_3p"), false)).starts_with("no model canonical_hex8_3p.pth"));
    assert_eq!(cluster.apply(&distribute(None, false)), Outcome::Unchanged, "both are running");
    let (hex8, square8) = (cluster.record("hex8_2p").clone(), cluster.record("square8_2p").clone());
    cluster.done(&ended("hex8_2p", 1, hex8.distribution.generation, &["a"], &[]));
    cluster.done(&distribute(None, false));
    assert_eq!(cluster.record("hex8_2p").distribution.generation, cluster.agreed.index);
    assert_eq!(*cluster.record("square8_2p"), square8, "it was running");
    assert_eq!(cluster.record("hex8_2p").current, hex8.current, "the version is the same");
    cluster.done(&distribute(Some("square8_2p"), true));
    assert!(cluster.record("square8_2p").distribution.force);
}

#[test]
fn a_thousand_nodes_fit_into_the_event_that_names_them() {
    let mut cluster = Cluster::default();
    cluster.done(&promote("hex8_2p", 1));
    let nodes: BTreeSet<NodeId> = (0..1000).map(|n| id(&format!("gpu-node-{n:04}"))).collect();
    let failed: BTreeMap<NodeId, String> = nodes.iter().take(100).map(|n| (n.clone(), "x".repeat(10_000))).collect();
    let (name, sha256) = (model("hex8_2p"), sha256(1));
    cluster.done(&Command::DistributionEnded {
        name,
        sha256,
        generation: 1,
        succeeded: nodes,
        failed,
        duration_ms: 1,
        at_ms: 1,
    });
    let ended = ModelDistributionEnded::of(&cluster.newest(1)[0]).unwrap();
    assert_eq!(ended.nodes_failed.len(), 100, "who has failed comes first");
    assert!(ended.nodes_succeeded.len() > 300 && !ended.nodes_succeeded.contains(&id("gpu-node-0000")));
    assert_eq!(ended.nodes_omitted, 900 - ended.nodes_succeeded.len() as u64);
    let DistributionState::Failed { succeeded, failed, more, .. } = &cluster.record("hex8_2p").distribution.state
    else {
        panic!("it has failed")
    };
    assert_eq!((*succeeded, failed.len(), *more), (900, Distribution::MAX_FAILED, 68));
    assert!(failed.values().all(|reason| reason.len() <= Distribution::MAX_REASON));
}
