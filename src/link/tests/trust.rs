//! Who is let in, and what those read who are not.

#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod cluster;

use std::sync::Arc;

use cluster::{Book, Setup, id, listed, start, stranger::Authority};
use rcgen::date_time_ymd;
use ringrift_link::{Identity, IdentityError, LinkError};

const OLD: &[u8] = b"the old token: 0123456789abcdef0123456789abcdef";
const NEW: &[u8] = b"the new token: 0123456789abcdef0123456789abcdef";

fn with(name: &str, primary: &'static [u8], old: Option<&'static [u8]>) -> impl FnOnce(&mut Setup) {
    let identity = Identity::from_secrets(&id(name), primary, old).unwrap();
    move |setup| setup.identity = identity
}

#[tokio::test]
async fn nodes_with_different_tokens_do_not_link_and_both_say_why() {
    let book = Arc::new(Book::default());
    let mut a = start("a", &book, with("a", OLD, None)).await;
    book.set("a", &[a.addr], &[]);
    let b = start("b", &book, with("b", NEW, None)).await;
    let error = b.call("a", "hello").await.unwrap_err();
    let LinkError::Tls { peer, reason, .. } = &error else { panic!("{error}") };
    assert!(peer == "a" && reason.contains("give both nodes the same token"), "{error}");
    let reason = a.rejected().await;
    assert!(reason.contains("give both nodes the same token") && reason.contains("127.0.0.1"), "{reason}");
    assert!(a.links.connected().is_empty() && b.links.connected().is_empty());
}

#[tokio::test]
async fn tokens_are_exchanged_node_by_node_without_losing_a_link() {
    // (primary, old) of the node dialled and of the one that dials.
    let stages: [(&[u8], Option<&[u8]>); 4] = [(OLD, None), (OLD, Some(NEW)), (NEW, Some(OLD)), (NEW, None)];
    for (i, dialled) in stages.into_iter().enumerate() {
        for (j, dialling) in stages.into_iter().enumerate() {
            let book = Arc::new(Book::default());
            let a = start("a", &book, with("a", dialled.0, dialled.1)).await;
            book.set("a", &[a.addr], &[]);
            let b = start("b", &book, with("b", dialling.0, dialling.1)).await;
            let linked = b.call("a", "hello").await;
            let apart = i.abs_diff(j) == 3;
            assert_eq!(linked.is_err(), apart, "stages {i} and {j}: {linked:?}");
            if !apart {
                assert_eq!(a.call("b", "hello").await.unwrap(), "Gossip hello from a");
            }
        }
    }
}

#[tokio::test]
async fn another_node_at_an_address_is_not_taken_for_the_one_expected() {
    let book = Arc::new(Book::default());
    let mut gpu = start("GPU_1", &book, |_| {}).await;
    for expected in ["gpu_1", "GPU-1", "gpu-2"] {
        book.set(expected, &[gpu.addr], &[]);
        let b = start("b", &book, |_| {}).await;
        let error = b.call(expected, "hello").await.unwrap_err();
        let addr = gpu.addr.to_string();
        assert_eq!(error, LinkError::WrongNode { peer: expected.into(), found: id("GPU_1"), addr });
        assert!(gpu.rejected().await.contains("closed the connection"));
    }
    book.set("GPU_1", &[gpu.addr], &[]);
    let b = start("b.example-1", &book, |_| {}).await;
    assert_eq!(b.call("GPU_1", "hello").await.unwrap(), "Gossip hello from b.example-1");
}

#[tokio::test]
async fn without_a_token_nodes_link_with_each_other_and_not_with_those_that_have_one() {
    let book = Arc::new(Book::default());
    let insecure = |name| {
        let identity = Identity::insecure(&id(name)).unwrap();
        move |setup: &mut Setup| setup.identity = identity
    };
    let a = start("a", &book, insecure("a")).await;
    book.set("a", &[a.addr], &[]);
    let b = start("b", &book, insecure("b")).await;
    assert_eq!(b.call("a", "hello").await.unwrap(), "Gossip hello from b");
    let c = listed("c", &book).await;
    assert!(matches!(c.call("a", "hello").await, Err(LinkError::Tls { .. })));
}

