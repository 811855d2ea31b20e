//! Contract §2.3, jobs and the work queue: what old clients send is taken, and what they read is there.

use serde_json::{Value, json};

use crate::{cluster::Cluster, rows::check};

const JOB: &str = "
    job_id: str, work_id: str, job_type: str, work_type: str, status: str, node_id: str?, claimed_by: str?,
    board_type: str?, num_players: int?, engine_mode: str?, config: map, priority: int, attempts: int, max_attempts: int,
    depends_on: list, timeout_seconds: int, created_at: number, started_at: number?, completed_at: number?, error: str?";

const SUBMITTED: &str = "success: bool, job_id: str, job_type: str, status: str, message: str, job: map";
const ADDED: &str = "success: bool, job_id: str, status: str, work_id: str, work_type: str, priority: int";
const BATCH: &str = "success: bool, count: int, work_ids: list, errors: list";
const QUEUE: &str = "
    total_items: int, by_status: map, by_type: map, pending: list, running: list, stats: map, is_leader: bool,
    leader_id: str?, backpressure: map";

/// One request of an old client, and what it reads of the answer.
type Row = (&'static str, &'static str, Value, &'static str);

/// Requests that put something into the queue, in each shape that is known.
fn asking() -> Vec<Row> {
    let game = |more: Value| {
        let mut body = json!({"board_type": "hex8", "num_players": 2});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let submit = game(json!({"job_type": "selfplay", "engine_mode": "mixed", "total_games": 10}));
    let item = |config: Value| json!({"work_type": "selfplay", "config": config});
    let whole = json!({
        "work_type": "training", "priority": 90, "config": game(json!({"epochs": 5, "learning_rate": 0.001})),
        "timeout_seconds": 3600.0, "depends_on": []
    });
    vec![
        ("POST", "/api/jobs/submit", submit.clone(), SUBMITTED),
        // A class without these parameters is asked for with them all the same.
        (
            "POST",
            "/api/jobs/submit",
            game(json!({"job_type": "training", "engine_mode": "mixed", "total_games": 1})),
            SUBMITTED,
        ),
        ("POST", "/start_job", submit, SUBMITTED),
        ("POST", "/start_job", game(json!({"job_type": "hybrid_selfplay", "num_games": 7})), SUBMITTED),
        // Numbers as texts, and other names of parameters.
        (
            "POST",
            "/start_job",
            json!({"job_type": "gauntlet", "board": "square8", "players": "3", "games": "5"}),
            SUBMITTED,
        ),
        ("POST", "/work/add", item(game(json!({}))), ADDED),
        ("POST", "/work/add", whole.clone(), ADDED),
        ("POST", "/work/add_batch", json!({"items": [item(game(json!({}))), whole]}), BATCH),
        ("POST", "/work/add_batch", json!({"jobs": [item(game(json!({"num_games": 3})))]}), BATCH),
        ("POST", "/work/add_batch", json!({"items": []}), BATCH),
    ]
}

struct Checked<'a> {
    cluster: &'a Cluster,
    node: usize,
    role: &'a str,
    problems: Vec<String>,
}

impl Checked<'_> {
    /// Sends a request with the token, and checks the answer's keys.
    async fn send(&mut self, (method, path, body, rows): Row) -> Value {
        let sent = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = led(self.cluster, self.node, method, path, &sent).await;
        let status = answer.status();
        let answer: Value = serde_json::from_slice(answer.body()).unwrap();
        let place = format!("{} {method} {path} {body}", self.role);
        assert_eq!(status, 200, "{place}: {answer}");
        check(&place, &answer, rows, &mut self.problems);
        for key in ["job", "work"] {
            if answer.get(key).is_some() {
                check(&format!("{place}.{key}"), &answer[key], JOB, &mut self.problems);
            }
        }
        answer
    }

    /// The same for a path that is made of an answer.
    async fn ask(&mut self, method: &'static str, path: &str, body: Value, rows: &'static str) -> Value {
        self.send((method, path.to_owned().leak(), body, rows)).await
    }
}

