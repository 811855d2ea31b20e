//! Do all nodes get all bytes?
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Net, Node, config, id, members, noise};
use ringrift_exchange::ExchangeEvent;

#[tokio::test(flavor = "multi_thread")]
async fn eight_nodes_get_it_from_one_seed_and_from_each_other() {
    let net = Arc::new(Net::default());
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut nodes: Vec<Node> = names.iter().map(|name| Node::start(&net, config(name))).collect();
    let bytes = noise(12 << 20, 1);
    let blob = nodes[3].ingest(&bytes);
    for node in &nodes {
        node.engine.set_members(members(&names));
        node.engine.set_wanted(vec![blob.clone()]);
    }
    for node in &nodes {
        node.has(blob.sha256).await;
        assert_eq!(node.bytes(&blob.sha256), bytes);
    }
    let (mut from_seed, mut all) = (0, 0);
    for (at, node) in nodes.iter_mut().enumerate().filter(|(at, _)| *at != 3) {
        let by_peer = node.event(|event| match event {
            ExchangeEvent::Fetched { by_peer, .. } => Some(by_peer),
            ExchangeEvent::SourceDropped { peer, reason } => panic!("{peer} {reason}"),
            _ => None,
        });
        let by_peer = by_peer.await;
        from_seed += by_peer.get(&id("d")).copied().unwrap_or(0);
        all += by_peer.values().sum::<u64>();
        assert!(by_peer.len() > 1, "{at} has all from {by_peer:?}");
    }
    let copies = from_seed as f64 / blob.size as f64;
    println!("the seed sent {copies:.2} copies of 7; {:.3} copies each", all as f64 / blob.size as f64 / 7.0);
    assert!(copies < 4.0, "the seed sent {copies} of 7 copies");
    assert!(all as f64 <= 7.2 * blob.size as f64, "duplicates: {all}");
}
