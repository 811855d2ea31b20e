//! What peers send that they should not, and what it costs: them the link, nobody else anything.

#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod cluster;

use std::{sync::Arc, time::Duration};

use cluster::{
    Book, Node, PATIENCE, id, start,
    stranger::{Authority, hello, read_frame, write_frame},
    until,
};
use ringrift_link::{LinkError, Protocol};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const GIBIBYTE: u32 = 1 << 30;
/// The first bytes of a call: kind, gossip, a minute.
const CALL: [u8; 6] = [1, 1, 0, 0, 0xea, 0x60];

/// A node that the strangers of the authority may talk to, and one of its own kind to show that it still works.
async fn healthy_pair(authority: &Authority) -> (Node, Node) {
    let book = Arc::new(Book::default());
    let a = start("a", &book, |setup| {
        setup.identity = authority.identity("a");
        setup.limits.handshake_timeout = Duration::from_millis(500);
        setup.limits.penalty = (Duration::from_mins(1), Duration::from_mins(1));
    })
    .await;
    book.set("a", &[a.addr], &[]);
    let b = start("b", &book, |setup| setup.identity = authority.identity("b")).await;
    b.call("a", "hello").await.unwrap();
    (a, b)
}

async fn still_healthy(b: &Node) {
    assert_eq!(b.call("a", "hello").await.unwrap(), "Gossip hello from b");
}

/// Resolves when the other end has closed the connection.
async fn cut(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is as good as an end.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the connection is cut");
}

#[tokio::test]
async fn bytes_that_are_no_tls_are_cut_off_and_named() {
    let authority = Authority::new("test");
    let (mut a, b) = healthy_pair(&authority).await;
    for garbage in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &[0xff; 4000], &[0x16, 0x03, 0x01, 0xff, 0xff]] {
        let mut stream = TcpStream::connect(a.addr).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        cut(&mut stream).await;
        assert!(a.rejected().await.contains(&stream.local_addr().unwrap().to_string()));
    }
    still_healthy(&b).await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_cut_when_its_time_is_over() {
    let authority = Authority::new("test");
    let (mut a, b) = healthy_pair(&authority).await;
    let mut stream = TcpStream::connect(a.addr).await.unwrap();
    cut(&mut stream).await;
    assert!(a.rejected().await.contains("TLS handshake"));
    still_healthy(&b).await;
}

#[tokio::test]
async fn one_source_of_half_open_connections_does_not_lock_others_out() {
    let authority = Authority::new("test");
    let book = Arc::new(Book::default());
    let a = start("a", &book, |setup| setup.identity = authority.identity("a")).await;
    book.set("a", &[a.addr], &[]);
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(a.addr).await.unwrap());
    }
    // This one comes from another address of the loopback net.
    let b = start("b", &book, |setup| setup.identity = authority.identity("b")).await;
    assert!(matches!(
        b.call("a", "hello").await,
        Err(LinkError::Closed { .. } | LinkError::Tls { .. } | LinkError::Refused { .. })
    ));
    let c = start("c", &book, |setup| {
        setup.identity = authority.identity("c");
        setup.bind = Some([127, 0, 0, 2].into());
    })
    .await;
    assert_eq!(c.call("a", "hello").await.unwrap(), "Gossip hello from c");
    assert_eq!(a.link("c").unwrap().peer.addr.ip().to_string(), "127.0.0.2", "dialled from its own address");
    drop(idle);
}

#[tokio::test]
async fn a_peer_without_a_certificate_is_refused() {
    let authority = Authority::new("test");
    let (mut a, b) = healthy_pair(&authority).await;
    let mut tls = authority.connect(a.addr, None).await.unwrap();
    assert!(tls.read_u8().await.is_err(), "TLS 1.3 tells the client with its first read");
    assert!(a.rejected().await.contains("it presented no certificate"));
    still_healthy(&b).await;
}

#[tokio::test]
async fn a_greeting_that_lies_or_is_too_long_or_too_new_is_refused() {
    let authority = Authority::new("test");
    let (mut a, b) = healthy_pair(&authority).await;

    let mut tls = authority.connect(a.addr, Some("eve")).await.unwrap();
    write_frame(&mut tls, &hello("b")).await;
    let reply = read_frame(&mut tls).await.unwrap();
    assert_eq!((reply[0], String::from_utf8_lossy(&reply[2..]).contains("its certificate is for eve")), (1, true));
    assert!(a.rejected().await.contains("greets as b"));

    let mut tls = authority.connect(a.addr, Some("eve")).await.unwrap();
    tls.write_u32(GIBIBYTE).await.unwrap();
    tls.flush().await.unwrap();
    assert!(read_frame(&mut tls).await.is_err(), "the connection is cut");
    assert!(a.rejected().await.contains("1073741824 bytes was announced"));

    let mut tls = authority.connect(a.addr, Some("eve")).await.unwrap();
    write_frame(&mut tls, &[0, 9, 1, 2, 3]).await;
    let reply = read_frame(&mut tls).await.unwrap();
    let reason = String::from_utf8_lossy(&reply[2..]).into_owned();
    assert_eq!((reply[0], reason.contains("version 1") && reason.contains("version 9")), (1, true), "{reason}");
    assert!(a.rejected().await.contains("version 9"));
    still_healthy(&b).await;
}

