//! `update`, on nodes that are folders of this machine: the scripts run here, with programs of their own in the path.

mod stopping;
mod walking;
mod ways;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use ringrift_api::{
    JobList, LeaderTransferred, Liveness, NodeJobs, PeerNode, Status, VoterEntry, VoterHealth, VoterStatus,
    VotersReport,
};
use tokio::process::Command as TokioCommand;

use super::Place;
use crate::{
    cluster::{self, id},
    ctl::{Ran, ran},
    fake::{Answer, Fake, Seen},
};

/// What ssh does at `root-NAME`: the script's paths lead into the node's folder.
const AT_NODES: &str = r#"
case $1 in
  root-*)
    export ROOT="$here/nodes/${1#root-}" NODE="${1#root-}"
    cd "$ROOT/home" || exit 255
    # Where there is a home, it is the node's.
    HOME=$ROOT/home exec sh -c "$(printf '%s' "$2" | sed "s#\(^\|[ \"'=(]\)/\(etc\|run\|var\|nix\|proc\)/#\1$ROOT/\2/#g")" ;;
esac
"#;

/// The programs of a node. What it has lies in its folder: `version` and `status` of its package, `pid` of its daemon; `bad` beside
/// the nodes has versions whose daemon does not stay up.
const PROGRAMS: [(&str, &str); 9] = [
    (
        "daemon-anew",
        r#"echo "$NODE" >> "$ROOT/../../restarted"
if grep -qx "$(cat "$ROOT/version" 2>/dev/null)" "$ROOT/../../bad" 2>/dev/null; then
  echo 0 > "$ROOT/pid"
else
  echo $(($(cat "$ROOT/last-pid") + 1)) > "$ROOT/last-pid"
  cp "$ROOT/last-pid" "$ROOT/pid"
fi"#,
    ),
    (
        "systemctl",
        r#"pid=$(cat "$ROOT/pid")
case "$*" in
  *'-p ActiveState --value') [ "$pid" = 0 ] && echo failed || echo active ;;
  *'-p MainPID --value') echo "$pid" ;;
  show*) [ "$pid" = 0 ] && state=failed || state=active
    printf 'LoadState=loaded\nActiveState=%s\nMainPID=%s\n' $state "$pid" ;;
  restart*) daemon-anew ;;
esac"#,
    ),
    ("journalctl", "echo 'it gave up'"),
    ("ringrift-p2p", "echo \"ringrift-p2p $(cat \"$ROOT/program\")\""),
    (
        "dpkg-query",
        r#"[ -e "$ROOT/version" ] || exit 1
case $1 in
  -S) echo "ringrift-p2p: $2" ;;
  -W) case $2 in
      *installed=*) echo "installed=ringrift-p2p $(cat "$ROOT/version") $(cat "$ROOT/status")" ;;
      *) echo "$(cat "$ROOT/version") $(cat "$ROOT/status")" ;;
    esac ;;
  -L) printf '/.\n%s\n%s\n' "$ROOT/usr" "$ROOT/usr/ringrift-p2p" ;;
  -s) printf 'Package: ringrift-p2p\nStatus: install ok installed\nVersion: %s\nArchitecture: amd64\nMaintainer: a <b@example.org>\n' "$(cat "$ROOT/version")"
    printf 'Conffiles:\n /etc/a 0123\nDescription: d\n more of it\n' ;;
esac"#,
    ),
    (
        "dpkg",
        r#"case "$*" in
  --print-architecture) cat "$ROOT/architecture"; exit ;;
