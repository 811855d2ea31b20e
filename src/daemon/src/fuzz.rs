//! What reads bytes from outside, for coverage-guided tests (`tests/fuzz`). Each function takes any bytes and panics if the crate does
//! what it must not.

use ::http::Uri;
use ringrift_api::Node;
use ringrift_jobs::report;
use ringrift_state::{decode, encode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{facts::NodeFacts, http, models, view};

/// What a node says of itself, as gossip carries it: what others are shown of it can be read again.
pub fn facts(bytes: &[u8]) {
    let Ok(facts) = decode::<NodeFacts>(bytes) else { return };
    let again = encode(&facts).expect("what was decoded can be encoded");
    let again: NodeFacts = decode(&again).expect("what one node passes on another one takes");
    let mut node = Node::unknown("a".parse().expect("a node id"));
    view::node::fill_facts(&mut node, None, &again);
    let shown = serde_json::to_vec(&node).expect("a node can be shown");
    serde_json::from_slice::<Node>(&shown).expect("what is shown of a node can be read");
}

/// The bodies that nodes send each other and no client knows.
pub fn body(bytes: &[u8]) {
    taken::<http::operations::AdoptVoters>(bytes);
    taken::<report::JobReports>(bytes);
    taken::<report::ReportTaken>(bytes);
    taken::<models::CommitModel>(bytes);
    taken::<models::SetAside>(bytes);
}

/// What follows the question mark, for each route that looks at it.
pub fn query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(uri) = Uri::builder().path_and_query(format!("/?{text}")).build() else { return };
    http::read_queries(&uri);
}

fn taken<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
    let again = serde_json::to_vec(&value).expect("what was decoded can be encoded");
    assert!(serde_json::from_slice::<T>(&again).is_ok(), "what one node passes on another one takes");
}

#[cfg(test)]
#[path = "../../../tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use ringrift_health::Resources;

    use super::*;
    use crate::facts::{Address, GpuFact};

    #[test]
    fn no_facts_of_the_corpus_upset_a_node() {
        let facts = NodeFacts {
            address: Address { host: "10.0.0.1".into(), link_port: 8765, http_port: 8770, ..Address::default() },
            version: "0.1.0".into(),
            leader: "gpu-1".parse().ok(),
            term: 7,
            role: "follower".into(),
            resources: Resources { cpu_count: 8, cpu_percent: 12.5, memory_gb: 64.0, ..Resources::default() },
            gpu_state: ringrift_gpu::State::Working,
            gpus: vec![GpuFact { name: "NVIDIA H100".into(), memory_mib: 81_559, usable: true, ..GpuFact::default() }],
            ..NodeFacts::default()
        };
        let nonsense = Resources { cpu_percent: f64::NAN, disk_free_gb: f64::INFINITY, ..facts.resources };
        let unreadable = NodeFacts { resources: nonsense, ..facts.clone() };
        let seeds = [("follower", encode(&facts).unwrap()), ("no_number", encode(&unreadable).unwrap())];
        corpus::replay("daemon_facts", super::facts, &seeds);
    }

    #[test]
    fn a_figure_that_is_no_number_does_not_make_what_is_shown_unreadable() {
        let load = Resources { cpu_count: 8, cpu_percent: f64::NAN, ..Resources::default() };
        let facts = encode(&NodeFacts { resources: load, ..NodeFacts::default() }).unwrap();
        let mut node = Node::unknown("a".parse().unwrap());
        view::node::fill_facts(&mut node, None, &decode(&facts).unwrap());
        assert_eq!(node.cpu_percent.to_bits(), 0);
        super::facts(&facts);
    }

    #[test]
    fn no_body_of_the_corpus_upsets_a_node() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let seeds = [
            ("voters", r#"{"voters":["a","b","c"],"revision":"1f","explicit":true}"#.to_owned()),
            (
                "started",
                r#"{"node":"a","jobs":[{"job":"j-1","attempt":1,"what":{"state":"started","since_ms":7}}]}"#.to_owned(),
            ),
            ("net", r#"{"node":"a","jobs":[],"nets":[{"net":"runaway","message":"too many"}]}"#.to_owned()),
            ("aside", format!(r#"{{"name":"canonical_hex8_2p.pth","sha256":"{digest}","path":"/a/b","node":"a"}}"#)),
        ];
        corpus::replay("daemon_body", body, &seeds.map(|(name, text)| (name, text.into())));
    }

    #[test]
    fn no_query_of_the_corpus_upsets_a_route() {
        let seeds = [
            ("jobs", "type=selfplay&status=open&node=gpu-1&limit=10"),
            ("lines", "lines=100&attempt=2&after=17%3a4"),
            ("events", "since=7&limit=3&type=NODE_DEAD&follow=true"),
            ("claim", "node_id=gpu-1&capabilities=selfplay,training"),
            ("model", "model=canonical_hex8_2p.pth&alive_only=False&cluster=1"),
        ];
        corpus::replay("daemon_query", query, &seeds.map(|(name, text)| (name, text.into())));
    }
}
