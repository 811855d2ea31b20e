use super::{super::Capability, file, host, warnings};
use crate::Status;

#[test]
fn a_null_path_is_no_path() {
    assert_eq!(host("ringrift_path: null").ringrift_path, None);
    assert_eq!(host("ringrift_path:").ringrift_path, None);
    assert_eq!(host("ringrift_path: ~/ringrift").ringrift_path.as_deref(), Some("~/ringrift"));
}

#[test]
fn venv_activate_is_any_fragment_of_shell() {
    for (line, text) in [
        ("venv_activate: ':'", ":"),
        ("venv_activate: \":\"", ":"),
        ("venv_activate: cd ~/ringrift && . venv/bin/activate", "cd ~/ringrift && . venv/bin/activate"),
        ("venv_activate: source ~/venv/bin/activate", "source ~/venv/bin/activate"),
    ] {
        assert_eq!(host(line).venv_activate.as_deref(), Some(text), "{line}");
    }
}

#[test]
fn no_gpu_is_written_in_four_ways() {
    for line in ["cpus: 4", "gpu: ''", "gpu: none", "gpu: null"] {
        assert_eq!(host(line).gpu, None, "{line}");
    }
}

#[test]
fn gpus_are_counted() {
    for (line, count, name) in [
        ("gpu: 8x RTX 4090", 8, "RTX 4090"),
        ("gpu: RTX 5090", 1, "RTX 5090"),
        ("gpu: GH200 (96 GB)", 1, "GH200 (96 GB)"),
    ] {
        let gpu = host(line).gpu.unwrap();
        assert_eq!((gpu.count, gpu.name.as_str()), (count, name));
    }
}

#[test]
fn nought_means_that_nobody_knows() {
    let host = host("memory_gb: 0\ncpus: 0\ngpu_vram_gb: 0\nmax_parallel_jobs: 0");
    assert_eq!((host.memory_gb, host.cpus, host.gpu_vram_gb, host.max_parallel_jobs), (None, None, None, None));
}

#[test]
fn numbers_of_gigabytes_may_have_fractions() {
    let host = host("memory_gb: 31.4\ngpu_vram_gb: 23.5\ncpus: 16");
    assert_eq!((host.memory_gb, host.gpu_vram_gb, host.cpus), (Some(31), Some(24), Some(16)));
}

#[test]
fn unknown_keys_are_kept_and_warned_about() {
    let file = file(
        "hosts:\n  gpu-1:\n    status: ready\n    role: mixed\n    gauntlet_enabled: false\n    p2p_enable: false\n    \
         weird: {a: [1]}\nextra_section:\n  x: 1\n",
    );
    let host = &file.hosts["gpu-1"];
    assert_eq!(host.extra["gauntlet_enabled"], serde_yaml::Value::from(false));
    assert_eq!(host.extra["weird"]["a"][0], serde_yaml::Value::from(1));
    assert_eq!(file.extra["extra_section"]["x"], serde_yaml::Value::from(1));
    assert!(host.p2p_enabled, "a slip of a key must not switch anything");
    assert_eq!(
        warnings(&file),
        [
            "hosts.yaml:5: hosts.gpu-1.gauntlet_enabled: unknown key: kept, and read by nothing here",
            "hosts.yaml:6: hosts.gpu-1.p2p_enable: unknown key: kept, and read by nothing here; did you mean p2p_enabled?",
            "hosts.yaml:7: hosts.gpu-1.weird: unknown key: kept, and read by nothing here",
            "hosts.yaml:8: extra_section: unknown key: kept, and read by nothing here",
        ]
    );
}

#[test]
fn sections_of_other_programs_are_kept_without_a_word() {
    let file = file(
        "hosts: {a: {status: ready, role: mixed}}\nelo_sync: {coordinator: a}\nsync_routing: {x: 1}\nprotocols: {}\n\
         disk_management: {}\nconsolidation: {}\nprovider_timeouts: {vast: 30}\n",
    );
    assert!(file.warnings.is_empty(), "{:?}", file.warnings);
    assert_eq!(file.extra["provider_timeouts"]["vast"], serde_yaml::Value::from(30));
    assert_eq!(file.extra.len(), 6);
}