#[tokio::test]
async fn certificates_issued_elsewhere_link_nodes() {
    let authority = Authority::new("our own");
    let book = Arc::new(Book::default());
    let a = start("a", &book, |setup| setup.identity = authority.identity("a")).await;
    book.set("a", &[a.addr], &[]);
    let b = start("b", &book, |setup| setup.identity = authority.identity("b")).await;
    assert_eq!(b.call("a", "hello").await.unwrap(), "Gossip hello from b");

    // Trusts the server, but the server does not trust it: TLS 1.3 tells only after the handshake.
    let other = Authority::new("another");
    let (cert, key) = other.files("c", |_| {});
    let both = tempfile::NamedTempFile::new().unwrap();
    let bundle = [authority.ca(), other.ca()].map(|path| std::fs::read_to_string(path).unwrap()).concat();
    std::fs::write(both.path(), bundle).unwrap();
    let identity = Identity::from_files(&id("c"), both.path(), &cert, &key).unwrap();
    let c = start("c", &book, |setup| setup.identity = identity).await;
    let error = c.call("a", "hello").await.unwrap_err();
    assert!(
        matches!(&error, LinkError::Tls { reason, .. } if reason.contains("does not accept this node's")),
        "{error}"
    );
}

#[tokio::test]
async fn certificates_that_are_read_again_count_for_new_links_and_leave_old_ones_alone() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let book = Arc::new(Book::default());
    let mut a = start("a", &book, |setup| setup.identity = before.identity("a")).await;
    book.set("a", &[a.addr], &[]);
    let b = start("b", &book, |setup| setup.identity = before.identity("b")).await;
    b.call("a", "hello").await.unwrap();

    a.links.set_identity(after.identity("a"));
    assert_eq!(b.call("a", "still").await.unwrap(), "Gossip still from b");
    let c = start("c", &book, |setup| setup.identity = after.identity("c")).await;
    assert_eq!(c.call("a", "hello").await.unwrap(), "Gossip hello from c");

    b.links.close(&id("a"));
    a.down().await;
    assert!(matches!(b.call("a", "again").await, Err(LinkError::Tls { .. })), "its authority is no longer trusted");
    b.links.set_identity(after.identity("b"));
    let linked = async {
        while b.call("a", "again").await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(cluster::PATIENCE, linked).await.expect("with new certificates on both ends they link");
}

#[test]
fn unusable_certificate_files_are_named_with_what_is_wrong() {
    let authority = Authority::new("our own");
    let ca = authority.ca();
    let (cert, key) = authority.files("a", |_| {});
    let read = |node: &str, ca: &std::path::Path, cert: &std::path::Path, key: &std::path::Path| {
        Identity::from_files(&id(node), ca, cert, key).unwrap_err().to_string()
    };
    let nowhere = std::path::Path::new("/nonexistent/key.pem");
    assert!(Identity::from_files(&id("a"), &ca, &cert, &key).is_ok());

    let wrong_node = read("b", &ca, &cert, &key);
    assert!(wrong_node.contains("a.pem: the certificate is for a, this node is b"), "{wrong_node}");
    let no_key = read("a", &ca, &cert, nowhere);
    assert!(no_key.contains("/nonexistent/key.pem"), "{no_key}");
    let (_, other_key) = authority.files("other", |_| {});
    let mismatch = read("a", &ca, &cert, &other_key);
    assert!(mismatch.contains("other.key: does not fit") && mismatch.contains("a.pem"), "{mismatch}");
    let empty = read("a", &key, &cert, &key);
    assert!(empty.contains("a.key: holds no certificate"), "{empty}");

    let stranger = Authority::new("another");
    let (cert, key) = stranger.files("a", |_| {});
    let unknown = read("a", &ca, &cert, &key);
    assert!(unknown.contains("a.pem") && unknown.contains("is not signed by"), "{unknown}");
    let (cert, key) = authority.files("late", |params| params.not_after = date_time_ymd(2020, 1, 1));
    let expired = read("late", &ca, &cert, &key);
    assert!(expired.contains("late.pem") && expired.contains("check the clocks"), "{expired}");
}

#[test]
fn a_short_secret_is_no_token() {
    let error = Identity::from_secrets(&id("a"), &[7; 31], None).unwrap_err();
    assert!(matches!(error, IdentityError::ShortToken(31)), "{error}");
    assert!(Identity::from_secrets(&id("a"), &[7; 32], Some(&[7; 5])).is_err());
    let shown = format!("{:?}", Identity::from_secrets(&id("a"), b"do not show me, 0123456789abcdef!", None).unwrap());
    assert!(!shown.contains("do not show me"), "{shown}");
}
