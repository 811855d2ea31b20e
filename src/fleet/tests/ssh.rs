//! The way to a host, with an `ssh` that does what a test tells it to and stays on this machine.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ringrift_config::{Host, HostsFile};
use ringrift_fleet::{Fault, HostKeys, Ssh};
use tempfile::TempDir;

/// What it does at addresses where ssh itself does not fail.
const PROGRAM: &str = concat!(
    include_str!("fake/ssh"),
    r#"case $1 in
  half) echo 'Welcome!'; exec sleep 600 ;;
  nologin) echo 'This account is not available.' >&2; exit 1 ;;
  chatty) printf 'a login script says this, and no end of line' ;;
  lost) sh -c "$2"; echo 'client_loop: send disconnect: Broken pipe' >&2; exit 255 ;;
esac
exec sh -c "$2"
"#
);

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("ssh");
        fs::write(&program, PROGRAM).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("ssh")
    }

    fn ssh(&self) -> Ssh {
        Ssh::new(&self.program(), Duration::from_secs(30))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

fn host(text: &str) -> Host {
    let text = format!("hosts:\n  gpu-1: {{status: ready, role: selfplay, {text}}}\n");
    let file = HostsFile::parse(&text, Path::new("hosts.yaml")).unwrap();
    file.hosts.into_values().next().unwrap()
}

#[tokio::test]
async fn a_script_runs_there_and_its_output_and_status_come_back() {
    let place = Place::new();
    let host = host("ssh_host: chatty, ssh_port: 2222, ssh_user: op, ssh_key: ~/.ssh/id_cluster");
    let ran = place.ssh().run(&host, "echo 'it'\"'\"'s'; echo oops >&2; exit 7").await.unwrap();
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (7, "it's\n", "oops\n"));
    assert_eq!(ran.last_words(), "it's");
    let log = place.log();
    for part in [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "-i ~/.ssh/id_cluster",
        "-l op",
        "-p 2222 -- chatty",
        "ControlPath=none",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let ssh = place.ssh().accepting(HostKeys::AcceptNew);
    assert_eq!(ssh.run_fed(&host, "cat", "a key\n").await.unwrap().out, "a key\n");
    assert!(place.log().contains("StrictHostKeyChecking=accept-new"));
    // More than a pipe holds, for a script that does not want it.
    let much = "x".repeat(1 << 20);
    assert_eq!(ssh.run_fed(&host, "exec 0<&-; exit 3", &much).await.unwrap().code, 3);
}

#[tokio::test]
async fn every_way_to_fail_has_its_name_and_a_remedy() {
    let place = Place::new();
    for (address, expected) in [
        ("timeout", Fault::Timeout),
        ("refused", Fault::Refused),
        ("changed", Fault::HostKeyChanged),
        ("unknown", Fault::HostKeyUnknown),
        ("denied", Fault::PermissionDenied),
        ("unprotected", Fault::KeyUnprotected),
        ("unresolved", Fault::NameNotResolved),
        ("noroute", Fault::NoRoute),
        ("closed", Fault::Closed),
        ("lost", Fault::Lost),
    ] {
        let host = host(&format!("ssh_host: {address}, ssh_port: 2222"));
        let unreached = place.ssh().run(&host, "echo half done").await.unwrap_err();
        assert_eq!(*unreached.fault(), expected);
        assert_eq!(unreached.tried, [(address.to_owned(), 2222, expected.clone())]);
        assert!(!expected.remedy(&host).is_empty());
    }
    let host = host("ssh_host: nologin");
    let told = place.ssh().run(&host, "true").await.unwrap_err().to_string();
    assert!(told.contains("This account is not available. (exit status 1)"), "{told}");
    let gone =
        Ssh::new(&place.dir.path().join("no-ssh"), Duration::from_secs(30)).run(&host, "true").await.unwrap_err();
    assert!(matches!(gone.fault(), Fault::NoProgram(_)), "{gone}");
}

#[tokio::test]
async fn a_host_that_hangs_before_or_after_its_greeting_is_given_up() {
    let place = Place::new();
    for address in ["hang", "half"] {
        let began = Instant::now();
        let ssh = Ssh::new(&place.program(), Duration::from_millis(300));
        let unreached = ssh.run(&host(&format!("ssh_host: {address}")), "true").await.unwrap_err();
        assert_eq!(*unreached.fault(), Fault::Timeout);
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}

#[tokio::test]
async fn both_endpoints_are_tried_and_the_one_that_answers_is_remembered() {
    let place = Place::new();
    let ssh = place.ssh();
    let host = host("tailscale_ip: 100.64.0.9, ssh_host: box.example, ssh_port: 2222");
    fs::write(place.program(), PROGRAM.replace("  noroute)", "  100.64.0.9 | noroute)")).unwrap();
    assert_eq!(ssh.run(&host, "echo here").await.unwrap().out, "here\n");
    assert_eq!(ssh.run(&host, "echo again").await.unwrap().out, "again\n");
    // Another program that runs ssh goes there at once, and checks host keys as strictly.
    let (endpoint, options) = ssh.way(&host);
    let options: Vec<String> = options.into_iter().map(|option| option.into_string().unwrap()).collect();
    assert_eq!(endpoint, ("box.example".to_owned(), 2222));
    assert!(options.ends_with(&["-p".to_owned(), "2222".to_owned()]), "{options:?}");
    assert!(options.contains(&"StrictHostKeyChecking=yes".to_owned()), "{options:?}");
    let log = place.log();
    assert_eq!((log.matches("-- 100.64.0.9").count(), log.matches("-p 2222 -- box.example").count()), (1, 2), "{log}");
}

#[tokio::test]
async fn what_was_lost_in_the_middle_is_not_done_again_elsewhere() {
    let place = Place::new();
    let host = host("tailscale_ip: 100.64.0.9, ssh_host: box.example");
    fs::write(place.program(), PROGRAM.replace("  lost)", "  100.64.0.9 | box.example)")).unwrap();
    let done = place.dir.path().join("done");
    let unreached = place.ssh().run(&host, &format!("echo done >> {}", done.display())).await.unwrap_err();
    assert_eq!(*unreached.fault(), Fault::Lost);
    assert_eq!(fs::read_to_string(done).unwrap(), "done\n");
}

#[tokio::test]
async fn lines_come_while_the_command_runs() {
    let place = Place::new();
    let go_on = place.dir.path().join("go-on");
    let script = format!("echo first; until [ -e {} ]; do sleep 0.05; done; echo second", go_on.display());
    let mut session = place.ssh().stream(&host("ssh_host: box"), &script).await.unwrap();
    assert_eq!(session.next_line().await.unwrap().as_deref(), Some("first"));
    fs::write(go_on, "").unwrap();
    assert_eq!(session.next_line().await.unwrap().as_deref(), Some("second"));
    assert_eq!(session.next_line().await.unwrap(), None);
    assert_eq!(session.finish().await.unwrap().code, 0);
}
