//! What ends a walk before its end.

use std::{fs, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

use super::Site;
use crate::{ctl::in_time, fleet::nobody};

#[tokio::test]
async fn a_version_whose_daemon_does_not_stay_up_stops_the_walk_and_is_rolled_back() {
    let site = Site::new(&["alpha", "beta", "gamma"], &["gpu-1", "gpu-2"], &[]).await;
    fs::write(site.path("bad"), "0.2.0\n").unwrap();
    let package = site.package("0.2.0");
    let args = ["update", "--package", &package, "--batch", "1"];
    let ran = site.run(&args).await;
    assert_eq!(
        ran.out,
        "The update stopped: gpu-1: failed (it gave up)\nNot begun: gpu-2, beta, gamma, alpha\n\
         Once that is mended, the same command goes on; `ringriftctl update --rollback` takes back what was done.\n\n\
         … alpha: 0.1.0, not begun\n… beta: 0.1.0, not begun\n… gamma: 0.1.0, not begun\n\
         ✗ gpu-1: 0.1.0 → 0.2.0, it gave up\n… gpu-2: 0.1.0, not begun\n\nSummary: 1 failed, 4 not begun\n",
        "{ran:?}"
    );
    assert_eq!((ran.code, site.noted("done")), (Some(1), vec!["gpu-1 apt-get 0.2.0".to_owned()]));

    // The package is there now: that does not make it well.
    let again = site.run(&["--json", "update", "--package", &package, "--batch", "1"]).await;
    assert_eq!((again.code, &again.json()["stopped"]), (Some(1), &"gpu-1: failed (it gave up)".into()), "{again:?}");

    let back = site.run(&["update", "--rollback"]).await;
    assert!(back.out.contains("✓ gpu-1: 0.2.0 → 0.1.0\n"), "{back:?}");
    assert_eq!(
        (back.code, site.has("gpu-1", "version"), site.has("gpu-1", "pid")),
        (Some(0), "0.1.0".into(), "101".into())
    );
}

#[tokio::test]
async fn a_node_whose_update_fails_is_named_and_the_same_command_goes_on_there() {
    let site = Site::new(&["alpha", "beta", "gamma"], &["gpu-1", "gpu-2", "gpu-3"], &[]).await;
    fs::write(site.node("gpu-2", "fails"), "").unwrap();
    let package = site.package("0.2.0");
    let args = ["update", "--package", &package, "--batch", "2"];
    let ran = site.run(&args).await;
    let why = "dpkg: error processing package ringrift-p2p (--configure): installed script: exit status 1";
    for part in [
        &format!("The update stopped: gpu-2: failed ({why})\nNot begun: gpu-3, beta, gamma, alpha\n"),
        "✓ gpu-1: 0.1.0 → 0.2.0\n",
        &format!("✗ gpu-2: 0.1.0, {why}\n"),
        "Summary: 1 updated, 1 failed, 4 not begun\n",
    ] {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    assert_eq!((ran.code, site.has("gpu-2", "pid")), (Some(1), "100".to_owned()));
    fs::remove_file(site.node("gpu-2", "fails")).unwrap();
    let ran = site.run(&args).await;
    assert!(
        ran.out.contains("✓ gpu-1: 0.2.0, nothing to do\n") && ran.out.contains("5 updated, 1 unchanged"),
        "{ran:?}"
    );
    assert_eq!(ran.code, Some(0));
}

#[tokio::test]
async fn no_voter_is_taken_away_that_the_quorum_cannot_spare() {
    let site = Site::new(&["alpha", "beta", "gamma"], &["gpu-1"], &["gamma"]).await;
    let package = site.package("0.2.0");
    let ran = site.run(&["update", "--package", &package, "--node", "beta", "gpu-1", "--yes"]).await;
    assert!(
        ran.out.starts_with(
            "The update stopped: without beta only 1 of 3 voters would be alive, and 2 are needed; missing already: gamma\n\
             Not begun: beta\n"
        ),
        "{ran:?}"
    );
    assert_eq!(
        (ran.code, site.has("beta", "version"), site.has("gpu-1", "version")),
        (Some(1), "0.1.0".into(), "0.2.0".into())
    );
}

#[tokio::test]
async fn one_or_two_voters_are_updated_when_that_is_meant() {
    let site = Site::new(&["alpha", "beta"], &[], &[]).await;
    let package = site.package("0.2.0");
    let ran = site.run(&["update", "--package", &package]).await;
    assert!(ran.out.contains("so few voters are updated only with --yes"), "{ran:?}");
    assert_eq!((ran.code, site.noted("restarted").len()), (Some(1), 0));
    let ran = site.run(&["update", "--package", &package, "--yes"]).await;
    assert_eq!((ran.code, site.noted("restarted")), (Some(0), vec!["beta".to_owned(), "alpha".to_owned()]), "{ran:?}");
}

#[tokio::test]
async fn ctrl_c_leaves_a_truthful_summary_and_what_was_before_is_known() {
    let site = Site::new(&["alpha", "beta", "gamma"], &["gpu-1", "gpu-2", "gpu-3"], &[]).await;
    fs::write(site.node("gpu-2", "hangs"), "").unwrap();
    let package = site.package("0.2.0");
    let mut command = site.command(&site.fake.url(), &["update", "--package", &package, "--batch", "1"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    in_time(async {
        while !site.noted("done").contains(&"gpu-2 apt-get 0.2.0".to_owned()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    kill_process(Pid::from_raw(child.id().unwrap().cast_signed()).unwrap(), Signal::INT).unwrap();
    let output = in_time(child.wait_with_output()).await.unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    for line in [
        "The update stopped: it was interrupted\n",
        "✓ gpu-1: 0.1.0 → 0.2.0\n",
        "✗ gpu-2: 0.1.0, given up in the middle\n",
        "… gpu-3: 0.1.0, not begun\n",
        "Summary: 1 updated, 1 given up, 4 not begun\n",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert_eq!(output.status.code(), Some(1));
    let [record] = site.records().try_into().unwrap();
    let record: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    assert_eq!(record["nodes"]["gpu-2"][0]["before"]["version"], "0.1.0");
    assert_eq!(record["nodes"]["gpu-2"][0]["after"], serde_json::Value::Null);
    assert!(record["nodes"].get("gpu-3").is_none());
}

#[tokio::test]
async fn without_a_daemon_to_ask_only_what_does_not_run_is_updated() {
    let site = Site::new(&["alpha"], &["gpu-1"], &[]).await;
    let package = site.package("0.2.0");
    let ran = site.run_by(&nobody(), &["update", "--package", &package]).await;
    assert!(ran.err.contains("name one with --api") && ran.code == Some(3), "{ran:?}");
    assert!(site.noted("done").is_empty());
    // After a bad update of the only voter nobody answers: it can be taken back all the same.
    fs::write(site.path("bad"), "0.2.0\n").unwrap();
    let ran = site.run(&["update", "--package", &package, "--yes", "--node", "alpha"]).await;
    assert_eq!((ran.code, site.has("alpha", "pid")), (Some(1), "0".to_owned()), "{ran:?}");
    let ran = site.run_by(&nobody(), &["update", "--rollback"]).await;
    assert!(ran.out.starts_with("✓ alpha: 0.2.0 → 0.1.0\n"), "{ran:?}");
    assert_eq!((ran.code, site.has("alpha", "pid")), (Some(0), "101".to_owned()));
}

#[tokio::test]
async fn what_cannot_be_updated_is_left_alone_and_named() {
    let site = Site::new(&["alpha", "beta", "gamma"], &["gpu-1", "gpu-2", "gpu-3"], &[]).await;
    let hosts = fs::read_to_string(site.path("hosts.yaml")).unwrap();
    let hosts = hosts.replace("root-gpu-1, ssh_user: op, status: ready", "root-gpu-1, ssh_user: op, status: retired");
    fs::write(site.path("hosts.yaml"), hosts.replace("ssh_host: root-gpu-2", "ssh_host: refused")).unwrap();
    let package = site.package("0.2.0");
    let ran = site.run(&["update", "--package", &package, "--node", "gpu-1", "gpu-2", "beta"]).await;
    assert_eq!(
        ran.out,
        "✓ beta: 0.1.0 → 0.2.0\n- gpu-1: skipped, status: retired\n\
         ✗ gpu-2: unreachable, unreachable (connection refused)\n\nSummary: 1 updated, 1 unreachable, 1 skipped\n"
    );
    assert_eq!(ran.code, Some(3), "all that is wrong is that a node was not reached");
    fs::write(site.node("gpu-3", "architecture"), "arm64\n").unwrap();
    let ran = site.run(&["update", "--package", &package, "--node", "gpu-3", "alpha"]).await;
    assert!(
        ran.out.contains("✗ gpu-3: left alone, no --package was given that replaces ringrift-p2p on arm64\n"),
        "{ran:?}"
    );
    assert_eq!(ran.code, Some(1));

    let renamed = site.path("ringrift-p2p_0.9.0_amd64.deb");
    fs::copy(&package, &renamed).unwrap();
    let ran = site.run(&["update", "--package", &renamed.display().to_string(), "--node", "gamma"]).await;
    assert!(ran.out.contains("the file is ringrift-p2p 0.2.0, and is named otherwise"), "{ran:?}");
    assert_eq!((ran.code, site.has("gamma", "version")), (Some(1), "0.1.0".to_owned()));
    for wrong in [&["--package", "new.deb"][..], &["--flake", ".#gpu-1"], &["--to", "-x"], &["--rollback", "--to", "1"]]
    {
        let ran = site.run(&[&["update"], wrong].concat()).await;
        assert_eq!(ran.code, Some(2), "{wrong:?}: {ran:?}");
    }
}
