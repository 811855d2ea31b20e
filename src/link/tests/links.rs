//! Calls and streams over one connection.

mod cluster;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use cluster::{Book, PATIENCE, id, listed, start, until};
use ringrift_link::{Direction, LinkError, LinkEvent, Protocol};
use tokio::io::AsyncReadExt as _;

#[tokio::test]
async fn both_ends_call_and_open_streams_over_one_connection() {
    let book = Arc::new(Book::default());
    let (a, b) = (listed("a", &book).await, start("b", &book, |_| {}).await);
    // b is in nobody's book: a reaches it only over the connection that b made.
    assert_eq!(b.call("a", "hello").await.unwrap(), "Gossip hello from b");
    assert_eq!(a.call("b", "hello").await.unwrap(), "Gossip hello from a");
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (there, back) = tokio::join!(a.echo("b", &bytes), b.echo("a", &bytes));
    assert!(there == bytes && back == bytes);

    let (of_a, of_b) = (a.link("b").unwrap(), b.link("a").unwrap());
    assert_eq!((of_a.direction, of_b.direction), (Direction::Inbound, Direction::Outbound));
    assert_eq!(of_b.observed, Some(of_a.peer.addr), "b learns from where it seems to come");
    assert_eq!(of_b.listen_port, Some(a.addr.port()));
    assert_eq!((a.links.connected().len(), b.links.connected().len()), (1, 1));
    until("the round trip is measured", || b.link("a").unwrap().rtt.is_some()).await;
    until("nothing is in use", || a.link("b").unwrap().streams == 0 && b.link("a").unwrap().streams == 0).await;
}

#[tokio::test]
async fn a_handler_s_error_and_its_silence_reach_the_caller() {
    let book = Arc::new(Book::default());
    let (_a, b) = (listed("a", &book).await, listed("b", &book).await);
    let error = b.call("a", "fail").await.unwrap_err();
    assert_eq!(error, LinkError::Remote { peer: "a".into(), message: "no such thing".into() });
    let deadline = Duration::from_millis(200);
    let error = b.links.call(&id("a"), Protocol::Raft, "hang".into(), deadline).await.unwrap_err();
    assert!(matches!(&error, LinkError::Timeout { peer, after, .. } if peer == "a" && *after == deadline), "{error}");
    assert_eq!(b.call("a", "still there").await.unwrap(), "Gossip still there from b");
}

#[tokio::test]
async fn an_answer_whose_caller_has_given_up_holds_its_place_no_longer_than_the_caller_would() {
    let book = Arc::new(Book::default());
    let a = start("a", &book, |setup| setup.limits.handshake_timeout = Duration::from_secs(2)).await;
    book.set("a", &[a.addr], &[]);
    let b = listed("b", &book).await;
    b.call("a", "hello").await.unwrap();
    // More than a stream takes that nobody reads.
    let deadline = Duration::from_secs(1);
    let to = id("a");
    let call = b.links.call(&to, Protocol::Raft, "wait and give 4194304".into(), deadline);
    tokio::select! {
        answer = call => panic!("it gave up by itself: {answer:?}"),
        () = until("the call has come", || a.waiting() == 1) => {}
    }
    a.gate.add_permits(1);
    until("its place is free", || a.link("b").unwrap().streams == 0).await;
    assert_eq!(b.call("a", "still there").await.unwrap(), "Gossip still there from b");
}

#[tokio::test]
async fn large_answers_arrive_and_too_large_ones_are_refused_without_harm() {
    let book = Arc::new(Book::default());
    let (a, b) = (listed("a", &book).await, listed("b", &book).await);
    let answer = b.links.call(&id("a"), Protocol::Raft, "give 4194304".into(), PATIENCE).await.unwrap();
    assert!(answer.len() == 4 << 20 && answer.iter().all(|byte| *byte == 7));
    let error = b.call("a", "give 9000000").await.unwrap_err();
    let limit = 8 << 20;
    assert_eq!(error, LinkError::TooLarge { peer: "a".into(), bytes: 9_000_000, limit });
    let request = Bytes::from(vec![0; 9_000_000]);
    let error = b.links.call(&id("a"), Protocol::Raft, request, PATIENCE).await.unwrap_err();
    assert!(matches!(error, LinkError::TooLarge { bytes: 9_000_000, .. }), "{error}");
    let since = b.link("a").unwrap().since;
    assert_eq!(b.call("a", "hello").await.unwrap(), "Gossip hello from b");
    assert_eq!(b.link("a").unwrap().since, since, "all of it happened on one link");
    drop(a);
}

