//! Jobs: what is shown of them, and what is asked for.

use ringrift_api::{
    AttemptView, BackingOff, Backpressure, ErrorBody, ErrorCode, JobCancelled, JobLimited, JobList, JobLog, JobShown,
    JobStatus, JobSubmitted, JobView, JobWhy, LocalJob, LogLine, NodeJobs, NodeVerdict, Verdict, WorkStatus,
};
use ringrift_job::{Bytes, Ending, GameConfig, How, Kind, Limits, ParamValue, Percent, Usage};
use serde_json::{Value, json};

use crate::{
    cluster::{NOW, id},
    ctl::run,
    fake::{Answer, Fake, Seen},
};

fn job(name: &str, status: JobStatus) -> JobView {
    let has_node = matches!(status, JobStatus::Claimed | JobStatus::Running);
    JobView {
        job_id: name.parse().unwrap(),
        work_id: name.parse().unwrap(),
        job_type: "selfplay".parse().unwrap(),
        work_type: "selfplay".parse().unwrap(),
        kind: Kind::Selfplay,
        status,
        node_id: has_node.then(|| id("gpu-3")),
        claimed_by: has_node.then(|| "gpu-3".to_owned()),
        board_type: Some("hex8".to_owned()),
        num_players: Some(2),
        config_key: Some("hex8_2p".parse::<GameConfig>().unwrap()),
        engine_mode: Some("mixed".to_owned()),
        config: [("num_games".to_owned(), ParamValue::Integer(500))].into_iter().collect(),
        priority: 50,
        attempts: u32::from(status != JobStatus::Pending),
        max_attempts: 3,
        depends_on: vec!["training-1".parse().unwrap()],
        timeout_seconds: 0,
        origin: "operator".to_owned(),
        requested_by: "op@desk".to_owned(),
        gpus: if has_node { vec![1] } else { Vec::new() },
        limits: Limits { memory_max: Some(Bytes(8 << 30)), cpu_quota: Some(Percent(200)), ..Limits::default() },
        created_at: NOW,
        started_at: has_node.then_some(NOW + 1.0),
        completed_at: status.is_over().then_some(NOW + 61.0),
        message: if status == JobStatus::Failed {
            "exited with status 3, three times".to_owned()
        } else {
            String::new()
        },
        error: None,
        stopping: false,
        ending: (status == JobStatus::Failed).then(|| ending(3)),
    }
}

fn ending(code: i32) -> Ending {
    let usage = Usage { cpu_ms: Some(59_000), memory_peak: Some(3 << 30), ..Usage::default() };
    Ending { how: How::Exited { code }, ran_ms: 60_000, usage }
}

#[tokio::test]
async fn jobs_are_listed_and_asked_for_by_status_class_and_node() {
    let fake = Fake::start(|_: &Seen| {
        let jobs = vec![
            job("selfplay-a", JobStatus::Running),
            JobView { stopping: true, ..job("selfplay-b", JobStatus::Running) },
            job("selfplay-c", JobStatus::Pending),
            job("selfplay-d", JobStatus::Failed),
        ];
        Answer::json(&JobList { success: true, jobs, total: 9 })
    })
    .await;
    insta::assert_snapshot!("jobs_list", run(&fake, &["jobs", "list"]).await.told());
    run(&fake, &["jobs", "list", "--all", "--type", "selfplay", "--node", "gpu-3", "--limit", "5"]).await;
    run(&fake, &["jobs", "list", "--status", "failed"]).await;
    let paths: Vec<String> = fake.seen().iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(
        paths,
        [
            "/api/jobs?limit=100&status=open",
            "/api/jobs?limit=5&type=selfplay&node=gpu-3",
            "/api/jobs?limit=100&status=failed"
        ]
    );
    let wrong = run(&fake, &["jobs", "list", "--status", "done"]).await;
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("completed"), "{wrong:?}");
}

