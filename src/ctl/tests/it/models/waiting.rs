//! Waiting until every node has it.

use std::sync::atomic::{AtomicUsize, Ordering};

use ringrift_api::{DistributionPhase, ErrorBody, ErrorCode, ModelsProgress};
use ringrift_blob::Digest;
use serde_json::Value;

use super::{changed, entry, list, progress};
use crate::{
    cluster::NOW,
    ctl::{command, in_time, run},
    fake::{Answer, Fake, Seen},
};

#[tokio::test]
async fn another_promotion_meanwhile_is_no_success() {
    let sha256 = Digest::of(b"mine");
    let fake = Fake::start(move |seen: &Seen| match seen.path.split('?').next().unwrap() {
        "/api/models/rollback" => changed(sha256, "is rolled back to"),
        "/api/models/progress" => Answer::json(&progress(Digest::of(b"other"), 9, DistributionPhase::Running, 1)),
        _ => Answer::json(&list(vec![entry("hex8_2p", Digest::of(b"other"), DistributionPhase::Running)])),
    })
    .await;
    let ran = run(&fake, &["models", "rollback", "hex8_2p", "--wait"]).await;
    insta::assert_snapshot!("superseded", ran.told());
}

#[tokio::test]
async fn ctrl_c_says_what_goes_on() {
    let sha256 = Digest::of(b"mine");
    let fake = Fake::start(move |seen: &Seen| match seen.path.split('?').next().unwrap() {
        "/api/models/rollback" => changed(sha256, "is rolled back to"),
        _ => Answer::json(&progress(sha256, 7, DistributionPhase::Running, 1)),
    })
    .await;
    let mut command = command();
    command.args(["--api", &fake.url(), "models", "rollback", "hex8_2p", "--wait"]);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    in_time(async {
        while !fake.seen().iter().any(|seen| seen.path.starts_with("/api/models/progress")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = in_time(child.wait_with_output()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the distribution goes on by itself\n  `ringriftctl models list`"), "{said}");
    assert_eq!(output.status.code(), Some(1));

    let ran = run(&fake, &["models", "rollback", "hex8_2p", "--wait", "--wait-limit", "0.3"]).await;
    assert!(ran.code == Some(1) && ran.err.contains("not done after"), "{ran:?}");
}

#[tokio::test]
async fn a_daemon_that_stays_away_is_given_up() {
    let sha256 = Digest::of(b"mine");
    let fake = Fake::start(move |seen: &Seen| match seen.path.split('?').next().unwrap() {
        "/api/models/rollback" => changed(sha256, "is rolled back to"),
        _ => Answer::json(&ErrorBody::new(ErrorCode::NoLeader, "no leader")).status(503),
    })
    .await;
    let ran = run(&fake, &["--timeout", "0.5", "models", "rollback", "hex8_2p", "--wait", "--json"]).await;
    let mut told = ran.err.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(told.next().unwrap()["note"].as_str().unwrap().ends_with("no leader; asking again"));
    let error = told.next().unwrap();
    assert_eq!((&error["error_code"], ran.code), (&"NO_LEADER".into(), Some(5)));
    assert!(error["advice"].as_str().unwrap().starts_with("The distribution goes on by itself"), "{error}");
    assert_eq!(told.next(), None);
}

#[tokio::test]
async fn whoever_waits_is_told_for_whom() {
    let sha256 = Digest::of(b"a");
    let mut waiting = progress(sha256, 7, DistributionPhase::Running, 2);
    waiting.models[0].nodes[2].message = "it is not alive".to_owned();
    let fake = Fake::start(move |seen: &Seen| match seen.path.as_str() {
        "/api/models/rollback" => changed(sha256, "is rolled back to"),
        _ => Answer::json(&waiting),
    })
    .await;
    let ran = run(&fake, &["models", "rollback", "hex8_2p", "--wait", "--wait-limit", "1"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("canonical_hex8_2p.pth is on 2 of 3 nodes; gpu-3: it is not alive\n"), "{ran:?}");
    assert!(ran.err.contains("not done after 1 s: the distribution goes on by itself"), "{ran:?}");
}

#[tokio::test]
async fn a_removal_meanwhile_ends_the_waiting_and_a_node_that_is_behind_does_not() {
    let sha256 = Digest::of(b"mine");
    let polls = AtomicUsize::new(0);
    let fake = Fake::start(move |seen: &Seen| match seen.path.split('?').next().unwrap() {
        "/api/models/rollback" => changed(sha256, "is rolled back to"),
        "/api/models/progress" => {
            // The promotion was entry 7 of the log.
            let state_index = if polls.fetch_add(1, Ordering::Relaxed) == 0 { 6 } else { 8 };
            Answer::json(&ModelsProgress { success: true, models: Vec::new(), state_index, timestamp: NOW })
        }
        _ => Answer::json(&list(Vec::new())),
    })
    .await;
    let ran = run(&fake, &["models", "rollback", "hex8_2p", "--wait"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.out.ends_with("canonical_hex8_2p.pth is no model any more: its name was removed meanwhile.\n"),
        "{ran:?}"
    );
    let polled = fake.seen().iter().filter(|seen| seen.path.starts_with("/api/models/progress")).count();
    assert_eq!(polled, 2);
}
