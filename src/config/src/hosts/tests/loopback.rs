use std::collections::BTreeMap;

use super::file;
use crate::NodeId;

fn addresses(pairs: &[(&str, &str)]) -> BTreeMap<NodeId, std::net::IpAddr> {
    pairs.iter().map(|(id, ip)| (id.parse().unwrap(), ip.parse().unwrap())).collect()
}

#[test]
fn given_hosts_move_to_loopback_and_everything_else_stays() {
    let original = file(
        "p2p_voters: [a]\nhosts:\n  b:\n  a:\n    ssh_host: relay\n    ssh_port: 31158\n    tailscale_ip: 100.64.0.7\n    \
         status: ready\n    role: mixed\n    nat_blocked: true\n    p2p_public_port: 41234\n    gpu: 8x RTX 4090\n    \
         venv_activate: ':'\n    weird: {deep: [1, 'no']}\n  c:\n    ssh_host: relay\n    ssh_port: 31159\nelo_sync:\n  \
         sync_port: 8766\nown_section: '0755'\n",
    );
    let text = original.with_loopback(&addresses(&[("a", "127.0.0.2"), ("b", "127.0.0.3"), ("absent", "127.0.0.4")]));
    let moved = file(&text);
    let a = &moved.hosts["a"];
    assert_eq!(a.dial_host().as_deref(), Some("127.0.0.2"));
    assert_eq!(a.ssh_endpoints(), [("127.0.0.2".to_owned(), 22)]);
    assert!(a.p2p_public_port.is_empty() && a.dials_out_only());
    assert_eq!(
        (&a.extra, &a.gpu, &a.venv_activate),
        (&original.hosts["a"].extra, &original.hosts["a"].gpu, &Some(":".into()))
    );
    assert_eq!(moved.hosts["b"].dial_host().as_deref(), Some("127.0.0.3"));
    assert_eq!(moved.hosts["c"], crate::Host { ssh_host_is_its_own: true, ..original.hosts["c"].clone() });
    assert_eq!((moved.extra, moved.voters), (original.extra, original.voters));
    assert_eq!(moved.hosts.keys().collect::<Vec<_>>(), original.hosts.keys().collect::<Vec<_>>());
}

#[test]
fn without_addresses_the_file_only_loses_its_comments() {
    let original = file("# a comment\np2p_voters: [a]\nhosts:\n  a: {ssh_host: h, status: ready}\n");
    let again = file(&original.with_loopback(&BTreeMap::new()));
    assert_eq!((again.hosts, again.voters, again.extra), (original.hosts, original.voters, original.extra));
}
