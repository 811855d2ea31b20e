//! `monitor` where there is no terminal. How it looks on one is tested where it is drawn.

use std::process::Stdio;

use ringrift_api::{ErrorBody, ErrorCode};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
};

use crate::{
    cluster,
    ctl::{command, in_time, run},
    fake::{Answer, Fake, Seen},
};

fn watch(fake: &Fake, args: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = command()
        .args(["--api", &fake.url(), "monitor", "--watch", "--interval", "0.1"])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

#[tokio::test]
async fn without_watch_it_is_a_status() {
    let fake = Fake::start(|_: &Seen| Answer::json(&cluster::healthy())).await;
    assert_eq!(run(&fake, &["monitor"]).await.out, run(&fake, &["status"]).await.out);
    let fake = Fake::start(|_: &Seen| Answer::json(&cluster::leaderless())).await;
    assert_eq!(run(&fake, &["monitor"]).await.code, Some(5));
}

#[tokio::test]
async fn without_a_terminal_it_writes_text_again_and_again_until_nobody_reads() {
    let fake = Fake::start(|_: &Seen| Answer::json(&cluster::healthy())).await;
    let (child, mut lines) = watch(&fake, &[]);
    let mut looks = 0;
    while looks < 3 {
        let line = in_time(lines.next_line()).await.unwrap().expect("the output ended");
        assert!(!line.contains('\x1b'), "{line:?}");
        looks += usize::from(line == "Leader: alpha");
    }
    drop(lines);
    let output = in_time(child.wait_with_output()).await.unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[tokio::test]
async fn a_daemon_that_fails_is_told_of_and_asked_again() {
    let answers = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::start(move |_: &Seen| match answers.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        1 => Answer::json(&ErrorBody::new(ErrorCode::Overloaded, "too much")).status(503),
        3 => Answer::json(&ErrorBody::new(ErrorCode::Unauthorized, "unauthorized")).status(401),
        _ => Answer::json(&cluster::healthy()),
    })
    .await;
    let (child, mut lines) = watch(&fake, &["--json"]);
    for _ in 0..2 {
        let status: Value = serde_json::from_str(&in_time(lines.next_line()).await.unwrap().unwrap()).unwrap();
        assert_eq!(status["leader_id"], "alpha");
    }
    assert_eq!(in_time(lines.next_line()).await.unwrap(), None, "what cannot pass ends it");
    let output = in_time(child.wait_with_output()).await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let codes: Vec<Value> =
        told.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["error_code"].clone()).collect();
    assert_eq!((codes, output.status.code()), (vec!["OVERLOADED".into(), "UNAUTHORIZED".into()], Some(4)));
}

#[tokio::test]
async fn a_reader_that_leaves_while_the_daemon_is_away_ends_the_watch() {
    let answers = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::start(move |_: &Seen| match answers.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => Answer::json(&cluster::healthy()),
        _ => Answer::json(&ErrorBody::new(ErrorCode::Overloaded, "too much")).status(503),
    })
    .await;
    let (mut child, mut lines) = watch(&fake, &["--json"]);
    assert!(in_time(lines.next_line()).await.unwrap().is_some());
    drop(lines);
    assert!(in_time(child.wait()).await.unwrap().success());
}