#[tokio::test]
async fn a_request_of_one_gibibyte_costs_the_link_and_a_penalty() {
    let authority = Authority::new("test");
    let (mut a, b) = healthy_pair(&authority).await;
    let linked = authority.link(a.addr, "eve").await;
    let mut stream = linked.open().await;
    stream.write_all(&CALL).await.unwrap();
    stream.write_u32(GIBIBYTE).await.unwrap();
    timeout(PATIENCE, linked.ended()).await.expect("the link is cut");
    let reason = a.rejected().await;
    assert!(reason.starts_with("eve: ") && reason.contains("1073741824"), "{reason}");

    let mut tls = authority.connect(a.addr, Some("eve")).await.unwrap();
    write_frame(&mut tls, &hello("eve")).await;
    let reply = read_frame(&mut tls).await.unwrap();
    assert!(reply[0] == 1 && String::from_utf8_lossy(&reply).contains("broke the protocol"));
    let error = a.call("eve", "hello").await.unwrap_err();
    assert!(matches!(&error, LinkError::BackOff { peer, .. } if peer == "eve"), "nor is it dialled: {error}");
    still_healthy(&b).await;
}

#[tokio::test]
async fn bytes_that_are_no_yamux_cost_the_link() {
    let authority = Authority::new("test");
    let (mut a, b) = healthy_pair(&authority).await;
    let mut tls = authority.connect(a.addr, Some("eve")).await.unwrap();
    write_frame(&mut tls, &hello("eve")).await;
    read_frame(&mut tls).await.unwrap();
    write_frame(&mut tls, &[0]).await;
    tls.write_all(&[0xff; 100]).await.unwrap();
    tls.flush().await.unwrap();
    let reason = a.rejected().await;
    assert!(reason.starts_with("eve: ") && reason.contains("no yamux"), "{reason}");
    still_healthy(&b).await;
}

#[tokio::test]
async fn streams_of_unknown_kind_or_without_a_word_cost_the_link() {
    let authority = Authority::new("test");
    for (name, bytes) in [("kind", &[99, 0, 0, 0, 0, 0][..]), ("protocol", &[1, 99, 0, 0, 0, 0]), ("mute", &[1])] {
        let (mut a, b) = healthy_pair(&authority).await;
        let linked = authority.link(a.addr, "eve").await;
        let mut stream = linked.open().await;
        stream.write_all(bytes).await.unwrap();
        timeout(PATIENCE, linked.ended()).await.expect(name);
        assert!(a.rejected().await.starts_with("eve: "), "{name}");
        still_healthy(&b).await;
    }
}

#[tokio::test]
async fn more_streams_than_allowed_are_reset_and_the_rest_goes_on() {
    let authority = Authority::new("test");
    let (a, b) = healthy_pair(&authority).await;
    let linked = authority.link(a.addr, "eve").await;
    let mut streams = Vec::new();
    let refused = loop {
        let mut stream = linked.open().await;
        // Kind, watch, no deadline; then a byte that comes back.
        stream.write_all(&[2, 3, 0, 0, 0, 0, 42]).await.unwrap();
        match stream.read_u8().await {
            Ok(byte) => assert_eq!(byte, 42),
            Err(error) => break error,
        }
        streams.push(stream);
        assert!(streams.len() < 2000, "there is no limit");
    };
    assert_eq!(refused.kind(), std::io::ErrorKind::UnexpectedEof, "only this stream ended: {refused}");
    let mut first = streams.swap_remove(0);
    first.write_u8(7).await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), 7);
    still_healthy(&b).await;
    drop((linked, streams, first));
    until("the link is gone", || a.link("eve").is_none()).await;
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_left_alone_for_a_while() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"220 mail.example.org ESMTP\r\n").await;
        }
    });
    let book = Arc::new(Book::default());
    book.set("x", &[addr], &[]);
    let a = start("a", &book, |_| {}).await;
    let error = a.call("x", "hello").await.unwrap_err();
    assert!(matches!(&error, LinkError::Tls { peer, reason, .. } if peer == "x" && reason.contains("TLS")), "{error}");
    let error = a.links.call(&id("x"), Protocol::Gossip, "hello".into(), PATIENCE).await.unwrap_err();
    let LinkError::BackOff { last, retry_in, .. } = &error else { panic!("{error}") };
    assert!(matches!(**last, LinkError::Tls { .. }) && *retry_in <= Duration::from_millis(100));
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_given_up() {
    let authority = Authority::new("test");
    let book = Arc::new(Book::default());
    let mut a = start("a", &book, |setup| {
        setup.identity = authority.identity("a");
        setup.limits.ping_interval = Duration::from_millis(50);
    })
    .await;
    book.set("a", &[a.addr], &[]);
    let b = start("b", &book, |setup| setup.identity = authority.identity("b")).await;
    b.call("a", "hello").await.unwrap();
    // Its connection stays open, but nobody reads or answers pings.
    let _silent = authority.link(a.addr, "eve").await;
    assert_eq!(a.down().await, "the peer no longer answers pings");
    assert!(a.link("eve").is_none() && a.link("b").is_some(), "b answers them, and pings by itself every 3 s only");
}
