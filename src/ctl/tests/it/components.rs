//! The components of the training pipeline, in the layout of contract §6.

use ringrift_api::{ClusterComponents, Component, ComponentReport, ComponentStatus, NodeComponents};

use crate::{
    cluster::{NOW, id},
    ctl::run,
    fake::{Answer, Fake, Seen},
};

const TIMESTAMP: &str = "2026-03-01T09:00:00Z";

fn report(node: &str, resources: ComponentStatus) -> ComponentReport {
    let component = |name: &str, status, message: &str, ago: Option<f64>| Component {
        last_activity: ago.map(|seconds| NOW - seconds),
        ..Component::new(name, status, message)
    };
    let components = vec![
        component("data_sync", ComponentStatus::Warning, "7 games, last written to 90 minutes ago", Some(5_400.0)),
        component("training", ComponentStatus::Unknown, "no run yet", None),
        component("evaluation", ComponentStatus::Ok, "ratings, newest match 2 minutes ago", Some(125.0)),
        component("coordinator", ComponentStatus::Unknown, "no task registry here", None),
        component("coordinator_managers", ComponentStatus::Ok, "12 subsystems make progress", Some(0.0)),
        component("resources", resources, "disk at 97 %", None),
    ];
    ComponentReport::of(id(node), TIMESTAMP.to_owned(), components)
}

#[tokio::test]
async fn the_report_has_the_contracts_layout() {
    let fake = Fake::start(|seen: &Seen| match seen.path.as_str() {
        "/api/health/components" => Answer::json(&report("alpha", ComponentStatus::Ok)),
        "/api/node/gpu-3/api/health/components" => Answer::json(&report("gpu-3", ComponentStatus::Error)),
        other => panic!("{other}"),
    })
    .await;
    let well = run(&fake, &["health", "components"]).await;
    assert_eq!(well.code, Some(0), "{well:?}");
    let ill = run(&fake, &["health", "components", "gpu-3"]).await;
    assert_eq!(ill.code, Some(1), "{ill:?}");
    let (double, single) = ("=".repeat(60), "-".repeat(60));
    let expected = format!(
        "{double}\nHEALTH CHECK REPORT\nTimestamp: {TIMESTAMP}\nOverall: UNHEALTHY\n\
         \n[⚠] DATA_SYNC\n    Status: warning\n    Message: 7 games, last written to 90 minutes ago\n    Last activity: 90 minutes ago\n\
         \n[?] TRAINING\n    Status: unknown\n    Message: no run yet\n\
         \n[✓] EVALUATION\n    Status: ok\n    Message: ratings, newest match 2 minutes ago\n    Last activity: 2 minutes ago\n\
         \n[?] COORDINATOR\n    Status: unknown\n    Message: no task registry here\n\
         \n[✓] COORDINATOR_MANAGERS\n    Status: ok\n    Message: 12 subsystems make progress\n    Last activity: 0 minutes ago\n\
         \n[✗] RESOURCES\n    Status: error\n    Message: disk at 97 %\n\
         \n{single}\nISSUES:\n  - resources: disk at 97 %\nWARNINGS:\n  - data_sync: 7 games, last written to 90 minutes ago\n{double}\n"
    );
    assert_eq!(ill.out, expected);
    let json = run(&fake, &["health", "components", "--json"]).await.json();
    assert_eq!((&json["healthy"], &json["components"][0]["name"]), (&true.into(), &"data_sync".into()));
}

#[tokio::test]
async fn the_cluster_has_a_line_for_each_node() {
    let node = |name: &str, report: Option<ComponentReport>, error: Option<&str>| NodeComponents {
        node_id: id(name),
        report,
        error: error.map(str::to_owned),
    };
    let all = ClusterComponents::of(
        TIMESTAMP.to_owned(),
        vec![
            node("gpu-4", None, Some("is dead")),
            node("alpha", Some(report("alpha", ComponentStatus::Ok)), None),
            node("gpu-3", Some(report("gpu-3", ComponentStatus::Error)), None),
        ],
    );
    let fake = Fake::start(move |seen: &Seen| {
        assert_eq!(seen.path, "/api/health/components?cluster=true");
        Answer::json(&all)
    })
    .await;
    let told = run(&fake, &["health", "components", "--all-nodes"]).await;
    assert_eq!(told.code, Some(1));
    let rows: Vec<Vec<&str>> = told.out.lines().map(|line| line.split_whitespace().collect()).collect();
    for expected in [
        vec!["alpha", "⚠", "?", "✓", "?", "✓", "✓"],
        vec!["gpu-3", "⚠", "?", "✓", "?", "✓", "✗"],
        vec!["gpu-4", "-", "-", "-", "-", "-", "-", "is", "dead"],
        vec!["-", "gpu-4:", "is", "dead"],
        vec!["-", "gpu-3:", "resources:", "disk", "at", "97", "%"],
    ] {
        assert!(rows.contains(&expected), "{expected:?} is not in\n{}", told.out);
    }
    let refused = run(&fake, &["health", "components", "gpu-3", "--all-nodes"]).await;
    assert_eq!(refused.code, Some(2));
}
