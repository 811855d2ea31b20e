//! Commands that ask no daemon.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::ctl::{command, folder, ran};

#[tokio::test]
async fn a_token_is_new_each_time_and_never_written_over_another() {
    let one = ran(command().args(["token", "new"]), "").await;
    let two = ran(command().args(["token", "new", "--json"]), "").await;
    let token = one.out.trim_end();
    assert!(token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{token}");
    assert_ne!(two.json()["token"], token);

    let folder = folder();
    let file = folder.path().join("token");
    let name = file.to_str().unwrap();
    let told = ran(command().args(["token", "new", "--output", name]), "").await;
    assert_eq!((told.out, told.code), (format!("A new token is in {name}.\n"), Some(0)));
    let written = fs::read_to_string(&file).unwrap();
    assert_eq!(written.len(), 65);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let told = ran(command().args(["token", "new", "--output", name]), "").await;
    assert!(told.code == Some(1) && told.err.contains("stays as it is"), "{told:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), written);
}

#[tokio::test]
async fn a_token_file_that_is_empty_is_filled_for_its_owner_only() {
    let folder = folder();
    let file = folder.path().join("token");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let name = file.to_str().unwrap();
    let told = ran(command().args(["token", "new", "--output", name]), "").await;
    assert_eq!((told.out, told.code), (format!("A new token is in {name}.\n"), Some(0)));
    assert_eq!(fs::read_to_string(&file).unwrap().len(), 65);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    for other in [folder.path().to_str().unwrap(), "/dev/null"] {
        let told = ran(command().args(["token", "new", "--output", other]), "").await;
        assert!(told.code == Some(1) && told.err.contains("stays as it is"), "{other}: {told:?}");
    }
}

#[tokio::test]
async fn manual_pages_are_written_one_per_command() {
    let folder = folder();
    let told = ran(command().args(["man", "--dir", folder.path().to_str().unwrap()]), "").await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let page = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    for (name, expected) in [
        ("ringriftctl.1", "ringriftctl\\-status(1)"),
        ("ringriftctl-nodes-cordon.1", "new driver"),
        ("ringriftctl-status.1", "The cluster token is missing or not accepted."),
        ("ringriftctl-leader-transfer.1", "backbone\\-2"),
    ] {
        assert!(page(name).contains(expected), "{expected} is not in {name}:\n{}", page(name));
    }
    let told = ran(command().arg("man"), "").await;
    assert_eq!(told.out, page("ringriftctl.1"));
    assert_eq!(ran(command().args(["man", "--json"]), "").await.json()["page"], told.out);
    let told = ran(command().args(["man", "--json", "--dir", folder.path().to_str().unwrap()]), "").await;
    assert_eq!(told.json()["pages"].as_array().unwrap().len(), fs::read_dir(folder.path()).unwrap().count());
}

#[tokio::test]
async fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let told = ran(command().args(["completions", shell]), "").await;
        assert_eq!(told.code, Some(0));
        assert!(told.out.contains("uncordon") && told.out.contains("token-file"), "{shell}");
        let json = ran(command().args(["completions", shell, "--json"]), "").await.json();
        assert_eq!((&json["shell"], &json["script"]), (&shell.into(), &told.out.into()));
    }
}

const HOSTS: &str = "\
hosts:
  backbone-1:
    ssh_host: 10.1.0.1
    ssh_user: ubuntu
    status: ready
    role: coordinator
    cpus: 8
    memory_gb: 32
    gpu: ''
  backbone-2:
    ssh_host: 10.1.0.2
    tailscale_ip: 100.64.0.2
    status: offline
    role: coordinator
  gpu-3:
    ssh_host: forwarder.example
    ssh_port: 33085
    ssh_user: root
    ssh_key: ~/.ssh/id_cluster
    status: ready
    role: gpu_selfplay
    gpu: 8x RTX 4090
    gpu_vram_gb: 192
    max_parallel_jobs: 4
    ringrift_path: /workspace/ringrift
    venv_activate: ':'
    nat_blocked: true
    note: rented by the week
    colour: blue
p2p_voters: [backbone-1, backbone-2]
";

#[tokio::test]
async fn hosts_are_listed_shown_and_checked() {
    let folder = folder();
    let file = folder.path().join("hosts.yaml");
    fs::write(&file, HOSTS).unwrap();
    let name = file.to_str().unwrap();
    let hosts = |args: &[&str]| {
        let mut command = command();
        command.env("RINGRIFT_HOSTS_FILE", name).arg("hosts").args(args);
        command
    };
    let told = |args: &[&str]| {
        let mut command = hosts(args);
        async move { ran(&mut command, name).await }
    };
    insta::assert_snapshot!("hosts_list", told(&["list"]).await.told());
    insta::assert_snapshot!("hosts_show", told(&["show", "gpu-3"]).await.told());
    insta::assert_snapshot!("hosts_show_none", told(&["show", "gpu-4"]).await.told());

    let check = told(&["check"]).await;
    assert_eq!(check.code, Some(0), "warnings are no errors: {check:?}");
    for expected in ["warning: API", "hosts.backbone-2.status", "p2p_voters", "API: 0 errors, "] {
        assert!(check.out.contains(expected), "{expected:?} is not in:\n{}", check.out);
    }
    let json = told(&["show", "gpu-3", "--json"]).await.json();
    assert_eq!(
        (&json["gpu"]["count"], &json["line"], &json["dials_out_only"], &json["is_voter"], &json["extra"]["colour"]),
        (&8.into(), &15.into(), &true.into(), &false.into(), &"blue".into())
    );
    assert_eq!(told(&["list", "--json"]).await.json()["hosts"].as_array().unwrap().len(), 3);

    let bad = folder.path().join("bad.yaml");
    fs::write(&bad, "hosts:\n  a:\n    ssh_port: 99999\n    cpus: many\np2p_voters: [b]\n").unwrap();
    let bad = bad.to_str().unwrap();
    let check = ran(hosts(&["check"]).arg(bad), bad).await;
    assert!(check.code == Some(1) && check.out.contains("error: API:3: hosts.a.ssh_port"), "{check:?}");
    let check = ran(hosts(&["check", "--json"]).arg(bad), bad).await;
    assert_eq!((check.json()["errors"].as_u64(), check.json()["findings"][0]["line"].as_u64()), (Some(3), Some(3)));
    let list = ran(hosts(&["list", "--hosts"]).arg(bad), bad).await;
    assert!(list.code == Some(1) && list.err.contains("`ringriftctl hosts check API` shows all"), "{list:?}");
    let list = ran(hosts(&["list", "--hosts", "/no/such/file"]).arg("--json"), "").await;
    assert_eq!((list.json_error()["exit_code"].as_u64(), list.code), (Some(1), Some(1)));
}

#[tokio::test]
async fn a_hosts_file_of_a_real_clusters_size_is_listed() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/distributed_hosts_42.yaml");
    if !std::path::Path::new(file).exists() {
        eprintln!("NOT TESTED: {file} is not here");
        return;
    }
    let told = ran(command().args(["hosts", "list", "--hosts", file]), "").await;
    assert!(told.code == Some(0) && told.out.contains("\n42 hosts, "), "{told:?}");
    let told = ran(command().args(["hosts", "check", file]), "").await;
    assert!(told.code == Some(0) && told.out.contains(": 0 errors, "), "{told:?}");
}
