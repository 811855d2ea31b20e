//! What each node does with its own files.

use ringrift_api::{
    ClusterManifest, DistributionPhase, ErrorBody, ErrorCode, GcItem, GcReport, LinkReport, Liveness, ModelLink,
    NodeManifest, VerifiedFile, VerifyReport,
};
use ringrift_blob::{Digest, ModelName};
use serde_json::Value;

use super::{entry, hex8, list};
use crate::{
    cluster::{NOW, id},
    ctl::run,
    fake::{Answer, Fake, Seen},
};

fn manifest(nodes: &[&str]) -> ClusterManifest {
    let node = |(at, name): (usize, &&str)| NodeManifest {
        node_id: id(name),
        state: Liveness::Alive,
        eligible: at + 1 < nodes.len(),
        reported_at: Some(NOW),
        free_bytes: Some(1 << 40),
        files: Vec::new(),
    };
    let nodes = nodes.iter().enumerate().map(node).collect();
    ClusterManifest { success: true, nodes, leader_id: None, state_index: 42, timestamp: NOW }
}

/// The node that a path is forwarded to; `alpha` is the one that is asked.
fn asked(seen: &Seen) -> String {
    let node = seen.path.strip_prefix("/api/node/").and_then(|rest| rest.split('/').next());
    node.unwrap_or("alpha").to_owned()
}

#[tokio::test]
async fn every_node_is_asked_for_a_fresh_hash() {
    let fake = Fake::start(|seen: &Seen| {
        let node = asked(seen);
        match seen.path.as_str() {
            "/api/models" => Answer::json(&list(
                ["hex8_2p", "hex8_3p"].map(|c| entry(c, Digest::of(b"a"), DistributionPhase::Complete)).into(),
            )),
            // The last is not eligible: nobody asks it.
            "/api/models/manifest" => Answer::json(&manifest(&["beta", "gone", "gpu-3", "laptop"])),
            _ if node == "gone" => Answer::json(&ErrorBody::new(ErrorCode::Unreachable, "no link")).status(502),
            _ => {
                let request: Value = serde_json::from_slice(&seen.body).unwrap();
                let name: ModelName = request["model"].as_str().unwrap().parse().unwrap();
                let ok = node != "gpu-3" || name == hex8();
                let message = if ok { "" } else { "its bytes had changed; it is fetched again" };
                Answer::json(&VerifyReport {
                    success: ok,
                    node_id: id(&node),
                    files: vec![VerifiedFile {
                        name,
                        expected: Digest::of(b"a"),
                        found: Some(Digest::of(if ok { b"a" } else { b"b" })),
                        size: 174_000_000,
                        ok,
                        message: message.to_owned(),
                        seconds: 0.5,
                    }],
                    timestamp: NOW,
                })
            }
        }
    })
    .await;
    let all = run(&fake, &["models", "verify", "--all-nodes"]).await;
    insta::assert_snapshot!("verify_all", all.told());
    let json = run(&fake, &["models", "verify", "--all-nodes", "--json"]).await;
    let verdicts: Vec<bool> =
        json.json()["nodes"].as_array().unwrap().iter().map(|node| node["success"].as_bool().unwrap()).collect();
    assert_eq!((verdicts, json.code, json.err.as_str()), (vec![true, false, false], Some(3), ""));
    assert!(!fake.seen().iter().any(|seen| asked(seen) == "laptop"));

    let before = fake.seen().len();
    let unknown = run(&fake, &["models", "verify", "--all-nodes", "--model", "hex8_4p"]).await;
    assert_eq!((unknown.code, unknown.out.as_str()), (Some(1), ""), "{unknown:?}");
    assert!(unknown.err.contains("no model canonical_hex8_4p.pth was promoted"), "{unknown:?}");
    assert_eq!(fake.seen().len(), before + 1, "no node is asked for a model that there is not");

    let here = run(&fake, &["models", "verify"]).await;
    assert_eq!(here.code, Some(0), "{here:?}");
    let there = run(&fake, &["models", "verify", "--host", "gpu-3", "--model", "hex8_3p"]).await;
    assert_eq!(there.code, Some(1), "{there:?}");
    let gone = run(&fake, &["models", "verify", "--host", "gone"]).await;
    assert_eq!((gone.code, gone.out.as_str()), (Some(3), ""), "{gone:?}");
}

#[tokio::test]
async fn links_and_old_versions_are_looked_after_on_each_node() {
    let fake = Fake::start(|seen: &Seen| {
        let node_id = id(&asked(seen));
        match seen.path.rsplit('/').next().unwrap() {
            "manifest" => Answer::json(&manifest(&["beta", "gpu-3", "laptop"])),
            "gc" => Answer::json(&GcReport {
                success: true,
                node_id,
                dry_run: serde_json::from_slice::<Value>(&seen.body).unwrap()["dry_run"] == true,
                removed: vec![GcItem {
                    sha256: Digest::of(b"a"),
                    size: 15_200_000,
                    names: vec![hex8()],
                    reason: "four versions came after it".to_owned(),
                }],
                freed_bytes: 15_200_000,
                kept: 3,
                kept_bytes: 45_600_000,
            }),
            _ => {
                let ok = node_id.as_str() != "gpu-3";
                let message = if ok { "" } else { "a folder is in its place" }.to_owned();
                let link = hex8().best_link().unwrap();
                let links = vec![ModelLink { link, target: hex8(), ok, changed: ok, message }];
                Answer::json(&LinkReport { success: ok, node_id, links })
            }
        }
    })
    .await;
    insta::assert_snapshot!("link", run(&fake, &["models", "link", "--all-nodes"]).await.told());
    insta::assert_snapshot!("gc", run(&fake, &["models", "gc", "--dry-run", "--host", "gpu-3"]).await.told());
    assert_eq!(run(&fake, &["models", "gc"]).await.code, Some(0));
    assert_eq!(run(&fake, &["models", "link", "--host", "a", "--all-nodes"]).await.code, Some(2));
}
