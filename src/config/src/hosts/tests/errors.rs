use std::path::Path;

use super::{super::HostsFile, errors};

#[test]
fn an_error_names_file_line_and_key() {
    let cases = [
        (
            "hosts:\n  gpu-1:\n    ssh_port: abc\n",
            "hosts.yaml:3: hosts.gpu-1.ssh_port: expected a port 1..65535, found \"abc\"",
        ),
        (
            "hosts:\n  a:\n    ssh_port: 0\n",
            "hosts.yaml:3: hosts.a.ssh_port: expected a port 1..65535, found the number 0",
        ),
        (
            "hosts:\n  a:\n    ssh_port: 65536\n",
            "hosts.yaml:3: hosts.a.ssh_port: expected a port 1..65535, found the number 65536",
        ),
        (
            "hosts:\n  a:\n    socks5_port: [1055]\n",
            "hosts.yaml:3: hosts.a.socks5_port: expected a port 1..65535, found a list",
        ),
        (
            "hosts:\n  a: {p2p_enabled: yes}\n",
            "hosts.yaml:2: hosts.a.p2p_enabled: expected true or false, found \"yes\"",
        ),
        (
            "hosts:\n  a: {nat_blocked: 1}\n",
            "hosts.yaml:2: hosts.a.nat_blocked: expected true or false, found the number 1",
        ),
        ("hosts:\n  a: {cpus: many}\n", "hosts.yaml:2: hosts.a.cpus: expected a number, 0 or more, found \"many\""),
        (
            "hosts:\n  a: {memory_gb: -1}\n",
            "hosts.yaml:2: hosts.a.memory_gb: expected a number, 0 or more, found the number -1",
        ),
        (
            "hosts:\n  a: {memory_gb: '64'}\n",
            "hosts.yaml:2: hosts.a.memory_gb: expected a number, 0 or more, found \"64\"",
        ),
        (
            "hosts:\n  a: {cpus: 99999999999}\n",
            "hosts.yaml:2: hosts.a.cpus: expected a number, 0 or more, found the number 99999999999",
        ),
        (
            "hosts:\n  a: {ssh_host: 100.64}\n",
            "hosts.yaml:2: hosts.a.ssh_host: expected a text (in quotes, if this is meant as one), found the number 100.64",
        ),
        (
            "hosts:\n  a: {status: true}\n",
            "hosts.yaml:2: hosts.a.status: expected a text (in quotes, if this is meant as one), found the truth value true",
        ),
        ("hosts:\n  a: {gpu: [RTX]}\n", "hosts.yaml:2: hosts.a.gpu: expected a text, found a list"),
        (
            "hosts:\n  a: {storage_paths: /data}\n",
            "hosts.yaml:2: hosts.a.storage_paths: expected a map, found \"/data\"",
        ),
        (
            "hosts:\n  a: {p2p_public_port: x}\n",
            "hosts.yaml:2: hosts.a.p2p_public_port: expected a port 1..65535, or a map of ports such as {8770: 41234, 8765: \
             41235}, found \"x\"",
        ),
        (
            "hosts:\n  a:\n    p2p_public_port:\n      8765: 0\n",
            "hosts.yaml:4: hosts.a.p2p_public_port.8765: expected two ports 1..65535, inside: outside, found the number 0",
        ),
        ("hosts:\n  a: text\n", "hosts.yaml:2: hosts.a: expected a map with the host's settings, found \"text\""),
        ("hosts: [a, b]\n", "hosts.yaml:1: hosts: expected a map, found a list"),
        ("p2p_voters: []\n", "hosts.yaml: hosts: missing: a hosts file describes its hosts under `hosts:`"),
        ("p2p_voters: a\nhosts: {a: {}}\n", "hosts.yaml:1: p2p_voters: expected a list, found \"a\""),
        (
            "p2p_voters:\n- gpu1\nhosts: {gpu-1: {}}\n",
            "hosts.yaml:2: p2p_voters.0: the voter gpu1 is not under hosts; did you mean gpu-1?",
        ),
        ("p2p_voters:\n- a\n- zeus\nhosts: {a: {}}\n", "hosts.yaml:3: p2p_voters.1: the voter zeus is not under hosts"),
        ("p2p_voters:\n- a\n- a\nhosts: {a: {}}\n", "hosts.yaml:3: p2p_voters.1: the voter a is on line 2 already"),
        ("p2p_voters:\n-\nhosts: {a: {}}\n", "hosts.yaml:2: p2p_voters.0: expected the name of a host, found nothing"),
        (
            "auto_sync: {bandwidth_limit_mbps: fast}\nhosts: {a: {}}\n",
            "hosts.yaml:1: auto_sync.bandwidth_limit_mbps: expected a number, 0 or more, found \"fast\"",
        ),
        (
            "auto_sync:\n  host_bandwidth_overrides:\n    vast-*: fast\nhosts: {a: {}}\n",
            "hosts.yaml:3: auto_sync.host_bandwidth_overrides.vast-*: expected megabits per second, 0 or more, found \"fast\"",
        ),
        ("hosts:\n  a: {}\n  b: {}\n  a: {}\n", "hosts.yaml:4: hosts.a: duplicate key: a is on line 2 already"),
        (
            "hosts:\n  a:\n    gpu: x\n    cpus: 1\n    gpu: y\n",
            "hosts.yaml:5: hosts.a.gpu: duplicate key: gpu is on line 3 already",
        ),
        ("", "hosts.yaml:1: expected a map with hosts and p2p_voters, found nothing"),
        ("just text\n", "hosts.yaml:1: expected a map with hosts and p2p_voters, found \"just text\""),
    ];
    for (text, expected) in cases {
        assert_eq!(errors(text), [expected], "{text}");
    }
}

