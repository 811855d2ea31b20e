//! What does a node do about sources that lie, break the protocol, die or fall silent?
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::actor::{Actor, part};
use common::{Net, Node, config, id, members, noise};
use ringrift_blob::{Blob, Digest};
use ringrift_exchange::ExchangeEvent;
use ringrift_exchange::wire::{ChunkId, Frame, Next};

const SIZE: usize = (8 << 20) + 1234;

/// A node that wants a blob which is in nobody's store yet. It has understood that: what contradicts a blob that nobody wants
/// yet is no lie.
async fn wanting(net: &Arc<Net>) -> (Node, Blob, Vec<u8>) {
    let node = Node::start(net, config("m"));
    let bytes = noise(SIZE, 5);
    let mut hasher = ringrift_blob::BlobHasher::new(ringrift_blob::CHUNK);
    hasher.update(&bytes);
    let blob = hasher.finish();
    node.engine.set_wanted(vec![blob.clone()]);
    node.until("wanting", |now| now.iter().any(|one| one.sha256 == blob.sha256)).await;
    (node, blob, bytes)
}

/// A source that answers each request by `answer`, until the stream ends.
async fn source(
    net: &Net,
    name: &str,
    blob: &Blob,
    mut answer: impl AsyncFnMut(&mut Actor, ChunkId) -> bool,
) -> Option<Next> {
    let stream = net.connect(&id(name), &id("m")).unwrap();
    let mut actor = Actor::greet(stream, id(name)).await;
    actor.has_all(blob).await;
    while let Some(which) = actor.requested().await {
        if !answer(&mut actor, which).await {
            break;
        }
    }
    None
}

async fn honest(net: &Net, name: &str, blob: &Blob, bytes: &[u8]) {
    let chunk = async |actor: &mut Actor, which: ChunkId| {
        actor.data(which, part(blob, bytes, which.chunk)).await;
        true
    };
    source(net, name, blob, chunk).await;
}

async fn named(node: &mut Node, who: &str) -> String {
    let dropped = |event| match event {
        ExchangeEvent::SourceDropped { peer, reason } if peer == id(who) => Some(reason),
        _ => None,
    };
    node.event(dropped).await
}

/// What a bad source sends for a chunk.
type Lie = fn(&Blob, &[u8], ChunkId) -> Vec<(ChunkId, Vec<u8>)>;