fn submitted() -> Answer {
    Answer::json(&JobSubmitted {
        success: true,
        job_id: "selfplay-a".parse().unwrap(),
        job_type: "selfplay".to_owned(),
        status: JobStatus::Pending,
        message: "it waits for a node".to_owned(),
        job: job("selfplay-a", JobStatus::Pending),
    })
}

#[tokio::test]
async fn a_job_is_asked_for_with_its_values() {
    let fake = Fake::start(|_: &Seen| submitted()).await;
    let args = "jobs submit selfplay --config hex8_2p num_games=500 --priority 80 --after training-1 --node gpu-3 --deadline 2h \
                --limit memory_max=4G --limit tasks_max=9";
    let ran = run(&fake, &args.split_whitespace().collect::<Vec<_>>()).await;
    assert_eq!((ran.out.as_str(), ran.code), ("selfplay-a: it waits for a node\n", Some(0)));
    let body: Value = serde_json::from_slice(&fake.seen()[0].body).unwrap();
    let by = body["by"].clone();
    assert_eq!(
        body,
        json!({
            "job_type": "selfplay", "priority": 80, "depends_on": ["training-1"], "timeout_seconds": 7200, "node_id": "gpu-3",
            "limits": {"memory_max": "4G", "tasks_max": 9}, "by": by,
            "params": {"board_type": "hex8", "num_players": 2, "num_games": "500"},
        })
    );
    for (args, said) in [
        (vec!["jobs", "submit", "selfplay", "num_games"], "name=value"),
        (vec!["jobs", "submit", "selfplay", "--limit", "memory=4G"], "memory_high"),
        (vec!["jobs", "submit", "selfplay", "--limit", "cpu_weight=0"], "1 to 10000"),
        (vec!["jobs", "submit", "selfplay", "--config", "chess_2p"], "hex8_2p"),
    ] {
        let ran = run(&fake, &args).await;
        assert_eq!(ran.code, Some(2), "{args:?}");
        assert!(ran.err.contains(said), "{args:?}: {}", ran.err);
    }
    assert_eq!(fake.seen().len(), 1, "what makes no sense is not sent");
}

#[tokio::test]
async fn whoever_waits_learns_how_a_job_ended() {
    for (status, code) in [(JobStatus::Completed, 0), (JobStatus::Failed, 1)] {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let fake = Fake::start(move |seen: &Seen| {
            if seen.method == "POST" {
                return submitted();
            }
            let now =
                if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 { JobStatus::Running } else { status };
            let job = JobView { ending: now.is_over().then(|| ending(code)), ..job("selfplay-a", now) };
            Answer::json(&JobShown { success: true, job, history: Vec::new() })
        })
        .await;
        let ran = run(&fake, &["jobs", "submit", "selfplay", "--config", "hex8_2p", "--wait"]).await;
        assert_eq!(ran.code, Some(code), "{ran:?}");
        // One line: what was said of the job on the way is on standard error.
        assert!(ran.out.starts_with(&format!("selfplay-a is {status}")) && ran.out.lines().count() == 1, "{ran:?}");
        assert!(ran.err.contains("selfplay-a is running on gpu-3"), "{ran:?}");
    }
}

#[tokio::test]
async fn a_job_is_shown_with_its_earlier_attempts() {
    let fake = Fake::start(|_: &Seen| {
        let history = vec![AttemptView {
            attempt: 1,
            claimed_by: Some("gpu-2".to_owned()),
            ending: Some(ending(3)),
            message: "it failed".to_owned(),
            at: NOW,
        }];
        Answer::json(&JobShown { success: true, job: job("selfplay-a", JobStatus::Failed), history })
    })
    .await;
    insta::assert_snapshot!("jobs_show", run(&fake, &["jobs", "show", "selfplay-a"]).await.told());
}

