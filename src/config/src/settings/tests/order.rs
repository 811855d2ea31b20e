use super::{Machine, effective, text};

/// For every setting: a value for the file, the environment and the command line, and how the last is shown.
pub(super) const VALUES: [(&str, [&str; 3]); 40] = [
    ("node_id", ["in-file", "in-env", "in-flag"]),
    ("hosts_file", ["/f.yaml", "/e.yaml", "/c.yaml"]),
    ("bind_addr", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
    ("http_port", ["1001", "1002", "1003"]),
    ("link_port", ["1101", "1102", "1103"]),
    ("health_port", ["1201", "none", "1203"]),
    ("advertise_host", ["in-file", "in-env", "in-flag"]),
    ("bootstrap_seeds", ["a:1", "b:1,c:2", "d:1"]),
    ("voters", ["a,b", "c", "d,e,f"]),
    ("state_dir", ["/f", "/e", "/c"]),
    ("heartbeat", ["201ms", "202ms", "203ms"]),
    ("election_timeout_min", ["801ms", "802ms", "803ms"]),
    ("election_timeout_max", ["1.601s", "1.602s", "1.603s"]),
    ("max_body_bytes", ["2001", "2002", "2003"]),
    ("header_timeout", ["1s", "2s", "3s"]),
    ("max_connections", ["1", "2", "3"]),
    ("models_dir", ["/f", "/e", "/c"]),
    ("models_port", ["1301", "none", "1303"]),
    ("models_watch", ["true", "auto", "false"]),
    ("models_keep", ["1", "2", "4"]),
    ("models_scrub", ["1", "0", "4"]),
    ("runner", ["systemd", "plain", "none"]),
    ("data_dir", ["/f", "/e", "/c"]),
    ("logs_dir", ["/f", "/e", "/c"]),
    ("jobs_fill", ["true", "false", "true"]),
    ("reconnect_window", ["1s", "2s", "3s"]),
    ("disk_cleanup_threshold", ["11%", "12%", "13%"]),
    ("disk_warning_threshold", ["66%", "67%", "68%"]),
    ("disk_critical_threshold", ["91%", "92%", "93%"]),
    ("memory_warning_threshold", ["51%", "52%", "53%"]),
    ("memory_critical_threshold", ["91%", "92%", "93%"]),
    ("gpu_idle_threshold", ["301s", "302s", "303s"]),
    ("job_grace_period", ["31s", "32s", "33s"]),
    ("runaway_selfplay_process_threshold", ["11", "12", "13"]),
    ("job_starts_per_second", ["1", "2", "3"]),
    ("crash_loop_threshold", ["4", "5", "6"]),
    ("work_queue_soft_limit", ["11", "12", "13"]),
    ("work_queue_hard_limit", ["1001", "1002", "1003"]),
    ("nvml_library", ["/f.so", "none", "/c.so"]),
    ("log", ["warn", "debug", "info,ringrift_link=trace"]),
];

#[test]
fn a_flag_wins_over_its_variable_that_over_the_file_that_over_the_default() {
    for (name, [in_file, in_env, in_flag]) in VALUES {
        let key = super::super::key::ALL.into_iter().find(|key| key.name == name).unwrap();
        let variable = key.variables[0];
        let machine = Machine::new().with_token().yaml(&format!("# comment\n{name}: {in_file}\n"));
        assert_eq!(effective(&machine, name), (in_file.to_owned(), "settings.yaml:2".to_owned()));
        let machine = machine.env(variable, in_env);
        assert_eq!(effective(&machine, name), (in_env.to_owned(), variable.to_owned()));
        let machine = machine.flag(key.flag, in_flag);
        assert_eq!(effective(&machine, name), (in_flag.to_owned(), key.flag.to_owned()));
    }
}

#[test]
fn who_lowers_a_limit_lowers_those_below_that_nobody_set() {
    let machine =
        Machine::new().env("RINGRIFT_P2P_DISK_CRITICAL_THRESHOLD", "60").env("RINGRIFT_WORK_QUEUE_HARD_LIMIT", "9");
    for (name, value) in [
        ("disk_cleanup_threshold", "60%"),
        ("disk_warning_threshold", "60%"),
        ("work_queue_soft_limit", "9"),
        ("memory_warning_threshold", "70%"),
    ] {
        assert_eq!(effective(&machine, name), (value.to_owned(), "default".to_owned()));
    }
}

#[test]
fn switches_follow_the_same_order() {
    for (name, variable, flag) in [
        ("single_node", "RINGRIFT_P2P_SINGLE_NODE", "--single-node"),
        ("insecure", "RINGRIFT_P2P_INSECURE", "--insecure"),
        ("compat.open_reads", "RINGRIFT_P2P_COMPAT_OPEN_READS", "--compat-open-reads"),
        ("compat.open_uploads", "RINGRIFT_P2P_COMPAT_OPEN_UPLOADS", "--compat-open-uploads"),
    ] {
        let machine = Machine::new().yaml(&format!("{name}: true\n"));
        assert_eq!(effective(&machine, name), ("true".to_owned(), "settings.yaml:1".to_owned()));
        let machine = machine.env(variable, "false");
        assert_eq!(effective(&machine, name), ("false".to_owned(), variable.to_owned()));
        let machine = machine.switch(flag);
        assert_eq!(effective(&machine, name), ("true".to_owned(), flag.to_owned()));
    }
}

#[test]
fn a_setting_with_a_dot_may_stand_under_its_group() {
    let machine = Machine::new().yaml("compat:\n  open_uploads: true\n");
    assert_eq!(effective(&machine, "compat.open_uploads"), ("true".to_owned(), "settings.yaml:2".to_owned()));
    let error = Machine::new().yaml("compat:\n  open_upload: true\n").error();
    assert!(error.contains("settings.yaml:2: compat.open_upload: unknown setting"), "{error}");
    assert!(error.contains("compat.open_uploads"), "{error}");
}

#[test]
fn nothing_said_means_the_contracts_defaults() {
    let machine = Machine::new();
    let settings = machine.settings();
    let shown = settings.effective().into_iter().map(|(name, value, source)| format!("{name} = {value} ({source})"));
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join(
        "
"
    ));
}