#[tokio::test(flavor = "multi_thread")]
async fn every_lie_is_noticed_and_its_source_named() {
    let lies: [(&str, Lie); 6] = [
        ("sent a bad chunk", |blob, bytes, which| {
            let mut wrong = part(blob, bytes, which.chunk).to_vec();
            wrong[17] ^= 1;
            vec![(which, wrong)]
        }),
        ("bytes as chunk", |blob, bytes, which| {
            let right = part(blob, bytes, which.chunk);
            vec![(which, right[..right.len() - 1].to_vec())]
        }),
        ("bytes as chunk", |blob, bytes, which| {
            let mut longer = part(blob, bytes, which.chunk).to_vec();
            longer.push(0);
            vec![(which, longer)]
        }),
        ("sent a bad chunk", |blob, bytes, which| {
            // Swapped: right bytes of the same length, of another chunk.
            vec![(which, part(blob, bytes, (which.chunk + 1) % (blob.count() - 1)).to_vec())]
        }),
        ("was not asked for", |blob, bytes, which| {
            let right = part(blob, bytes, which.chunk).to_vec();
            vec![(which, right.clone()), (which, right)]
        }),
        ("was not asked for", |blob, bytes, which| {
            let other = ChunkId { sha256: Digest::of(b"another blob"), ..which };
            vec![(other, part(blob, bytes, which.chunk).to_vec())]
        }),
    ];
    for (reason, lie) in lies {
        let net = Arc::new(Net::default());
        let (mut node, blob, bytes) = wanting(&net).await;
        let lying = async |actor: &mut Actor, which: ChunkId| {
            // The last chunk is shorter, so its neighbours do not fit in its place.
            if which.chunk + 1 < blob.count() {
                for (which, bytes) in lie(&blob, &bytes, which) {
                    actor.data(which, &bytes).await;
                }
            } else {
                actor.say(&Frame::Refused { which, busy: true }).await;
            }
            true
        };
        let (_, found) = tokio::join!(source(&net, "liar", &blob, lying), named(&mut node, "liar"));
        assert!(found.contains(reason), "{found:?} instead of {reason:?}");
        tokio::select! {
            () = honest(&net, "good", &blob, &bytes) => panic!("the honest source was closed"),
            () = node.has(blob.sha256) => {}
        }
        assert_eq!(node.bytes(&blob.sha256), bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_ends_the_session_and_names_its_sender() {
    let sha256 = Digest::of(b"");
    let request = Frame::Request(ChunkId { sha256, chunk: 0 });
    let many = |frame: &Frame, times: usize| vec![frame.clone(); times];
    let news = |chunks| Frame::Have { sha256: wanted().sha256, chunks };
    let has = Frame::Has { sha256: wanted().sha256, count: 8, bits: vec![255] };
    let blobs: Vec<Frame> =
        (0..300u32).map(|n| Frame::Has { sha256: Digest::of(&n.to_le_bytes()), count: 8, bits: vec![255] }).collect();
    for (frames, reason) in [
        (vec![Frame::Hello { node: id("x"), instance: 1 }], "does not greet"),
        (vec![Frame::Refused { which: ChunkId { sha256, chunk: 9 }, busy: true }], "was not asked for"),
        // A refusal that is written before the next one is read makes that one a new request: of a thousand that come
        // together, one is read before.
        (many(&request, 1000), "twice"),
        (blobs, "more blobs"),
        (vec![news(vec![7_000_000])], "does not have"),
        (vec![has], "does not have"),
    ] {
        let net = Arc::new(Net::default());
        let (mut node, ..) = wanting(&net).await;
        let stream = net.connect(&id("x"), &id("m")).unwrap();
        let mut actor = Actor::greet(stream, id("x")).await;
        actor.say_at_once(&frames).await;
        let found = named(&mut node, "x").await;
        assert!(found.contains(reason), "{found:?} instead of {reason:?}");
        actor.until_closed().await;
    }
}

fn wanted() -> Blob {
    let mut hasher = ringrift_blob::BlobHasher::new(ringrift_blob::CHUNK);
    hasher.update(&noise(SIZE, 5));
    hasher.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_name_and_garbage_are_refused_before_anything_else() {
    for (bytes, reason) in [
        (&[0, 0, 0, 11, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, b'y'][..], "calls itself y"),
        (&[0, 0, 0, 11, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0, b'x'], "version 9"),
        (b"GET / HTTP/1.1\r\n\r\n", "kind"),
        (&[0, 0, 0, 1, 9], "greet"),
    ] {
        let net = Arc::new(Net::default());
        let (mut node, ..) = wanting(&net).await;
        let mut stream = net.connect(&id("x"), &id("m")).unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, bytes).await.unwrap();
        let found = named(&mut node, "x").await;
        assert!(found.contains(reason), "{found:?} instead of {reason:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_dies_at_99_percent_costs_only_what_it_did_not_send() {
    let net = Arc::new(Net::default());
    let (mut node, blob, bytes) = wanting(&net).await;
    let mut left = blob.count() - 1;
    let dying = async |actor: &mut Actor, which: ChunkId| {
        if left > 0 {
            left -= 1;
            actor.data(which, part(&blob, &bytes, which.chunk)).await;
        }
        true
    };
    let most = u64::from(blob.count() - 2) * u64::from(blob.chunk_size);
    // It dies when all that it sent is here: what is still under way may be lost with it.
    tokio::select! {
        _ = source(&net, "dying", &blob, dying) => panic!("the source was closed before it died"),
        () = node.until("almost complete", |now| now.first().is_some_and(|one| one.have >= most)) => {}
    }
    tokio::select! {
        () = honest(&net, "good", &blob, &bytes) => panic!("the honest source was closed"),
        () = node.has(blob.sha256) => {}
    }
    assert_eq!(node.bytes(&blob.sha256), bytes);
    let by_peer = |event| match event {
        ExchangeEvent::Fetched { by_peer, .. } => Some(by_peer),
        _ => None,
    };
    let by_peer = node.event(by_peer).await;
    assert!(by_peer[&id("good")] <= u64::from(blob.chunk_size), "{by_peer:?}");
    assert_eq!(by_peer.values().sum::<u64>(), blob.size);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_falls_silent_holds_nothing_up() {
    let net = Arc::new(Net::default());
    let (node, blob, bytes) = wanting(&net).await;
    let asked = tokio::sync::Notify::new();
    let mute = async |_: &mut Actor, _: ChunkId| {
        asked.notify_one();
        true
    };
    let late = async {
        asked.notified().await;
        honest(&net, "good", &blob, &bytes).await;
    };
    tokio::select! {
        _ = source(&net, "mute", &blob, mute) => panic!("the silent source was closed"),
        () = late => panic!("the honest source was closed"),
        () = node.has(blob.sha256) => {}
    }
    assert_eq!(node.bytes(&blob.sha256), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_without_sources_says_what_it_lacks() {
    let net = Arc::new(Net::default());
    let mut settings = config("m");
    settings.stuck_after = Duration::from_millis(100);
    let mut node = Node::start(&net, settings);
    node.engine.set_members(members(&["m"]));
    node.engine.set_wanted(vec![wanted()]);
    let stuck = |event| match event {
        ExchangeEvent::Stuck { missing, reason, .. } => Some((missing, reason)),
        _ => None,
    };
    let (missing, reason) = node.event(stuck).await;
    assert_eq!((missing, reason.as_str()), (wanted().count(), "no other node is connected"));
}
