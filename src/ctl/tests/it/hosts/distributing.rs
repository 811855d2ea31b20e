//! `hosts distribute`: each node is a folder here, reached by the `ssh` that stays on this machine.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
};

use ringrift_config::HostsFile;
use serde_json::{Value, json};

use crate::{
    ctl::Ran,
    fake::{Answer, Fake, Seen},
    fleet::{Place, nobody},
};

const HOSTS: &str = "\
# The new one.
p2p_voters: [alpha, beta, gamma]
hosts:
  alpha: {ssh_host: node-a, role: backbone, status: ready}
  beta: {ssh_host: node-b, role: backbone, status: ready}
  gamma: {ssh_host: refused, role: backbone, status: ready}
  bare: {ssh_host: here, role: mixed, status: ready}
  old: {ssh_host: node-c, role: mixed, status: retired}
";

/// A `ringrift-p2p` that knows where the file lies, and judges one as this program does.
const DAEMON: &str = r#"#!/bin/sh
[ "$1" = check-config ] || exit 9
file=$RINGRIFT_HOSTS_FILE
[ "$2" != --hosts ] || file=$3
said=$(ringriftctl hosts check "$file") || { echo "warning: none" >&2; echo "ringrift-p2p: $file: it is wrong" >&2; exit 1; }
[ ! -e "$HOME/refuses" ] || { echo "ringrift-p2p: $file: this node is not in it" >&2; exit 1; }
printf 'node_id     %s  (RINGRIFT_NODE_ID)\nhosts_file  %s  (RINGRIFT_HOSTS_FILE)\n' "$RINGRIFT_NODE_ID" "$file"
printf 'bind_addr   0.0.0.0  (default)\nhttp_port   %s  (RINGRIFT_P2P_PORT)\n' "$RINGRIFT_P2P_PORT"
"#;

