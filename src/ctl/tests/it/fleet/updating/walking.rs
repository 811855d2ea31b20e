//! The whole walk, and back.

use serde_json::json;

use super::Site;

#[tokio::test]
async fn workers_come_in_batches_then_the_voters_one_by_one_and_the_leader_last() {
    let site = Site::new(&["alpha", "beta", "gamma"], &["gpu-1", "gpu-2", "gpu-3"], &[]).await;
    let package = site.package("0.2.0");
    let ran = site.run(&["update", "--package", &package, "--batch", "2"]).await;
    assert_eq!(
        ran.out,
        "✓ alpha: 0.1.0 → 0.2.0\n✓ beta: 0.1.0 → 0.2.0\n✓ gamma: 0.1.0 → 0.2.0\n✓ gpu-1: 0.1.0 → 0.2.0\n\
         ✓ gpu-2: 0.1.0 → 0.2.0\n✓ gpu-3: 0.1.0 → 0.2.0\n\nSummary: 6 updated\n",
        "{ran:?}"
    );
    assert_eq!(ran.code, Some(0));
    let mut order = site.noted("restarted");
    order[..2].sort_unstable();
    assert_eq!(order, ["gpu-1", "gpu-2", "gpu-3", "beta", "gamma", "alpha"]);
    assert_eq!(site.has("alpha", "pid"), "101", "each was restarted once");
    assert_eq!(std::fs::read_to_string(site.path("leader")).unwrap(), "beta", "it was handed over before alpha's turn");
    let folder = site.node("gpu-1", "var/cache/ringriftctl");
    let kept = |version: &str| folder.join(format!("ringrift-p2p_{version}_amd64.deb"));
    assert!(kept("0.1.0").exists() && kept("0.2.0").exists(), "what was there was packed before it was replaced");
    let control = super::run("dpkg-deb", &["-f", &kept("0.1.0").display().to_string()]);
    assert!(control.contains("Version: 0.1.0") && control.contains("more of it"), "{control}");
    assert!(!control.contains("Status") && !control.contains("/etc/a"), "{control}");

    // Once more: there is nothing to do, and what was before is still known.
    let again = site.run(&["--json", "update", "--package", &package]).await;
    assert_eq!((again.code, &again.json()["summary"]), (Some(0), &json!({ "unchanged": 6 })), "{again:?}");
    assert_eq!(site.noted("restarted").len(), 6);
    let dry = site.run(&["update", "--package", &package, "--dry-run", "--node", "beta"]).await;
    assert_eq!((dry.code, dry.out.as_str()), (Some(0), "left alone: beta: it has 0.2.0 already\n"));

    let back = site.run(&["update", "--rollback", "--batch", "3"]).await;
    assert!(back.out.contains("✓ gpu-2: 0.2.0 → 0.1.0\n") && back.out.contains("Summary: 6 rolled back\n"), "{back:?}");
    assert_eq!((back.code, site.has("beta", "version")), (Some(0), "0.1.0".to_owned()));
    assert_eq!(site.noted("restarted")[9..], ["alpha", "gamma", "beta"], "who leads now is the last");
    assert!(site.records().is_empty(), "{:?}", site.records());
    let none = site.run(&["update", "--rollback"]).await;
    assert!(none.err.contains("there is no update to be rolled back") && none.code == Some(1), "{none:?}");
}

#[tokio::test]
async fn each_voter_also_the_last_is_waited_for_until_the_leader_counts_its_vote() {
    let site = Site::new(&["alpha", "beta", "gamma"], &[], &[]).await;
    std::fs::create_dir(site.path("recounts")).unwrap();
    let ran = site.run(&["update", "--package", &site.package("0.2.0")]).await;
    assert_eq!((ran.code, site.noted("restarted")), (Some(0), ["beta", "gamma", "alpha"].map(str::to_owned).to_vec()));
    for voter in ["alpha", "beta", "gamma"] {
        let uncounted = site.noted(&format!("recounts/{voter}"));
        assert_eq!(uncounted, [".".repeat(super::UNCOUNTED)], "{voter} was taken for back before its vote counted");
    }
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_changes_nothing() {
    let site = Site::new(&["alpha", "beta", "gamma"], &["gpu-1", "gpu-2"], &[]).await;
    let package = site.package("0.2.0");
    let before = site.everything();
    let args = ["update", "--package", &package, "--dry-run", "--batch", "1"];
    let ran = site.run(&args).await;
    assert_eq!(
        ran.out,
        "1. update together: gpu-1\n2. update together: gpu-2\n3. update the voter: beta\n4. update the voter: gamma\n\
         5. update the voter: alpha\n\
         alpha: 0.1.0 → 0.2.0 of DIR/ringrift-p2p_0.2.0_amd64.deb (Debian package)\n\
         beta: 0.1.0 → 0.2.0 of DIR/ringrift-p2p_0.2.0_amd64.deb (Debian package)\n\
         gamma: 0.1.0 → 0.2.0 of DIR/ringrift-p2p_0.2.0_amd64.deb (Debian package)\n\
         gpu-1: 0.1.0 → 0.2.0 of DIR/ringrift-p2p_0.2.0_amd64.deb (Debian package)\n\
         gpu-2: 0.1.0 → 0.2.0 of DIR/ringrift-p2p_0.2.0_amd64.deb (Debian package)\n"
    );
    assert_eq!((ran.code, site.everything() == before, site.records().len()), (Some(0), true, 0));

    assert_eq!(site.run(&["update", "--package", &package, "--node", "gpu-1"]).await.code, Some(0));
    let before = site.everything();
    let ran = site.run(&["--json", "update", "--rollback", "--dry-run"]).await;
    let json = ran.json();
    assert_eq!(json["steps"], json!([{ "step": "roll back together", "nodes": ["gpu-1"] }]), "{ran:?}");
    assert_eq!(json["nodes"][3]["to"], "0.1.0, which it had before");
    assert_eq!(json["nodes"][0]["result"], "skipped");
    assert!(site.everything() == before && site.records().len() == 1);
}

#[tokio::test]
async fn only_the_nodes_that_are_meant_are_updated_each_from_where_its_apt_finds_the_program() {
    let site = Site::new(&["alpha", "beta", "gamma"], &["gpu-1", "gpu-2"], &[]).await;
    let ran = site.run(&["update", "--to", "0.3.0", "--node", "gpu-*"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = site.run(&["update", "--role", "coordinator", "--node", "beta"]).await;
    assert!(ran.out.starts_with("✓ beta: 0.1.0 → 9.0\n"), "{ran:?}");
    let mut done = site.noted("done");
    done.sort_unstable();
    assert_eq!(done, ["beta apt-get 9.0", "gpu-1 apt-get 0.3.0", "gpu-2 apt-get 0.3.0"]);
    // Of the two updates each node's own is taken back, in one walk, or for one node.
    let ran = site.run(&["update", "--rollback", "--node", "gpu-2"]).await;
    assert_eq!(
        (ran.code, site.has("gpu-2", "version"), site.has("gpu-1", "version")),
        (Some(0), "0.1.0".into(), "0.3.0".into())
    );
    let ran = site.run(&["update", "--rollback"]).await;
    assert!(ran.out.contains("Summary: 2 rolled back, 3 skipped\n"), "{ran:?}");
}
