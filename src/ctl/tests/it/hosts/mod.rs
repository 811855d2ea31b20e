//! Changing the hosts file, and what the cluster does then.

mod daemon;
mod distributing;

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use ringrift_api::Liveness;
use ringrift_config::HostsFile;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::daemon::Daemon;
use crate::{
    cluster::id,
    ctl::{Ran, command, folder, ran},
};

const FILE: &str = "\
# The cluster.
p2p_voters: [alpha, beta, gamma, delta, epsilon]
hosts:
  alpha: {ssh_host: 10.0.0.1, role: backbone, status: ready}   # ours
  beta: {ssh_host: 10.0.0.2, role: backbone, status: ready}
  gamma: {ssh_host: 10.0.0.3, role: backbone, status: ready}
  delta: {ssh_host: 10.0.0.4, role: backbone, status: ready}
  epsilon: {ssh_host: 10.0.0.5, role: backbone, status: ready}
  # Rented.
  gpu-3:
    ssh_host: 10.0.0.6   # moves often
    role: mixed
    status: ready
elo_sync: {coordinator: gpu-3}
";

/// A node does what it is told; `down` is one that cannot be reached.
const SSH: &str = concat!(
    include_str!("../../../../fleet/tests/fake/ssh"),
    r#"echo ringrift-logged-in
state() { printf 'init=systemd\nLoadState=loaded\nActiveState=%s\nMainPID=7\n' "$1"; }
case $2 in
  *revision=*) cat > "$here/sent-$1"; printf 'there=/etc/ringrift-p2p/distributed_hosts.yaml\nreload={"error": "x", "exit": "unreachable"}\n' ;;
  *'systemctl start'*) state active ;;
  *'systemctl stop'*) : > "$here/stopped"; state inactive ;;
esac
"#
);

struct Bed {
    folder: TempDir,
    path: PathBuf,
}

impl Bed {
    fn new() -> Self {
        let folder = folder();
        let path = folder.path().join("hosts.yaml");
        fs::write(&path, FILE).unwrap();
        fs::write(folder.path().join("ssh"), SSH).unwrap();
        fs::set_permissions(folder.path().join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, path }
    }

    async fn hosts(&self, api: &str, args: &[&str]) -> Ran {
        let mut command = command();
        command.env("PATH", "/usr/bin:/bin").env("RINGRIFT_SSH", self.folder.path().join("ssh"));
        command.env("RINGRIFT_HOSTS_FILE", &self.path).args(["--api", api, "hosts"]).args(args);
        ran(&mut command, self.folder.path().canonicalize().unwrap().to_str().unwrap()).await
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    /// What the node at this address was given.
    fn sent(&self, address: &str) -> Option<String> {
        fs::read_to_string(self.folder.path().join(format!("sent-{address}"))).ok()
    }

    fn backups(&self) -> usize {
        let names = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("hosts.yaml.before-")).count()
    }
}

/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:9";

#[tokio::test]
async fn a_host_is_changed_in_the_file_and_the_old_file_is_kept() {
    let bed = Bed::new();
    let set = ["set", "gpu-3", "status=maintenance", "note=new: fan", "--unset", "role"];
    let told = bed.hosts(NOBODY, &[&set[..], &["--dry-run"]].concat()).await;
    assert!(
        told.code == Some(0)
            && told.out.contains("+    status: maintenance\n")
            && told.out.contains("Nothing was written")
    );
    assert_eq!((bed.text().as_str(), bed.backups()), (FILE, 0));

    let told = bed.hosts(NOBODY, &set).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    for expected in
        ["-    role: mixed\n", "+    note: 'new: fan'\n", "warning: hosts.gpu-3.role: missing", "`ringriftctl reload`"]
    {
        assert!(told.out.contains(expected), "{expected} is not in\n{}", told.out);
    }
    let expected =
        FILE.replace("    role: mixed\n    status: ready\n", "    status: maintenance\n    note: 'new: fan'\n");
    assert_eq!((bed.text(), bed.backups()), (expected, 1));

    let told = bed.hosts(NOBODY, &["set", "gpu-3", "status=maintenance", "--json"]).await;
    let json = told.json();
    assert_eq!((&json["diff"], &json["backup"], told.code), (&json!([]), &Value::Null, Some(0)), "it says so already");

    for (args, expected) in [
        (&["set", "gpu-33", "cpus=8"][..], "has no host gpu-33; did you mean gpu-3?"),
        (&["set", "gpu-3", "ssh_port=99999"], "hosts.gpu-3.ssh_port: expected a port 1..65535"),
        (&["rename", "gpu-3", "alpha"], "has a host alpha already"),
        (&["rename", "alpha", "alpha-1"], "alpha votes"),
        (&["add", "gpu-3", "role=mixed"], "has a host gpu-3 already"),
        (&["remove", "nobody", "--file-only", "--yes"], "has no host nobody"),
    ] {
        let before = bed.text();
        let told = bed.hosts(NOBODY, args).await;
        assert!(told.code == Some(1) && told.err.contains(expected), "{args:?}: {told:?}");
        assert_eq!(bed.text(), before, "{args:?}");
    }
    assert_eq!(bed.hosts(NOBODY, &["set", "gpu-3", "cpus"]).await.code, Some(2));
}