/// A request with the token. On a busy machine a leader may lose touch for a moment: then it is asked again, as clients do.
async fn led(cluster: &Cluster, node: usize, method: &str, path: &str, body: &[u8]) -> http::Response<bytes::Bytes> {
    cluster
        .until("a leader to answer", async || {
            let answer = cluster.answer(node, true, method, path, body).await;
            (answer.status() != 503).then_some(answer)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_jobs_takes_what_old_clients_send_and_answers_with_their_keys() {
    let mut cluster = Cluster::new(3, 1).unhurried();
    cluster.start();
    let leader = cluster.formed().await;
    // The nodes have no such programs: what is asked for waits, and workers come for it.
    for node in [leader, (leader + 1) % 3, 3] {
        let role = if node == leader {
            "leader"
        } else if node == 3 {
            "worker"
        } else {
            "follower"
        };
        let mut checked = Checked { cluster: &cluster, node, role, problems: Vec::new() };
        let mut asked = Vec::new();
        for row in asking() {
            let answer = checked.send(row).await;
            asked.extend(answer["job_id"].as_str().map(str::to_owned));
            asked.extend(
                answer["work_ids"].as_array().into_iter().flatten().filter_map(|id| id.as_str()).map(str::to_owned),
            );
        }
        assert_eq!(asked.len(), 10);
        let id = asked[0].clone();
        // A node other than the leader may know it a moment later.
        cluster
            .until("the node to know the job", async || {
                let shown: Option<Value> = cluster.client(node).get_json(&format!("/api/jobs/{id}")).await.ok();
                shown.map(|_| ())
            })
            .await;
        checked.ask("GET", &format!("/api/jobs/{id}"), Value::Null, "success: bool, job: map").await;
        let list = checked
            .ask(
                "GET",
                "/api/jobs?type=selfplay&status=pending&limit=2",
                Value::Null,
                "success: bool, jobs: list, total: int",
            )
            .await;
        for job in list["jobs"].as_array().unwrap() {
            check(&format!("{role} /api/jobs jobs[]"), job, JOB, &mut checked.problems);
            assert_eq!((&job["job_type"], &job["status"]), (&json!("selfplay"), &json!("pending")));
        }
        assert!(list["jobs"].as_array().unwrap().len() <= 2 && list["total"].as_u64().unwrap() >= 1, "{list}");

        // By query and by body, with a list and with commas.
        let mut claimed = Vec::new();
        for (method, path, body) in [
            ("GET", "/work/claim?node_id=w1&capabilities=selfplay,gpu_selfplay", Value::Null),
            ("POST", "/work/claim?node_id=w1&capabilities=selfplay", Value::Null),
            ("POST", "/work/claim", json!({"node_id": "w1", "capabilities": ["selfplay", "training"]})),
            ("POST", "/work/claim", json!({"node_id": "w1"})),
        ] {
            let answer = checked.ask(method, path, body, "status: str, work: map").await;
            assert_eq!(answer["status"], "claimed");
            claimed.push(answer["work"]["work_id"].clone());
        }
        let none = checked.ask("GET", "/work/claim?node_id=w1&capabilities=fishing", Value::Null, "status: str").await;
        assert_eq!(none["status"], "no_work_available", "nothing that it can do");
        let changed = "status: str, work_id: str";
        for (path, id, more, status) in [
            ("/work/start", 0, json!({}), "started"),
            ("/work/complete", 0, json!({"result": {"games": 100}}), "completed"),
            ("/work/fail", 1, json!({"error": "out of memory"}), "failed"),
            ("/work/cancel", 2, json!({}), "cancelled"),
            ("/work/complete", 3, json!({"node_id": "w1", "result": null}), "completed"),
        ] {
            let mut body = json!({"work_id": claimed[id]});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let answer = checked.ask("POST", path, body, changed).await;
            assert_eq!((&answer["status"], &answer["work_id"]), (&json!(status), &claimed[id]), "{path}");
        }
        for path in ["/work/status", "/work/history", "/work/node/w1", "/work/node/n1"] {
            let queue = checked.ask("GET", path, Value::Null, QUEUE).await;
            let jobs = ["pending", "running"].into_iter().flat_map(|key| queue[key].as_array().unwrap());
            for job in jobs {
                check(&format!("{role} {path}"), job, JOB, &mut checked.problems);
            }
        }
        let open = asked.iter().filter(|id| !claimed.iter().any(|claimed| claimed == *id)).cloned().collect::<Vec<_>>();
        checked.ask("POST", &format!("/api/jobs/{}/cancel", open[0]), Value::Null, "success: bool, message: str").await;
        checked.ask("POST", "/stop_job", json!({"job_id": open[1]}), "success: bool").await;
        assert!(checked.problems.is_empty(), "{}", checked.problems.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_has_its_code_on_each_route() {
    let mut cluster = Cluster::new(3, 1);
    std::fs::write(cluster.path().join("settings.yaml"), "work_queue_hard_limit: 1\n").unwrap();
    cluster.start();
    let leader = cluster.formed().await;
    let work = json!({"work_type": "selfplay", "config": {"board_type": "hex8", "num_players": 2}}).to_string();
    let changing = [
        ("POST", "/api/jobs/submit"),
        ("POST", "/api/jobs/selfplay-gone/cancel"),
        ("POST", "/start_job"),
        ("POST", "/stop_job"),
        ("POST", "/work/add"),
        ("POST", "/work/add_batch"),
        ("GET", "/work/claim?node_id=w1"),
        ("POST", "/work/claim"),
        ("POST", "/work/start"),
        ("POST", "/work/complete"),
        ("POST", "/work/fail"),
        ("POST", "/work/cancel"),
    ];
    for (method, path) in changing {
        let (status, answer) = cluster.raw(3, false, method, path, b"{}").await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            (status, &answer),
            (401, &json!({"error": "unauthorized", "error_code": "UNAUTHORIZED", "details": {}})),
            "{path}"
        );
    }
    let gone = json!({"job_id": "selfplay-gone", "work_id": "selfplay-gone"}).to_string();
    for (method, path, body, status, code) in [
        ("GET", "/api/jobs/selfplay-gone", "", 404, "NOT_FOUND"),
        ("GET", "/api/jobs?status=sleeping", "", 400, "BAD_REQUEST"),
        ("POST", "/api/jobs/selfplay-gone/cancel", "", 404, "NOT_FOUND"),
        ("POST", "/stop_job", &gone, 404, "NOT_FOUND"),
        ("POST", "/work/start", &gone, 404, "NOT_FOUND"),
        ("POST", "/work/complete", &gone, 404, "NOT_FOUND"),
        ("POST", "/work/fail", &gone, 404, "NOT_FOUND"),
        ("POST", "/work/cancel", &gone, 404, "NOT_FOUND"),
        ("POST", "/api/jobs/submit", "{}", 400, "BAD_REQUEST"),
        ("POST", "/start_job", "[]", 400, "BAD_REQUEST"),
        ("POST", "/work/add", r#"{"work_type":"selfplay","config":{"board_type":["hex8"]}}"#, 400, "BAD_REQUEST"),
        ("GET", "/work/claim", "", 400, "BAD_REQUEST"),
        ("POST", "/work/add", &work, 200, ""),
        ("POST", "/work/add", &work, 429, "QUEUE_FULL"),
    ] {
        let answer = led(&cluster, 3, method, path, body.as_bytes()).await;
        let (found, retry) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
        let answer: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!((found, retry), (status, status == 429), "{method} {path} {body}: {answer}");
        if status != 200 {
            assert_eq!(answer["error_code"], code, "{method} {path} {body}: {answer}");
            assert!(answer["error"].is_string() && answer["details"].is_object(), "{method} {path}: {answer}");
        }
    }

    for voter in [leader, (leader + 1) % 3] {
        cluster.kill(voter);
    }
    cluster.until("nobody to lead", async || cluster.status(3).await?.leader_id.is_none().then_some(())).await;
    for (method, path) in changing {
        let body = if path.starts_with("/work/add") { work.as_str() } else { &gone };
        let (status, answer) = cluster.raw(3, true, method, path, body.as_bytes()).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let leader = answer.get("leader_id");
        assert_eq!(
            (status, &answer["error_code"], leader),
            (503, &json!("NO_LEADER"), Some(&Value::Null)),
            "{path}: {answer}"
        );
    }
    // Reading goes on.
    for path in ["/api/jobs", "/work/status", "/work/history", "/work/node/n1"] {
        let (status, _) = cluster.raw(3, false, "GET", path, b"").await;
        assert_eq!(status, 200, "{path}");
    }
}
