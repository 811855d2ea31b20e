//! From the start of the process to `READY=1`, with twelve models that are in the store and indexed.

use std::{
    io::Cursor,
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use ringrift_api::{PromoteRequest, Sent, Upload};
use ringrift_blob::{BlobHasher, CHUNK};

use crate::{cluster::Cluster, target};

const STARTS: usize = 20;
const MEGABYTES: usize = 16;

pub(crate) async fn measure() {
    let mut cluster = Cluster::new(1, 0);
    cluster.start();
    cluster.formed().await;
    for (number, board) in ["hex8", "hexagonal", "square8", "square19"].into_iter().enumerate() {
        for players in 2..=4 {
            promote(&cluster, &format!("canonical_{board}_{players}p.pth"), number as u64 * 10 + players).await;
        }
    }
    let all = async || {
        let models = cluster.client(0).models().await.ok()?.models;
        (models.len() == 12 && models.iter().all(|model| model.nodes_holding == 1)).then_some(())
    };
    cluster.until("twelve models", all).await;

    let path = cluster.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    cluster.nodes[0].environment.push(("NOTIFY_SOCKET".into(), path.display().to_string()));
    let mut times = Vec::new();
    for _ in 0..STARTS {
        assert_eq!(cluster.terminate(0), Some(0));
        // What it said of its end.
        socket.set_nonblocking(true).unwrap();
        let mut message = [0; 4096];
        while socket.recv(&mut message).is_ok() {}
        socket.set_nonblocking(false).unwrap();
        let began = Instant::now();
        cluster.start_node(0);
        loop {
            let length = socket.recv(&mut message).unwrap();
            if String::from_utf8_lossy(&message[..length]).contains("READY=1") {
                break;
            }
        }
        times.push(began.elapsed());
        // It leads before it is ended: what is measured is a start after a life.
        cluster.formed().await;
    }
    times.sort_unstable();
    let worst = target::quantile(&times, 1.0).as_secs_f64() * 1e3;
    println!(
        "  worst of {STARTS}: {worst:.0} ms; 12 models of {MEGABYTES} MB, whose size does not matter: they are known by identity"
    );
    target::at_most("start to READY, median", target::quantile(&times, 0.5).as_secs_f64() * 1e3, 150.0, "ms");
}

async fn promote(cluster: &Cluster, name: &str, seed: u64) {
    let mut bytes = vec![0; MEGABYTES << 20];
    SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    let mut hasher = BlobHasher::new(CHUNK);
    hasher.update(&bytes);
    let sha256 = hasher.finish().sha256;
    let upload = Upload { name: name.parse().unwrap(), size: bytes.len() as u64, sha256 };
    let server = cluster.operator(0).at_port(8767);
    server.upload_model(&upload, Cursor::new(bytes), &Sent::default()).await.unwrap();
    let request = PromoteRequest { name: Some(upload.name), config: None, sha256, elo: None, by: None, force: false };
    cluster.operator(0).promote_model(&request).await.unwrap();
}
