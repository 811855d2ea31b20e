use std::path::Path;

use proptest::prelude::*;
use serde_yaml::{Mapping, Value};

use super::super::HostsFile;

proptest! {
    // Reading thousands of files takes its time in a debug build; a longer run is PROPTEST_CASES away.
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(64), ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in "(hosts|p2p_voters|auto_sync|a|ssh_port|gpu|status|: |:\n  |\n- |[ \n\\[\\]{},0-9x'])*") {
        let _ = HostsFile::parse(&text, Path::new("hosts.yaml"));
    }

    #[test]
    fn no_value_of_any_key_makes_reading_checking_or_rendering_panic(root in root()) {
        let text = serde_yaml::to_string(&root).unwrap();
        if let Ok(file) = HostsFile::parse(&text, Path::new("hosts.yaml")) {
            let _ = (file.check(), crate::report::list(&file), crate::report::list_json(&file));
            for host in file.hosts.values() {
                let _ = crate::report::show(&file, host);
            }
        }
    }

    #[test]
    fn a_file_that_is_written_again_says_the_same(hosts in prop::collection::btree_map("[a-z][a-z0-9-]{0,6}[a-z0-9]", good_host(), 1..6)) {
        let voters: Vec<Value> = hosts.keys().take(3).map(|id| id.as_str().into()).collect();
        let hosts: Mapping = hosts.into_iter().map(|(id, host)| (id.into(), host)).collect();
        let root = Mapping::from_iter([("p2p_voters".into(), voters.into()), ("hosts".into(), Value::Mapping(hosts))]);
        let text = serde_yaml::to_string(&root).unwrap();
        let once = HostsFile::parse(&text, Path::new("hosts.yaml")).expect("a good file");
        let written = once.with_loopback(&std::collections::BTreeMap::new());
        let twice = HostsFile::parse(&written, Path::new("hosts.yaml")).expect("what was written is good");
        prop_assert_eq!(&once.hosts, &twice.hosts);
        prop_assert_eq!(&once.voters, &twice.voters);
        prop_assert_eq!(&twice.with_loopback(&std::collections::BTreeMap::new()), &written);
    }
}

/// Files with the right keys and anything below them.
fn root() -> impl Strategy<Value = Value> {
    let host = prop::collection::btree_map(prop::sample::select(KEYS.to_vec()), anything(), 0..8).prop_map(map);
    let hosts = prop::collection::btree_map("[a-z-]{1,3}", prop_oneof![4 => host, 1 => anything()], 0..4);
    (hosts, anything(), anything()).prop_map(|(hosts, voters, auto_sync)| {
        let hosts = hosts.into_iter().map(|(id, host)| (id.into(), host)).collect();
        map([("hosts", Value::Mapping(hosts)), ("p2p_voters", voters), ("auto_sync", auto_sync)].into_iter().collect())
    })
}

const KEYS: [&str; 12] = [
    "ssh_host",
    "ssh_port",
    "tailscale_ip",
    "status",
    "role",
    "gpu",
    "memory_gb",
    "cpus",
    "p2p_enabled",
    "storage_paths",
    "p2p_public_port",
    "unknown_key",
];

fn map(entries: std::collections::BTreeMap<&'static str, Value>) -> Value {
    Value::Mapping(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-10..70_000_i64).prop_map(Value::from),
        (-1e3..1e3_f64).prop_map(Value::from),
        "[ -~]{0,10}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z0-9*]{1,5}", inner, 0..4)
                .prop_map(|map| Value::Mapping(map.into_iter().map(|(k, v)| (k.into(), v)).collect())),
        ]
    })
}

/// A host that every reader accepts.
fn good_host() -> impl Strategy<Value = Value> {
    let words = "[ -~]{0,12}";
    (words, 1..=u16::MAX, "[a-z_]{1,9}", 0..2000_u64, any::<bool>(), words, anything()).prop_map(
        |(ssh_host, ssh_port, status, memory_gb, p2p_enabled, venv, unknown)| {
            let fields: [(&'static str, Value); 7] = [
                ("ssh_host", ssh_host.into()),
                ("ssh_port", ssh_port.into()),
                ("status", status.into()),
                ("memory_gb", memory_gb.into()),
                ("p2p_enabled", p2p_enabled.into()),
                ("venv_activate", venv.into()),
                ("unknown_key", unknown),
            ];
            map(fields.into_iter().collect())
        },
    )
}