#[tokio::test]
async fn every_node_has_its_reason() {
    let fake = Fake::start(|_: &Seen| {
        let verdict =
            |node: &str, verdict, reason: &str| NodeVerdict { node_id: id(node), verdict, reason: reason.to_owned() };
        Answer::json(&JobWhy {
            success: true,
            job_id: "training-1".parse().unwrap(),
            status: JobStatus::Pending,
            summary: "no node can have it now".to_owned(),
            nodes: vec![
                verdict("gpu-1", Verdict::PassedOver, "it needs 16G of GPU memory, and the node has 8G"),
                verdict("gpu-2", Verdict::PassedOver, "it is cordoned"),
            ],
        })
    })
    .await;
    insta::assert_snapshot!("jobs_why", run(&fake, &["jobs", "why", "training-1"]).await.told());
}

#[tokio::test]
async fn of_several_jobs_one_that_is_refused_does_not_stop_the_others() {
    let fake = Fake::start(|seen: &Seen| match seen.path.as_str() {
        "/api/jobs/b/cancel" => Answer::json(&ErrorBody::new(ErrorCode::NotFound, "no job is named b")).status(404),
        path => Answer::json(&JobCancelled {
            success: true,
            job_id: path.split('/').nth(3).unwrap().parse().unwrap(),
            status: JobStatus::Cancelled,
            message: "it is cancelled".to_owned(),
        }),
    })
    .await;
    let ran = run(&fake, &["jobs", "cancel", "a", "b", "c"]).await;
    assert_eq!(
        ran.told(),
        "it is cancelled\nit is cancelled\n--- stderr\nerror: http://API/api/jobs/b/cancel: no job is named b\n--- exit 1\n"
    );
}

#[tokio::test]
async fn limits_are_shown_and_changed() {
    let fake = Fake::start(|seen: &Seen| {
        if seen.method == "GET" {
            return Answer::json(&JobShown { success: true, job: job("a", JobStatus::Running), history: Vec::new() });
        }
        let limits = Limits { memory_max: Some(Bytes(12 << 30)), ..Limits::default() };
        let message = "a: memory_max=12G from now on".to_owned();
        Answer::json(&JobLimited { success: true, job_id: "a".parse().unwrap(), limits, message })
    })
    .await;
    let shown = run(&fake, &["jobs", "limits", "a"]).await;
    assert_eq!(shown.out, "a has, over the limits of its class: cpu_quota=200% memory_max=8G\n");
    let changed = run(&fake, &["jobs", "limits", "a", "memory_max=12G"]).await;
    assert_eq!(changed.out, "a: memory_max=12G from now on\n");
    let body: Value = serde_json::from_slice(&fake.seen()[1].body).unwrap();
    assert_eq!(body["limits"], json!({"memory_max": "12G"}));
}

#[tokio::test]
async fn a_log_is_followed_to_the_end_of_the_job() {
    let fake = Fake::start(|seen: &Seen| {
        let line = |text: &str| LogLine { at: Some(NOW), text: text.to_owned() };
        let (lines, cursor, ended) = match seen.path.split("after=").nth(1) {
            None => (vec![line("one"), line("two")], "s=1;i=2", false),
            Some("s%3D1%3Bi%3D2") => (vec![line("three")], "s=1;i=3", true),
            Some("s%3D1%3Bi%3D3") => (Vec::new(), "", true),
            Some(other) => panic!("{other}"),
        };
        let cursor = cursor.to_owned();
        Answer::json(&JobLog {
            success: true,
            job_id: "a".parse().unwrap(),
            attempt: 2,
            node_id: id("gpu-3"),
            lines,
            cursor,
            ended,
        })
    })
    .await;
    let ran = run(&fake, &["jobs", "logs", "a", "--follow", "--lines", "2"]).await;
    assert_eq!((ran.out.as_str(), ran.code), ("one\ntwo\nthree\n", Some(0)));
    assert_eq!(fake.seen()[0].path, "/api/jobs/a/log?lines=2");
    assert!(fake.seen()[1].path.starts_with("/api/jobs/a/log?lines=1000&attempt=2&after="));
    let once = run(&fake, &["jobs", "logs", "a", "--json"]).await;
    assert_eq!(once.out.lines().count(), 2, "{once:?}");
}