esac
while [ $# -gt 1 ]; do shift; done
version=$(dpkg-deb -f "$1" Version)
echo "$NODE dpkg $version" >> "$ROOT/../../done"
echo "$version" > "$ROOT/version"
echo installed > "$ROOT/status"
[ "$(cat "$ROOT/pid")" = 0 ] || daemon-anew"#,
    ),
    (
        "apt-get",
        r#"while [ $# -gt 1 ]; do shift; done
case $1 in
  update) exit ;;
  /*) version=$(dpkg-deb -f "$1" Version) ;;
  *=*) version=${1#*=} ;;
  *) version=9.0 ;;
esac
echo "$NODE apt-get $version" >> "$ROOT/../../done"
if [ -e "$ROOT/hangs" ]; then exec sleep 600; fi
if [ -e "$ROOT/fails" ]; then
  echo half-configured > "$ROOT/status"
  printf 'dpkg: error processing package ringrift-p2p (--configure):\n installed script: exit status 1\nE: Sub-process failed\n'
  exit 100
fi
echo "$version" > "$ROOT/version"
echo installed > "$ROOT/status"
[ "$(cat "$ROOT/pid")" = 0 ] || daemon-anew"#,
    ),
    ("sudo", "shift; exec \"$@\""),
    ("python3", r#"echo "$NODE $*" >> "$ROOT/../../pip"; case "$*" in *freeze*) echo numpy==1.0 ;; esac"#),
];

/// A fleet, and a daemon that is asked.
pub(super) struct Site {
    place: Place,
    fake: Fake,
}

impl Site {
    /// Voters and workers with the package 0.1.0, led by the first; those in `dead` are not alive.
    async fn new(voters: &[&str], workers: &[&str], dead: &[&str]) -> Self {
        let mut hosts = "hosts:\n".to_owned();
        for name in voters.iter().chain(workers) {
            let role = if voters.contains(name) { "coordinator" } else { "gpu_selfplay" };
            let _ = writeln!(
                hosts,
                "  {name}: {{ssh_host: root-{name}, ssh_user: op, status: ready, role: {role}, ringrift_path: ~/r/ai}}"
            );
        }
        let _ = writeln!(hosts, "p2p_voters: [{}]", voters.join(", "));
        let place = Place::new(&hosts);
        let ssh = fs::read_to_string(place.path("ssh")).unwrap() + AT_NODES;
        fs::write(place.path("ssh"), ssh).unwrap();
        fs::create_dir(place.path("bin")).unwrap();
        for (name, script) in PROGRAMS {
            program(&place.path("bin").join(name), script);
        }
        for name in voters.iter().chain(workers) {
            let root = place.path("nodes").join(name);
            for folder in ["home", "run/systemd/system", "usr", "var/lib/dpkg/info", "etc"] {
                fs::create_dir_all(root.join(folder)).unwrap();
            }
            fs::write(root.join("usr/ringrift-p2p"), "the program").unwrap();
            for (file, text) in [
                ("pid", "100"),
                ("last-pid", "100"),
                ("version", "0.1.0"),
                ("status", "installed"),
                ("architecture", "amd64"),
                ("program", "0.1.0"),
            ] {
                fs::write(root.join(file), format!("{text}\n")).unwrap();
            }
        }
        let fake = Fake::start(daemon(&place, voters, workers, dead)).await;
        Self { place, fake }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    fn node(&self, node: &str, file: &str) -> PathBuf {
        self.path("nodes").join(node).join(file)
    }

    /// A file of a node without its line end.
    fn has(&self, node: &str, file: &str) -> String {
        fs::read_to_string(self.node(node, file)).unwrap_or_default().trim().to_owned()
    }

    /// The lines that something noted beside the nodes.
    fn noted(&self, file: &str) -> Vec<String> {
        fs::read_to_string(self.path(file)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Makes a package of this version, and returns the file.
    fn package(&self, version: &str) -> String {
        let tree = self.path(&format!("tree-{version}"));
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        let control = format!(
            "Package: ringrift-p2p\nVersion: {version}\nArchitecture: amd64\nMaintainer: a <b@example.org>\nDescription: d\n"
        );
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        let file = self.path(&format!("ringrift-p2p_{version}_amd64.deb"));
        run("dpkg-deb", &["--root-owner-group", "--build", &tree.display().to_string(), &file.display().to_string()]);
        file.display().to_string()
    }

    fn command(&self, api: &str, args: &[&str]) -> TokioCommand {
        let mut command = self.place.command(api, args);
        // git is wherever this machine has it.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:/usr/bin:/bin:{path}", self.path("bin").display()));
        command
    }

    async fn run_by(&self, api: &str, args: &[&str]) -> Ran {
        let ran = ran(&mut self.command(api, args), "").await;
        let dir = self.path("").display().to_string();
        Ran { out: ran.out.replace(&dir, "DIR/"), err: ran.err.replace(&dir, "DIR/"), ..ran }
    }

    async fn run(&self, args: &[&str]) -> Ran {
        self.run_by(&self.fake.url(), args).await
    }

    /// The files that remember what was before.
    fn records(&self) -> Vec<PathBuf> {
        let folder = fs::read_dir(self.path(".local/state/ringriftctl"));
        folder.map(|files| files.map(|file| file.unwrap().path()).collect()).unwrap_or_default()
    }

    /// Everything that the nodes have: the names of files, and what is in them.
    fn everything(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path("nodes")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match fs::symlink_metadata(&path).unwrap() {
                    meta if meta.is_dir() => folders.push(path),
                    meta if meta.is_symlink() => {
                        let target = fs::read_link(&path).unwrap();
                        found.insert(path, target.into_os_string().into_encoded_bytes());
                    }
                    _ => {
                        let bytes = fs::read(&path).unwrap();
                        found.insert(path, bytes);
                    }
                }
            }
        }
        found
    }
}

fn program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn run(program: &str, args: &[&str]) -> String {
    let done = Command::new(program).args(args).output().unwrap();
    assert!(done.status.success(), "{program} {args:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// The daemon of the first voter, and through it those of the others: each is as its folder says.
fn daemon(
    place: &Place,
    voters: &[&str],
    workers: &[&str],
    dead: &[&str],
) -> impl Fn(&Seen) -> Answer + Send + Sync + use<> {
    let own = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (voters, workers, dead) = (own(voters), own(workers), own(dead).into_iter().collect::<BTreeSet<_>>());
    let (restarted, leader) = (place.path("restarted"), place.path("leader"));
    let recount = Recount { restarted: restarted.clone(), folder: place.path("recounts") };
    let leads = {
        let (leader, voters) = (leader.clone(), voters.clone());
        move || fs::read_to_string(&leader).unwrap_or_else(|_| voters[0].clone())
    };
    move |seen: &Seen| {
        let (node, path) = match seen.path.strip_prefix("/api/node/").and_then(|rest| rest.split_once('/')) {
            Some((node, path)) => (node.to_owned(), format!("/{path}")),
            None => (voters[0].clone(), seen.path.clone()),
        };
        let anew = fs::read_to_string(&restarted).unwrap_or_default().lines().any(|line| line == node);
        match path.split('?').next().unwrap() {
            "/status" => {
                let uncounted = if node == leads() { recount.asked() } else { BTreeSet::new() };
                Answer::json(&status(&voters, &workers, &dead, &uncounted, &leads(), anew))
            }
            "/api/voters" => Answer::json(&report(&voters, &dead, &leads())),
            "/api/leader/transfer" => {
                let next = voters.iter().find(|voter| **voter != leads() && !dead.contains(*voter)).unwrap();
                fs::write(&leader, next).unwrap();
                let (from, leader_id) = (id(&voters[0]), id(next));
                Answer::json(&LeaderTransferred { success: true, from, leader_id, term: 8, message: String::new() })
            }
            "/api/jobs/here" => Answer::json(&NodeJobs {
                node_id: id(&node),
                runner: "systemd".to_owned(),
                refuses: Vec::new(),
                slots: 4,
                classes: Vec::new(),
                unavailable: Vec::new(),
                not_enforced: Vec::new(),
                backing_off: Vec::new(),
                jobs: Vec::new(),
            }),
            "/api/jobs" => Answer::json(&JobList { success: true, jobs: Vec::new(), total: 0 }),
            _ => Answer::text("text/plain", "no").status(404),
        }
    }
}

/// How many times a leader says of a voter that was restarted that it does not count its vote, where the folder is there.
const UNCOUNTED: usize = 3;

/// What a leader says of the votes of those that were restarted, which it does not count at once.
struct Recount {
    restarted: PathBuf,
    /// A file for each voter that was restarted, as long as the leader was asked; nobody is left out where it is missing.
    folder: PathBuf,
}

impl Recount {
    /// Whose votes it does not count this time.
    fn asked(&self) -> BTreeSet<String> {
        let restarted = fs::read_to_string(&self.restarted).unwrap_or_default();
        let mut uncounted = BTreeSet::new();
        for voter in restarted.lines().filter(|_| self.folder.exists()) {
            let file = self.folder.join(voter);
            let asked = fs::read_to_string(&file).unwrap_or_default();
            if asked.len() < UNCOUNTED {
                fs::write(&file, asked + ".").unwrap();
                uncounted.insert(voter.to_owned());
            }
        }
        uncounted
    }
}

fn status(
    voters: &[String],
    workers: &[String],
    dead: &BTreeSet<String>,
    uncounted: &BTreeSet<String>,
    leader: &str,
    anew: bool,
) -> Status {
    let healthy = cluster::healthy();
    let template = healthy.peers[&id("beta")].clone();
    let peers = voters.iter().chain(workers).map(|name| {
        let state = if dead.contains(name) { Liveness::Dead } else { Liveness::Alive };
        (id(name), PeerNode { state, ..template.clone() })
    });
    let peers = peers.collect();
    let alive = voters.iter().map(|name| {
        let alive = !dead.contains(name);
        (id(name), VoterStatus { alive, votes: alive && !uncounted.contains(name), detail: String::new() })
    });
    Status {
        node_id: id(&voters[0]),
        leader_id: Some(id(leader)),
        voter_node_ids: voters.iter().map(|name| id(name)).collect(),
        voter_health: VoterHealth::of(alive.collect()),
        peers,
        // One that was never restarted has run for longer than any test.
        uptime_seconds: if anew { 0.0 } else { 90_061.0 },
        ..healthy
    }
}

fn report(voters: &[String], dead: &BTreeSet<String>, leader: &str) -> VotersReport {
    let alive = voters.iter().filter(|voter| !dead.contains(*voter)).count() as u32;
    let quorum_size = voters.len() as u32 / 2 + 1;
    VotersReport {
        success: true,
        node_id: id(&voters[0]),
        leader_id: Some(id(leader)),
        term: 7,
        committed: 42,
        config_index: 1,
        quorum_size,
        voters_alive: alive,
        quorum_ok: alive >= quorum_size,
        quorum_threatened: alive <= quorum_size,
        voters: voters
            .iter()
            .map(|name| VoterEntry {
                node_id: id(name),
                alive: !dead.contains(name),
                is_leader: name == leader,
                matched: Some(42),
                lag: Some(0),
                detail: String::new(),
            })
            .collect(),
        pending: Vec::new(),
    }
}
