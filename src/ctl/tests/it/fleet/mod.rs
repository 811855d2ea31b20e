//! Commands that go to many nodes, with an `ssh` that stays on this machine and answers by the address.

mod checking;
mod databases;
mod doctor;
mod healthy;
mod reading;
mod rolling;
mod setup;
mod updating;

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use ringrift_api::{Health, HealthStatus};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    cluster::id,
    ctl::{Ran, command, folder, ran},
};

/// Says what a node says that is so. `here` and `node-…` run the script on this machine, in a home of their own; the latter
/// with the programs of `bin`, and what a test wrote into `node-….script` first.
const PROGRAM: &str = concat!(
    include_str!("../../../../fleet/tests/fake/ssh"),
    r#"mark() { echo ringrift-logged-in; }
case $1 in
  runs*) mark; printf 'init=systemd\nLoadState=loaded\nActiveState=active\nMainPID=77\nadvertise=10.0.0.7\n' ;;
  stopped) mark
    case $2 in
      *'systemctl start'*) printf 'init=systemd\nLoadState=loaded\nActiveState=active\nMainPID=78\nadvertise=10.0.0.8\n' ;;
      *) printf 'init=systemd\nLoadState=loaded\nActiveState=inactive\nMainPID=0\n' ;;
    esac ;;
  failed) mark; printf 'init=systemd\nLoadState=loaded\nActiveState=failed\nResult=exit-code\nlast=no hosts file\n' ;;
  bare) mark; printf 'init=systemd\nLoadState=not-found\nActiveState=inactive\n' ;;
  log-*) printf '%s\n' "$2" >> "$here/script"; mark
    entry() { printf '{"__REALTIME_TIMESTAMP":"177235560%s000000","_SYSTEMD_UNIT":"ringrift-p2p.service","MESSAGE":"%s","__CURSOR":"%s"}\n' "$1" "$2" "$3"; }
    case "$1 $2" in
      *--after-cursor*) ;;
      log-a*) entry 0 first a1; entry 2 third a3 ;;
      *) entry 1 second b2 ;;
    esac ;;
  node-*) [ ! -e "$here/$1.script" ] || . "$here/$1.script"
    mkdir -p "$here/$1" && HOME=$here/$1 PATH=$here/bin:$PATH exec sh -c "$2" ;;
  here) mkdir -p "$here/node" && HOME=$here/node exec sh -c "$2" ;;
esac
"#
);

/// A folder with that `ssh`, a hosts file, and a home.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    /// The hosts, as lines of the file.
    pub(crate) fn new(hosts: &str) -> Self {
        let dir = folder();
        fs::write(dir.path().join("ssh"), PROGRAM).unwrap();
        fs::set_permissions(dir.path().join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.path().join("hosts.yaml"), hosts).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program with all that; `api` is the daemon to ask.
    pub(crate) fn command(&self, api: &str, args: &[&str]) -> Command {
        let mut command = command();
        command
            .env("HOME", self.dir.path())
            .env("PATH", "/usr/bin:/bin")
            .env("RINGRIFT_SSH", self.path("ssh"))
            .env("RINGRIFT_HOSTS_FILE", self.path("hosts.yaml"))
            .args(["--api", api])
            .args(args);
        command
    }

    pub(crate) async fn run(&self, api: &str, args: &[&str]) -> Ran {
        let ran = ran(&mut self.command(api, args), api.trim_start_matches("http://")).await;
        let dir = self.dir.path().display().to_string();
        Ran { out: ran.out.replace(&dir, "DIR"), err: ran.err.replace(&dir, "DIR"), ..ran }
    }

    /// The addresses that were asked over SSH, one after the other.
    pub(crate) fn asked(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("asked")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// Nobody listens there: the port was given to us and is free again.
pub(crate) fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// What a daemon says that leads, or one that is not well.
pub(crate) fn health(node: &str, leads: bool) -> Health {
    Health {
        healthy: leads,
        status: if leads { HealthStatus::Healthy } else { HealthStatus::Unhealthy },
        node_id: id(node),
        role: "follower".to_owned(),
        is_leader: leads,
        leader_id: Some(id("alpha")),
        leader_last_seen_seconds: Some(0.3),
        cpu_percent: 9.0,
        memory_percent: 50.0,
        disk_percent: 50.0,
        gpu_percent: 0.0,
        gpu_memory_percent: 0.0,
        selfplay_jobs: 0,
        training_jobs: 0,
        active_peers: 4,
        total_peers: 4,
        uptime_seconds: 100.0,
        timestamp: "2026-03-01T09:00:00Z".to_owned(),
        components: Vec::new(),
    }
}
