//! Models: what is shown of them, and what is asked for.

mod asking;
mod nodes;
mod promotion;
mod waiting;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use ringrift_api::{
    DistributionPhase, DistributionReport, ErrorBody, ErrorCode, ManifestState, ModelChanged, ModelEntry, ModelList,
    ModelProgress, ModelVersion, ModelsProgress, NodeFailure, NodeProgress,
};
use ringrift_blob::{Digest, ModelName};
use serde_json::json;

use crate::{
    cluster::{NOW, id},
    ctl::{Ran, command, ran},
    fake::{Answer, Fake, Seen},
};

fn hex8() -> ModelName {
    ModelName::canonical("hex8_2p").unwrap()
}

fn report(state: DistributionPhase) -> DistributionReport {
    let ended = state != DistributionPhase::Running;
    DistributionReport {
        state,
        generation: 7,
        by: "op@desk".to_owned(),
        force: false,
        started_at: NOW,
        ended_at: ended.then_some(NOW + 12.3),
        duration_seconds: ended.then_some(12.3),
        nodes_succeeded: 2,
        nodes_failed: match state {
            DistributionPhase::Failed => {
                vec![NodeFailure { node_id: id("gpu-3"), reason: "its disk is full".to_owned() }]
            }
            DistributionPhase::Running | DistributionPhase::Complete => Vec::new(),
        },
        nodes_failed_omitted: 0,
    }
}

pub(crate) fn entry(config: &str, sha256: Digest, state: DistributionPhase) -> ModelEntry {
    let name = ModelName::canonical(config).unwrap();
    let version = |n: u8| ModelVersion {
        sha256: Digest::of(&[n]),
        size: 15_200_000,
        elo: Some(1400.0 + f64::from(n)),
        generation: 5 - u64::from(n),
        promoted_at: NOW - 3600.0 * f64::from(n),
        by: "watch".to_owned(),
        source: id("trainer"),
        available: n < 2,
    };
    ModelEntry {
        config_key: name.config_key().map(str::to_owned),
        board_type: name.board_and_players().map(|(board, _)| board.to_owned()),
        num_players: name.board_and_players().map(|(_, players)| players),
        name,
        sha256,
        size: 174_000_000,
        elo: (config == "hex8_2p").then_some(1612.4),
        generation: 7,
        promoted_at: NOW,
        by: "op@desk".to_owned(),
        source: id("alpha"),
        nodes_holding: if state == DistributionPhase::Complete { 3 } else { 2 },
        nodes_eligible: 3,
        distribution: report(state),
        history: vec![version(1), version(2)],
    }
}

pub(crate) fn list(models: Vec<ModelEntry>) -> ModelList {
    ModelList { success: true, models, leader_id: Some(id("alpha")), state_index: 42 }
}

fn progress(sha256: Digest, generation: u64, state: DistributionPhase, verified: u32) -> ModelsProgress {
    let node = |(at, name): (u32, &str)| NodeProgress {
        node_id: id(name),
        state: if at < verified { ManifestState::Verified } else { ManifestState::Fetching },
        have_bytes: if at < verified { 4000 } else { 1000 },
        of_bytes: 4000,
        bytes_per_second: 0.0,
        sources: 1,
        message: String::new(),
    };
    let model = ModelProgress {
        name: hex8(),
        sha256,
        size: 4000,
        generation: 7,
        distribution_generation: generation,
        state,
        started_at: NOW,
        nodes_verified: verified,
        nodes_eligible: 3,
        nodes: (0..).zip(["alpha", "beta", "gpu-3"]).map(node).collect(),
    };
    ModelsProgress { success: true, models: vec![model], state_index: 42, timestamp: NOW }
}

fn changed(sha256: Digest, deed: &str) -> Answer {
    Answer::json(&ModelChanged {
        success: true,
        name: hex8(),
        sha256,
        size: 4000,
        generation: 7,
        distribution_generation: 7,
        changed: true,
        message: format!("{} {deed} {:.12}", hex8(), sha256.to_string()),
    })
}

