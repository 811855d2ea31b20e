//! Two machines with one node id, and one machine met twice.

mod cluster;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cluster::{Book, Node, id, listed, start, stranger::Authority, until};
use ringrift_link::{LinkError, LinkEvent};

async fn holder_of_own_id(node: &mut Node) -> String {
    node.event(|event| if let LinkEvent::IdTaken { holder } = event { Some(holder) } else { None }).await
}

async fn duplicate(node: &mut Node) -> (String, String) {
    node.event(|event| {
        if let LinkEvent::DuplicateId { node, holder, .. } = event { Some((node.to_string(), holder)) } else { None }
    })
    .await
}

#[tokio::test]
async fn the_second_machine_with_a_node_id_is_refused_and_told_who_has_it() {
    let book = Arc::new(Book::default());
    let mut a = listed("a", &book).await;
    let first = start("x", &book, |_| {}).await;
    first.call("a", "hello").await.unwrap();
    let holder = a.link("x").unwrap().peer.addr.to_string();

    let mut second = start("x", &book, |_| {}).await;
    let error = second.call("a", "hello").await.unwrap_err();
    assert_eq!(error, LinkError::DuplicateId { node: id("x"), holder: holder.clone() });
    assert_eq!(holder_of_own_id(&mut second).await, holder);
    assert_eq!(duplicate(&mut a).await, ("x".to_owned(), holder));
    assert_eq!(first.call("a", "still").await.unwrap(), "Gossip still from x");
}

#[tokio::test]
async fn a_second_machine_that_is_dialled_is_refused_as_well() {
    let book = Arc::new(Book::default());
    let mut a = listed("a", &book).await;
    let first = start("x", &book, |_| {}).await;
    first.call("a", "hello").await.unwrap();
    let mut second = start("x", &book, |_| {}).await;
    let error = a.links.dial_seed(&second.addr.to_string()).await.unwrap_err();
    assert!(matches!(&error, LinkError::DuplicateId { node, .. } if *node == id("x")), "{error}");
    duplicate(&mut a).await;
    assert_eq!(holder_of_own_id(&mut second).await, a.link("x").unwrap().peer.addr.to_string());
}

#[tokio::test]
async fn a_machine_that_comes_back_replaces_its_own_dead_link() {
    let authority = Authority::new("test");
    let book = Arc::new(Book::default());
    let a = start("a", &book, |setup| {
        setup.identity = authority.identity("a");
        setup.limits.probe_timeout = Duration::from_millis(200);
    })
    .await;
    book.set("a", &[a.addr], &[]);
    // Its connection stays open and nothing answers on it, as after a power cut.
    let _dead = authority.link(a.addr, "x").await;
    until("the old link is up", || a.link("x").is_some()).await;
    let x = start("x", &book, |setup| setup.identity = authority.identity("x")).await;
    assert_eq!(x.call("a", "back").await.unwrap(), "Gossip back from x");
    assert_eq!(a.call("x", "welcome").await.unwrap(), "Gossip welcome from a");
    assert_eq!(a.links.connected().len(), 1);
}

#[tokio::test]
async fn of_two_machines_with_the_same_id_that_meet_the_younger_one_gives_way() {
    let book = Arc::new(Book::default());
    let mut older = start("x", &book, |_| {}).await;
    let born = Instant::now();
    // Ages are told within a handshake, so they must differ by more than one takes.
    until("a difference in age", || born.elapsed() > Duration::from_millis(500)).await;
    let mut younger = start("x", &book, |_| {}).await;

    let error = younger.links.dial_seed(&older.addr.to_string()).await.unwrap_err();
    assert_eq!(error, LinkError::DuplicateId { node: id("x"), holder: older.addr.to_string() });
    assert_eq!(holder_of_own_id(&mut younger).await, older.addr.to_string());
    assert_eq!(duplicate(&mut older).await, ("x".to_owned(), older.addr.to_string()));

    // The other way round it is still the younger one that is told.
    let error = older.links.dial_seed(&younger.addr.to_string()).await.unwrap_err();
    assert!(matches!(&error, LinkError::Rejected { reason, .. } if reason.contains("came second")), "{error}");
    holder_of_own_id(&mut younger).await;
}

#[tokio::test]
async fn a_seed_that_is_this_node_itself_is_no_second_machine() {
    let book = Arc::new(Book::default());
    let mut a = listed("a", &book).await;
    let b = listed("b", &book).await;
    let error = a.links.dial_seed(&a.addr.to_string()).await.unwrap_err();
    assert_eq!(error, LinkError::SelfDial { addr: a.addr.to_string() });
    b.call("a", "hello").await.unwrap();
    // Events come in order: nothing was said of the self-dial before the link to b.
    let first = a.event(Some).await;
    assert!(matches!(&first, LinkEvent::Up(peer) if peer.node == id("b")), "{first:?}");
}
