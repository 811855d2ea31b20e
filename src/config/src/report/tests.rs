use std::path::Path;

use super::*;

const HOSTS: &str = include_str!("../../testdata/hosts.yaml");

fn file() -> HostsFile {
    HostsFile::parse(HOSTS, Path::new("hosts.yaml")).unwrap()
}

#[test]
fn the_list_of_hosts() {
    insta::assert_snapshot!(list(&file()));
}

#[test]
fn one_host() {
    let file = file();
    let shown: Vec<String> = ["backbone-1", "vast-2", "h100-3", "studio"]
        .iter()
        .map(|name| show(&file, find(&file, name).unwrap()))
        .collect();
    insta::assert_snapshot!(shown.join("---\n"));
}

#[test]
fn one_host_as_json() {
    let file = file();
    let shown = show_json(&file, &file.hosts["vast-2"]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&shown).unwrap());
}

#[test]
fn the_list_as_json_has_the_order_of_the_file() {
    let json = list_json(&file());
    assert_eq!(json["file"], "hosts.yaml");
    assert_eq!(json["revision"].as_str().unwrap().len(), 64);
    assert_eq!(json["p2p_voters"][1], "backbone-1");
    assert_eq!(json["auto_sync"]["host_bandwidth_overrides"]["vast-*"], 50);
    assert_eq!(json["extra"]["elo_sync"]["coordinator"], "studio");
    let ids: Vec<_> = json["hosts"].as_array().unwrap().iter().map(|host| host["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["studio", "backbone-1", "h100-3", "cpu-2", "vast-1", "vast-2", "proxy"]);
    let without = HostsFile::parse("hosts: {a: {}}", Path::new("h")).unwrap();
    assert_eq!(list_json(&without)["p2p_voters"], Value::Null);
}

#[test]
fn the_verdict_on_a_file_with_traps() {
    insta::assert_snapshot!(Check::of("hosts.yaml", &Ok(file())));
}

#[test]
fn the_verdict_on_a_file_with_errors() {
    let text = HOSTS.replace("31158", "abc").replace("- cpu-2", "- cpu2").replace("cpus: 8", "cpus: eight");
    let check = Check::of("hosts.yaml", &HostsFile::parse(&text, Path::new("hosts.yaml")));
    assert!(!check.ok);
    insta::assert_snapshot!(check);
}

#[test]
fn the_verdict_as_json() {
    let text = "p2p_voters: [a]\nhosts: {a: {ssh_host: h, status: ready, role: mixed, ssh_port: x}}\n";
    let check = Check::of("hosts.yaml", &HostsFile::parse(text, Path::new("hosts.yaml")));
    insta::assert_snapshot!(serde_json::to_string_pretty(&check).unwrap());
    let missing = Check::of("/nonexistent", &HostsFile::load(Path::new("/nonexistent")));
    assert_eq!((missing.ok, missing.errors, missing.summary), (false, 1, None));
}

#[test]
fn a_host_that_is_not_there_is_told_with_one_that_is() {
    let error = find(&file(), "backbone1").unwrap_err().to_string();
    assert_eq!(error, "hosts.yaml has no host backbone1; did you mean backbone-1?");
    assert_eq!(find(&file(), "zeus").unwrap_err().to_string(), "hosts.yaml has no host zeus");
}
