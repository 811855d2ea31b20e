//! Nodes that only dial out, reached through nodes that they are linked with.

#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod cluster;

use std::{sync::Arc, time::Duration};

use cluster::{
    Book, Node, PATIENCE, id, listed, start,
    stranger::{Authority, Linked, hello, read_frame, write_frame},
    until,
};
use ringrift_link::{Direction, LinkError, LinkEvent};
use tokio::{io::AsyncReadExt as _, net::TcpListener, time::timeout};

/// A node that accepts no connections and has linked itself with the relays.
async fn hidden(name: &str, book: &Arc<Book>, relays: &[&str]) -> Node {
    let node = start(name, book, |setup| setup.listens = false).await;
    for relay in relays {
        node.call(relay, "hello").await.unwrap();
    }
    book.set(name, &[], relays);
    node
}

#[tokio::test]
async fn a_node_that_only_dials_out_is_called_through_its_relay() {
    let book = Arc::new(Book::default());
    let r = listed("r", &book).await;
    let n = hidden("n", &book, &["r"]).await;
    let m = listed("m", &book).await;
    assert_eq!(m.call("n", "hello").await.unwrap(), "Gossip hello from m via r");
    let bytes = vec![9; 3_000_000];
    assert!(m.echo("n", &bytes).await == bytes);
    // The answer takes the same way back: n has an address for m, but needs none.
    assert_eq!(n.call("m", "hello").await.unwrap(), "Gossip hello from n via r");

    let (of_m, of_n) = (m.link("n").unwrap(), n.link("m").unwrap());
    assert_eq!((of_m.peer.via, of_m.peer.addr), (Some(id("r")), r.addr));
    assert_eq!((of_n.peer.via, of_n.direction), (Some(id("r")), Direction::Inbound));
    assert_eq!(r.links.connected().len(), 2, "the relay itself has links to both");
    until("the round trip is measured", || m.link("n").unwrap().rtt.is_some()).await;
}

#[tokio::test]
async fn two_nodes_that_only_dial_out_reach_each_other() {
    let book = Arc::new(Book::default());
    let _r = listed("r", &book).await;
    let n = hidden("n", &book, &["r"]).await;
    let m = hidden("m", &book, &["r"]).await;
    let (there, back) = tokio::join!(m.call("n", "hello"), n.call("m", "hello"));
    assert_eq!(
        (there.unwrap().as_str(), back.unwrap().as_str()),
        ("Gossip hello from m via r", "Gossip hello from n via r")
    );
    until("one link is left on each side", || {
        m.link("n").zip(n.link("m")).is_some_and(|(of_m, of_n)| of_m.direction != of_n.direction)
    })
    .await;
}

#[tokio::test]
async fn the_next_relay_takes_over_from_one_that_died() {
    let book = Arc::new(Book::default());
    let (r1, _r2) = (listed("r1", &book).await, listed("r2", &book).await);
    let n = hidden("n", &book, &["r1", "r2"]).await;
    let mut m = listed("m", &book).await;
    assert_eq!(m.call("n", "hello").await.unwrap(), "Gossip hello from m via r1");
    let links = m.links.clone();
    let call =
        tokio::spawn(async move { links.call(&id("n"), ringrift_link::Protocol::Raft, "wait".into(), PATIENCE).await });
    until("the call is in flight", || n.waiting() == 1).await;
    r1.stop.cancel();
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(&error, LinkError::Closed { peer, .. } if peer == "n"), "{error}");
    m.down().await;
    until("m knows that n is gone", || m.link("n").is_none()).await;
    assert_eq!(m.call("n", "hello").await.unwrap(), "Gossip hello from m via r2");
}

#[tokio::test]
async fn a_relay_without_a_link_to_the_target_says_so() {
    let book = Arc::new(Book::default());
    let _r = listed("r", &book).await;
    let m = listed("m", &book).await;
    book.set("n", &[], &["r"]);
    let error = m.call("n", "hello").await.unwrap_err();
    assert_eq!(error, LinkError::NoRoute { peer: "n".into(), reason: "r has no link to n".into() });
    let error = m.call("n", "hello").await.unwrap_err();
    assert!(matches!(error, LinkError::BackOff { .. }), "{error}");
}

