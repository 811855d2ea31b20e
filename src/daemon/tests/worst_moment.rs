//! A job is submitted and a model promoted while the leader is killed, at each moment of both: nothing is lost, nothing done twice.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::{collections::BTreeMap, fs, io::Cursor, time::Duration};

use cluster::Cluster;
use ringrift_api::{
    Client, ClientError, ErrorCode, EventPage, JobList, JobStatus, PromoteRequest, Sent, SubmitRequest, Upload,
};
use ringrift_blob::{BlobHasher, CHUNK, Digest, ModelName};
use serde_json::json;

/// The one that does not vote, is never killed, and runs the jobs.
const WORKER: usize = 3;
/// From the request to the kill, in milliseconds. Answers come after 3 to 30.
const MOMENTS: [u64; 6] = [0, 2, 5, 10, 20, 40];

/// Who is asked.
#[derive(Debug, Clone, Copy)]
enum Through {
    TheLeader,
    AnotherVoter,
    TheWorker,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_at_any_moment_of_a_submission_and_a_promotion_loses_and_doubles_none() {
    let mut cluster = Cluster::new(3, 1);
    let ran = cluster.path().join("ran");
    let settings = cluster.path().join("settings.yaml");
    let classes = format!(
        "runner: plain\njobs_fill: false\njob_classes:\n  mark:\n    kind: selfplay\n    working_dir: /\n    \
         argv: [/bin/sh, -c, 'echo \"$1\" >> {}', sh, \"{{word}}\"]\n    params: {{word: {{type: word}}}}\n",
        ran.display()
    );
    fs::write(&settings, fs::read_to_string(&settings).unwrap() + &classes).unwrap();
    cluster.start();

    let mut first_answers = BTreeMap::new();
    let mut promoted = Vec::new();
    for through in [Through::TheLeader, Through::AnotherVoter, Through::TheWorker] {
        for moment in MOMENTS {
            let leader = cluster.formed().await;
            let other = (leader + 1) % cluster.voters();
            let asked = match through {
                Through::TheLeader => leader,
                Through::AnotherVoter => other,
                Through::TheWorker => WORKER,
            };
            let word = format!("round-{}", promoted.len());
            let sha256 = upload(&cluster, other, word.as_bytes()).await;
            if asked != other {
                upload(&cluster, asked, word.as_bytes()).await;
            }
            let (job, model) = (submission(&word), promotion(sha256));
            let client = cluster.operator(asked);
            let requests = tokio::spawn(async move {
                tokio::join!(client.submit_job(&job), async { client.promote_model(&model).await.map(|_| ()) })
            });
            tokio::time::sleep(Duration::from_millis(moment)).await;
            cluster.kill(leader);
            let (job, model) = requests.await.unwrap();
            first_answers.insert(word, job.is_ok());

            // Whoever heard nothing asks again: for a promotion that is the same once more. Another job would be another job.
            if let Err(error) = model {
                assert!(may_come_again(&error), "{through:?}, {moment} ms: {error}");
                let again = cluster.operator(other);
                cluster
                    .until("the promotion to be taken", async || match again.promote_model(&promotion(sha256)).await {
                        Ok(_) => Some(()),
                        Err(error) => {
                            assert!(may_come_again(&error), "{through:?}, {moment} ms: {error}");
                            None
                        }
                    })
                    .await;
            }
            promoted.push(sha256.to_string());
            cluster.start_node(leader);
        }
    }
    cluster.formed().await;

    let jobs = cluster
        .until("all jobs to be done", async || {
            let jobs: JobList = cluster.client(WORKER).jobs("?limit=1000").await.ok()?;
            jobs.jobs.iter().all(|job| job.status == JobStatus::Completed).then_some(jobs.jobs)
        })
        .await;
    let ran = fs::read_to_string(&ran).unwrap();
    for (word, acknowledged) in &first_answers {
        let there = jobs.iter().filter(|job| job.requested_by == *word).count();
        assert!(there == 1 || there == 0 && !acknowledged, "{word}: acknowledged {acknowledged}, there {there} times");
        assert_eq!(ran.lines().filter(|line| line == word).count(), there, "{word} ran as often as it was submitted");
    }
    assert_eq!(events(&cluster.client(WORKER), "MODEL_PROMOTED").await, promoted, "each once, in order");
    let acknowledged = first_answers.values().filter(|acknowledged| **acknowledged).count();
    eprintln!(
        "{acknowledged} of {} submissions were acknowledged at once, {} are there",
        first_answers.len(),
        jobs.len()
    );
}

/// Whether the client cannot know what became of its request, or there is no leader yet.
fn may_come_again(error: &ClientError) -> bool {
    error.is_passing() || error.code() == Some(ErrorCode::NoLeader)
}

fn submission(word: &str) -> SubmitRequest {
    let request = json!({ "job_type": "mark", "by": word, "node_id": "n4", "word": word });
    serde_json::from_value(request).unwrap()
}

fn promotion(sha256: Digest) -> PromoteRequest {
    PromoteRequest { name: Some(name()), config: None, sha256, elo: None, by: None, force: false }
}

fn name() -> ModelName {
    "canonical_hex8_2p.pth".parse().unwrap()
}

async fn upload(cluster: &Cluster, index: usize, bytes: &[u8]) -> Digest {
    let mut hasher = BlobHasher::new(CHUNK);
    hasher.update(bytes);
    let sha256 = hasher.finish().sha256;
    let upload = Upload { name: name(), size: bytes.len() as u64, sha256 };
    let server = cluster.operator(index).at_port(8767);
    server.upload_model(&upload, Cursor::new(bytes.to_vec()), &Sent::default()).await.unwrap().sha256
}

/// What the events of a kind are about, the first one first.
async fn events(client: &Client, kind: &str) -> Vec<String> {
    let page: EventPage = client.get_json("/api/events?since=0&limit=1000").await.unwrap();
    let of_kind = page.events.iter().filter(|event| event.kind == kind);
    of_kind.map(|event| event.details["sha256"].as_str().unwrap().to_owned()).collect()
}
