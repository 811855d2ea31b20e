//! `doctor`.

use ringrift_api::{Component, ComponentStatus, VoterEntry, VotersReport};

use super::{Place, health, nobody};
use crate::{
    cluster::{self, id},
    fake::{Answer, Fake, Seen},
};

const HOSTS: &str = "\
hosts:
  alpha: {ssh_host: 10.0.0.5, status: ready}
  beta: {ssh_host: 10.9.9.9, status: ready}
  gamma: {ssh_host: stopped, status: ready}
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
    let ran = place.run(&fake.url(), &["doctor"]).await;
    insta::assert_snapshot!("doctor", ran.out);
    assert_eq!(ran.code, Some(1));
}

#[tokio::test]
async fn where_nothing_is_wrong_it_says_so_and_where_nobody_answers_too() {
    let place = Place::new("hosts:\n  alpha: {ssh_host: 10.0.0.5, status: ready}\n");
    let fake = Fake::start(move |seen: &Seen| match seen.path.as_str() {
        "/api/voters" => Answer::json(&voters(&["alpha", "beta", "gamma"])),
        path if path.ends_with("/health") => Answer::json(&health("alpha", true)),
        _ => Answer::json(&cluster::healthy()),
    })
    .await;
    let ran = place.run(&fake.url(), &["doctor"]).await;
    assert!(
        ran.out.starts_with("Nothing is wrong with the 1 daemons that were asked.\n") && ran.code == Some(0),
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
