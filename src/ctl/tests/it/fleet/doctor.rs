//! `doctor`.

use std::{fs, os::unix::fs::PermissionsExt as _};

use ringrift_api::{
    Component, ComponentReport, ComponentStatus, DistributionPhase, ManifestState, ModelProgress, ModelsProgress,
    NodeProgress, VoterEntry, VotersReport,
};
use serde_json::json;

use super::{Place, health, nobody};
use crate::{
    cluster::{self, id},
    fake::{Answer, Fake, Seen},
};

const HOSTS: &str = "\
hosts:
  alpha: {ssh_host: 10.0.0.5, status: ready, role: backbone}
  beta: {ssh_host: 10.9.9.9, status: ready, role: backbone}
  gamma: {ssh_host: stopped, status: ready, role: backbone}
p2p_voters: [alpha, beta, gamma]
";

fn voters(alive: &[&str]) -> VotersReport {
    let entry = |name: &str| VoterEntry {
        node_id: id(name),
        alive: alive.contains(&name),
        is_leader: false,
        matched: None,
        lag: None,
        detail: String::new(),
    };
    let quorum_ok = alive.len() >= 2;
    VotersReport {
        success: true,
        node_id: id("alpha"),
        leader_id: quorum_ok.then(|| id("alpha")),
        term: 7,
        committed: 9,
        config_index: 1,
        quorum_size: 2,
        voters_alive: alive.len() as u32,
        quorum_ok,
        quorum_threatened: alive.len() < 3,
        voters: ["alpha", "beta", "gamma"].map(entry).to_vec(),
        pending: Vec::new(),
    }
}

#[tokio::test]
async fn what_explains_most_comes_first_with_its_evidence_and_its_remedy() {
    let place = Place::new(HOSTS);
    let fake = Fake::start(move |seen: &Seen| {
        let mut health = health("alpha", true);
        match seen.path.as_str() {
            "/api/voters" => return Answer::json(&voters(&["alpha"])),
            "/health" | "/api/node/alpha/health" => {
                health.components = vec![Component::new("models", ComponentStatus::Warning, "one model is missing")];
            }
            "/api/node/beta/health" => {
                health.components = vec![Component::new("resources", ComponentStatus::Error, "disk at 97 %")];
            }
            path if path.starts_with("/api/node/") => return Answer::text("text/plain", "no").status(500),
            _ => return Answer::json(&cluster::healthy()),
        }
        Answer::json(&health)
    })
    .await;
    let ran = place.run(&fake.url(), &["doctor", "--quick"]).await;
    insta::assert_snapshot!("doctor", ran.out);
    assert_eq!(ran.code, Some(1));
}

#[tokio::test]
async fn where_nothing_is_wrong_it_says_so_and_where_nobody_answers_too() {
    let hosts = HOSTS.replace("10.9.9.9", "10.0.0.4").replace("ssh_host: stopped", "ssh_host: 10.0.0.6");
    let place = Place::new(&hosts);
    let fake = Fake::start(move |seen: &Seen| match seen.path.as_str() {
        "/api/voters" => Answer::json(&voters(&["alpha", "beta", "gamma"])),
        path if path.ends_with("/health") => Answer::json(&health("alpha", true)),
        _ => {
            let mut status = cluster::healthy();
            let gamma = status.nodes.iter_mut().find(|node| node.node_id == id("gamma")).unwrap();
            gamma.host = "10.0.0.6".to_owned();
            Answer::json(&status)
        }
    })
    .await;
    let ran = place.run(&fake.url(), &["doctor", "--quick"]).await;
    assert!(
        ran.out.starts_with("Nothing is wrong with the 3 daemons that were asked.\n") && ran.code == Some(0),
        "{ran:?}"
    );
    let place = Place::new("hosts:\n  alpha: {ssh_host: refused, status: ready}\n");
    let ran = place.run(&nobody(), &["doctor"]).await;
    assert!(ran.out.starts_with("1. the daemon that was to be asked does not answer\n"), "{ran:?}");
    assert!(
        ran.out.contains("2. alpha does not take part\n   unreachable (connection refused)\n   → no SSH server"),
        "{ran:?}"
    );
    assert_eq!(ran.code, Some(1));
}

/// One that only dials out, one whose clock, ports, Python and hosts file are wrong, one whose SSH is, one that has not
/// joined, and one that is down.
const TROUBLED: &str = "\
hosts:
  alpha: {ssh_host: node-a, status: ready, role: backbone, nat_blocked: true}
  beta: {ssh_host: node-b, status: ready, role: mixed, ringrift_path: ~/r, gpu: GH200}
  gamma: {ssh_host: denied, status: ready, role: backbone}
  gpu-node-4: {ssh_host: runs-4, status: ready, role: backbone, nat_blocked: true}
  off: {ssh_host: refused, status: ready, role: backbone}
p2p_voters: [alpha, beta, gamma, off]
";