#[tokio::test]
async fn the_smaller_limit_of_the_two_ends_counts() {
    let book = Arc::new(Book::default());
    let (_a, b) = (listed("a", &book).await, start("b", &book, |setup| setup.limits.max_frame = 1000).await);
    let error = b.call("a", "give 1001").await.unwrap_err();
    assert_eq!(error, LinkError::TooLarge { peer: "a".into(), bytes: 1001, limit: 1000 });
    assert_eq!(b.call("a", "give 1000").await.unwrap().len(), 1000);
}

#[tokio::test]
async fn a_thousand_calls_at_once_share_one_link() {
    let book = Arc::new(Book::default());
    let (a, b) = (listed("a", &book).await, listed("b", &book).await);
    let calls = (0..1000).map(|n| {
        let links = b.links.clone();
        async move {
            let answer = links.call(&id("a"), Protocol::Gossip, format!("call {n}").into(), PATIENCE).await;
            assert_eq!(answer.unwrap(), format!("Gossip call {n} from b"));
        }
    });
    futures::future::join_all(calls).await;
    assert_eq!(a.links.connected().len(), 1);
    until("all places are free again", || a.link("b").unwrap().streams == 0).await;
}

#[tokio::test]
async fn calls_that_wait_long_do_not_hold_up_the_others() {
    let book = Arc::new(Book::default());
    let (a, b) = (listed("a", &book).await, listed("b", &book).await);
    let waiting: Vec<_> = (0..200)
        .map(|_| {
            let links = b.links.clone();
            tokio::spawn(async move { links.call(&id("a"), Protocol::Gossip, "wait".into(), PATIENCE).await })
        })
        .collect();
    until("they all wait", || a.waiting() == 200).await;
    assert_eq!(b.call("a", "hello").await.unwrap(), "Gossip hello from b");
    a.gate.add_permits(200);
    for call in waiting {
        assert_eq!(call.await.unwrap().unwrap(), "waited");
    }
}

#[tokio::test]
async fn streams_and_calls_learn_that_their_link_is_lost() {
    let book = Arc::new(Book::default());
    let (a, mut b) = (listed("a", &book).await, listed("b", &book).await);
    let mut stream = b.links.open(&id("a"), Protocol::Watch).await.unwrap();
    let links = b.links.clone();
    let call = tokio::spawn(async move { links.call(&id("a"), Protocol::Gossip, "wait".into(), PATIENCE).await });
    until("both are in flight", || a.link("b").is_some_and(|link| link.streams == 2)).await;
    a.stop.cancel();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "not mistaken for the end of the data: {error}");
    assert!(matches!(call.await.unwrap(), Err(LinkError::Closed { peer, .. }) if peer == "a"));
    assert_eq!(b.down().await, "the peer closed it");
    tokio::time::timeout(PATIENCE, a.links.stopped()).await.expect("all tasks end");
}

#[tokio::test]
async fn a_call_after_shutdown_and_a_call_to_oneself_fail_at_once() {
    let book = Arc::new(Book::default());
    let mut a = listed("a", &book).await;
    assert!(matches!(a.call("a", "hello").await, Err(LinkError::NoRoute { .. })));
    assert!(matches!(a.call("nobody", "hello").await, Err(LinkError::NoRoute { .. })));
    let mut b = listed("b", &book).await;
    b.call("a", "hello").await.unwrap();
    assert!(a.event(|event| if let LinkEvent::Up(peer) = event { Some(peer) } else { None }).await.node == id("b"));
    a.stop.cancel();
    tokio::time::timeout(PATIENCE, a.links.stopped()).await.expect("all tasks end");
    assert_eq!(a.call("b", "hello").await.unwrap_err(), LinkError::Stopped);
    b.down().await;
    let error = b.call("a", "hello").await.unwrap_err();
    assert!(matches!(&error, LinkError::Refused { addr, .. } if *addr == a.addr.to_string()), "{error}");
}

#[tokio::test]
async fn a_closed_link_is_dialled_again_by_the_next_call() {
    let book = Arc::new(Book::default());
    let (_a, mut b) = (listed("a", &book).await, listed("b", &book).await);
    b.call("a", "one").await.unwrap();
    b.links.close(&id("a"));
    assert_eq!(b.down().await, "this node closed it");
    assert_eq!(b.call("a", "two").await.unwrap(), "Gossip two from b");
}
