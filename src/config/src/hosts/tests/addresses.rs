use super::{file, host};
use crate::NodeId;

fn endpoints(lines: &str) -> Vec<String> {
    host(lines).ssh_endpoints().into_iter().map(|(address, port)| format!("{address}:{port}")).collect()
}

#[test]
fn the_ssh_port_belongs_to_the_ssh_host_and_the_tailnet_has_22() {
    for (lines, expected) in [
        ("ssh_host: h\nssh_port: 38742\ntailscale_ip: 100.64.0.27", &["100.64.0.27:22", "h:38742"][..]),
        ("ssh_host: h\nssh_port: '38742'", &["h:38742"]),
        ("ssh_host: h", &["h:22"]),
        ("tailscale_ip: 100.64.0.27\nssh_port: 38742", &["100.64.0.27:22"]),
        ("ssh_host: 100.64.0.27\ntailscale_ip: 100.64.0.27", &["100.64.0.27:22"]),
        ("", &["gpu-1:22"]),
    ] {
        assert_eq!(endpoints(lines), expected, "{lines}");
    }
}

#[test]
fn an_ssh_host_may_carry_its_user() {
    let host = host("ssh_host: operator@192.168.1.100");
    assert_eq!((host.ssh_host.as_deref(), host.ssh_user.as_deref()), (Some("192.168.1.100"), Some("operator")));
    let host = super::host("ssh_host: operator@h\nssh_user: root");
    assert_eq!((host.ssh_host.as_deref(), host.ssh_user.as_deref()), (Some("h"), Some("root")));
}

#[test]
fn others_dial_the_tailnet_first_then_the_ssh_host() {
    for (lines, dialled) in [
        ("ssh_host: 198.51.100.2\ntailscale_ip: 100.64.0.4", Some("100.64.0.4")),
        ("ssh_host: 198.51.100.2", Some("198.51.100.2")),
        ("tailscale_ip: 100.64.0.4", Some("100.64.0.4")),
        ("tailscale_ip: 100.x.x.x\nssh_host: 198.51.100.2", Some("198.51.100.2")),
        ("ssh_host: <ip>", None),
        ("", None),
    ] {
        assert_eq!(host(lines).dial_host().as_deref(), dialled, "{lines}");
    }
}

/// `host` of a file with `relay` shared by three rented containers.
fn among_containers(id: &str) -> crate::Host {
    let file = file(
        "hosts:\n  vast-1: {ssh_host: relay, ssh_port: 31158}\n  vast-2: {ssh_host: relay, ssh_port: 16088, tailscale_ip: \
         100.64.0.29}\n  vast-3: {ssh_host: relay, ssh_port: 31160}\n  own: {ssh_host: own.example.net, ssh_port: 31158}\n  \
         same-1: {ssh_host: same}\n  same-2: {ssh_host: same}\n",
    );
    file.hosts[id].clone()
}

#[test]
fn a_name_shared_with_different_ports_is_a_forwarder_and_nobody_dials_it() {
    for (id, dialled) in [
        ("vast-1", None),
        ("vast-2", Some("100.64.0.29")),
        ("vast-3", None),
        ("own", Some("own.example.net")),
        // The same name and the same port is one machine written down twice, not a forwarder.
        ("same-1", Some("same")),
    ] {
        assert_eq!(among_containers(id).dial_host().as_deref(), dialled, "{id}");
    }
    assert_eq!(among_containers("vast-1").ssh_endpoints(), [("relay".to_owned(), 31158)], "SSH still goes there");
}

#[test]
fn a_loopback_name_is_dialled_only_where_the_whole_file_is_on_one_machine() {
    let mixed = file("hosts:\n  a: {ssh_host: localhost}\n  b: {ssh_host: 100.64.0.2}\n");
    assert_eq!(mixed.hosts["a"].dial_host(), None);
    let alone = file("hosts:\n  a: {ssh_host: 127.0.0.1}\n  b: {ssh_host: 127.0.0.2}\n");
    assert_eq!(alone.hosts["b"].dial_host().as_deref(), Some("127.0.0.2"));
}

#[test]
fn mapped_ports_belong_to_the_ssh_host() {
    let host = host("ssh_host: h\ntailscale_ip: 100.64.0.4\np2p_public_port: {8770: 41234, 8765: 41235}");
    assert_eq!(host.dial_addresses(8765), [("100.64.0.4".to_owned(), 8765), ("h".to_owned(), 41235)]);
    assert_eq!(host.dial_addresses(8770)[1].1, 41234);
    assert_eq!(host.dial_addresses(8767)[1].1, 8767);

    let single = super::host("ssh_host: h\np2p_public_port: 41234");
    assert_eq!(single.p2p_public_port.outside(8770), Some(41234));
    assert_eq!(single.p2p_public_port.outside(8765), None);
    assert!(super::host("ssh_host: h").p2p_public_port.is_empty());
}

#[test]
fn the_same_host_and_port_twice_is_one_address() {
    let host = host("ssh_host: 100.64.0.4\ntailscale_ip: 100.64.0.4");
    assert_eq!(host.dial_addresses(8765), [("100.64.0.4".to_owned(), 8765)]);
}

#[test]
fn ids_are_kept_in_the_order_of_the_file() {
    let file = file("hosts: {z: {}, a: {}, m: {}}\n");
    assert_eq!(file.hosts.keys().map(NodeId::as_str).collect::<Vec<_>>(), ["z", "a", "m"]);
}