#[tokio::test]
async fn a_relay_passes_on_only_over_links_of_its_own() {
    let book = Arc::new(Book::default());
    let _r = listed("r", &book).await;
    let _n = hidden("n", &book, &["r"]).await;
    let s = listed("s", &book).await;
    assert_eq!(s.call("n", "hello").await.unwrap(), "Gossip hello from s via r");
    book.set("n", &[], &["s"]);
    let m = listed("m", &book).await;
    let error = m.call("n", "hello").await.unwrap_err();
    assert_eq!(error, LinkError::NoRoute { peer: "n".into(), reason: "s has no link to n".into() });
}

#[tokio::test]
async fn a_relay_that_answers_in_the_other_node_s_place_is_found_out() {
    let authority = Authority::new("test");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let book = Arc::new(Book::default());
    book.set("r", &[listener.local_addr().unwrap()], &[]);
    book.set("n", &[], &["r"]);
    let m = start("m", &book, |setup| setup.identity = authority.identity("m")).await;
    let relay = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut tls = authority.accept("r", stream).await.unwrap();
        read_frame(&mut tls).await.unwrap();
        write_frame(&mut tls, &[&[0], &hello("r")[..]].concat()).await;
        assert_eq!(read_frame(&mut tls).await.unwrap(), [0], "welcome");
        let mut linked = Linked::over(tls, yamux::Mode::Server);
        // One is the control stream, the other asks for n: kind 4, a name. Either may be seen first.
        loop {
            let mut stream = linked.inbound.recv().await.unwrap();
            let mut opening = [0; 6];
            stream.read_exact(&mut opening).await.unwrap();
            if opening[0] != 4 {
                linked.control = Some(stream);
                continue;
            }
            assert_eq!(read_frame(&mut stream).await.unwrap(), b"n");
            tokio::io::AsyncWriteExt::write_u8(&mut stream, 0).await.unwrap();
            write_frame(&mut stream, &[]).await;
            // The relay has a certificate of this cluster as good as any, but not n's.
            return (authority.accept("r", stream).await.map(|_| ()), linked);
        }
    };
    let (error, _relay) = tokio::join!(m.call("n", "secret"), timeout(PATIENCE, relay));
    let error = error.unwrap_err();
    assert!(matches!(&error, LinkError::WrongNode { peer, found, .. } if peer == "n" && *found == id("r")), "{error}");
    assert!(m.link("n").is_none());
}

#[tokio::test]
async fn a_direct_way_replaces_the_relay_once_there_is_one() {
    let book = Arc::new(Book::default());
    let r = listed("r", &book).await;
    let n = listed("n", &book).await;
    n.call("r", "hello").await.unwrap();
    book.set("n", &[], &["r"]);
    let m = start("m", &book, |setup| setup.limits.relay_idle = Duration::from_millis(200)).await;
    assert_eq!(m.call("n", "hello").await.unwrap(), "Gossip hello from m via r");
    let links = m.links.clone();
    let call =
        tokio::spawn(async move { links.call(&id("n"), ringrift_link::Protocol::Raft, "wait".into(), PATIENCE).await });
    until("the call is in flight", || n.waiting() == 1).await;
    book.set("n", &[n.addr], &["r"]);
    until("the direct link is up", || m.link("n").is_some_and(|link| link.peer.via.is_none())).await;
    assert_eq!(m.call("n", "hello").await.unwrap(), "Gossip hello from m");
    n.gate.add_permits(1);
    assert_eq!(call.await.unwrap().unwrap(), "waited", "the call on the old link was not dropped");
    drop(r);
}

#[tokio::test]
async fn a_relayed_link_that_nothing_uses_ends() {
    let book = Arc::new(Book::default());
    let _r = listed("r", &book).await;
    let mut n = hidden("n", &book, &["r"]).await;
    let mut m = start("m", &book, |setup| setup.limits.relay_idle = Duration::from_millis(200)).await;
    m.call("n", "hello").await.unwrap();
    let unused = |event| if let LinkEvent::Unused(peer) = event { Some(peer.node) } else { None };
    assert_eq!(m.event(unused).await, id("n"));
    assert_eq!(n.event(unused).await, id("m"));
    assert_eq!(m.call("n", "hello").await.unwrap(), "Gossip hello from m via r", "and is made again when it is needed");
}
