//! Three etcds, of Debian's package etcd-server.

use std::{
    fs::File,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use ringrift_api::Client;
use serde_json::{Value, json};

use crate::cluster::{PATIENCE, own_address};

pub(crate) struct Etcd {
    members: Vec<Child>,
    pub(crate) leader: SocketAddr,
}

impl Etcd {
    /// `None` where it is not installed. Their data are in `folder`.
    pub(crate) async fn start(folder: &Path) -> Option<Self> {
        let addresses: Vec<IpAddr> = (0..3).map(|_| own_address()).collect();
        let all: Vec<String> = addresses.iter().enumerate().map(|(i, ip)| format!("e{i}=http://{ip}:2380")).collect();
        let mut members = Vec::new();
        for (i, ip) in addresses.iter().enumerate() {
            let log = File::create(folder.join(format!("etcd-{i}.log"))).unwrap();
            let (client, peer) = (format!("http://{ip}:2379"), format!("http://{ip}:2380"));
            let member = Command::new("etcd")
                .args(["--name", &format!("e{i}"), "--initial-cluster", &all.join(",")])
                .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
                .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
                .arg("--data-dir")
                .arg(folder.join(format!("etcd-{i}")))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .ok()?;
            members.push(member);
        }
        let deadline = Instant::now() + PATIENCE;
        let mut etcd = Self { members, leader: SocketAddr::new(addresses[0], 2379) };
        loop {
            for ip in &addresses {
                let client = Client::new(&format!("http://{ip}:2379"), None).unwrap();
                let status = client.post_json::<Value>("/v3/maintenance/status", &json!({})).await.unwrap_or_default();
                if status["leader"].is_string() && status["leader"] == status["header"]["member_id"] {
                    etcd.leader = SocketAddr::new(*ip, 2379);
                    return Some(etcd);
                }
            }
            assert!(Instant::now() < deadline, "etcd has no leader");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}