/// An archive as torch.save writes it, of one part, made by hand: a local header, the part, a directory of one entry, the end record.
fn archive() -> Vec<u8> {
    let (name, body) = (b"best/data.pkl", [7u8; 4000]);
    let size = (body.len() as u32).to_le_bytes();
    let lengths = [(name.len() as u16).to_le_bytes(), [0; 2]].concat();
    let mut file = [b"PK\x03\x04", &[0; 14][..], &size, &size, &lengths, name, &body].concat();
    let offset = (file.len() as u32).to_le_bytes();
    let entry = [b"PK\x01\x02", &[0; 16][..], &size, &size, &lengths, &[0; 14], name].concat();
    file.extend_from_slice(&entry);
    let figures = [1, 0, 1, 0];
    file.extend([b"PK\x05\x06", &[0; 4][..], &figures, &(entry.len() as u32).to_le_bytes(), &offset, &[0; 2]].concat());
    file
}

fn model_file(folder: &Path, name: &str) -> (PathBuf, Digest) {
    let path = folder.join(name);
    fs::write(&path, archive()).unwrap();
    (path, Digest::of(&archive()))
}

/// Model server and API in one.
fn cluster(verdict: DistributionPhase) -> impl Fn(&Seen) -> Answer + Send + Sync + 'static {
    let polls = AtomicUsize::new(0);
    let stored = Mutex::new(None);
    move |seen| {
        let sha256 = *stored.lock().unwrap();
        match (seen.method.as_str(), seen.path.split('?').next().unwrap()) {
            ("HEAD", _) => Answer::text("", "").status(if sha256.is_some() { 200 } else { 404 }),
            ("POST", "/models/upload") => {
                let file = Digest::of(part(&seen.body));
                *stored.lock().unwrap() = Some(file);
                Answer::json(&json!({ "success": true, "sha256": file, "size": part(&seen.body).len() }))
            }
            ("POST", "/api/models/promote") => changed(sha256.unwrap(), "is now"),
            ("GET", "/api/models/progress") => match polls.fetch_add(1, Ordering::Relaxed) {
                // A node that has not heard of the promotion yet, then a leader that is being elected.
                0 => Answer::json(&progress(Digest::of(b"before"), 3, DistributionPhase::Complete, 3)),
                1 => Answer::json(&ErrorBody::new(ErrorCode::NoLeader, "no leader")).status(503),
                2 => Answer::json(&progress(sha256.unwrap(), 7, DistributionPhase::Running, 2)),
                _ => Answer::json(&progress(
                    sha256.unwrap(),
                    7,
                    verdict,
                    if verdict == DistributionPhase::Complete { 3 } else { 2 },
                )),
            },
            ("GET", "/api/models") => Answer::json(&list(vec![entry("hex8_2p", sha256.unwrap(), verdict)])),
            other => panic!("nobody asks {other:?}"),
        }
    }
}

/// The file in a multipart body.
fn part(body: &[u8]) -> &[u8] {
    let find = |needle: &[u8]| body.windows(needle.len()).position(|window| window == needle).unwrap();
    let start = find(b"\r\n\r\n") + 4;
    let boundary = &body[..find(b"\r\n")];
    let end = body.len() - boundary.len() - 6;
    assert_eq!(&body[end..], [b"\r\n", boundary, b"--\r\n"].concat());
    &body[start..end]
}

fn promote(fake: &Fake, file: &Path, args: &[&str]) -> tokio::process::Command {
    let mut command = command();
    command.env("RINGRIFT_CLUSTER_AUTH_TOKEN", "x".repeat(64)).args(["--api", &fake.url(), "models", "promote"]);
    command.arg(file).args(["--models-port", &fake.addr().port().to_string()]).args(args);
    command
}

async fn told(fake: &Fake, command: &mut tokio::process::Command, folder: &Path) -> Ran {
    let mut ran = ran(command, &fake.addr().to_string()).await;
    for text in [&mut ran.out, &mut ran.err] {
        *text = text.replace(folder.to_str().unwrap(), "DIR");
    }
    ran
}
