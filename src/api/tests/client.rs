//! The client against a daemon that says what it is told to.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod fake;

use std::time::Duration;

use fake::{Answer, Fake, Seen};
use http::Method;
use ringrift_api::{Client, ClientError, ErrorBody, ErrorCode, Followed};
use serde_json::{Value, json};

fn client(fake: &Fake) -> Client {
    Client::new(&fake.url(), Some("t".repeat(64))).unwrap()
}

fn event(seq: u64) -> String {
    let event = json!({"seq": seq, "type": "A", "node_id": null, "message": "x", "timestamp": 1.0});
    format!("id: {seq}\nevent: A\ndata: {event}\n\n")
}

#[tokio::test]
async fn a_request_carries_the_token_and_reaches_another_node_through_the_daemon() {
    let fake = Fake::start(|seen: &Seen| Answer::json(&json!({ "path": seen.path }))).await;
    let client = client(&fake);
    let answer: Value = client.get_json("/status?alive_only=false").await.unwrap();
    assert_eq!(answer["path"], "/status?alive_only=false");
    let behind_nat = client.through(&"gpu-3".parse().unwrap());
    let answer: Value = behind_nat.post_json("/api/reload", &json!({"a": 1})).await.unwrap();
    assert_eq!(answer["path"], "/api/node/gpu-3/api/reload");

    let seen = fake.seen();
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {}", "t".repeat(64)));
    assert_eq!(seen[0].headers["host"], fake.addr().to_string());
    assert_eq!((&seen[1].method, &seen[1].body[..]), (&Method::POST, &b"{\"a\":1}"[..]));
    assert_eq!(seen[1].headers["content-type"], "application/json");
}

#[tokio::test]
async fn a_token_is_in_no_debug_output() {
    let client = Client::new("h", Some("secret".repeat(8))).unwrap();
    assert!(!format!("{client:?}").contains("secret"));
}

#[tokio::test]
async fn each_way_to_fail_is_told_apart_and_names_the_url() {
    // A port that was free a moment ago.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = Client::new(&closed.to_string(), None).unwrap().get_json::<Value>("/status").await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("http://{closed}/status: connection refused"));

    let error = Client::new("no-such-host.invalid", None).unwrap().get_json::<Value>("/").await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");

    let fake = Fake::start(|seen: &Seen| match seen.path.as_str() {
        "/silent" => Answer::silence(),
        "/stuck" => Answer::text("application/json", "{").and_silence(),
        "/secret" => Answer::json(&ErrorBody::new(ErrorCode::Unauthorized, "unauthorized")).status(401),
        "/leaderless" => Answer::json(&ErrorBody::new(ErrorCode::NoLeader, "no leader")).status(503),
        "/html" => Answer::text("text/html", "<h1>nginx</h1>\n").status(404),
        "/empty" => Answer::text("text/plain", "").status(500),
        _ => Answer::text("application/json", "{\"a\":1}"),
    })
    .await;
    let client = client(&fake).with_timeout(Duration::from_millis(200));
    let url = fake.url();
    for path in ["/silent", "/stuck"] {
        let error = client.get_json::<Value>(path).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{url}{path}: no answer within 0.2 s"));
        assert!(error.is_passing());
    }
    let error = client.get_bytes("/stuck").await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error:?}");

    let error = client.get_json::<Value>("/secret").await.unwrap_err();
    assert!(matches!(error, ClientError::Unauthorized { token_sent: true, .. }), "{error:?}");
    let error = Client::new(&url, None).unwrap().get_bytes("/secret").await.unwrap_err();
    assert!(matches!(error, ClientError::Unauthorized { token_sent: false, .. }), "{error:?}");
    assert_eq!(error.code(), Some(ErrorCode::Unauthorized));
    assert!(!error.is_passing());

    let error = client.get_json::<Value>("/leaderless").await.unwrap_err();
    assert_eq!((error.to_string(), error.code()), (format!("{url}/leaderless: no leader"), Some(ErrorCode::NoLeader)));
    assert!(error.is_passing());

    for (path, shown) in [("/html", "\"<h1>nginx</h1>\""), ("/empty", "an empty body")] {
        let error = client.get_json::<Value>(path).await.unwrap_err();
        assert!(matches!(error, ClientError::NotTheApi { .. }) && error.to_string().contains(shown), "{error}");
    }
    let error = client.get_json::<Vec<u8>>("/other-version").await.unwrap_err();
    assert!(error.to_string().contains("not what this version expects"), "{error}");
}

#[tokio::test]
async fn a_body_counts_under_any_status_unless_it_is_an_error() {
    let fake = Fake::start(|seen: &Seen| match seen.path.as_str() {
        "/health" => Answer::json(&json!({"healthy": false})).status(503),
        _ => Answer::json(&ErrorBody::new(ErrorCode::Unreachable, "gone")).status(502),
    })
    .await;
    let (status, body) = client(&fake).get_json_any::<Value>("/health").await.unwrap();
    assert_eq!((status.as_u16(), body), (503, json!({"healthy": false})));
    let error = client(&fake).get_json_any::<Value>("/other").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Unreachable));
}

#[tokio::test]
async fn events_are_followed_over_a_lost_connection() {
    let fake = Fake::start(|seen: &Seen| {
        let since: u64 = seen.headers["last-event-id"].to_str().unwrap().parse().unwrap();
        match since {
            5 => Answer::events(&format!(": hello\n\n{}{}", event(6), event(7))),
            // One is sent again, and three were dropped meanwhile.
            7 => Answer::events(&format!("{}{}", event(7), event(11))).and_silence(),
            _ => Answer::json(&ErrorBody::new(ErrorCode::BadRequest, "strange")).status(400),
        }
    })
    .await;
    let mut stream = client(&fake).stream_events(5, None).await.unwrap();
    let mut story = Vec::new();
    while stream.last_seq() < 11 {
        story.push(match stream.next().await.unwrap() {
            Followed::Event(event) => format!("event {}", event.seq),
            Followed::Missed { from, to } => format!("missed {from}-{to}"),
            Followed::Lost { .. } => "lost".to_owned(),
            Followed::Resumed => "resumed".to_owned(),
        });
    }
    assert_eq!(story, ["event 6", "event 7", "lost", "resumed", "missed 8-10", "event 11"]);
    assert_eq!(fake.seen()[1].path, "/api/events?follow=true&since=7");
}

#[tokio::test]
async fn of_one_type_the_numbers_may_have_gaps() {
    let fake = Fake::start(|_: &Seen| Answer::events(&format!("{}{}", event(3), event(9))).and_silence()).await;
    let mut stream = client(&fake).stream_events(0, Some("A")).await.unwrap();
    for seq in [3, 9] {
        assert!(matches!(stream.next().await.unwrap(), Followed::Event(event) if event.seq == seq));
    }
    assert_eq!(fake.seen()[0].path, "/api/events?follow=true&since=0&type=A");
    let error = client(&fake).stream_events(0, Some("A&b=1")).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, ClientError::Unsendable { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_stream_of_events_is_an_error_at_once() {
    let fake = Fake::start(|seen: &Seen| match seen.headers["last-event-id"].to_str().unwrap() {
        "0" => Answer::json(&ErrorBody::new(ErrorCode::Unauthorized, "unauthorized")).status(401),
        "1" => Answer::json(&json!({"events": []})),
        _ => Answer::events("data: nonsense\n\n"),
    })
    .await;
    let error = client(&fake).stream_events(0, None).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Unauthorized));
    let error = client(&fake).stream_events(1, None).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("is not a stream of events"), "{error}");
    let error = client(&fake).stream_events(2, None).await.unwrap().next().await.unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}