#[test]
fn every_setting_is_shown_and_named_once() {
    let shown: Vec<&str> = Machine::new().settings().effective().into_iter().map(|(name, _, _)| name).collect();
    for key in super::super::key::ALL {
        // Three files make one setting, and a token is never shown by the file that it came from.
        let name = match key.name {
            "tls_ca" | "tls_cert" | "tls_key" => "tls",
            "token_file" | "old_token_file" => "token",
            name => name,
        };
        assert!(shown.contains(&name), "{name} is not shown");
    }
    let mut variables: Vec<&str> = super::super::key::variables().collect();
    let all = variables.len();
    variables.sort_unstable();
    variables.dedup();
    assert_eq!(variables.len(), all, "one variable, one setting");
}

#[test]
fn an_empty_variable_is_one_that_nobody_set() {
    let machine = Machine::new().yaml("http_port: 1001\n").env("RINGRIFT_P2P_PORT", " ").env("RINGRIFT_P2P_VOTERS", "");
    assert_eq!(effective(&machine, "http_port").0, "1001");
    assert_eq!(effective(&machine, "voters"), ("none".to_owned(), "default".to_owned()));
}

#[test]
fn null_in_the_file_is_as_if_the_key_were_not_there() {
    let machine = Machine::new().yaml("http_port:\nadvertise_host: ~\nvoters: null\n");
    for name in ["http_port", "advertise_host", "voters"] {
        assert_eq!(effective(&machine, name).1, "default", "{name}");
    }
}