#[tokio::test]
async fn the_file_alone_is_changed_if_that_is_asked_for() {
    let bed = Bed::new();
    let told = bed.hosts(NOBODY, &["rename", "gpu-3", "gpu-30"]).await;
    assert_eq!((told.code, bed.text()), (Some(0), FILE.replace("gpu-3", "gpu-30")));
    let told = bed.hosts(NOBODY, &["add", "gpu-4", "ssh_host=10.0.0.7", "role=mixed", "--voter", "--file-only"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("warning: p2p_voters: 6 voters survive the loss of 2 of them, as 5 would"), "{told:?}");
    let file = HostsFile::load(&bed.path).unwrap();
    assert!(file.hosts["gpu-4"].is_ready() && file.is_voter(&id("gpu-4")));
    for name in ["gpu-4", "gpu-30"] {
        let told = bed.hosts(NOBODY, &["remove", name, "--file-only", "--yes"]).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        assert_eq!(told.out.contains("elo_sync.coordinator still names gpu-30"), name == "gpu-30", "{told:?}");
    }
    let told = bed.hosts(NOBODY, &["remove", "alpha", "--file-only"]).await;
    assert!(told.code == Some(1) && told.err.contains("nobody can be asked"), "{told:?}");
    for name in ["alpha", "beta"] {
        assert_eq!(bed.hosts(NOBODY, &["remove", name, "--file-only", "--yes"]).await.code, Some(0));
    }
    let told = bed.hosts(NOBODY, &["remove", "gamma", "--file-only", "--yes"]).await;
    assert!(
        told.code == Some(1) && told.err.contains("there would be 2 voters, of whom none could be lost"),
        "{told:?}"
    );
    assert!(bed.text().contains("# The cluster.") && bed.text().contains("# Rented."), "{}", bed.text());
}

fn steps(json: &Value) -> Vec<&str> {
    json["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_added_node_has_joined_and_has_every_model() {
    let bed = Bed::new();
    let fake = Daemon::new(&bed.path, "gpu-4").serve().await;
    let told = bed.hosts(&fake.url(), &["add", "gpu-4", "ssh_host=10.0.0.7", "role=mixed", "--json"]).await;
    let json = told.json();
    assert_eq!((told.code, &json["success"]), (Some(0), &true.into()), "{told:?}");
    // It was removed once, which is why it was drained.
    assert_eq!(steps(&json), ["reload", "distributed", "started", "joined", "uncordon", "models", "verified"]);
    // The daemon that was asked has it already, so its node is not gone to.
    assert_eq!(["10.0.0.2", "10.0.0.6", "10.0.0.7"].map(|node| bed.sent(node)), [(); 3].map(|()| Some(bed.text())));
    assert_eq!(bed.sent("10.0.0.1"), None);
    assert!(
        bed.text().contains("  gpu-4:\n    ssh_host: 10.0.0.7\n    role: mixed\n    status: ready\n"),
        "{}",
        bed.text()
    );
    assert!(json["backup"].as_str().is_some() && bed.backups() == 1);
}

#[tokio::test]
async fn an_added_node_is_not_waited_for_or_gone_to_if_that_is_not_wanted() {
    let bed = Bed::new();
    let fake = Daemon { state: Liveness::Dead, ..Daemon::new(&bed.path, "gpu-4") }.serve().await;
    let told = bed.hosts(&fake.url(), &["add", "gpu-4", "role=mixed", "--no-wait", "--json"]).await;
    assert_eq!((told.code, steps(&told.json())), (Some(0), vec!["reload", "distributed", "started"]));
    let told = bed.hosts(&fake.url(), &["add", "gpu-5", "role=mixed", "--no-wait", "--no-ssh"]).await;
    assert!(told.code == Some(0) && told.out.contains("`ringriftctl hosts distribute`"), "{told:?}");
    assert_eq!(bed.sent("gpu-5"), None);
    // All is done but that one node does not have the file: that is told, and is a failure.
    let told = bed.hosts(&fake.url(), &["add", "gpu-6", "ssh_host=refused", "role=mixed", "--no-wait"]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.out.contains("7 of 8 other nodes have the file; gpu-6: unreachable (connection refused)"), "{told:?}");
    assert!(told.err.contains("These do not have the file: gpu-6"), "{told:?}");
}

#[tokio::test]
async fn a_node_that_does_not_join_is_told_of() {
    let bed = Bed::new();
    let dead = Daemon { state: Liveness::Dead, ..Daemon::new(&bed.path, "gpu-4") };
    let fake = dead.serve().await;
    let told = bed.hosts(&fake.url(), &["add", "gpu-4", "role=mixed", "--wait-limit", "0.2"]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.err.contains("gave up waiting for gpu-4 to join") && told.err.contains("start its daemon"),
        "{told:?}"
    );
    assert!(bed.text().contains("gpu-4") && told.out.contains("The file as it was before is"), "{told:?}");
    // Nobody answers: the file is changed, and it is told what is missing.
    let told = bed.hosts(NOBODY, &["add", "gpu-5", "role=mixed", "--json"]).await;
    assert_eq!((told.code, &told.json()["success"]), (Some(3), &false.into()), "{told:?}");
    // A daemon with another file.
    let other = Bed::new();
    let fake = Daemon::new(&other.path, "gpu-6").serve().await;
    let told = bed.hosts(&fake.url(), &["add", "gpu-6", "role=mixed"]).await;
    assert!(told.code == Some(1) && told.err.contains("alpha reads another hosts file"), "{told:?}");
    let told = bed
        .hosts(&fake.url(), &["add", "gpu-7", "role=mixed", "status=setup", "--hosts", other.path.to_str().unwrap()])
        .await;
    assert!(told.code == Some(0) && told.out.contains("No daemon is expected to run there"), "{told:?}");
}

#[tokio::test]
async fn a_removed_node_is_marked_drained_and_gone_before_it_is_deleted() {
    let bed = Bed::new();
    let runs = Daemon { state: Liveness::Suspect, drained: false, ..Daemon::new(&bed.path, "gpu-3") };
    let fake = runs.clone().serve().await;
    let told = bed.hosts(&fake.url(), &["remove", "gpu-3", "--dry-run"]).await;
    assert!(
        told.code == Some(0) && told.out.contains("drain it, stop its daemon, delete it, and copy the file"),
        "{told:?}"
    );
    assert_eq!(bed.text(), FILE);
    assert!(fake.seen().iter().all(|seen| seen.method == "GET"), "a dry run only asks");
    let told = bed.hosts(&fake.url(), &["remove", "gpu-3", "--yes", "--json"]).await;
    let json = told.json();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(steps(&json), ["reload", "marked", "drained", "stopped", "reload", "distributed"]);
    assert_eq!((bed.sent("10.0.0.2"), bed.sent("10.0.0.6")), (Some(bed.text()), None));
    assert_eq!(json["still_named_by"], json!(["elo_sync.coordinator"]));
    assert!(!bed.text().contains("  gpu-3:"), "{}", bed.text());
    let drained = fake.seen().iter().position(|seen| seen.path.ends_with("/drain")).unwrap();
    let reloads: Vec<usize> =
        fake.seen().iter().enumerate().filter(|(_, seen)| seen.path == "/api/reload").map(|(i, _)| i).collect();
    assert!(reloads[0] < drained && drained < reloads[1], "{reloads:?}, {drained}");

    // A daemon that goes on is not forgotten; the removal goes on when it is repeated.
    let bed = Bed::new();
    let fake = Daemon { state: Liveness::Alive, path: bed.path.clone(), ..runs }.serve().await;
    let told = bed.hosts(&fake.url(), &["remove", "gpu-3", "--yes", "--wait-limit", "2", "--no-ssh"]).await;
    assert!(told.code == Some(1) && told.err.contains("gpu-3 is alive: stop its daemon"), "{told:?}");
    assert!(bed.text().contains("    status: disabled\n") && bed.text().contains("# moves often"), "{}", bed.text());
    let told = bed.hosts(&fake.url(), &["remove", "gpu-3", "--yes", "--json"]).await;
    assert_eq!(
        steps(&told.json()),
        ["reload", "marked", "drained", "daemon", "stopped", "reload", "distributed"],
        "its daemon is stopped over SSH"
    );
}

#[tokio::test]
async fn a_voter_leaves_only_if_the_quorum_allows_it() {
    let bed = Bed::new();
    let base = Daemon { state: Liveness::Left, jobs: 0, leader: "epsilon", ..Daemon::new(&bed.path, "epsilon") };
    // Four are left, of whom three are needed and two alive.
    let fake = Daemon { dead: &["beta", "gamma"], ..base.clone() }.serve().await;
    let told = bed.hosts(&fake.url(), &["remove", "epsilon", "--yes"]).await;
    assert!(told.code == Some(5) && told.err.contains("4 voters, 2 of them alive, and 3 are needed"), "{told:?}");
    assert_eq!(bed.text(), FILE, "nothing was begun");
    let told = bed.hosts(&fake.url(), &["remove", "alpha", "--yes"]).await;
    assert!(told.code == Some(1) && told.err.contains("is alpha itself"), "{told:?}");

    let fake = base.serve().await;
    let told = bed.hosts(&fake.url(), &["remove", "epsilon", "--yes", "--json"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(
        steps(&told.json()),
        ["reload", "marked", "drained", "leader", "reload", "left", "stopped", "reload", "distributed"]
    );
    assert!(bed.text().contains("p2p_voters: [alpha, beta, gamma, delta]\n") && !bed.text().contains("epsilon"));
}