#[test]
fn a_name_that_cannot_be_a_node_id_is_refused() {
    let found = errors("hosts:\n  -bad-: {}\n  'two words': {}\n");
    assert!(found[0].starts_with("hosts.yaml:2: hosts.-bad-: node id \"-bad-\" is not valid"), "{found:?}");
    assert!(found[1].starts_with("hosts.yaml:3: hosts.two words: "), "{found:?}");
}

#[test]
fn a_pattern_that_is_none_is_refused() {
    let found = errors("auto_sync:\n  host_bandwidth_overrides:\n    'a[': 1\nhosts: {a: {}}\n");
    assert!(found[0].starts_with("hosts.yaml:3: auto_sync.host_bandwidth_overrides.a[: is no pattern"), "{found:?}");
}

#[test]
fn all_errors_are_told_in_the_order_of_the_file_and_the_first_stands_for_them() {
    let text = "p2p_voters: [x]\nhosts:\n  a:\n    ssh_port: x\n    cpus: y\n";
    let lines: Vec<_> = errors(text).iter().map(|e| e.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["hosts.yaml:1", "hosts.yaml:4", "hosts.yaml:5"]);
    let error = HostsFile::parse(text, Path::new("hosts.yaml")).unwrap_err().to_string();
    assert_eq!(error, "hosts.yaml:1: p2p_voters.0: the voter x is not under hosts (and 2 more errors)");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = HostsFile::load(Path::new("/nonexistent/hosts.yaml")).unwrap_err();
    assert_eq!(missing.to_string(), "cannot read /nonexistent/hosts.yaml: No such file or directory (os error 2)");
    assert_eq!(missing.findings().len(), 1);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hosts.yaml");
    std::fs::write(&file, b"hosts: \xff\n").unwrap();
    assert!(HostsFile::load(&file).unwrap_err().to_string().ends_with("hosts.yaml: is not UTF-8 text"));
    std::fs::File::create(&file).unwrap().set_len(9 << 20).unwrap();
    assert!(HostsFile::load(&file).unwrap_err().to_string().contains("larger than 8 MiB"));
}
