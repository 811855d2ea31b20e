use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::*;
use crate::Flags;

const HOSTS: &str = include_str!("../../testdata/hosts.yaml");

fn file(text: &str) -> HostsFile {
    HostsFile::parse(text, Path::new("hosts.yaml")).unwrap()
}

/// Settings as these variables make them, without any file of this machine.
fn settings(variables: &[(&str, &str)]) -> Settings {
    let environment: BTreeMap<String, String> =
        variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let flags = Flags { settings: Some("none".into()), ..Flags::default() };
    Settings::resolve(&flags, &environment).unwrap().settings
}

fn node(id: &str) -> Settings {
    settings(&[("RINGRIFT_NODE_ID", id)])
}

fn ids(ids: &[&str]) -> Vec<NodeId> {
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

fn error(settings: &Settings, hosts: Option<&HostsFile>) -> String {
    start_plan(settings, hosts).unwrap_err().to_string()
}

#[test]
fn a_voter_of_the_file_starts_as_one() {
    let plan = start_plan(&node("backbone-1"), Some(&file(HOSTS))).unwrap();
    assert!(plan.is_voter());
    assert_eq!(plan.voters, BTreeSet::from_iter(ids(&["studio", "backbone-1", "h100-3", "cpu-2"])));
    assert_eq!(plan.voters_from, VotersFrom::HostsFile);
    assert_eq!(plan.known, ids(&["studio", "cpu-2", "vast-1", "vast-2"]), "ready and p2p_enabled, without this node");
    assert_eq!(plan.host.unwrap().region.as_deref(), Some("eu-north1"));
    assert_eq!(plan.warnings, Vec::<String>::new());
}

#[test]
fn a_worker_starts_as_one() {
    let plan = start_plan(&node("vast-2"), Some(&file(HOSTS))).unwrap();
    assert!(!plan.is_voter() && plan.host.unwrap().dials_out_only());
}

#[test]
fn a_setting_overrides_the_files_voters() {
    let settings = settings(&[("RINGRIFT_NODE_ID", "cpu-2"), ("RINGRIFT_P2P_VOTERS", "cpu-2,vast-1,backbone-1")]);
    let plan = start_plan(&settings, Some(&file(HOSTS))).unwrap();
    assert_eq!(plan.voters, BTreeSet::from_iter(ids(&["cpu-2", "vast-1", "backbone-1"])));
    assert_eq!(plan.voters_from, VotersFrom::Setting(Source::Variable("RINGRIFT_P2P_VOTERS")));

    let settings = self::settings(&[("RINGRIFT_NODE_ID", "cpu-2"), ("RINGRIFT_P2P_VOTERS", "cpu-2,vast1")]);
    assert_eq!(
        error(&settings, Some(&file(HOSTS))),
        "voters (RINGRIFT_P2P_VOTERS): vast1 is not among the hosts of hosts.yaml (did you mean vast-1?)"
    );
}

#[test]
fn a_file_without_voters_founds_no_cluster_except_of_one() {
    let without = file("hosts: {a: {status: ready, role: mixed}, b: {status: ready, role: mixed}}");
    assert_eq!(
        error(&node("a"), Some(&without)),
        "hosts.yaml: p2p_voters: missing: a cluster needs voters. List 3 to 9 stable hosts there, or start this node as a \
         cluster of its own with --single-node"
    );
    assert!(error(&node("a"), Some(&file("p2p_voters: []\nhosts: {a: {}}"))).contains("the list is empty"));

    let alone = settings(&[("RINGRIFT_NODE_ID", "a"), ("RINGRIFT_P2P_SINGLE_NODE", "true")]);
    let source = Source::Variable("RINGRIFT_P2P_SINGLE_NODE");
    for hosts in [Some(&without), None, Some(&file("p2p_voters: [a]\nhosts: {a: {}}"))] {
        let plan = start_plan(&alone, hosts).unwrap();
        assert_eq!(
            (plan.voters, plan.voters_from),
            (BTreeSet::from_iter(ids(&["a"])), VotersFrom::SingleNode(source.clone()))
        );
        assert_eq!(plan.known, [], "a cluster of one knows nobody");
    }
}

#[test]
fn a_single_node_among_voters_is_a_contradiction() {
    let alone = settings(&[("RINGRIFT_NODE_ID", "cpu-2"), ("RINGRIFT_P2P_SINGLE_NODE", "1")]);
    assert_eq!(
        error(&alone, Some(&file(HOSTS))),
        "single_node (RINGRIFT_P2P_SINGLE_NODE) makes this node a cluster of its own, and p2p_voters of hosts.yaml names other \
         voters (studio, backbone-1, h100-3); take one of the two away"
    );
}

#[test]
fn without_a_file_voters_must_be_named() {
    assert_eq!(
        error(&node("a"), None),
        "there is no hosts file (/etc/ringrift-p2p/distributed_hosts.yaml does not exist) and no voters are named. Name a file \
         with --hosts or RINGRIFT_HOSTS_FILE, or the voters with --voters, or start this node as a cluster of its own with \
         --single-node"
    );
    let named = settings(&[("RINGRIFT_NODE_ID", "w"), ("RINGRIFT_P2P_VOTERS", "a,b,c")]);
    let plan = start_plan(&named, None).unwrap();
    assert_eq!((plan.known, plan.host), (ids(&["a", "b", "c"]), None));
}

#[test]
fn a_node_that_the_file_does_not_have_is_told_which_there_are() {
    assert_eq!(
        error(&node("backbone1"), Some(&file(HOSTS))),
        "this node is backbone1 (RINGRIFT_NODE_ID), and hosts.yaml has no such host (did you mean backbone-1?); name it with \
         --node-id or RINGRIFT_NODE_ID"
    );
    assert_eq!(
        error(&node("ip-10-0-0-7"), Some(&file(HOSTS))),
        "this node is ip-10-0-0-7 (RINGRIFT_NODE_ID), and hosts.yaml has no such host (it has studio, backbone-1, h100-3, cpu-2, \
         vast-1, vast-2, proxy); name it with --node-id or RINGRIFT_NODE_ID"
    );
    let many: String = (0..12).fold("p2p_voters: []\nhosts:\n".to_owned(), |text, i| text + &format!("  n{i}: {{}}\n"));
    assert!(
        error(&node("zeus"), Some(&file(&many))).contains("(it has n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 2 more)")
    );
}

#[test]
fn a_node_that_others_do_not_expect_starts_with_a_warning() {
    let plan = start_plan(&node("h100-3"), Some(&file(HOSTS))).unwrap();
    assert_eq!(
        plan.warnings,
        ["hosts.yaml: hosts.h100-3 has p2p_enabled false: other nodes do not expect this one, and it gets no work"]
    );
    let text = "p2p_voters: [a, b, c]\nhosts: {a: {status: maintenance}, b: {status: retired}, c: {status: ready}}";
    assert_eq!(
        start_plan(&node("a"), Some(&file(text))).unwrap().warnings,
        [
            "hosts.yaml: hosts.a has status maintenance: other nodes do not expect this one, and it gets no work",
            "hosts.yaml: only 1 of 3 voters are ready and p2p_enabled, and a leader needs 2",
        ]
    );
}
