//! The event log, whole, in pieces and without end.

use std::process::Stdio;

use ringrift_api::{Event, EventPage};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::{
    cluster::{NOW, id},
    ctl::{command, in_time, run},
    fake::{Answer, Fake, Seen},
};

fn event(seq: u64) -> Event {
    let (kind, node_id, message) = match seq % 3 {
        0 => ("LEADER_ELECTED", Some(id("alpha")), "alpha leads in term 7"),
        1 => ("NODE_DEAD", Some(id("gpu-node-3")), "gpu-node-3 has been silent for 6 s"),
        _ => ("VOTERS_CHANGED", None, "voters are alpha, beta, gamma"),
    };
    Event {
        seq,
        kind: kind.to_owned(),
        node_id,
        message: message.to_owned(),
        timestamp: NOW + seq as f64,
        details: serde_json::Map::new(),
    }
}

fn sent(seq: u64) -> String {
    format!("id: {seq}\ndata: {}\n\n", json!(event(seq)))
}

/// A log of the events 11 to 50, of which at most 15 are sent at once; its stream brings 51 and 52.
fn log(seen: &Seen) -> Answer {
    let query = |key: &str| {
        let query = seen.path.split_once('?').map_or("", |(_, q)| q);
        query.split('&').find_map(|p| p.strip_prefix(&format!("{key}="))).map(str::to_owned)
    };
    let number = |key: &str| query(key).and_then(|v| v.parse::<u64>().ok());
    let since = number("since").unwrap_or(0);
    if query("follow").is_some() {
        let new: String = (since + 1..=52).map(sent).collect();
        return Answer::events(&new).and_silence();
    }
    let kind = query("type");
    let events = (since + 1).max(11)..=50;
    let events = events.map(event).filter(|e| kind.as_ref().is_none_or(|k| e.kind == *k));
    let events = events.take(number("limit").unwrap_or(15).min(15) as usize).collect();
    Answer::json(&EventPage { success: true, events, last_seq: 50, first_seq: 11, leader_id: None })
}

fn numbers(page: &Value) -> Vec<u64> {
    page["events"].as_array().unwrap().iter().map(|e| e["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn the_newest_events_are_shown_unless_others_are_asked_for() {
    let fake = Fake::start(log).await;
    insta::assert_snapshot!("events", run(&fake, &["events", "--last", "4"]).await.told());
    for (args, expected) in [
        (vec![], (31..=50).collect::<Vec<u64>>()),
        (vec!["--since", "45"], (46..=50).collect()),
        // More than one answer holds, and fewer than are asked for.
        (vec!["--since", "0"], (11..=50).collect()),
        (vec!["--last", "1000"], (11..=50).collect()),
        (vec!["--since", "50"], vec![]),
        (vec!["--type", "node_dead", "--last", "3"], vec![43, 46, 49]),
    ] {
        let ran = run(&fake, &[&["events", "--json"][..], &args].concat()).await;
        assert_eq!((numbers(&ran.json()), ran.code), (expected, Some(0)), "{args:?}");
        assert_eq!((ran.json()["first_seq"].as_u64(), ran.json()["last_seq"].as_u64()), (Some(11), Some(50)));
    }
    assert_eq!(run(&fake, &["events", "--since", "50"]).await.out, "No events.\n");
}

#[tokio::test]
async fn following_goes_on_where_the_log_ended_until_nobody_reads() {
    let fake = Fake::start(log).await;
    let mut child = command()
        .args(["--api", &fake.url(), "events", "--last", "1", "--follow", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for expected in 50..=52 {
        let event: Event = serde_json::from_str(&in_time(lines.next_line()).await.unwrap().unwrap()).unwrap();
        assert_eq!(event.seq, expected);
    }
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_ends_the_following_quietly() {
    // Each connection brings one event and ends, so that there is always something to write.
    let fake = Fake::start(|seen: &Seen| match seen.headers.get("last-event-id") {
        None => log(seen),
        Some(last) => Answer::events(&sent(last.to_str().unwrap().parse::<u64>().unwrap() + 1)),
    })
    .await;
    let mut child = command()
        .args(["--api", &fake.url(), "events", "--follow", "--last", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(in_time(lines.next_line()).await.unwrap().is_some());
    drop(lines);
    let output = in_time(child.wait_with_output()).await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !told.contains("pipe") && !told.contains("panic"), "{told}");
}

#[tokio::test]
async fn a_reader_that_leaves_while_nothing_happens_ends_the_following() {
    // After the events of the log the stream stays open and brings nothing: `events --follow | head -1`.
    let fake = Fake::start(log).await;
    let mut child = command()
        .args(["--api", &fake.url(), "events", "--follow", "--last", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 50..=52 {
        assert!(in_time(lines.next_line()).await.unwrap().is_some());
    }
    drop(lines);
    assert!(in_time(child.wait()).await.unwrap().success());
}
