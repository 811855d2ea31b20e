//! The client against a daemon that says what it is told to.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod fake;

use std::time::Duration;

use fake::{Answer, Fake, Seen};
use http::Method;
use ringrift_api::{Client, ClientError, ErrorBody, ErrorCode, Followed, Sent, Upload};
use ringrift_api::{DistributeRequest, GcRequest, RemoveRequest, RollbackRequest, VerifyRequest};
use ringrift_blob::Digest;
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

fn upload(bytes: &[u8]) -> Upload {
    Upload { name: "m.pth".parse().unwrap(), size: bytes.len() as u64, sha256: Digest::of(bytes) }
}

#[tokio::test]
async fn an_upload_is_one_part_of_a_form_and_goes_to_the_model_server() {
    let bytes: Vec<u8> = (0..700_000u32).map(|n| n as u8).collect();
    let sha256 = Digest::of(&bytes);
    let fake = Fake::start(move |_: &Seen| Answer::json(&json!({"success": true, "sha256": sha256, "size": 5}))).await;
    let server = Client::new("127.0.0.1:9", Some("t".repeat(64))).unwrap().at_port(fake.addr().port());
    let sent = Sent::default();
    let stored = server.upload_model(&upload(&bytes), std::io::Cursor::new(bytes.clone()), &sent).await.unwrap();
    assert_eq!((stored.sha256, sent.bytes()), (sha256, 700_000));
    let seen = &fake.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.clone()), ("POST", format!("/models/upload?sha256={sha256}")));
    assert_eq!(seen.headers["authorization"], format!("Bearer {}", "t".repeat(64)));
    let kind = seen.headers["content-type"].to_str().unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let expected = [
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"m.pth\"\r\n").as_bytes(),
        b"Content-Type: application/octet-stream\r\n\r\n",
        &bytes,
        format!("\r\n--{boundary}--\r\n").as_bytes(),
    ]
    .concat();
    assert!(seen.body == expected, "{} bytes came", seen.body.len());
}

#[tokio::test]
async fn a_file_that_becomes_shorter_or_is_refused_is_not_uploaded() {
    let fake =
        Fake::start(|_: &Seen| Answer::json(&ErrorBody::new(ErrorCode::TooLarge, "too large")).status(413)).await;
    let short = client(&fake).upload_model(&upload(&[7; 100]), std::io::Cursor::new([7; 99]), &Sent::default()).await;
    assert!(short.unwrap_err().to_string().contains("the file became shorter meanwhile"));
    let refused =
        client(&fake).upload_model(&upload(&[7; 100]), std::io::Cursor::new([7; 100]), &Sent::default()).await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::TooLarge));
}

#[tokio::test]
async fn a_refusal_that_is_lost_with_the_connection_is_asked_for_again() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        // Closed over unread bytes: the other side is told that its bytes were not wanted, and nothing else.
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.read_u8().await.unwrap();
        drop(socket);
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let body = json!(ErrorBody::new(ErrorCode::Unauthorized, "unauthorized")).to_string();
        let answer = format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        socket.write_all(answer.as_bytes()).await.unwrap();
    });
    let bytes = vec![7; 8 << 20];
    let client = Client::new(&addr.to_string(), None).unwrap();
    let refused = client.upload_model(&upload(&bytes), std::io::Cursor::new(bytes), &Sent::default()).await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::Unauthorized));
    server.await.unwrap();
}

#[tokio::test]
async fn a_model_server_is_asked_what_it_has() {
    let (here, gone, secret) = (Digest::of(b"here"), Digest::of(b"gone"), Digest::of(b"secret"));
    let fake = Fake::start(move |seen: &Seen| {
        let status = if seen.path.ends_with(&here.to_string()) {
            200
        } else if seen.path.ends_with(&secret.to_string()) {
            401
        } else {
            404
        };
        Answer::text("", "").status(status)
    })
    .await;
    assert_eq!(client(&fake).has_model(&here).await, Ok(true));
    assert_eq!(client(&fake).has_model(&gone).await, Ok(false));
    assert_eq!(client(&fake).has_model(&secret).await.unwrap_err().code(), Some(ErrorCode::Unauthorized));
    assert_eq!((fake.seen()[0].method.as_str(), fake.seen().len()), ("HEAD", 3));
}

#[tokio::test]
async fn each_request_about_models_has_its_route() {
    let fake = Fake::start(|_: &Seen| Answer::json(&ErrorBody::new(ErrorCode::Refused, "no")).status(409)).await;
    let client = client(&fake).through(&"gpu-3".parse().unwrap());
    let name = "canonical_hex8_2p.pth".parse().unwrap();
    let promote = serde_json::from_value(json!({"config": "hex8_2p", "sha256": Digest::of(b"a")})).unwrap();
    assert!(client.models().await.is_err());
    assert!(client.models_manifest().await.is_err());
    assert!(client.models_progress(Some(&name)).await.is_err());
    assert!(client.promote_model(&promote).await.is_err());
    assert!(client.roll_back_model(&RollbackRequest::default()).await.is_err());
    assert!(client.remove_model(&RemoveRequest::default()).await.is_err());
    assert!(client.distribute_models(&DistributeRequest::default()).await.is_err());
    assert!(client.verify_models(&VerifyRequest::default()).await.is_err());
    assert!(client.collect_models(&GcRequest::default()).await.is_err());
    assert!(client.link_models().await.is_err());
    let asked: Vec<String> = fake.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect();
    let paths = [
        "GET /api/node/gpu-3/api/models",
        "GET /api/node/gpu-3/api/models/manifest",
        "GET /api/node/gpu-3/api/models/progress?model=canonical_hex8_2p.pth",
        "POST /api/node/gpu-3/api/models/promote",
        "POST /api/node/gpu-3/api/models/rollback",
        "POST /api/node/gpu-3/api/models/remove",
        "POST /api/node/gpu-3/api/models/distribute",
        "POST /api/node/gpu-3/api/models/verify",
        "POST /api/node/gpu-3/api/models/gc",
        "POST /api/node/gpu-3/api/models/link",
    ];
    assert_eq!(asked, paths);
}