#[tokio::test]
async fn the_whole_chapter_is_walked() {
    let place = Place::new(TROUBLED);
    fs::create_dir_all(place.path("node-b")).unwrap();
    fs::create_dir_all(place.path("bin-b")).unwrap();
    let df =
        "printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/x 900000000 1 440000000 1%% /\\n'";
    for (name, script) in
        [("df", df), ("date", "echo 1000000000.0"), ("nvidia-smi", "exit 1"), ("python3", "echo no torch; exit 1")]
    {
        let path = place.path("bin-b").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(place.path("other.yaml"), "hosts: {}\n").unwrap();
    let script = "PATH=$here/bin-b:$PATH; export RINGRIFT_HOSTS_FILE=\"$here/other.yaml\"\n";
    fs::write(place.path("node-b.script"), script).unwrap();
    fs::create_dir_all(place.path("bin")).unwrap();
    fs::copy(place.path("bin-b/df"), place.path("bin/df")).unwrap();
    fs::write(place.path("node-a.script"), "export RINGRIFT_HOSTS_FILE=\"$here/hosts.yaml\"\n").unwrap();

    let fake = Fake::start(move |seen: &Seen| match seen.path.as_str() {
        "/api/voters" => Answer::json(&voters(&["alpha", "beta", "gamma"])),
        "/api/models/progress" => Answer::json(&lacking("beta", "the disk has room for 3 MB of 96 MB")),
        "/api/health/components?cluster=true" => {
            let corrupt = vec![Component::new("data_sync", ComponentStatus::Error, "database disk image is malformed")];
            let report = |node: &str, components| {
                json!({ "node_id": node, "error": null, "report": ComponentReport::of(id(node), String::new(), components) })
            };
            // A backbone has no games, which is no trouble.
            let nodes = [report("alpha", corrupt.clone()), report("beta", corrupt)];
            Answer::json(&json!({ "healthy": false, "timestamp": "", "nodes": nodes, "issues": [], "warnings": [] }))
        }
        "/health" | "/api/node/alpha/health" => Answer::json(&health("alpha", true)),
        "/api/node/beta/health" | "/api/node/gamma/health" => Answer::json(&health("beta", true)),
        path if path.starts_with("/api/node/") => Answer::text("text/plain", "no").status(500),
        _ => Answer::json(&cluster::healthy()),
    })
    .await;
    let ran = place.run(&fake.url(), &["doctor", "--json"]).await;
    let json = ran.json();
    assert_eq!(ran.code, Some(1));
    let findings = json["findings"].as_array().unwrap();
    let told: Vec<&str> = findings.iter().map(|one| one["finding"].as_str().unwrap()).collect();
    let expected = [
        "off does not take part",
        "gpu-node-4 runs, and has not joined",
        "beta has another hosts file",
        "gamma is not reached over SSH",
        "ports of beta, or on the way back from it, are closed",
        "the clock of beta is wrong",
        "beta does not get its models",
        "data_sync of beta fails",
        "beta may not be fit for its jobs",
        "the hosts file deserves a look",
    ];
    let places =
        expected.map(|what| told.iter().position(|one| *one == what).unwrap_or_else(|| panic!("{what}: {told:#?}")));
    assert!(places.is_sorted(), "{told:#?}");
    // Nothing is said of the node with which all is well.
    assert!(!told.iter().any(|one| one.contains("alpha")), "{told:#?}");
    for (what, remedy) in [
        ("beta has another hosts file", "`ringriftctl hosts distribute --node beta`"),
        ("gamma is not reached over SSH", "ssh setup --node gamma"),
        ("the clock of beta is wrong", "timedatectl set-ntp true"),
        ("data_sync of beta fails", "`ringriftctl db check --node beta`"),
        ("beta does not get its models", "`ringriftctl data cleanup --dry-run` on beta"),
    ] {
        let found = findings.iter().find(|one| one["finding"] == what).unwrap();
        assert!(found["remedy"].as_str().unwrap().contains(remedy), "{found}");
    }
}

/// A node whose disk has no room for a model.
fn lacking(node: &str, message: &str) -> ModelsProgress {
    let node = NodeProgress {
        node_id: id(node),
        state: ManifestState::NoSpace,
        have_bytes: 0,
        of_bytes: 96_000_000,
        bytes_per_second: 0.0,
        sources: 0,
        message: message.to_owned(),
    };
    let model = ModelProgress {
        name: "canonical_hex8_2p.pth".parse().unwrap(),
        sha256: "00".repeat(32).parse().unwrap(),
        size: 96_000_000,
        generation: 1,
        distribution_generation: 1,
        state: DistributionPhase::Running,
        started_at: 1.0,
        nodes_verified: 0,
        nodes_eligible: 1,
        nodes: vec![node],
    };
    ModelsProgress { success: true, models: vec![model], state_index: 1, timestamp: 1.0 }
}
