use super::Machine;

#[test]
fn a_bad_variable_is_named_with_its_text() {
    for (name, text, error) in [
        ("RINGRIFT_P2P_PORT", "abc", "RINGRIFT_P2P_PORT: expected a port 1..65535, found \"abc\""),
        ("RINGRIFT_P2P_GOSSIP_PORT", "0", "RINGRIFT_P2P_GOSSIP_PORT: expected a port 1..65535, found \"0\""),
        (
            "RINGRIFT_P2P_BIND_ADDR",
            "eth0",
            "RINGRIFT_P2P_BIND_ADDR: expected an IP address, such as 0.0.0.0 or 127.0.0.1, found \"eth0\"",
        ),
        ("RINGRIFT_P2P_INSECURE", "perhaps", "RINGRIFT_P2P_INSECURE: expected true or false, found \"perhaps\""),
        (
            "RINGRIFT_P2P_HEARTBEAT",
            "200",
            "RINGRIFT_P2P_HEARTBEAT: expected a duration from 1ms to 1h with its unit, such as 200ms, 1.5s or 2m, found \"200\"",
        ),
        (
            "RINGRIFT_P2P_VOTERS",
            "a,b,a",
            "RINGRIFT_P2P_VOTERS: expected every node id once, and a is there twice, found \"a,b,a\"",
        ),
        (
            "RINGRIFT_P2P_BOOTSTRAP_SEEDS",
            "a:1,b",
            "RINGRIFT_P2P_BOOTSTRAP_SEEDS: expected host:port, for example backbone-1:8765 or [fd7a::1]:8765 (not \"b\"), found \"a:1,b\"",
        ),
        (
            "RINGRIFT_P2P_ADVERTISE_HOST",
            "h:1",
            "RINGRIFT_P2P_ADVERTISE_HOST: expected a host name or an IP address, without port or scheme, found \"h:1\"",
        ),
    ] {
        assert_eq!(Machine::new().env(name, text).error(), error);
    }
}

#[test]
fn a_bad_line_of_the_file_is_named_with_its_number() {
    for (yaml, error) in [
        ("\nhttp_port: abc\n", "settings.yaml:2: http_port: expected a port 1..65535, found \"abc\""),
        ("http_port: 1\nhttp_port: 2\n", "settings.yaml:2: http_port: duplicate key: http_port is on line 1 already"),
        ("http_prot: 1\n", "settings.yaml:1: http_prot: unknown setting; did you mean http_port?"),
        ("http-port: 1\n", "settings.yaml:1: http-port: unknown setting; did you mean http_port?"),
        ("voters: {a: 1}\n", "settings.yaml:1: voters: expected a value, found a map"),
        ("http_port: [8771]\n", "settings.yaml:1: http_port: expected a value, found a list"),
        ("node_id: [a]\n", "settings.yaml:1: node_id: expected a value, found a list"),
        ("voters: [a, [b]]\n", "settings.yaml:1: voters: expected a list of texts, found a list in it"),
        ("- http_port\n", "settings.yaml:1: expected settings such as `http_port: 8770`, found a list"),
        (
            "http_port: 'open\n",
            "settings.yaml:1: is not YAML: while scanning a quoted scalar, found unexpected end of stream",
        ),
    ] {
        assert_eq!(Machine::new().yaml(yaml).error(), error, "{yaml}");
    }
    let unlike = Machine::new().yaml("colour: red\n").error();
    assert!(
        unlike.starts_with("settings.yaml:1: colour: unknown setting; settings are node_id, hosts_file, "),
        "{unlike}"
    );
}

#[test]
fn a_bad_value_is_an_error_even_where_another_one_wins() {
    let machine = Machine::new().yaml("http_port: abc\n").env("RINGRIFT_P2P_PORT", "x").flag("--http-port", "1000");
    assert_eq!(
        machine.error(),
        "RINGRIFT_P2P_PORT: expected a port 1..65535, found \"x\"\n\
         settings.yaml:1: http_port: expected a port 1..65535, found \"abc\""
    );
}

#[test]
fn a_file_that_somebody_named_must_be_there() {
    assert_eq!(
        Machine::new().flag("--settings", "/nonexistent/s.yaml").error(),
        "cannot read /nonexistent/s.yaml (from --settings): No such file or directory (os error 2)"
    );
    assert_eq!(
        Machine::new().env("RINGRIFT_SETTINGS", "/nonexistent/s.yaml").error(),
        "cannot read /nonexistent/s.yaml (from RINGRIFT_SETTINGS): No such file or directory (os error 2)"
    );
}

#[test]
fn a_node_needs_a_name() {
    let mut machine = Machine::new();
    machine.host_name = "(none)";
    assert_eq!(
        machine.error(),
        "the host name \"(none)\" is not a node id (1 to 63 letters, digits, '.', '_' or '-'); name this node with --node-id \
         or RINGRIFT_NODE_ID"
    );
    assert_eq!(machine.env("RINGRIFT_NODE_ID", "gpu-1").settings().node_id.as_str(), "gpu-1");
    let bad = Machine::new().env("RINGRIFT_NODE_ID", "-").error();
    assert!(bad.starts_with("RINGRIFT_NODE_ID: expected a node id") && bad.lines().count() == 1, "{bad}");
}

#[test]
fn ports_must_differ() {
    assert_eq!(
        Machine::new().env("RINGRIFT_P2P_PORT", "8765").error(),
        "http_port (RINGRIFT_P2P_PORT) and link_port (default) are both 8765; each needs a port of its own"
    );
    let all = Machine::new().yaml("http_port: 9\nlink_port: 9\nhealth_port: 9\n").error();
    assert_eq!(all.lines().count(), 3, "{all}");
    Machine::new().yaml("health_port: 0\n").settings();
}

