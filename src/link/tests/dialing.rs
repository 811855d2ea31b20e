//! Which address is dialled, when, and what comes of it.

mod cluster;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cluster::{Book, PATIENCE, free_address, id, listed, start, until};
use ringrift_link::{Direction, LinkError, LinkEvent, Protocol};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_dial_each_other_at_once_end_up_with_one_link_and_lose_no_call() {
    for _ in 0..20 {
        let book = Arc::new(Book::default());
        let (a, b) = (listed("a", &book).await, listed("b", &book).await);
        // Each call is held at the other end until both links, if there are two, had time to be sorted out.
        let call = |node: &cluster::Node, to: &str| {
            let (links, to) = (node.links.clone(), id(to));
            tokio::spawn(async move { links.call(&to, Protocol::Raft, "wait".into(), PATIENCE).await })
        };
        let (one, two) = (call(&a, "b"), call(&b, "a"));
        until("both calls are in flight", || a.waiting() + b.waiting() == 2).await;
        assert_eq!(a.call("b", "hello").await.unwrap(), "Gossip hello from a");
        a.gate.add_permits(1);
        b.gate.add_permits(1);
        assert_eq!((one.await.unwrap().unwrap(), two.await.unwrap().unwrap()), ("waited".into(), "waited".into()));
        until("both use the same link", || {
            a.link("b").zip(b.link("a")).is_some_and(|(of_a, of_b)| of_a.direction != of_b.direction)
        })
        .await;
        assert_eq!(b.call("a", "hello").await.unwrap(), "Gossip hello from b");
    }
}

#[tokio::test]
async fn a_node_that_moved_is_found_at_its_new_address() {
    let book = Arc::new(Book::default());
    let mut a = listed("a", &book).await;
    let before = listed("x", &book).await;
    a.call("x", "hello").await.unwrap();
    before.stop.cancel();
    a.down().await;
    let after = listed("x", &book).await;
    assert_ne!(before.addr, after.addr);
    assert_eq!(a.call("x", "hello").await.unwrap(), "Gossip hello from a");
    assert_eq!(a.link("x").unwrap().peer.addr, after.addr);
}

#[tokio::test]
async fn a_node_that_comes_from_another_address_is_named_with_both() {
    let book = Arc::new(Book::default());
    let mut a = listed("a", &book).await;
    let before = start("x", &book, |_| {}).await;
    before.call("a", "hello").await.unwrap();
    before.stop.cancel();
    a.down().await;
    let after = start("x", &book, |setup| setup.bind = Some([127, 0, 0, 9].into())).await;
    after.call("a", "hello").await.unwrap();
    let moved = |event| if let LinkEvent::Moved { peer, from } = event { Some((peer, from)) } else { None };
    let (peer, from) = a.event(moved).await;
    assert_eq!(
        (peer.node, peer.addr.ip().to_string(), from.to_string()),
        (id("x"), "127.0.0.9".into(), "127.0.0.1".into())
    );
}

