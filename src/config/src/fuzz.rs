//! What reads bytes from outside, for coverage-guided tests (`tests/fuzz`). Each function takes any bytes and panics if the crate does
//! what it must not.

use std::path::Path;

use crate::{HostsDraft, HostsFile, NodeId, Token, settings::fuzz_file};

/// A hosts file; then changes of it, none of which may spoil what they do not mean.
pub fn hosts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = Path::new("hosts.yaml");
    let Ok(file) = HostsFile::parse(text, path) else {
        assert!(HostsDraft::parse(text.to_owned(), path).is_err());
        return;
    };
    for finding in file.check().iter().chain(&file.warnings) {
        let _ = finding.to_string();
    }
    let mut draft = HostsDraft::parse(text.to_owned(), path).expect("what can be read can be changed");
    let Some(first) = file.hosts.keys().next().cloned() else { return };
    let other: NodeId = "fuzz-2".parse().expect("a node id");
    let mut unchanged = draft.text().to_owned();
    let mut changed = |draft: &HostsDraft, worked: bool| {
        let after = HostsFile::parse(draft.text(), path);
        assert!(after.is_ok(), "a change leaves a file that can be read: {after:?}");
        if worked {
            draft.text().clone_into(&mut unchanged);
        } else {
            assert_eq!(draft.text(), unchanged, "a refused change changes nothing");
        }
        after.expect("it was just looked at")
    };
    let worked = draft.set(&first, "status", "setup").is_ok();
    assert_eq!(changed(&draft, worked).hosts.len(), file.hosts.len());
    let worked = draft.unset(&first, "status").is_ok();
    assert_eq!(changed(&draft, worked).hosts.len(), file.hosts.len());
    let worked = draft.set_voter(&first, true).is_ok();
    let after = changed(&draft, worked);
    assert!(!worked || after.voters.is_some_and(|voters| voters.contains(&first)));
    if !file.hosts.contains_key(&other) {
        let worked = draft.add(&other, &[("ssh_host".to_owned(), "192.0.2.7".to_owned())]).is_ok();
        assert_eq!(changed(&draft, worked).hosts.len(), file.hosts.len() + usize::from(worked));
        if worked {
            let worked = draft.remove(&other).is_ok();
            assert_eq!(changed(&draft, worked).hosts.len(), file.hosts.len() + usize::from(!worked));
        }
    }
}

/// A settings file, its classes of jobs, and a token.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    fuzz_file(text);
    let _ = Token::parse(text);
}

#[cfg(test)]
#[path = "../../../tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "\
# Two hosts.
p2p_voters: [gpu-1]
hosts:
  gpu-1:   # the first
    ssh_host: 192.0.2.1
    status: ready
    gpu: 8x RTX 4090
    memory_gb: 31.4
    storage_paths: {games: /data/games}

  cpu-2:
    ssh_host: '192.0.2.2'
    ssh_port: 2222
    role: coordinator
";

    const FLOW: &str = "{hosts: {a: {ssh_host: 192.0.2.1, status: \"ready\"}, b: {}}, p2p_voters: [\"a\", b]}\n";

    const SETTINGS: &str = "\
http_port: 8770
voters: [a, b]
compat: {open_reads: true}
heartbeat: 200ms
job_classes:
  train:
    kind: training
    argv: [python3, -m, train, ['--seed', '{seed}']]
    params: {seed: {type: integer, min: 0, required: false}}
    limits: {memory_max: 4G}
    deadline: 2h
  selfplay: {enabled: false}
";

    #[test]
    fn no_hosts_file_of_the_corpus_upsets_a_reader_or_a_change() {
        let crlf = SMALL.replace('\n', "\r\n");
        let seeds =
            [("small", SMALL.into()), ("flow", FLOW.into()), ("crlf", crlf.into()), ("empty", "hosts: {}\n".into())];
        corpus::replay("config_hosts", hosts, &seeds);
    }

    #[test]
    fn no_settings_of_the_corpus_upset_a_reader() {
        let seeds = [("classes", SETTINGS.into()), ("plain", "insecure: true\nlog: info,ringrift=debug\n".into())];
        corpus::replay("config_settings", settings, &seeds);
    }
}