#[tokio::test]
async fn a_node_says_what_it_runs_and_why_it_takes_no_more() {
    let fake = Fake::start(|_: &Seen| {
        Answer::json(&NodeJobs {
            node_id: id("gpu-3"),
            runner: "plain".to_owned(),
            refuses: vec!["its disk is 96.0 % full".to_owned()],
            slots: 4,
            classes: vec!["selfplay".parse().unwrap()],
            unavailable: vec!["training: /srv/ai-service is not there".to_owned()],
            not_enforced: vec!["memory_high".to_owned()],
            backing_off: vec![BackingOff {
                class: "selfplay".parse().unwrap(),
                failures: 4,
                seconds: 16.0,
                reason: "exited with status 1 after 0.2 s".to_owned(),
            }],
            jobs: vec![LocalJob {
                job_id: "selfplay-a".parse().unwrap(),
                job_type: "selfplay".parse().unwrap(),
                kind: Kind::Selfplay,
                attempt: 2,
                status: "running".to_owned(),
                node_id: id("gpu-3"),
                unit: "ringrift-selfplay@selfplay-a.2.service".to_owned(),
                pid: 4711,
                board_type: Some("hex8".to_owned()),
                num_players: Some(2),
                started_at: NOW,
                runtime_seconds: 61.4,
                gpus: vec![0, 1],
                limits: Limits { memory_max: Some(Bytes(8 << 30)), ..Limits::default() },
                usage: Usage {
                    cpu_ms: Some(59_000),
                    memory: Some(1 << 30),
                    memory_peak: Some(2 << 30),
                    tasks: Some(17),
                    processes: Some(3),
                },
                message: String::new(),
            }],
        })
    })
    .await;
    insta::assert_snapshot!("jobs_here", run(&fake, &["jobs", "here", "gpu-3"]).await.told());
    assert_eq!(fake.seen()[0].path, "/api/node/gpu-3/api/jobs/here");
}

#[tokio::test]
async fn the_queue_tells_what_waits_and_how_much_room_is_left() {
    let fake = Fake::start(|_: &Seen| {
        Answer::json(&WorkStatus {
            total_items: 3,
            by_status: [("pending".to_owned(), 1), ("running".to_owned(), 2), ("failed".to_owned(), 0)].into(),
            by_type: [("selfplay".to_owned(), 3)].into(),
            pending: vec![job("selfplay-c", JobStatus::Pending)],
            running: vec![job("selfplay-a", JobStatus::Running)],
            items: Vec::new(),
            stats: std::collections::BTreeMap::new(),
            is_leader: true,
            leader_id: Some(id("alpha")),
            backpressure: Backpressure { level: "soft".to_owned(), queued: 600, soft_limit: 500, hard_limit: 1000 },
        })
    })
    .await;
    insta::assert_snapshot!("queue", run(&fake, &["queue"]).await.told());
}

#[tokio::test]
async fn whoever_drains_can_wait_until_no_job_is_left() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::start(move |seen: &Seen| {
        if seen.method == "POST" {
            return Answer::json(&ringrift_api::EligibilityChanged {
                success: true,
                node_id: id("gpu-3"),
                state: ringrift_api::EligibilityState::Draining,
                changed: true,
                message: "gpu-3 is drained".to_owned(),
            });
        }
        let left = u64::from(asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0);
        Answer::json(&JobList { success: true, jobs: Vec::new(), total: left })
    })
    .await;
    let ran = run(&fake, &["nodes", "drain", "gpu-3", "--wait"]).await;
    assert_eq!((ran.out.as_str(), ran.code), ("gpu-3 is drained\nno job is left on gpu-3\n", Some(0)));
    assert!(ran.err.contains("jobs left on gpu-3: 1"), "{ran:?}");
    assert_eq!(fake.seen().last().unwrap().path, "/api/jobs?status=open&limit=1&node=gpu-3");
}