#[test]
fn election_timeouts_must_leave_room_for_heartbeats_and_for_chance() {
    assert_eq!(
        Machine::new().env("RINGRIFT_P2P_ELECTION_TIMEOUT_MIN", "1600ms").error(),
        "election_timeout_min (1.6s, RINGRIFT_P2P_ELECTION_TIMEOUT_MIN) must be below election_timeout_max (1.2s, default)"
    );
    assert_eq!(
        Machine::new().yaml("heartbeat: 400ms\n").error(),
        "heartbeat (400ms, settings.yaml:1) must be below half of election_timeout_min (800ms, default), or one late heartbeat \
         costs the leader its place"
    );
    Machine::new().yaml("heartbeat: 399ms\n").settings();
}

#[test]
fn limits_come_in_their_order() {
    assert_eq!(
        Machine::new().env("RINGRIFT_P2P_DISK_WARNING_THRESHOLD", "97").error(),
        "disk_warning_threshold (97, RINGRIFT_P2P_DISK_WARNING_THRESHOLD) must not be above disk_critical_threshold (96, default)"
    );
    let all = Machine::new()
        .yaml("disk_cleanup_threshold: 71\nmemory_warning_threshold: 81\nwork_queue_soft_limit: 1001\n")
        .error();
    assert_eq!(all.lines().count(), 3, "{all}");
    Machine::new().yaml("disk_cleanup_threshold: 96\ndisk_warning_threshold: 96\n").settings();
}

#[test]
fn one_certificate_file_is_not_enough() {
    assert_eq!(
        Machine::new().yaml("tls_cert: c.pem\n").error(),
        "tls_cert (settings.yaml:1) is set and tls_ca is not: own certificates need tls_ca, tls_cert and tls_key"
    );
}

#[test]
fn variables_that_nothing_reads_are_named() {
    let machine = Machine::new()
        .env("RINGRIFT_P2P_PROT", "1")
        .env("RINGRIFT_GPU_IDLE_TIME_ZONE", "600")
        .env("RINGRIFT_FAULT_HANG", "gossip:5")
        .env("RINGRIFT_API", "http://127.0.0.1:8770")
        .env("RINGRIFT_P2P_PORT", "")
        .env("HOME", "/root");
    assert_eq!(
        machine.warnings(),
        [
            "RINGRIFT_GPU_IDLE_TIME_ZONE is set, and nothing reads it",
            "RINGRIFT_P2P_PROT is set, and nothing reads it; did you mean RINGRIFT_P2P_PORT?",
        ]
    );
}

#[test]
fn every_variable_of_the_contract_is_read() {
    let of_the_contract = [
        "RINGRIFT_NODE_ID",
        "RINGRIFT_P2P_PORT",
        "RINGRIFT_P2P_GOSSIP_PORT",
        "RINGRIFT_ADVERTISE_HOST",
        "RINGRIFT_P2P_ADVERTISE_HOST",
        "RINGRIFT_P2P_VOTERS",
        "RINGRIFT_P2P_BIND_ADDR",
        "RINGRIFT_P2P_BOOTSTRAP_SEEDS",
        "RINGRIFT_CLUSTER_AUTH_TOKEN",
        "RINGRIFT_CLUSTER_AUTH_TOKEN_FILE",
        "RINGRIFT_JOB_GRACE_PERIOD",
        "RINGRIFT_GPU_IDLE_THRESHOLD",
        "RINGRIFT_RUNAWAY_SELFPLAY_PROCESS_THRESHOLD",
        "RINGRIFT_P2P_DISK_CLEANUP_THRESHOLD",
        "RINGRIFT_P2P_DISK_WARNING_THRESHOLD",
        "RINGRIFT_P2P_DISK_CRITICAL_THRESHOLD",
        "RINGRIFT_P2P_MEMORY_WARNING_THRESHOLD",
        "RINGRIFT_P2P_MEMORY_CRITICAL_THRESHOLD",
        "RINGRIFT_WORK_QUEUE_SOFT_LIMIT",
        "RINGRIFT_WORK_QUEUE_HARD_LIMIT",
        "RINGRIFT_P2P_STATE_DIR",
        "RINGRIFT_MODELS_DIR",
        "RINGRIFT_MODEL_DIR",
        "RINGRIFT_MODELS_PATH",
    ];
    let machine = of_the_contract.iter().fold(Machine::new(), |machine, name| machine.env(name, ""));
    assert_eq!(machine.warnings(), [""; 0]);
}

#[test]
fn two_addresses_for_one_node_are_pointed_out() {
    let machine =
        Machine::new().env("RINGRIFT_ADVERTISE_HOST", "100.64.0.1").env("RINGRIFT_P2P_ADVERTISE_HOST", "100.64.0.2");
    assert_eq!(
        machine.warnings(),
        ["RINGRIFT_ADVERTISE_HOST is 100.64.0.1 and RINGRIFT_P2P_ADVERTISE_HOST is 100.64.0.2; 100.64.0.1 counts \
             (RINGRIFT_ADVERTISE_HOST)"]
    );
    let second = Machine::new().env("RINGRIFT_P2P_ADVERTISE_HOST", "100.64.0.2");
    assert_eq!(second.settings().advertise_host.value.as_deref(), Some("100.64.0.2"));
    assert!(second.env("RINGRIFT_ADVERTISE_HOST", "100.64.0.2").warnings().is_empty());
}