/// Two nodes whose daemons answer at these addresses.
fn place(alpha: &str, beta: &str) -> Place {
    let place = Place::new(HOSTS);
    fs::create_dir(place.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_ringriftctl"), place.path("bin/ringriftctl")).unwrap();
    fs::write(place.path("bin/ringrift-p2p"), DAEMON).unwrap();
    fs::set_permissions(place.path("bin/ringrift-p2p"), fs::Permissions::from_mode(0o755)).unwrap();
    for (node, api) in [("node-a", alpha), ("node-b", beta), ("node-c", beta)] {
        let port = api.rsplit(':').next().unwrap();
        let script = format!("export RINGRIFT_HOSTS_FILE=\"$here/{node}/etc/hosts.yaml\" RINGRIFT_P2P_PORT={port}\n");
        fs::write(place.path(&format!("{node}.script")), script).unwrap();
        fs::create_dir_all(place.path(&format!("{node}/etc"))).unwrap();
    }
    fs::write(place.path("node-a/etc/hosts.yaml"), HOSTS.replace("# The new one.\n", "# The old one.\n")).unwrap();
    fs::set_permissions(place.path("node-a/etc/hosts.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
    place
}

/// A daemon that reads the file at `path` again.
async fn daemon(path: PathBuf) -> Fake {
    Fake::start(move |seen: &Seen| {
        assert_eq!(seen.path, "/api/reload");
        let revision = HostsFile::load(&path).unwrap().revision;
        Answer::json(&json!({
            "success": true, "node_id": "alpha", "hosts_revision": revision, "changes": [], "warnings": [], "voters": null,
            "message": "reloaded; nothing changed",
        }))
    })
    .await
}

async fn distribute(place: &Place, args: &[&str]) -> Ran {
    place.run(&nobody(), &[&["hosts", "distribute"], args].concat()).await
}

fn of<'a>(json: &'a Value, node: &str) -> &'a Value {
    json["nodes"].as_array().unwrap().iter().find(|one| one["node_id"] == node).unwrap()
}

fn list(place: &Place, node: &str) -> Vec<String> {
    let entries = fs::read_dir(place.path(node).join("etc")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn every_node_has_the_file_and_its_daemon_has_read_it() {
    let nobody = nobody();
    let place = place(&nobody, &nobody);
    let fake = daemon(place.path("node-a/etc/hosts.yaml")).await;
    let port = fake.url();
    let script = fs::read_to_string(place.path("node-a.script")).unwrap();
    let script = script.replace(nobody.rsplit(':').next().unwrap(), port.rsplit(':').next().unwrap());
    fs::write(place.path("node-a.script"), script).unwrap();

    let told = distribute(&place, &["--dry-run", "--json"]).await;
    let json = told.json();
    assert_eq!(
        (&of(&json, "alpha")["changed"], &of(&json, "alpha")["reloaded"]),
        (&true.into(), &Value::Null),
        "{told:?}"
    );
    assert_eq!((list(&place, "node-a").len(), list(&place, "node-b").len(), fake.seen().len()), (1, 0, 0));

    let told = distribute(&place, &["--json"]).await;
    let json = told.json();
    assert_eq!((told.code, &json["success"]), (Some(1), &false.into()), "{told:?}");
    let alpha = of(&json, "alpha");
    assert_eq!((&alpha["changed"], &alpha["reloaded"]), (&true.into(), &true.into()), "{alpha}");
    let backup = alpha["backup"].as_str().unwrap().replace("DIR", place.path("").to_str().unwrap());
    assert!(
        fs::read_to_string(&backup).unwrap().starts_with("# The old one.") && backup.contains("hosts.yaml.before-20")
    );
    let beta = of(&json, "beta");
    assert_eq!(
        (&beta["ok"], &beta["reloaded"], &beta["message"]),
        (&true.into(), &false.into(), &"its daemon does not run".into())
    );
    assert_eq!(
        (&of(&json, "gamma")["state"], &of(&json, "bare")["state"]),
        (&"unreachable".into(), &"not_installed".into())
    );
    assert_eq!(of(&json, "old")["state"], "skipped");
    for node in ["node-a", "node-b"] {
        assert_eq!(fs::read_to_string(place.path(node).join("etc/hosts.yaml")).unwrap(), HOSTS);
    }
    assert_eq!(list(&place, "node-a").len(), 2, "nothing temporary is left");
    let mode = fs::metadata(place.path("node-a/etc/hosts.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "it is for whom the old one was");
    assert!(list(&place, "node-c").is_empty());

    // Once more: nothing is copied over itself, but the daemon is asked to read it. Chosen by name, a retired node gets it too.
    let told = distribute(&place, &["--node", "alpha", "old"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("✓ alpha: had it already; reloaded; nothing changed"), "{}", told.out);
    assert_eq!((list(&place, "node-a").len(), list(&place, "node-c").len(), fake.seen().len()), (2, 1, 2));
    // One after the other, faster than the clock tells: no old file is kept over another.
    for note in ["one", "two", "three"] {
        fs::write(place.path("hosts.yaml"), HOSTS.replace("The new one", note)).unwrap();
        assert_eq!(distribute(&place, &["--node", "alpha"]).await.code, Some(0));
    }
    assert_eq!(list(&place, "node-a").len(), 5);
    // Before the program was ever set up there.
    fs::remove_dir_all(place.path("node-b/etc")).unwrap();
    let told = distribute(&place, &["--node", "beta"]).await;
    assert!(told.code == Some(1) && told.out.contains("there is no folder for"), "{told:?}");
    // All that is wrong is that one was not reached.
    assert_eq!(distribute(&place, &["--node", "alpha", "gamma"]).await.code, Some(3));
}

#[tokio::test]
async fn a_file_that_is_not_right_changes_nothing() {
    let nobody = nobody();
    let place = place(&nobody, &nobody);
    let before = fs::read_to_string(place.path("node-a/etc/hosts.yaml")).unwrap();
    // For this node alone.
    fs::write(place.path("node-a/refuses"), "").unwrap();
    let told = distribute(&place, &["--node", "alpha", "beta", "--json"]).await;
    let json = told.json();
    assert_eq!((told.code, &of(&json, "alpha")["state"]), (Some(1), &"invalid".into()), "{told:?}");
    let message = of(&json, "alpha")["message"].as_str().unwrap();
    assert!(message.ends_with("node-a/etc/hosts.yaml: this node is not in it"), "{message}");
    assert_eq!(
        (fs::read_to_string(place.path("node-a/etc/hosts.yaml")).unwrap(), list(&place, "node-a").len()),
        (before, 1)
    );
    assert_eq!(of(&json, "beta")["ok"], true, "another node gets it all the same");
    // Here already.
    fs::write(place.path("hosts.yaml"), HOSTS.replace("gamma]", "delta]")).unwrap();
    let asked = place.asked().len();
    let told = distribute(&place, &[]).await;
    assert!(told.code == Some(1) && told.err.contains("p2p_voters"), "{told:?}");
    assert_eq!(place.asked().len(), asked, "nobody was gone to");
}

#[tokio::test]
async fn a_daemon_that_does_not_take_it_is_told_of() {
    let fake = Fake::start(|_: &Seen| {
        Answer::json(&json!({
            "success": true, "node_id": "alpha", "hosts_revision": "another", "changes": [], "warnings": [], "voters": null,
            "message": "reloaded",
        }))
    })
    .await;
    let refuses = Fake::start(|_: &Seen| {
        let body =
            json!({ "error": "refused", "error_code": "REFUSED", "message": "no majority of these voters is alive" });
        Answer::json(&body).status(409)
    })
    .await;
    let place = place(&fake.url(), &refuses.url());
    let told = distribute(&place, &["--node", "alpha", "beta"]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.out.contains("✗ alpha: changed, and is NOT in force: its daemon reads another hosts file"),
        "{told:?}"
    );
    assert!(told.out.contains("✗ beta: changed, and is NOT in force: "), "{told:?}");
}