#[test]
fn provider_ids_are_known_whoever_the_provider_is() {
    let host = host("vast_instance_id: 29031159\nhetzner_id: h-1\nnewcloud_id: n");
    assert_eq!(host.provider_ids["vast_instance_id"], "29031159");
    assert_eq!(host.provider_ids.len(), 3);
    assert!(host.extra.is_empty());
}

#[test]
fn only_ready_hosts_get_work_and_any_word_is_a_status() {
    // Every status that the contract has seen, the runbook's, and one of somebody's own.
    for status in [
        "ready",
        "retired",
        "offline",
        "proxy_only",
        "terminated",
        "destroyed",
        "pending_setup",
        "needs_tailscale_auth",
        "setup",
        "needs_setup",
        "ssh_key_rejected",
        "disabled",
        "maintenance",
        "gone-fishing",
    ] {
        let host = host(&format!("status: {status}"));
        assert_eq!((host.is_ready(), host.runs_daemon()), (status == "ready", status == "ready"), "{status}");
        assert_eq!(host.status.as_str(), status);
    }
    let file = file("hosts:\n  a:\n    status: redy\n    role: mixed\n");
    assert_eq!(file.hosts["a"].status, Status::Other("redy".into()));
    assert_eq!(
        warnings(&file),
        ["hosts.yaml:3: hosts.a.status: unknown status \"redy\": the host gets no work; did you mean ready?"]
    );
}

#[test]
fn an_unknown_role_gets_nothing_to_do_and_a_warning() {
    let file = file("hosts:\n  a:\n    status: ready\n    role: gpu_selfpaly\n    selfplay_enabled: true\n");
    assert_eq!(file.hosts["a"].capabilities(), []);
    assert_eq!(
        warnings(&file),
        [
            "hosts.yaml:4: hosts.a.role: unknown role \"gpu_selfpaly\": the host is given nothing to do; did you mean gpu_selfplay?"
        ]
    );
}

#[test]
fn switches_add_to_a_role_that_works_and_take_away_from_any() {
    use Capability::{Coordinator, Selfplay, Training};
    for (lines, expected) in [
        ("role: gpu_selfplay", &[Selfplay][..]),
        ("role: gpu_selfplay\ntraining_enabled: true", &[Selfplay, Training]),
        ("role: gpu_training_primary\nselfplay_enabled: true\ntraining_enabled: true", &[Selfplay, Training]),
        ("role: mixed\ntraining_enabled: false", &[Selfplay]),
        ("role: gpu_selfplay\nselfplay_enabled: false", &[]),
        ("role: coordinator\nselfplay_enabled: true", &[Coordinator]),
        ("role: proxy\ntraining_enabled: false", &[Coordinator]),
    ] {
        assert_eq!(host(lines).capabilities(), expected, "{lines}");
    }
}

#[test]
fn what_is_not_said_has_its_default() {
    let host = host("");
    assert!(host.is_ready() && host.p2p_enabled && host.runs_daemon() && !host.dials_out_only());
    assert_eq!(host.ssh_port, 22);
    assert_eq!((host.selfplay_enabled, host.training_enabled), (None, None));
    assert_eq!(host.capabilities(), []);
    let file = file("hosts:\n  gpu-1:\n");
    assert_eq!(
        warnings(&file),
        [
            "hosts.yaml:2: hosts.gpu-1.status: missing: read as ready",
            "hosts.yaml:2: hosts.gpu-1.role: missing: the host is given nothing to do",
        ]
    );
}

#[test]
fn a_host_that_is_not_ready_or_not_p2p_enabled_runs_no_daemon() {
    for (lines, runs) in [
        ("status: ready", true),
        ("status: ready\np2p_enabled: false", false),
        ("status: offline\np2p_enabled: true", false),
    ] {
        assert_eq!(host(lines).runs_daemon(), runs, "{lines}");
    }
}