#[tokio::test]
async fn the_first_address_that_works_is_used_and_remembered() {
    let book = Arc::new(Book::default());
    let (a, x) = (listed("a", &book).await, listed("x", &book).await);
    let (closed, deaf) = (free_address().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    book.set("x", &[closed, x.addr, deaf.local_addr().unwrap()], &[]);
    assert_eq!(a.call("x", "hello").await.unwrap(), "Gossip hello from a");
    a.links.close(&id("x"));
    // A connection to the deaf one would be made and then wait 5 s for TLS.
    book.set("x", &[deaf.local_addr().unwrap(), x.addr], &[]);
    until("the link is down", || a.link("x").is_none()).await;
    let started = Instant::now();
    assert_eq!(a.call("x", "hello").await.unwrap(), "Gossip hello from a");
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn an_address_that_failed_is_left_alone_and_calls_fail_at_once() {
    let book = Arc::new(Book::default());
    let addr = free_address().await;
    book.set("x", &[addr], &[]);
    let a = start("a", &book, |setup| setup.limits.back_off = (Duration::from_secs(1), Duration::from_secs(1))).await;
    let error = a.call("x", "hello").await.unwrap_err();
    let LinkError::Refused { addr: named, .. } = &error else { panic!("{error}") };
    assert_eq!(*named, addr.to_string());
    let again = a.call("x", "hello").await.unwrap_err();
    let LinkError::BackOff { peer, last, retry_in } = &again else { panic!("{again}") };
    assert!(peer == "x" && **last == error && *retry_in <= Duration::from_secs(1));
    // Another address may be tried at once.
    let x = start("x", &book, |_| {}).await;
    book.set("x", &[addr, x.addr], &[]);
    assert_eq!(a.call("x", "hello").await.unwrap(), "Gossip hello from a");
}

#[tokio::test]
async fn a_node_that_serves_loopback_only_says_why_it_reaches_nobody_else() {
    let book = Arc::new(Book::default());
    // RFC 5737: nobody's address.
    book.set("x", &["192.0.2.7:8765".parse().unwrap()], &[]);
    let a = start("a", &book, |setup| setup.bind = Some([127, 0, 0, 1].into())).await;
    let error = a.call("x", "hello").await.unwrap_err();
    let LinkError::NoRoute { peer, reason } = &error else { panic!("{error}") };
    assert_eq!(peer, "x");
    for part in ["bound to 127.0.0.1", "192.0.2.7:8765", "bind_addr", "token new"] {
        assert!(reason.contains(part), "{reason}");
    }
}

#[tokio::test]
async fn every_listener_is_served_and_counted_and_one_that_hangs_counts_no_more() {
    let book = Arc::new(Book::default());
    let second = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr_of_second = second.local_addr().unwrap();
    let a = start("a", &book, |setup| setup.also = Some(second)).await;
    for (name, addr) in [("b", a.addr), ("c", addr_of_second)] {
        book.set("a", &[addr], &[]);
        let node = start(name, &book, |_| {}).await;
        assert_eq!(node.call("a", "hello").await.unwrap(), format!("Gossip hello from {name}"));
    }
    let before = a.links.progress().unwrap();
    until("the loops to go round when nobody comes", || a.links.progress().unwrap() > before).await;
    a.links.hang();
    let mut stood = (a.links.progress(), Instant::now());
    until("the loops to stand still", || {
        let now = a.links.progress();
        if now != stood.0 {
            stood = (now, Instant::now());
        }
        stood.1.elapsed() > Duration::from_secs(3)
    })
    .await;
    let c = start("d", &book, |setup| setup.limits.handshake_timeout = Duration::from_millis(500)).await;
    assert!(c.call("a", "hello").await.is_err(), "nobody is let in any more");
}

#[tokio::test]
async fn a_link_that_arrives_ends_the_wait_for_a_dial() {
    let book = Arc::new(Book::default());
    let a = listed("a", &book).await;
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    book.set("x", &[deaf.local_addr().unwrap()], &[]);
    let links = a.links.clone();
    let call = tokio::spawn(async move { links.call(&id("x"), Protocol::Gossip, "hello".into(), PATIENCE).await });
    let (_connection, _) = deaf.accept().await.unwrap();
    let x = start("x", &book, |_| {}).await;
    let started = Instant::now();
    x.call("a", "here I am").await.unwrap();
    assert_eq!(call.await.unwrap().unwrap(), "Gossip hello from a");
    assert!(started.elapsed() < Duration::from_secs(4), "did not wait for the dial to fail");
}

#[tokio::test]
async fn a_dial_outlives_the_call_that_began_it() {
    let book = Arc::new(Book::default());
    let (a, x) = (listed("a", &book).await, listed("x", &book).await);
    let short = Duration::from_nanos(1);
    let error = a.links.call(&id("x"), Protocol::Gossip, "hello".into(), short).await.unwrap_err();
    assert!(matches!(&error, LinkError::Timeout { peer, .. } if peer == "x"), "{error}");
    until("the link is up", || a.link("x").is_some() && x.link("a").is_some()).await;
}

#[tokio::test]
async fn a_seed_leads_to_whoever_is_there_and_is_dialled_once() {
    let book = Arc::new(Book::default());
    let (a, x) = (start("a", &book, |_| {}).await, start("x", &book, |_| {}).await);
    let seed = x.addr.to_string();
    assert_eq!(a.links.dial_seed(&seed).await, Ok(id("x")));
    let since = a.link("x").unwrap().since;
    assert_eq!(a.links.dial_seed(&seed).await, Ok(id("x")));
    // By another name the same node is met again, and the link that exists stays.
    let other = format!("localhost:{}", x.addr.port());
    assert_eq!(a.links.dial_seed(&other).await, Ok(id("x")));
    assert_eq!(a.link("x").unwrap().since, since);
    assert_eq!(a.call("x", "hello").await.unwrap(), "Gossip hello from a");
    assert!(matches!(a.links.dial_seed("nonsense").await, Err(LinkError::NoRoute { .. })));
}

#[tokio::test]
async fn above_its_bound_a_node_closes_the_link_that_was_idle_longest() {
    let book = Arc::new(Book::default());
    let mut a = start("a", &book, |setup| setup.limits.max_links = 2).await;
    book.set("a", &[a.addr], &[]);
    let (x, y) = (listed("x", &book).await, listed("y", &book).await);
    a.call("x", "hello").await.unwrap();
    a.call("y", "hello").await.unwrap();
    // Both are in use: a third is refused.
    let wait = |to: &'static str| {
        let links = a.links.clone();
        tokio::spawn(async move { links.call(&id(to), Protocol::Gossip, "wait".into(), PATIENCE).await })
    };
    let calls = [wait("x"), wait("y")];
    until("both calls are in flight", || x.waiting() + y.waiting() == 2).await;
    let z = listed("z", &book).await;
    let error = z.call("a", "hello").await.unwrap_err();
    assert!(matches!(&error, LinkError::Rejected { reason, .. } if reason.contains("2 links")), "{error}");

    x.gate.add_permits(1);
    let [to_x, to_y] = calls;
    to_x.await.unwrap().unwrap();
    let until_idle = async {
        while z.call("a", "hello").await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_idle).await.expect("z is let in");
    let unused = |event| if let LinkEvent::Unused(peer) = event { Some(peer.node) } else { None };
    assert_eq!(a.event(unused).await, id("x"));
    y.gate.add_permits(1);
    assert_eq!(to_y.await.unwrap().unwrap(), "waited");
    assert_eq!(a.link("z").unwrap().direction, Direction::Inbound);
}
