//! `logs` and `daemons`.

use std::{process::Stdio, time::Duration};

use ringrift_api::{Component, ComponentStatus};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{Place, health, nobody};
use crate::{
    ctl::in_time,
    fake::{Answer, Fake, Seen},
};

const HOSTS: &str = "\
hosts:
  alpha: {ssh_host: log-a, status: ready}
  beta: {ssh_host: log-b, status: ready}
  gamma: {ssh_host: refused, status: ready}
  old: {ssh_host: log-a, status: retired}
";

#[tokio::test]
async fn journals_are_merged_by_time_and_one_that_is_missing_is_named() {
    let place = Place::new(HOSTS);
    let ran = place.run(&nobody(), &["logs", "--unit", "some unit", "--since", "-1h", "--lines", "9"]).await;
    assert_eq!(
        ran.out,
        "2026-03-01 09:00:00.000Z alpha            first\n2026-03-01 09:00:01.000Z beta             second\n\
         2026-03-01 09:00:02.000Z alpha            third\n"
    );
    assert!(ran.err.contains("note: gamma is missing: connection refused at refused port 22"), "{ran:?}");
    assert_eq!(ran.code, Some(1));
    let script = std::fs::read_to_string(place.path("script")).unwrap();
    for part in ["some unit", "--since=-1h", "--lines=9"] {
        assert!(script.contains(part), "{part}: {script}");
    }
    let ran = place.run(&nobody(), &["--json", "logs", "--node", "beta", "old"]).await;
    let json = ran.json();
    assert_eq!((ran.code, &json["entries"][1]["node_id"]), (Some(0), &json!("beta")), "{ran:?}");
    assert_eq!(json["entries"][0]["unit"], "ringrift-p2p.service");
}

#[tokio::test]
async fn followed_journals_go_on_where_they_were_lost() {
    let place = Place::new("hosts:\n  alpha: {ssh_host: log-a, status: ready}\n");
    let mut command = place.command(&nobody(), &["logs", "--follow"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    for expected in ["first", "third"] {
        let line = in_time(out.next_line()).await.unwrap().unwrap();
        assert!(line.ends_with(expected), "{line}");
    }
    // This one ends at once, as if the node had gone; it is asked again for what follows.
    in_time(async {
        while !std::fs::read_to_string(place.path("script")).unwrap().contains("--after-cursor=a3") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(in_time(child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn subsystems_are_shown_and_one_that_is_stuck_is_an_error() {
    let place = Place::new("hosts:\n  alpha: {status: ready}\n  beta: {status: ready}\n  gamma: {status: ready}\n");
    let subsystems = |status: ComponentStatus, message: &str, stuck: &[&str]| {
        let mut component = Component::new("coordinator_managers", status, message);
        component.stuck = stuck.iter().map(ToString::to_string).collect();
        component.details.insert("members".to_owned(), json!(0.2));
        component.details.insert("watch".to_owned(), json!(90.0));
        vec![component]
    };
    let well = subsystems(ComponentStatus::Ok, "2 subsystems make progress", &[]);
    let stuck = subsystems(ComponentStatus::Error, "watch is stuck for 90 s", &["watch"]);
    let fake = Fake::start(move |seen: &Seen| {
        let mut health = health("alpha", true);
        match seen.path.as_str() {
            "/api/node/alpha/health" => health.components.clone_from(&well),
            "/api/node/beta/health" => health.components.clone_from(&stuck),
            _ => {
                let error = json!({"error": "gamma is not reached", "error_code": "UNREACHABLE", "details": {}});
                return Answer::json(&error).status(502);
            }
        }
        Answer::json(&health)
    })
    .await;
    let ran = place.run(&fake.url(), &["daemons"]).await;
    insta::assert_snapshot!("daemons", ran.out);
    assert_eq!(ran.code, Some(1));
    let ran = place.run(&fake.url(), &["--json", "daemons", "--node", "alpha"]).await;
    assert_eq!(ran.json()["nodes"][0]["subsystems"][1]["silent_seconds"], 90.0);
    assert_eq!(ran.code, Some(0));
    assert_eq!(place.run(&fake.url(), &["daemons", "--node", "gamma"]).await.code, Some(3));
}