#[test]
fn either_of_two_keys_makes_a_host_dial_out_only() {
    for (lines, only) in [("nat_blocked: true", true), ("force_relay_mode: true", true), ("nat_blocked: false", false)]
    {
        assert_eq!(host(lines).dials_out_only(), only, "{lines}");
    }
}

#[test]
fn storage_paths_and_the_rest_are_read() {
    let host = host(
        "storage_paths:\n  games: /d/games\n  models: /d/models\n  training_data: /d/t\n  checkpoints: /d/c\n  logs: /d/l\n  \
         sync_incoming: /d/in\nsocks5_port: 1055\nneeds_userspace_tailscale: true\n\
         is_container: true\nis_ephemeral: true\nregion: ewr\nnote: 2026\nmax_parallel_jobs: 4",
    );
    let paths = host.storage_paths.clone().unwrap();
    assert_eq!(
        [paths.games, paths.models, paths.training_data, paths.checkpoints, paths.logs, paths.sync_incoming]
            .map(Option::unwrap),
        ["/d/games", "/d/models", "/d/t", "/d/c", "/d/l", "/d/in"]
    );
    assert_eq!((host.socks5_port, host.max_parallel_jobs), (Some(1055), Some(4)));
    assert!(host.needs_userspace_tailscale && host.is_container && host.is_ephemeral);
    assert_eq!((host.region.as_deref(), host.note.as_deref()), (Some("ewr"), Some("2026")));
}

#[test]
fn a_file_without_voters_loads_and_an_empty_list_is_a_list() {
    assert_eq!(file("hosts: {a: {}}\n").voters, None);
    assert_eq!(file("p2p_voters: []\nhosts: {a: {}}\n").voters, Some(vec![]));
    let file = file("p2p_voters:\n- b\n- a\nhosts: {a: {}, b: {}, c: {}}\n");
    assert_eq!(file.voters.as_ref().unwrap().iter().map(crate::NodeId::as_str).collect::<Vec<_>>(), ["b", "a"]);
    assert!(file.is_voter(&"a".parse().unwrap()) && !file.is_voter(&"c".parse().unwrap()));
}

#[test]
fn bandwidth_is_a_host_of_its_own_then_a_pattern_then_the_limit() {
    let file = file(
        "auto_sync:\n  bandwidth_limit_mbps: 100\n  host_bandwidth_overrides:\n    vast-*: 50\n    vast-7: 5\n    \
         '*-h100-[12]': 200\n  exclude_hosts: []\nhosts: {a: {}}\n",
    );
    for (host, mbps) in [("vast-1", 50), ("vast-7", 5), ("nebius-h100-2", 200), ("nebius-h100-3", 100), ("a", 100)] {
        assert_eq!(file.auto_sync.limit_mbps(&host.parse().unwrap()), Some(mbps), "{host}");
    }
    assert_eq!(file.auto_sync.host_bandwidth_overrides[0].pattern(), "vast-*");
    assert_eq!(super::file("hosts: {a: {}}").auto_sync.limit_mbps(&"a".parse().unwrap()), None);
}

#[test]
fn text_that_python_would_read_differently_is_pointed_out() {
    let file = file("hosts:\n  a:\n    status: ready\n    role: mixed\n    region: no\n");
    assert_eq!(file.hosts["a"].region.as_deref(), Some("no"));
    assert_eq!(
        warnings(&file),
        ["hosts.yaml:5: hosts.a.region: \"no\" is a truth value to YAML 1.1 readers; put it in quotes"]
    );
}

#[test]
fn the_revision_is_the_texts_sha256_whatever_the_path() {
    let text = "hosts: {a: {}}\n";
    let revision = file(text).revision;
    // printf 'hosts: {a: {}}\n' | sha256sum
    assert_eq!(revision, "469e7eba01af501ceb5e8eb5e8c44611c9e644dc4217f5d3b392da81782027f7");
    assert_ne!(revision, file("hosts: {a: {}} \n").revision);
}