#[test]
fn lists_stand_in_the_file_as_lists_or_between_commas() {
    for yaml in ["voters: [a, b]\nbootstrap_seeds: 'x:1,y:2'\n", "voters:\n- a\n- b\nbootstrap_seeds: ['x:1', 'y:2']\n"]
    {
        let settings = Machine::new().yaml(yaml).settings();
        let voters = settings.voters.value.unwrap();
        assert_eq!(voters.iter().map(crate::NodeId::as_str).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(*settings.bootstrap_seeds, ["x:1", "y:2"]);
    }
}

#[test]
fn paths_in_the_file_are_meant_from_its_folder() {
    let machine = Machine::new().yaml("state_dir: state\nhosts_file: /elsewhere/hosts.yaml\n");
    let settings = machine.settings();
    assert_eq!(*settings.state_dir, machine.path("state"));
    assert_eq!(settings.hosts_file.value.unwrap(), std::path::Path::new("/elsewhere/hosts.yaml"));
}

#[test]
fn the_settings_file_is_named_by_flag_then_variable_then_lies_where_it_is_installed() {
    let machine = Machine::new()
        .yaml("http_port: 1001\n")
        .file("e.yaml", "http_port: 1002\n")
        .file("f.yaml", "http_port: 1003\n");
    assert_eq!(effective(&machine, "http_port").0, "1001");
    let (e, f) = (text(&machine.path("e.yaml")), text(&machine.path("f.yaml")));
    let machine = machine.env("RINGRIFT_SETTINGS", e);
    assert_eq!(effective(&machine, "http_port"), ("1002".to_owned(), "e.yaml:1".to_owned()));
    let machine = machine.flag("--settings", f);
    assert_eq!(effective(&machine, "http_port").0, "1003");
    let none = Machine::new().yaml("http_port: 1001\n").flag("--settings", "none");
    assert_eq!(effective(&none, "http_port").0, "8770");
    assert_eq!(Machine::new().yaml("# nothing yet\n").settings().http_port.value, 8770);
}

#[test]
fn the_installed_hosts_file_is_used_if_it_is_there() {
    assert_eq!(effective(&Machine::new(), "hosts_file"), ("none".to_owned(), "default".to_owned()));
    let machine = Machine::new().file("distributed_hosts.yaml", "hosts: {}\n");
    assert_eq!(effective(&machine, "hosts_file"), ("distributed_hosts.yaml".to_owned(), "default".to_owned()));
}

#[test]
fn systemds_state_directory_stands_before_the_default() {
    let machine = Machine::new().env("STATE_DIRECTORY", "/var/lib/ringrift-p2p-2:/var/lib/more");
    assert_eq!(effective(&machine, "state_dir"), ("/var/lib/ringrift-p2p-2".to_owned(), "STATE_DIRECTORY".to_owned()));
    let machine = machine.env("RINGRIFT_P2P_STATE_DIR", "/srv/state");
    assert_eq!(effective(&machine, "state_dir").0, "/srv/state");
}

#[test]
fn a_containers_ports_are_the_files_then_the_providers_then_the_same() {
    let machine = Machine::new()
        .env("VAST_TCP_PORT_8765", "40001")
        .env("VAST_TCP_PORT_8770", "40002")
        .env("VAST_TCP_PORT_72299", "72299");
    let settings = machine.settings();
    assert_eq!(settings.mapped_ports.len(), 2);
    assert_eq!((settings.public_link_port(None), settings.public_http_port(None)), (40001, 40002));
    assert_eq!(settings.public_port(8767, None), 8767);
    let hosts = crate::HostsFile::parse("hosts: {a: {p2p_public_port: {8765: 50001}}}", "h".as_ref()).unwrap();
    let host = hosts.hosts.get("a");
    assert_eq!((settings.public_link_port(host), settings.public_http_port(host)), (50001, 40002));
    assert!(machine.warnings().is_empty());
    let bad = machine.env("VAST_TCP_PORT_8767", "x");
    assert_eq!(bad.warnings(), ["VAST_TCP_PORT_8767: expected a port 1..65535, found \"x\"; it is not used"]);
}

#[test]
fn own_certificates_are_three_files() {
    let machine = Machine::new().yaml("tls_ca: ca.pem\ntls_cert: cert.pem\n").flag("--tls-key", "/key.pem");
    let tls = machine.settings().tls.value.unwrap();
    assert_eq!((tls.ca, tls.cert, tls.key), (machine.path("ca.pem"), machine.path("cert.pem"), "/key.pem".into()));
}
