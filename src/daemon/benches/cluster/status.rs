//! `GET /status` of a node that knows 1,000 members, beside a file of the same bytes that nginx serves. Both run on one core.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    num::NonZero,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use crate::{
    cluster::{Cluster, own_address},
    load,
    process::{cpu, rss},
    target,
};

const MEMBERS: usize = 1000;

pub(crate) async fn measure() {
    let mut cluster = Cluster::new(1, 0);
    let mut hosts = cluster.hosts_text(&["n1".to_owned()], |_| String::new());
    for i in 2..=MEMBERS {
        // Nobody is there: what a host of the file looks like on /status does not depend on it.
        let _ = write!(
            hosts,
            "  gpu-{i}:\n    ssh_host: 127.250.{}.{}\n    status: ready\n    role: gpu_selfplay\n    gpu: 8x RTX 4090\n    \
             cpus: 64\n    memory_gb: 256\n    nat_blocked: true\n",
            i / 250,
            i % 250 + 1
        );
    }
    cluster.write_hosts(&hosts);
    cluster.start_node(0);
    cluster.until("a leader", async || cluster.status(0).await?.leader_id).await;
    let pid = cluster.pid(0);
    pin(pid, "0");
    let daemon = SocketAddr::new(cluster.nodes[0].ip, 8770);
    let p99 = look("the daemon", pid, daemon, "/status");
    target::at_most("/status, p99", p99, 2.0, "ms");
    look("the daemon", pid, daemon, "/status?alive_only=false");
    look("the daemon", pid, daemon, "/health");

    let bytes = cluster.client(0).get_bytes("/status").await.unwrap();
    fs::write(cluster.path().join("status"), &bytes).unwrap();
    let address = SocketAddr::new(own_address(), 8080);
    let Some(mut nginx) = nginx(cluster.path(), address) else {
        println!("  nginx is not installed: no comparison with it");
        return;
    };
    pin(nginx.id(), "0");
    let theirs = look("nginx", nginx.id(), address, "/status");
    println!("  p99 relative to a static file from nginx: {:.2}", p99 / theirs);
    nginx.kill().unwrap();
    nginx.wait().unwrap();
}

/// 99 % in milliseconds.
fn look(who: &str, pid: u32, to: SocketAddr, path: &str) -> f64 {
    // Whoever asks stays out of its way, where there is another core.
    let last_core = thread::available_parallelism().map_or(1, NonZero::get) - 1;
    let asker = std::process::id();
    pin(asker, &format!("{}-{last_core}", last_core.min(1)));
    let before = cpu(pid);
    let began = Instant::now();
    let (times, bytes) = load::steady(to, path);
    let (took, used) = (began.elapsed().as_secs_f64(), cpu(pid) - before);
    pin(asker, &format!("0-{last_core}"));
    let at = |share| target::quantile(&times, share).as_secs_f64() * 1e3;
    println!(
        "  {who} {path}: {bytes} bytes, {:.0} requests/s on one core: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms; {:.0} % of the core, \
         {:.0} MiB",
        times.len() as f64 / took,
        at(0.5),
        at(0.99),
        at(1.0),
        used / took * 100.0,
        rss(pid),
    );
    at(0.99)
}

fn pin(pid: u32, cores: &str) {
    let pinned = Command::new("taskset").args(["-acp", cores, &pid.to_string()]).output();
    assert!(pinned.is_ok_and(|output| output.status.success()), "taskset, of util-linux");
}

/// One process, as its own only worker.
fn nginx(folder: &Path, address: SocketAddr) -> Option<Child> {
    let config = folder.join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; pid {0}/nginx.pid; error_log {0}/nginx.log;\nevents {{}}\n\
         http {{ access_log off; sendfile on; root {0}; default_type application/json; {1}\nserver {{ listen {address}; keepalive_requests 1000000; }} }}\n",
        folder.display(),
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {}/nginx-{kind};", folder.display()))
            .join(" "),
    );
    fs::write(&config, text).unwrap();
    let child = Command::new("nginx").arg("-c").arg(config).spawn().ok()?;
    while std::net::TcpStream::connect(address).is_err() {
        thread::sleep(Duration::from_millis(5));
    }
    Some(child)
}
